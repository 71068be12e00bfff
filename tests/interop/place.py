"""What the tests of this directory visit: an MCP server, its authorization server, and who is known there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from joserfc.jwk import ECKey, OKPKey, RSAKey

Key = RSAKey | ECKey | OKPKey
Method = Literal["client_secret_basic", "client_secret_post"]

SCOPE = "mcp:read"
SECRET = "100% a+b/c: =&?~ "  # each of these characters breaks somebody's client_secret_basic (RFC 6749 §2.3.1)
SECRET_METHODS: tuple[Method, ...] = ("client_secret_basic", "client_secret_post")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One MCP server behind one authorization server.

    Attributes:
        url: the MCP endpoint, which is the resource as well.
        elsewhere: another resource that the authorization server issues tokens for. Behind oidc-provider it is an MCP
            server as well, which names its issuer as pydantic spells it: with a slash at the end if it has no path.
        strict: whether an assertion's audience must be the issuer, as one string.
        metadata: whether the authorization server's metadata is where a specification says it should be.
    """

    url: str
    elsewhere: str
    issuer: str
    token_endpoint: str
    strict: bool = False
    metadata: bool = True


def client_with_secret(method: str) -> str:
    """The id of the client that is registered for this method, with `SECRET`."""
    return f"bot:+% {method}"


def client_with_key(algorithm: str) -> str:
    """The id of the client that is registered for private_key_jwt with this algorithm and no other."""
    return f"bot-{algorithm}"


def public_app(client_id: str, **metadata: object) -> dict[str, object]:
    """Client metadata (RFC 7591 §2) of an app on somebody's machine, which can keep no secret."""
    return {
        "client_id": client_id,
        "application_type": "native",
        "token_endpoint_auth_method": "none",
        "grant_types": ["authorization_code", "refresh_token"],
        "redirect_uris": ["http://127.0.0.1/callback"],
        **metadata,
    }
