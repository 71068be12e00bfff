"""A protected MCP server made with the official SDK, and its two ways of asking whether a token is good."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpx2
import uvicorn
from interop.place import SCOPE
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.server.auth.provider import AccessToken, TokenVerifier
from mcp.server.auth.settings import AuthSettings
from mcp.server.mcpserver import MCPServer

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Iterator

    from pydantic import AnyHttpUrl
    from starlette.applications import Starlette
    from starlette.types import ASGIApp


class JwtVerifier(TokenVerifier):
    """Reads JWT access tokens (RFC 9068), with the keys that the authorization server publishes."""

    def __init__(self, issuer: str, jwks_uri: str, resource: str, *, trust: ssl.SSLContext | bool = True) -> None:
        self._keys = KeySet.import_key_set(httpx2.get(jwks_uri, verify=trust).raise_for_status().json())
        self._resource = resource
        self._rules = jwt.JWTClaimsRegistry(
            iss={"essential": True, "value": issuer},
            aud={"essential": True, "value": resource},
            exp={"essential": True},
        )

    async def verify_token(self, token: str) -> AccessToken | None:
        try:
            decoded = jwt.decode(token, self._keys, algorithms=["RS256"])
            self._rules.validate(decoded.claims)
        except (JoseError, ValueError):
            return None
        if decoded.header["typ"] != "at+jwt":
            return None
        return AccessToken(
            token=token,
            client_id=decoded.claims["client_id"],
            scopes=decoded.claims.get("scope", "").split(),
            expires_at=decoded.claims["exp"],
            resource=self._resource,
        )


class Introspection(TokenVerifier):
    """Asks the authorization server about each token (RFC 7662), as a client of its own."""

    def __init__(self, endpoint: str, client_id: str, secret: str, resource: str) -> None:
        self._endpoint = endpoint
        self._credentials = (client_id, secret)
        self._resource = resource

    async def verify_token(self, token: str) -> AccessToken | None:
        async with httpx2.AsyncClient(auth=self._credentials) as http:
            answer = (await http.post(self._endpoint, data={"token": token})).raise_for_status().json()
        if not answer["active"] or self._resource not in answer.get("aud", ()):
            return None
        return AccessToken(
            token=token,
            client_id=answer["client_id"],
            scopes=answer["scope"].split(),
            expires_at=answer["exp"],
            resource=self._resource,
        )


def protected_app(issuer: str | AnyHttpUrl, resource: str, verifier: TokenVerifier) -> Starlette:
    """An MCP server with one tool, behind tokens that `issuer` issued for `resource`.

    As a string, the issuer stands in the resource metadata as it is; as a URL, in the spelling that pydantic gives it.
    """
    server = MCPServer(
        "a server nobody here wrote",
        token_verifier=verifier,
        auth=AuthSettings.model_validate(
            {
                "issuer_url": issuer,
                "resource_server_url": resource,
                "required_scopes": [SCOPE],
                "validate_token_resource": True,
            }
        ),
    )

    @server.tool()
    def greet(greeting: str) -> str:
        """Greet whoever the token names."""
        token = get_access_token()
        assert token
        return f"{greeting}, {token.client_id}"

    return server.streamable_http_app()


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.up.set()


@contextmanager
def served(app: ASGIApp, listener: socket.socket, **tls: Any) -> Iterator[None]:
    """Serve on a socket that listens already, in a thread, for as long as the block; `tls` are options of uvicorn's."""
    quiet = {"log_config": None, "ws": "none", "lifespan": "on", "timeout_graceful_shutdown": 1}
    server = _Server(uvicorn.Config(app, **quiet, **tls))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="mcp-server")
    thread.start()
    try:
        assert server.up.wait(timeout=30)
        yield
    finally:
        server.should_exit = True
        thread.join()
