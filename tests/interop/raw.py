"""A client by hand, with nothing of gatepass in it: what it can show, the servers do by themselves."""

from __future__ import annotations

import ssl
import time
import uuid
import warnings

import httpx2
from interop.place import SCOPE, SECRET, Key, Place, client_with_key, client_with_secret
from joserfc import jwt
from joserfc.errors import SecurityWarning

JSON_RPC = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}


def assertion(place: Place, key: Key, algorithm: str, **claims: object) -> dict[str, str]:
    """Form parameters that authenticate a client by a JWT (RFC 7523 §2.2); `claims` replace the right ones."""
    now = int(time.time())
    client_id = client_with_key(algorithm)
    right = {
        "iss": client_id,
        "sub": client_id,
        "aud": place.issuer,
        "iat": now,
        "exp": now + 60,
        "jti": str(uuid.uuid4()),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SecurityWarning)  # RFC 9864 would have Ed25519 in the place of EdDSA
        signed = jwt.encode({"alg": algorithm}, right | claims, key, algorithms=[algorithm])
    return {
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": signed,
    }


def by_secret(secret: str = SECRET) -> dict[str, str]:
    """Form parameters that authenticate a client by its secret."""
    return {"client_id": client_with_secret("client_secret_post"), "client_secret": secret}


def ask_for_token(place: Place, authentication: dict[str, str], **form: str) -> httpx2.Response:
    """A token request; `form` replaces what is right for the place."""
    right = {"grant_type": "client_credentials", "resource": place.url, "scope": SCOPE}
    return httpx2.post(place.token_endpoint, data=right | authentication | form)


def knock(place: Place, shown: str | dict[str, str] | None, *, trust: ssl.SSLContext | bool = True) -> httpx2.Response:
    """The first request of an MCP session, with a token, with other headers, or without any."""
    message = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {
            "protocolVersion": "2025-11-25",
            "capabilities": {},
            "clientInfo": {"name": "a client by hand", "version": "1"},
        },
    }
    headers = {"Authorization": f"Bearer {shown}"} if isinstance(shown, str) else shown or {}
    return httpx2.post(place.url, json=message, headers=JSON_RPC | headers, verify=trust)


def refresh(place: Place, refresh_token: str, client_id: str = "app") -> httpx2.Response:
    """A renewal, by whoever has the refresh token of a public client."""
    form = {"grant_type": "refresh_token", "refresh_token": refresh_token, "client_id": client_id}
    return httpx2.post(place.token_endpoint, data=form | {"resource": place.url})


def revoke(place: Place, refresh_token: str, client_id: str = "app") -> None:
    """What an administrator might do, or the person in their account's settings."""
    form = {"token": refresh_token, "client_id": client_id}
    httpx2.post(f"{place.token_endpoint}/revocation", data=form).raise_for_status()
