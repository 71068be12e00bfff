"""The public API as type checkers see it. Never run: `make lint` checks it with mypy and pyright, both strict."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import assert_type

import httpx
import httpx2
import redis
from key_value.aio.stores.memory import MemoryStore as KeyValueMemory
from mcp import Client

import gatepass
from gatepass import identity, signers


def identities() -> list[gatepass.ClientCredentials]:
    secret = gatepass.Secret.env("CLIENT_SECRET")
    return [
        gatepass.ClientCredentials(gatepass.ClientSecret("ci-bot", "s3cret")),
        gatepass.ClientCredentials(gatepass.ClientSecret("ci-bot", secret, "client_secret_post")),
        gatepass.ClientCredentials(gatepass.PrivateKeyJwt("ci-bot", key=Path("ci-bot.pem"))),
        gatepass.ClientCredentials(gatepass.PrivateKeyJwt("ci-bot", {"kty": "OKP"}, algorithm="EdDSA")),
        gatepass.ClientCredentials(gatepass.ClientAssertion("ci-bot", lambda audience: audience)),
        gatepass.ClientCredentials(gatepass.ClientAssertion("ci-bot", an_assertion)),
        gatepass.ClientCredentials(gatepass.PublicClient("ci-bot")),
        gatepass.ClientCredentials(gatepass.TlsClient("ci-bot")),
    ]


async def an_assertion(audience: str) -> str:
    return audience


async def none_here(audience: str) -> str | None:
    return audience or None


def platforms() -> list[identity.Platform]:
    return [
        identity.AwsWebIdentity(region="eu-central-1", timeout_s=5),
        identity.AzureManagedIdentity(client_id="ci-bot"),
        identity.AzureWorkload(),
        identity.GitHubActions(),
        identity.GitLabCI(variable="ID_TOKEN"),
        identity.GoogleCloud(),
        identity.KubernetesToken(path=Path("/var/run/secrets/tokens/gatepass")),
        identity.Spiffe(socket="unix:///run/spire/agent.sock"),
    ]


def workloads() -> list[gatepass.WorkloadIdentity]:
    return [
        gatepass.WorkloadIdentity(gatepass.Ambient()),
        gatepass.WorkloadIdentity(identity.Ambient(*platforms())),
        *(gatepass.WorkloadIdentity(platform, subject="the nightly build") for platform in platforms()),
        gatepass.WorkloadIdentity(gatepass.Secret.file("/run/secrets/workload.jwt"), client="ci-bot"),
        gatepass.WorkloadIdentity("a JWT", client=gatepass.ClientSecret("ci-bot", "s3cret"), audience="token_endpoint"),
        gatepass.WorkloadIdentity(lambda audience: audience),
        gatepass.WorkloadIdentity(an_assertion),
        gatepass.WorkloadIdentity(none_here),
    ]


def a_platform_by_hand(platform: identity.Platform) -> gatepass.WorkloadIdentity:
    assert_type(platform("https://auth.example.com"), str | None)
    return gatepass.WorkloadIdentity(platform)


def users() -> list[gatepass.EnterpriseAuthorization]:
    client = gatepass.ClientSecret("ci-bot", "s3cret")
    idp = gatepass.IdentityProvider("https://idp.example.com", client)
    elsewhere = gatepass.IdentityProvider(
        "https://idp.example.com", gatepass.PublicClient("ci-bot"), token_endpoint="https://idp.example.com/token"
    )
    return [
        gatepass.EnterpriseAuthorization(client, idp=idp, subject_token=gatepass.Secret.env("ID_TOKEN")),
        gatepass.EnterpriseAuthorization(client, idp=elsewhere, subject_token=an_assertion, subject="alice"),
        gatepass.EnterpriseAuthorization(client, idp=idp, subject_token="PHNhbWw+", subject_token_type="saml2"),
    ]


def by_hand(url: str) -> None:
    del url


def people() -> list[gatepass.AuthorizationCode]:
    return [
        gatepass.AuthorizationCode(),
        gatepass.AuthorizationCode("ci-bot", ask=by_hand, timeout_s=60),
        gatepass.AuthorizationCode(gatepass.PrivateKeyJwt("ci-bot", Path("ci-bot.pem")), ask=an_assertion),
        gatepass.AuthorizationCode(ask=none_here, redirect_uri="https://example.com/callback", subject="alice"),
        gatepass.AuthorizationCode(
            client_metadata_url="https://example.com/client.json", client_name="Report", offline_access=False
        ),
    ]


def keys_elsewhere(vault: signers.VaultSigner) -> list[gatepass.Signer]:
    return [
        signers.KmsSigner("alias/ci-bot"),
        signers.Pkcs11Signer("/usr/lib/module.so", token_label="ci", key_label="bot", pin=gatepass.Secret.env("PIN")),
        vault,
    ]


def bound(vault: signers.VaultSigner) -> list[gatepass.Auth]:
    url, way_in = "https://mcp.example.com/mcp", gatepass.WorkloadIdentity(gatepass.Ambient())
    return [
        gatepass.Auth(url, way_in, dpop=True, step_up=True),
        gatepass.Auth(url, users()[0], dpop=Path("dpop.pem"), deadline_s=30),
        gatepass.Auth(url, people()[0], dpop="-----BEGIN PRIVATE KEY-----"),
        gatepass.Auth(url, way_in, dpop=b"{}"),
        gatepass.Auth(url, way_in, dpop={"kty": "OKP"}),
        gatepass.Auth(url, way_in, dpop=gatepass.Secret.env("DPOP_KEY")),
        *(gatepass.Auth(url, way_in, dpop=signer) for signer in keys_elsewhere(vault)),
        gatepass.Auth(url, way_in, http=gatepass.TokenHttp(cert=("ci-bot.pem", Path("ci-bot.key")))),
    ]


def make() -> gatepass.Auth:
    return gatepass.Auth(
        "https://mcp.example.com/mcp",
        identities()[0],
        issuer="https://auth.example.com",
        scopes=["mcp:read"],
        allow_http=False,
        store=gatepass.FileStore(),
        http=gatepass.TokenHttp(proxy="http://proxy.example.com:3128", verify=Path("ca.pem"), timeout_s=5),
    )


def sync(auth: gatepass.Auth) -> None:
    assert_type(auth.token(), str)
    assert_type(auth.headers("GET", auth.url), dict[str, str])
    for_httpx: httpx.Auth = auth.for_httpx()
    with httpx2.Client(auth=auth) as plain, gatepass.AuthorizedClient(auth) as client:
        assert_type(plain.get(auth.url), httpx2.Response)
        assert_type(client.get("tools"), httpx2.Response)
    del for_httpx
    auth.nonce_given("a nonce")
    assert_type(auth.rejected("a token"), bool)
    assert_type(auth.tls_context(), ssl.SSLContext | None)
    assert_type(auth.forget(), bool)


async def asynchronous(auth: gatepass.Auth) -> None:
    assert_type(await auth.atoken(), str)
    assert_type(await auth.aheaders("GET", auth.url), dict[str, str])
    async with gatepass.AuthorizedAsyncClient(auth) as client:
        assert_type(await client.get(""), httpx2.Response)
    async with gatepass.connect(auth, mode="legacy") as mcp:
        assert_type(mcp, Client)
    assert_type(await auth.aforget(), bool)


def watched() -> gatepass.Auth:
    def listen(event: gatepass.Event) -> None:
        assert_type(event.at, float)

    url, way_in = "https://mcp.example.com/mcp", identities()[0]
    gatepass.Auth(url, way_in, on_event=print)
    gatepass.Auth(url, way_in, on_event=listen)
    return gatepass.Auth(url, way_in, on_event=gatepass.Telemetry())


async def a_life(auth: gatepass.Auth) -> None:
    auth.warm()
    await auth.awarm()
    assert_type(auth.status(), gatepass.Status)
    assert_type((await auth.astatus()).expires_at, float | None)
    with auth as same:
        assert_type(same, gatepass.Auth)
    async with auth as also:
        assert_type(also, gatepass.Auth)
    auth.close()
    await auth.aclose(timeout_s=1)


def errors(problem: gatepass.GatepassError) -> tuple[str, str | None, bool, float | None]:
    return problem.code, problem.error, problem.retryable, problem.retry_at


def somebody_is_needed(problem: gatepass.SignInRequiredError) -> None:
    assert_type(problem.url, str | None)
    general: gatepass.GatepassError = problem
    del general


def a_store_of_the_users_own(store: gatepass.Store) -> bool:
    return store.shared


def stores(client: redis.Redis) -> list[gatepass.Store]:
    return [
        gatepass.RedisStore("redis://127.0.0.1:6379/0", prefix="team"),
        gatepass.RedisStore(gatepass.Secret.env("REDIS_URL")),
        gatepass.RedisStore(client),
        gatepass.KeyValueStore(KeyValueMemory),
        gatepass.EncryptedStore(gatepass.FileStore(), gatepass.Secret.env("STORE_KEY")),
        gatepass.EncryptedStore(gatepass.MemoryStore(), [gatepass.Secret.keyring("gatepass", "new"), "an old key"]),
    ]


memory: gatepass.Store = gatepass.MemoryStore()
files: gatepass.Store = gatepass.FileStore(Path("/var/lib/gatepass"))
