"""MCP servers that take a token only from whoever it was issued to: two gates before an app of the official SDK.

A gate looks at what binds the token to its holder, a proof (RFC 9449) or a certificate (RFC 8705); the SDK behind it
looks at the token itself. Both must be content. The JOSE here is PyJWT's, and nothing of gatepass is in it.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import ssl
import time
from typing import TYPE_CHECKING, Any

import jwt
from starlette.requests import Request
from starlette.responses import Response
from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    import asyncio

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

PATH = "/mcp"
ALGORITHMS = ["ES256", "EdDSA"]
PUBLIC_MEMBERS = {"EC": ("crv", "kty", "x", "y"), "OKP": ("crv", "kty", "x")}
RECENT_S = 60
PEERS: dict[tuple[str, int], bytes | None] = {}
"""The certificates that clients showed, by the address of the client; written by `Attentive`."""


class ProofGate:
    """Wants a DPoP proof with each request, in it the nonce of the hour, and each proof once (RFC 9449 §4.3, §7, §9).

    Attributes:
        errors: what was wrong with the requests that were turned away.
    """

    def __init__(self, app: ASGIApp, origin: str) -> None:
        self.errors: list[str] = []
        self._app = app
        self._origin = origin
        self._nonce = secrets.token_urlsafe()
        self._seen: set[str] = set()

    def change_nonce(self) -> None:
        """Proofs with the nonce of before are refused from now on."""
        self._nonce = secrets.token_urlsafe()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != PATH:
            return await self._app(scope, receive, send)

        async def answer(message: Message) -> None:
            """As the SDK says it, with the nonce for next time, and of the scheme that is wanted here."""
            if message["type"] == "http.response.start":
                headers = [(k, v.replace(b"Bearer ", b"DPoP ")) for k, v in message["headers"]]
                message = {**message, "headers": [*headers, (b"DPoP-Nonce", self._nonce.encode())]}
            await send(message)

        request = Request(scope)
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if not token:
            return await self._app(scope, receive, answer)
        error = self._flaw(request, token) if scheme == "DPoP" else "invalid_token"
        if error:
            self.errors.append(error)
            return await _challenge(self._origin, "DPoP", error)(scope, receive, answer)
        return await self._app(_as_bearer(scope, token), receive, answer)

    def _flaw(self, request: Request, token: str) -> str | None:
        """What is wrong with the proof, as an error code (RFC 9449 §7.1); None if nothing is."""
        try:
            [proof] = request.headers.getlist("DPoP")
            header = jwt.get_unverified_header(proof)
            key = jwt.PyJWK.from_dict(header["jwk"], algorithm=header["alg"]).key
            claims = jwt.decode(proof, key, algorithms=ALGORITHMS, options={"verify_iat": False})
            right = {
                "typ": header["typ"] == "dpop+jwt" and "d" not in header["jwk"],
                "htm": claims["htm"] == request.method,
                "htu": claims["htu"] == f"{self._origin}{PATH}",
                "iat": abs(time.time() - claims["iat"]) < RECENT_S,
                "ath": claims["ath"] == _hashed(token.encode()),
                "jti": claims["jti"] not in self._seen,
            }
        except (jwt.PyJWTError, ValueError, KeyError):
            return "invalid_dpop_proof"
        if not all(right.values()):
            return "invalid_dpop_proof"
        if claims.get("nonce") != self._nonce:
            return "use_dpop_nonce"
        self._seen.add(claims["jti"])
        return None if _confirmation(token).get("jkt") == _thumbprint(header["jwk"]) else "invalid_token"


class CertificateGate:
    """Wants the certificate that the token was issued to on each connection (RFC 8705 §3). Served by `Attentive`."""

    def __init__(self, app: ASGIApp, origin: str) -> None:
        self._app = app
        self._origin = origin

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != PATH:
            return await self._app(scope, receive, send)
        certificate = PEERS[scope["client"]]
        token = Request(scope).headers.get("Authorization", "").removeprefix("Bearer ")
        if token and (certificate is None or _confirmation(token).get("x5t#S256") != _hashed(certificate)):
            return await _challenge(self._origin, "Bearer", "invalid_token")(scope, receive, send)
        return await self._app(scope, receive, send)


class Attentive(H11Protocol):
    """uvicorn does not tell an app which certificate its client showed; this does."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        assert self.client
        tls: ssl.SSLObject = transport.get_extra_info("ssl_object")
        PEERS[self.client] = tls.getpeercert(binary_form=True)


def _challenge(origin: str, scheme: str, error: str) -> Response:
    metadata = f"{origin}/.well-known/oauth-protected-resource{PATH}"
    says = f'{scheme} error="{error}", resource_metadata="{metadata}"'
    return Response(status_code=401, headers={"WWW-Authenticate": says})


def _as_bearer(scope: Scope, token: str) -> Scope:
    """The same request as the SDK takes it."""
    headers = [(name, value) for name, value in scope["headers"] if name != b"authorization"]
    return {**scope, "headers": [*headers, (b"authorization", f"Bearer {token}".encode())]}


def _confirmation(token: str) -> dict[str, Any]:
    """What the token is bound to (RFC 7800 §3.1). Whether the token is genuine, the SDK finds out."""
    try:
        return jwt.decode(token, options={"verify_signature": False}).get("cnf", {})
    except jwt.PyJWTError:
        return {}


def _thumbprint(jwk: dict[str, str]) -> str:
    """RFC 7638."""
    members = {name: jwk[name] for name in PUBLIC_MEMBERS[jwk["kty"]]}
    return _hashed(json.dumps(members, separators=(",", ":"), sort_keys=True).encode())


def _hashed(octets: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(octets).digest()).decode().rstrip("=")
