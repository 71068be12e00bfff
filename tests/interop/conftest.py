from __future__ import annotations

import socket
import ssl
import sys
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2
import pytest
from interop.bound import Attentive, CertificateGate, ProofGate
from interop.certificates import Certificates, self_signed
from interop.mcp_server import Introspection, JwtVerifier, protected_app, served
from interop.node.install import NODE, installed
from interop.person import Person
from interop.place import SCOPE, SECRET, SECRET_METHODS, Key, Place, client_with_key, client_with_secret, public_app
from interop.processes import serving
from interop.wiretap import Wiretap
from joserfc.jwk import ECKey, OKPKey, RSAKey
from pydantic import AnyHttpUrl
from wire import Authority

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

HERE = Path(__file__).parent
OIDC_PROVIDER = [str(NODE), str(HERE / "node" / "server.mjs")]
SCOPES = f"{SCOPE} mcp:write"


@pytest.fixture(scope="session")
def keys() -> dict[str, Key]:
    """Keys of clients, by the algorithm that the authorization server expects of them."""
    rsa = RSAKey.generate_key(2048)
    return {
        "RS256": rsa,
        "PS256": rsa,
        "ES256": ECKey.generate_key("P-256"),
        "EdDSA": OKPKey.generate_key("Ed25519"),
    }


@pytest.fixture(scope="session", params=["lenient", "strict"])
def oidc(
    request: pytest.FixtureRequest, keys: Mapping[str, Key], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Place]:
    """Behind oidc-provider: lenient, its issuer the root of an origin; or strict (FAPI 2.0), its issuer with a path."""
    strict = request.param == "strict"
    log = tmp_path_factory.mktemp("oidc-provider") / "stderr.txt"
    with listener() as own, listener() as other:
        url, elsewhere = mcp_url(own), mcp_url(other)
        given = {
            "path": "/tenants/acme" if strict else "",
            "strict": strict,
            "clients": [*secret_clients(), *key_clients(keys)],
            "jwks": own_keys(),
            "resources": {url: SCOPES, elsewhere: SCOPES},
        }
        with serving(OIDC_PROVIDER, given, directory=installed(), log=log) as issuer:
            metadata = httpx2.get(f"{issuer}/.well-known/openid-configuration").raise_for_status().json()
            app = protected_app(issuer, url, JwtVerifier(issuer, metadata["jwks_uri"], url))
            spelt = AnyHttpUrl(issuer)  # puts a slash at the end of an issuer without a path
            app_elsewhere = protected_app(spelt, elsewhere, JwtVerifier(issuer, metadata["jwks_uri"], elsewhere))
            with served(app, own), served(app_elsewhere, other):
                yield Place(
                    url=url,
                    elsewhere=elsewhere,
                    issuer=issuer,
                    token_endpoint=metadata["token_endpoint"],
                    strict=strict,
                )


@pytest.fixture(scope="session", params=["openid", "oauth", "none"])
def toolkit(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Behind django-oauth-toolkit: its metadata where OIDC Discovery has it, where RFC 8414 has it, or nowhere."""
    directory = tmp_path_factory.mktemp("django-oauth-toolkit")
    resource_server = ("the MCP server", "its own secret")
    clients = {client_with_secret(method): SECRET for method in SECRET_METHODS}
    given = {
        "directory": str(directory),
        "layout": request.param,
        "clients": clients | dict([resource_server]),
        "scopes": SCOPES.split(),
    }
    program = [sys.executable, str(HERE / "django_server.py")]
    with listener() as own, serving(program, given, directory=directory, log=directory / "stderr.txt") as issuer:
        url = mcp_url(own)
        app = protected_app(issuer, url, Introspection(f"{issuer}/introspect/", *resource_server, url))
        with served(app, own):
            yield Place(
                url=url,
                elsewhere="http://127.0.0.1/elsewhere",
                issuer=issuer,
                token_endpoint=f"{issuer}/token/",
                metadata=request.param != "none",
            )


@pytest.fixture(scope="session")
def town(keys: Mapping[str, Key], tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Place, Place, ProofGate]]:
    """One oidc-provider where people sign in, and two MCP servers behind it; the second wants proofs."""
    log = tmp_path_factory.mktemp("oidc-provider") / "stderr.txt"
    with listener() as own, listener() as other:
        url, proving = mcp_url(own), mcp_url(other)
        given = {
            "people": True,
            "proofs": True,
            "clients": [*apps(), *sites(keys), *provers()],
            "jwks": own_keys(),
            "resources": {url: SCOPES, proving: SCOPES},
        }
        with serving(OIDC_PROVIDER, given, directory=installed(), log=log) as issuer:
            jwks_uri = f"{issuer}/jwks"
            app = protected_app(issuer, url, JwtVerifier(issuer, jwks_uri, url))
            behind = protected_app(issuer, proving, JwtVerifier(issuer, jwks_uri, proving))
            gate = ProofGate(behind, proving.removesuffix("/mcp"))
            with served(app, own), served(gate, other):
                plain = Place(url=url, elsewhere=proving, issuer=issuer, token_endpoint=f"{issuer}/token")
                yield plain, replace(plain, url=proving, elsewhere=url), gate


@pytest.fixture
def home(town: tuple[Place, Place, ProofGate]) -> Place:
    """An MCP server whose authorization server people sign in at."""
    return town[0]


@pytest.fixture
def proving(town: tuple[Place, Place, ProofGate]) -> Place:
    """Another one behind the same authorization server, which takes a token only with a proof."""
    return town[1]


@pytest.fixture
def gate(town: tuple[Place, Place, ProofGate]) -> ProofGate:
    """What looks at the proofs there."""
    return town[2]


@pytest.fixture(scope="session")
def fortress(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Place, Certificates]]:
    """oidc-provider and an MCP server over TLS, who know clients by their certificates and bind tokens to them."""
    directory = tmp_path_factory.mktemp("certificates")
    authority = Authority(directory)
    own_key_set = self_signed(directory / "lone.pem")
    certificates = Certificates(
        authority=authority.bundle,
        trusted=directory / "trusted.pem",
        bot=authority.issue("bot").rename(directory / "bot of before.pem"),
        renewed_bot=authority.issue("bot"),
        stranger=authority.issue("stranger"),
        lone=directory / "lone.pem",
    )
    certificates.trusted.write_bytes(authority.bundle.read_bytes() + certificates.lone.read_bytes())
    server = authority.issue("server")
    trust = ssl.create_default_context(cafile=authority.bundle)
    with listener() as own:
        url = mcp_url(own).replace("http:", "https:")
        pem = server.read_text()
        given = {
            "people": True,
            "tls": {"cert": pem, "key": pem, "ca": authority.bundle.read_text()},
            "clients": shown_clients(own_key_set),
            "jwks": own_keys(),
            "resources": {url: SCOPES},
        }
        log = directory / "stderr.txt"
        with serving(OIDC_PROVIDER, given, directory=installed(), log=log) as issuer:
            app = protected_app(issuer, url, JwtVerifier(issuer, f"{issuer}/jwks", url, trust=trust))
            gate = CertificateGate(app, url.removesuffix("/mcp"))
            tls = {
                "ssl_certfile": server,
                "ssl_ca_certs": certificates.trusted,
                "ssl_cert_reqs": ssl.CERT_OPTIONAL,
                "http": Attentive,
            }
            with served(gate, own, **tls):
                metadata = httpx2.get(f"{issuer}/.well-known/openid-configuration", verify=trust).json()
                elsewhere = metadata["mtls_endpoint_aliases"]["token_endpoint"]
                place = Place(url=url, elsewhere=elsewhere, issuer=issuer, token_endpoint=metadata["token_endpoint"])
                yield place, certificates


@pytest.fixture
def alice() -> Person:
    """Somebody who signs in there."""
    return Person("alice")


@pytest.fixture
def wiretap() -> Wiretap:
    """For ``TokenHttp(transport=...)``."""
    return Wiretap()


@contextmanager
def listener() -> Iterator[socket.socket]:
    """A listening socket, so that the port is known before there is anything to serve."""
    with socket.create_server(("127.0.0.1", 0)) as own:
        yield own


def mcp_url(own: socket.socket) -> str:
    return f"http://127.0.0.1:{own.getsockname()[1]}/mcp"


def secret_clients() -> list[dict[str, object]]:
    return [
        client(client_with_secret(method), token_endpoint_auth_method=method, client_secret=SECRET)
        for method in SECRET_METHODS
    ]


def key_clients(keys: Mapping[str, Key]) -> list[dict[str, object]]:
    return [
        client(
            client_with_key(algorithm),
            token_endpoint_auth_method="private_key_jwt",
            token_endpoint_auth_signing_alg=algorithm,
            jwks={"keys": [key.as_dict(private=False)]},
        )
        for algorithm, key in keys.items()
    ]


def apps() -> list[dict[str, object]]:
    """Apps on somebody's machine. The tokens of one are soon gone, those of another before they are there."""
    return [
        public_app("app"),
        public_app("hasty app", token_life_s=2, answer_takes_s=0.3),
        public_app("late app", token_life_s=1, answer_takes_s=1.1),
    ]


def sites(keys: Mapping[str, Key]) -> list[dict[str, object]]:
    """Web applications that people use, which can keep a secret or a key."""
    web = {"application_type": "web", "redirect_uris": ["https://site.example/back"]}
    return [
        public_app("site", **web, token_endpoint_auth_method="client_secret_basic", client_secret=SECRET),
        public_app(
            "site with a key",
            **web,
            token_endpoint_auth_method="private_key_jwt",
            token_endpoint_auth_signing_alg="ES256",
            jwks={"keys": [keys["ES256"].as_dict(private=False)]},
        ),
    ]


def provers() -> list[dict[str, object]]:
    """A program whose tokens must be bound to a key."""
    return [client("prover", client_secret=SECRET, dpop_bound_access_tokens=True)]


def shown_clients(own_key_set: dict[str, object]) -> list[dict[str, object]]:
    """Clients whose tokens are bound to a certificate; two of them are known by it."""
    bound = {"tls_client_certificate_bound_access_tokens": True}
    return [
        client("bot", **bound, token_endpoint_auth_method="tls_client_auth", tls_client_auth_subject_dn="CN=bot"),
        client("lone", **bound, token_endpoint_auth_method="self_signed_tls_client_auth", jwks=own_key_set),
        client("bot with a secret", **bound, client_secret=SECRET),
        public_app("app", **bound),
    ]


def own_keys() -> dict[str, object]:
    """What an authorization server signs its tokens with."""
    return {"keys": [RSAKey.generate_key(2048, {"alg": "RS256", "kid": "its own"}).as_dict(private=True)]}


def client(client_id: str, **metadata: object) -> dict[str, object]:
    """Client metadata (RFC 7591 §2) of a program without a person."""
    return {
        "client_id": client_id,
        "grant_types": ["client_credentials"],
        "redirect_uris": [],
        "response_types": [],
        **metadata,
    }
