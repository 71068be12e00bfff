"""What tests of grants and profiles share: an authorization server, a resource, and the requests between them."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

from key_material import pem
from scripted import json_response

from gatepass.core.http import HttpRequest, HttpResponse
from gatepass.core.target import Target
from gatepass.discovery import Discovery
from gatepass.dpop import ProofKey, proof_key
from gatepass.grants.errand import Errand
from gatepass.keys import parse_private_key
from gatepass.profiles.base import Known
from gatepass.protocol.challenge import ResourceChallenge
from gatepass.protocol.server import ServerMetadata

RS = "https://mcp.example.com/mcp"
AS = "https://as.example.com"
TOKEN = f"POST {AS}/token"
ISSUED = json_response({"access_token": "the-token", "token_type": "Bearer", "expires_in": 60})
BOUND = json_response({"access_token": "the-token", "token_type": "DPoP", "expires_in": 60})

DEPLOYMENTS: list[tuple[dict[str, Any], dict[str, str]]] = [
    ({}, {"resource": RS}),
    ({"send_resource": False}, {}),
    ({"resource": "urn:my:resource"}, {"resource": "urn:my:resource"}),
    ({"audience": "api"}, {"resource": RS, "audience": "api"}),
    ({"extra": (("tenant", "1"),)}, {"resource": RS, "tenant": "1"}),
]
"""What a user says of a deployment, and what that puts into each request."""


def server(**members: Any) -> ServerMetadata:
    return ServerMetadata(**({"issuer": AS, "token_endpoint": f"{AS}/token"} | members))


def target(**fields: Any) -> Target:
    return Target(**({"endpoint": RS, "issuer": AS} | fields))


def errand(where: Target | None = None, **fields: Any) -> Errand:
    return Errand(**({"target": where or target(), "server": server(), "resource": RS} | fields))


def discovered(**members: Any) -> Discovery:
    return Discovery(
        resource=RS,
        scopes_supported=("meta:a", "meta:b"),
        server=server(**members),
        fetched_at=1_699_999_900.0,
        cache_s=300.0,
    )


def known(**fields: Any) -> Known:
    return Known(**({"target": target(), "discovery": discovered()} | fields))


def challenged(*scope: str) -> ResourceChallenge:
    return ResourceChallenge(scheme="bearer", scope=scope or None)


def a_proof_key(kind: str = "P-256") -> ProofKey:
    return proof_key(parse_private_key(pem(kind), None, origin="key"))


def form(request: HttpRequest) -> dict[str, str]:
    """The parameters of a request, none of which is there twice."""
    return once(request.body.decode())


def once(query: str) -> dict[str, str]:
    """The parameters of a query or form, none of which is there twice."""
    fields = parse_qsl(query, strict_parsing=True, keep_blank_values=True)
    assert len(dict(fields)) == len(fields), "a parameter is there twice"
    return dict(fields)


def header(request: HttpRequest, name: str) -> str | None:
    """The header of a request, which is there once at most."""
    found = [value for key, value in request.headers if key == name]
    assert len(found) <= 1, f"{name} is there twice"
    return found[0] if found else None


def refusal(error: str | None, *, status: int = 400, description: str | None = None, **headers: str) -> HttpResponse:
    said = {"error": error, "error_description": description}
    body = {name: value for name, value in said.items() if value is not None}
    return json_response(body, status=status, headers=tuple((k.replace("_", "-"), v) for k, v in headers.items()))
