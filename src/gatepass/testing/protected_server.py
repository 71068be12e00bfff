"""A protected MCP server over a real socket: the official SDK behind a check of bearer tokens."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Literal

from starlette.applications import Starlette
from starlette.authentication import AuthCredentials
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from gatepass.testing.metadata import is_well_known, resource_metadata_path
from gatepass.testing.serve import LoopbackServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from gatepass.testing.authorization_server import AuthorizationServer
    from gatepass.testing.tokens import IssuedToken

__all__ = ["ProtectedServer"]

PATH = "/mcp"
SSE_INTERVAL_S = 0.05


class ProtectedServer(LoopbackServer):
    """An MCP server at ``/mcp`` that lets in who has a token of an authorization server (RFC 6750, 9728).

    Its tools: ``echo(text)``, ``add(a, b)``, ``whoami()``, ``slow(seconds)`` with progress. Beside them, for plain HTTP
    and behind the same gate:

    - ``GET /mcp/plain/hello``: JSON with the client id of the token
    - ``GET /mcp/plain/sleep?ms=50``: JSON, that much later
    - ``GET /mcp/plain/stream?seconds=1``: server-sent events for that long
    - ``POST /mcp/plain/echo``: the body
    - ``/mcp/plain/redirect?to=URL&status=307``: a redirect

    Outside the resource and open to all: ``/other``, which tells what headers it got. Every argument is an attribute
    too, and may be changed while the server runs, except `metadata` and `stateless`.

    Args:
        authorization_server: whose tokens are good; this server makes itself known to it as a resource.
        scopes: what a token must allow; also what the challenge asks for.
        scopes_for: more that a token must allow, by path (``"/mcp/plain/hello"``) or by tool (``"add"``).
        scopes_supported: what the metadata lists; None: not said.
        metadata: where the resource metadata stands: with the resource's path, at the root, or nowhere.
        challenge: the parameters of ``WWW-Authenticate``; empty: a bare ``Bearer``; None: no such header at all.
        stateless: whether MCP clients of the old protocol era are served without sessions.
        reject_all: answer 401 to every request, whatever its token.
    """

    main_place = "resource"

    def __init__(
        self,
        authorization_server: AuthorizationServer,
        *,
        scopes: Iterable[str] = (),
        scopes_for: dict[str, tuple[str, ...]] | None = None,
        scopes_supported: Iterable[str] | None = None,
        metadata: Literal["path", "root", "none"] = "path",
        challenge: tuple[str, ...] | None = ("error", "error_description", "resource_metadata", "scope"),
        stateless: bool = False,
        reject_all: bool = False,
    ) -> None:
        super().__init__()
        self.url = self.origin + PATH
        self.authorization_server = authorization_server
        self.scopes = tuple(scopes)
        self.scopes_for = dict(scopes_for or {})
        self.scopes_supported = None if scopes_supported is None else tuple(scopes_supported)
        self.metadata: Literal["path", "root", "none"] = metadata
        self.challenge = challenge
        self.stateless = stateless
        self.reject_all = reject_all
        authorization_server.add_resource(self.url)

    @property
    def rejected(self) -> int:
        """How many requests were answered 401."""
        return self.count(status=401)

    @property
    def metadata_url(self) -> str | None:
        """The address of the resource metadata."""
        return None if self.metadata == "none" else self.origin + resource_metadata_path(self.metadata, PATH)

    def app(self) -> ASGIApp:
        # Here, because an authorization server alone should not cost the import of the SDK.
        from gatepass.testing.mcp_app import mcp_app

        mcp = mcp_app(path=PATH, stateless=self.stateless)
        routes = [
            *mcp.routes,
            Route(f"{PATH}/plain/hello", _hello),
            Route(f"{PATH}/plain/sleep", _sleep),
            Route(f"{PATH}/plain/stream", _stream),
            Route(f"{PATH}/plain/echo", _echo, methods=["POST"]),
            Route(f"{PATH}/plain/redirect", _redirect, methods=["GET", "POST"]),
            Route("/other", _other, methods=["GET", "POST"]),
        ]
        if self.metadata != "none":
            routes.append(Route(resource_metadata_path(self.metadata, PATH), self._metadata))
        middleware = [Middleware(_Gate, server=self)]
        return Starlette(routes=routes, middleware=middleware, lifespan=mcp.router.lifespan_context)

    def place_of(self, path: str) -> str:
        if is_well_known(path):
            return "metadata"
        return "resource" if _is_under_resource(path) else path

    async def _metadata(self, _request: Request) -> Response:
        """Protected resource metadata (RFC 9728 §2)."""
        document: dict[str, object] = {
            "resource": self.url,
            "authorization_servers": [self.authorization_server.issuer],
            "bearer_methods_supported": ["header"],
        }
        if self.scopes_supported is not None:
            document["scopes_supported"] = self.scopes_supported
        return JSONResponse(document)

    def admit(self, authorization: str | None) -> IssuedToken | None:
        """The token in an ``Authorization`` header, if it is good here (RFC 6750 §2.1)."""
        scheme, _, token = (authorization or "").partition(" ")
        if self.reject_all or scheme.lower() != "bearer":
            return None
        return self.authorization_server.verify(token.strip(), audience=self.url, now=self.now())

    def refuse(self, status: int, scopes: tuple[str, ...], *, error: str | None, description: str) -> Response:
        """A refusal with its challenge (RFC 6750 §3, RFC 9728 §5.1)."""
        headers: dict[str, str] = {}
        if self.challenge is not None:
            values = {
                "error": error,
                "error_description": description if error else None,
                "resource_metadata": self.metadata_url,
                "scope": " ".join(scopes) or None,
            }
            params = [f'{name}="{values[name]}"' for name in self.challenge if values[name] is not None]
            headers["WWW-Authenticate"] = f"Bearer {', '.join(params)}".strip()
        return JSONResponse({"error": error or "unauthorized", "error_description": description}, status, headers)


class _Gate:
    """The check in front of everything under the resource."""

    def __init__(self, app: ASGIApp, server: ProtectedServer) -> None:
        self._app = app
        self._server = server

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _is_under_resource(scope["path"]):
            await self._app(scope, receive, send)
            return
        server = self._server
        request = Request(scope, receive)
        authorization = request.headers.get("authorization")
        token = server.admit(authorization)
        if token is None:
            response = server.refuse(
                401,
                server.scopes,
                error="invalid_token" if authorization else None,  # RFC 6750 §3.1
                description="The token is not good here." if authorization else "A token is needed.",
            )
            await response(scope, receive, send)
            return
        tool, receive = await _tool_called(request, receive) if server.scopes_for else (None, receive)
        needed = (*server.scopes, *server.scopes_for.get(scope["path"], ()), *server.scopes_for.get(tool or "", ()))
        if not set(needed) <= set(token.scopes):
            description = "The token does not allow this."
            response = server.refuse(403, needed, error="insufficient_scope", description=description)
            await response(scope, receive, send)
            return
        _let_in(scope, token)
        await self._app(scope, receive, send)


def _let_in(scope: Scope, token: IssuedToken) -> None:
    """Tell the SDK who it is: a session belongs to the client that opened it."""
    from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
    from mcp.server.auth.provider import AccessToken

    scopes = list(token.scopes)
    scope["auth"] = AuthCredentials(scopes)
    scope["user"] = AuthenticatedUser(AccessToken(token="", client_id=token.client_id, scopes=scopes))


async def _tool_called(request: Request, receive: Receive) -> tuple[str | None, Receive]:
    """The tool that an MCP message calls, and a `receive` that gives the message once more."""
    if request.method != "POST" or request.url.path != PATH:
        return None, receive
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


def _is_under_resource(path: str) -> bool:
    return path == PATH or path.startswith(PATH + "/")


async def _hello(request: Request) -> Response:
    return JSONResponse({"hello": request.user.access_token.client_id})


async def _sleep(request: Request) -> Response:
    milliseconds = float(request.query_params.get("ms", "50"))
    await asyncio.sleep(milliseconds / 1000)
    return JSONResponse({"slept_ms": milliseconds})


async def _stream(request: Request) -> Response:
    async def events(seconds: float) -> AsyncIterator[str]:
        end = asyncio.get_running_loop().time() + seconds
        number = 0
        while True:
            yield f"id: {number}\ndata: tick\n\n"
            left = end - asyncio.get_running_loop().time()
            if left <= 0:
                return
            number += 1
            await asyncio.sleep(min(SSE_INTERVAL_S, left))

    return StreamingResponse(events(float(request.query_params.get("seconds", "1"))), media_type="text/event-stream")


async def _echo(request: Request) -> Response:
    return Response(await request.body(), media_type=request.headers.get("content-type"))


async def _redirect(request: Request) -> Response:
    return RedirectResponse(request.query_params["to"], int(request.query_params.get("status", "307")))


async def _other(request: Request) -> Response:
    return JSONResponse({"headers": dict(request.headers)})
