from __future__ import annotations

import socket
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2
import pytest
from interop.mcp_server import Introspection, JwtVerifier, protected_app, served
from interop.node.install import NODE, installed
from interop.place import SCOPE, SECRET, SECRET_METHODS, Key, Place, client_with_key, client_with_secret
from interop.processes import serving
from joserfc.jwk import ECKey, OKPKey, RSAKey
from pydantic import AnyHttpUrl

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

HERE = Path(__file__).parent
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
            "jwks": {"keys": [RSAKey.generate_key(2048, {"alg": "RS256", "kid": "its own"}).as_dict(private=True)]},
            "resources": {url: SCOPES, elsewhere: SCOPES},
        }
        program = [str(NODE), str(HERE / "node" / "server.mjs")]
        with serving(program, given, directory=installed(), log=log) as issuer:
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


def client(client_id: str, **metadata: object) -> dict[str, object]:
    """Client metadata (RFC 7591 §2) of a program without a person."""
    return {
        "client_id": client_id,
        "grant_types": ["client_credentials"],
        "redirect_uris": [],
        "response_types": [],
        **metadata,
    }
