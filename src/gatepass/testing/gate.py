"""The gate: one check of the token in front of everything under the resource (RFC 6750, RFC 9449 §7, RFC 9728 §5)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from starlette.authentication import AuthCredentials
from starlette.requests import Request

from gatepass.testing.refusal import Refusal

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from gatepass.testing.protected_server import ProtectedServer
    from gatepass.testing.tokens import IssuedToken

__all__ = ["Gate"]


class Gate:
    """Middleware that lets in who has a token for the server, and tells the others what to bring."""

    def __init__(self, app: ASGIApp, server: ProtectedServer) -> None:
        self._app = app
        self._server = server

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        server = self._server
        if scope["type"] != "http" or not server.is_resource(scope["path"]):
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        send = _offering(server.next_nonce(request), send)
        try:
            token = server.admit(request)
        except Refusal as refusal:
            await server.unauthorized(request, refusal)(scope, receive, send)
            return
        if server.scopes_for:
            tool, receive = await _tool_called(request, receive)
        else:
            tool = None
        needed = server.scopes_needed(scope["path"], tool)
        if not set(needed) <= set(token.scopes):
            await server.insufficient_scope(request, needed)(scope, receive, send)
            return
        _introduce(scope, token)
        await self._app(scope, receive, send)


def _offering(nonce: str | None, send: Send) -> Send:
    """A `send` whose answer has a nonce for the next proof."""
    if nonce is None:
        return send

    async def offering(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), (b"dpop-nonce", nonce.encode())]}
        await send(message)

    return offering


def _introduce(scope: Scope, token: IssuedToken) -> None:
    """Tell the SDK who it is: a session belongs to the client that opened it."""
    scopes = list(token.scopes)
    scope["auth"] = AuthCredentials(scopes)
    scope["user"] = AuthenticatedUser(AccessToken(token="", client_id=token.client_id, scopes=scopes))


async def _tool_called(request: Request, receive: Receive) -> tuple[str | None, Receive]:
    """The tool that an MCP message calls, and a `receive` that gives the message once more."""
    body = await request.body()
    held: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        return held.pop() if held else await receive()

    try:
        message = json.loads(body)
        tool = message["params"]["name"] if message["method"] == "tools/call" else None
    except (ValueError, TypeError, KeyError):
        tool = None
    return tool if isinstance(tool, str) else None, again
