"""A raw client, a server with one client on its books, and assertions made by hand."""

from __future__ import annotations

import secrets
import time

import httpx2
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey

from gatepass.testing import AuthorizationServer, ProtectedServer

RESOURCE = "https://mcp.example.com/mcp"


@pytest.fixture(scope="session")
def http():
    with httpx2.Client(trust_env=False, timeout=10) as client:
        yield client


@pytest.fixture
def resource():
    """A resource that the server knows."""
    return RESOURCE


@pytest.fixture
def auth_server():
    with AuthorizationServer(resources=(RESOURCE,)) as server:
        server.add_client("ci-bot", secret="s3cret", scopes=("mcp:read", "mcp:write"))
        yield server


@pytest.fixture
def mcp_server(auth_server):
    with ProtectedServer(auth_server, scopes=("mcp:read",)) as server:
        yield server


@pytest.fixture
def ask(http, auth_server):
    """Asks for a token as ci-bot; a parameter that is None is left out."""

    def ask(server=auth_server, *, auth=("ci-bot", "s3cret"), headers=None, **form):
        form = {"grant_type": "client_credentials", **form}
        data = {name: value for name, value in form.items() if value is not None}
        return http.post(server.token_endpoint, data=data, auth=auth, headers=headers)

    return ask


@pytest.fixture
def metadata(http, auth_server):
    """Reads what a server says of itself."""

    def metadata(server=auth_server):
        return http.get(f"{server.origin}/.well-known/oauth-authorization-server{server.path}").json()

    return metadata


@pytest.fixture(scope="session")
def proof_key():
    return ECKey.generate_key("P-256")


@pytest.fixture(scope="session")
def other_key():
    return ECKey.generate_key("P-256")


@pytest.fixture
def proof(auth_server, proof_key):
    """A DPoP proof for the token endpoint, right in everything but what is asked for; None leaves something out."""

    def proof(*, key=proof_key, header=None, **claims):
        right = {"typ": "dpop+jwt", "alg": "ES256", "jwk": key.as_dict(private=False)}
        header = {name: value for name, value in {**right, **(header or {})}.items() if value is not None}
        right = {
            "jti": secrets.token_urlsafe(12),
            "htm": "POST",
            "htu": auth_server.token_endpoint,
            "iat": int(time.time()),
        }
        claims = {name: value for name, value in {**right, **claims}.items() if value is not None}
        return jwt.encode(header, claims, key, algorithms=[header["alg"]])

    return proof


@pytest.fixture(scope="session")
def key():
    return ECKey.generate_key("P-256")


@pytest.fixture
def assertion(auth_server, key):
    """An assertion of ci-bot's, right in everything but what is asked for; None leaves a claim or parameter out."""

    def assertion(server=auth_server, *, key=key, header=None, **claims):
        now = int(time.time())
        right = {
            "iss": "ci-bot",
            "sub": "ci-bot",
            "aud": server.issuer,
            "iat": now,
            "exp": now + 60,
            "jti": secrets.token_urlsafe(12),
        }
        claims = {name: value for name, value in {**right, **claims}.items() if value is not None}
        algorithm = (header or {}).get("alg", "ES256")
        return jwt.encode({"alg": algorithm, **(header or {})}, claims, key, algorithms=[algorithm])

    return assertion
