"""The public API as type checkers see it. Never run: `make lint` checks it with mypy and pyright, both strict."""

from __future__ import annotations

from pathlib import Path
from typing import assert_type

import httpx
import httpx2
from mcp import Client

import gatepass


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
    ]


async def an_assertion(audience: str) -> str:
    return audience


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


async def asynchronous(auth: gatepass.Auth) -> None:
    assert_type(await auth.atoken(), str)
    assert_type(await auth.aheaders("GET", auth.url), dict[str, str])
    async with gatepass.AuthorizedAsyncClient(auth) as client:
        assert_type(await client.get(""), httpx2.Response)
    async with gatepass.connect(auth, mode="legacy") as mcp:
        assert_type(mcp, Client)


def errors(problem: gatepass.GatepassError) -> tuple[str, str | None, bool, float | None]:
    return problem.code, problem.error, problem.retryable, problem.retry_at


def a_store_of_the_users_own(store: gatepass.Store) -> bool:
    return store.shared


memory: gatepass.Store = gatepass.MemoryStore()
files: gatepass.Store = gatepass.FileStore(Path("/var/lib/gatepass"))
