"""The MCP endpoint of a remote server on a loopback port: for programs in any language, with a key of its own.

What comes in is checked before anything is sent: that the connection was meant for this port and comes from no web
page of somebody else's (DNS rebinding), and that the caller knows the key. The key stays here, the token stays there:
neither crosses over. All else passes as it is, and as soon as it comes.
"""

from __future__ import annotations

import ipaddress
import secrets
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import anyio
import httpx2
import uvicorn
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from gatepass.bridge.failure import INTERNAL_ERROR, NOT_ANSWERED, failed, unknown
from gatepass.bridge.message import NotAMessageError, read
from gatepass.bridge.remote import UNSENT
from gatepass.errors import GatepassError, RemoteError
from gatepass.integrations.refusal import AUTHORIZATION_FAILED, refusal

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Generator, Iterable

    from starlette.types import Receive, Scope, Send

    from gatepass.bridge.message import Message
    from gatepass.bridge.remote import Remote

__all__ = ["Loopback", "serve"]

_PATH = "/mcp"
_METHODS = ("GET", "POST", "DELETE")

_MAX_BODY_BYTES = 64 * 1024 * 1024
_SILENCE_S = 300.0
_KEEP_ALIVE_S = 75
_GRACE_S = 1
_HTTP_PORT = 80

_HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
"""RFC 9110 §7.6.1."""
_OF_THIS_SIDE = frozenset({b"authorization", b"content-length", b"cookie", b"dpop", b"expect", b"host", b"origin"})
"""What a caller says to this port, and not to the server."""
_OF_THAT_SIDE = frozenset({b"dpop-nonce", b"set-cookie", b"www-authenticate"})
"""What the server says to the one who has the token."""

_REFUSED = (401, 403)
_REDIRECTS = range(300, 400)


class Loopback:
    """An ASGI app that is the MCP endpoint of a remote server, for callers on this machine that have the key.

    Args:
        remote: the server.
        key: what callers send as ``Authorization: Bearer KEY``.
        address: where the app is served, as a URL has it, such as ``127.0.0.1:8900``.
        explain: what a failure says, in the words of whoever started the app.
    """

    def __init__(
        self, remote: Remote, key: str, *, address: str, explain: Callable[[GatepassError], str] = str
    ) -> None:
        self._remote = remote
        self._key = key.encode()
        self._hosts = {_authority(address), _authority(f"localhost:{address.rpartition(':')[2]}")} - {None}
        self._explain = explain

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request (ASGI)."""
        request = Request(scope, receive)
        refused = self._refused(request)
        if refused is not None:
            await refused(scope, receive, send)
            return
        try:
            body = await _body(request)
        except ClientDisconnect:
            return
        if body is None:
            await _refusal(413, "too_large", "The message is too large.")(scope, receive, send)
            return
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_hang_up_with_the_caller, receive, tasks.cancel_scope)
            await self._pass_on(request, body, send)
            tasks.cancel_scope.cancel()

    def _refused(self, request: Request) -> Response | None:
        """Why a request is not passed on."""
        if _authority(request.headers.get("host", "")) not in self._hosts:
            return _refusal(421, "host_refused", "The Host header does not name this port of this machine.")
        if not all(_is_of_this_machine(origin) for origin in request.headers.getlist("origin")):
            return _refusal(403, "origin_refused", "The request comes from a web page of another site.")
        if request.url.path != _PATH:
            return _refusal(404, "not_found", f"The MCP endpoint is {_PATH}.")
        if not self._knows_the_key(request):
            text = "This is gatepass proxy, which wants its own key: send the header Authorization: Bearer KEY."
            return _refusal(401, "key_refused", text, **{"WWW-Authenticate": 'Bearer realm="gatepass proxy"'})
        if request.method not in _METHODS:
            return _refusal(
                405, "method_refused", f"An MCP endpoint takes {', '.join(_METHODS)}.", Allow=", ".join(_METHODS)
            )
        return None

    def _knows_the_key(self, request: Request) -> bool:
        given = request.headers.getlist("authorization")
        scheme, _, key = given[0].partition(" ") if len(given) == 1 else ("", "", "")
        return scheme.lower() == "bearer" and secrets.compare_digest(key.strip().encode(), self._key)

    async def _pass_on(self, request: Request, body: bytes, send: Send) -> None:
        onward = httpx2.Request(
            request.method,
            self._remote.url,
            headers=[*_passing(request.headers.raw, but=_OF_THIS_SIDE)],
            content=body if request.method == "POST" else None,
            extensions={"timeout": self._remote.timeout(silence_s=_SILENCE_S).as_dict()},
        )
        try:
            response = await self._remote.send(onward)
        except GatepassError as failure:
            problem, code = failure.again(), AUTHORIZATION_FAILED
        except httpx2.RequestError as trouble:
            problem, code = self._remote.why(trouble), NOT_ANSWERED
            if not isinstance(trouble, UNSENT):
                problem = _unanswered(body, problem)
        else:
            try:
                if response.status_code in _REFUSED:
                    problem, code = refusal(response), AUTHORIZATION_FAILED
                elif response.status_code in _REDIRECTS:
                    problem, code = _led_away(response), INTERNAL_ERROR
                else:
                    await _stream(response, send)
                    return
            finally:
                await response.aclose()
        await self._failure(body, problem, code)(request.scope, request.receive, send)

    def _failure(self, body: bytes, problem: GatepassError, code: int) -> Response:
        """The answer to a request that failed on its way: the error response, where one is waited for."""
        message = _message(body)
        awaited = message.id if message is not None and message.is_request else None
        status = 502 if awaited is None else 200
        return Response(failed(awaited, problem, code, self._explain), status, media_type="application/json")


async def serve(app: Loopback, listening: socket.socket) -> None:
    """Serve on a socket that listens already, until this is cancelled; then what is in flight gets another second."""
    config = uvicorn.Config(
        app,
        loop="asyncio",
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=_GRACE_S,
    )
    server = _Server(config)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(server.to_its_end, listening)
        try:
            await anyio.sleep_forever()
        finally:
            server.should_exit = True


class _Server(uvicorn.Server):
    """uvicorn, but signals are the business of whoever started it."""

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        yield

    async def to_its_end(self, listening: socket.socket) -> None:
        """Serve until `should_exit`, whatever is cancelled meanwhile."""
        with anyio.CancelScope(shield=True):
            await self.serve([listening])


def _authority(text: str) -> tuple[str, int] | None:
    """The host and port that a Host header names, however it writes them; None if that is none (RFC 9110 §7.2)."""
    try:
        parts = urlsplit(f"//{text}")
        host, port = parts.hostname or "", parts.port or _HTTP_PORT
    except ValueError:
        return None
    if parts.netloc != text or "@" in text:
        return None
    with suppress(ValueError):
        host = str(ipaddress.ip_address(host))
    return host, port


def _is_of_this_machine(origin: str) -> bool:
    try:
        host = urlsplit(origin).hostname or ""
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _refusal(status: int, error: str, text: str, **headers: str) -> Response:
    return JSONResponse({"error": error, "error_description": text}, status, headers)


async def _body(request: Request) -> bytes | None:
    """The whole message, so that it can be sent again with a new token; None if it is too large."""
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > _MAX_BODY_BYTES:
            return None
    return bytes(body)


def _message(body: bytes) -> Message | None:
    try:
        return read(body)
    except NotAMessageError:
        return None


def _unanswered(body: bytes, problem: GatepassError) -> GatepassError:
    """Why there is no answer to what was sent, and what that means for a call."""
    message = _message(body)
    if message is None or message.method is None or message.is_harmless:
        return problem
    return unknown(message.method, problem)


async def _hang_up_with_the_caller(receive: Receive, scope: anyio.CancelScope) -> None:
    """In the stateless era, to hang up is to cancel."""
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()


async def _stream(response: httpx2.Response, send: Send) -> None:
    """Pass an answer on, piece by piece. If it breaks off there, it breaks off here."""
    headers = [*_passing(((name.lower(), value) for name, value in response.headers.raw), but=_OF_THAT_SIDE)]
    await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
    try:
        async for piece in response.aiter_raw():
            await send({"type": "http.response.body", "body": piece, "more_body": True})
    except httpx2.RequestError:
        return
    await send({"type": "http.response.body", "body": b"", "more_body": False})


def _passing(headers: Iterable[tuple[bytes, bytes]], *, but: frozenset[bytes]) -> Generator[tuple[bytes, bytes]]:
    """The headers that are meant for the other end; their names in lower case."""
    all_headers = list(headers)
    named = {
        token.strip().lower() for name, value in all_headers if name == b"connection" for token in value.split(b",")
    }
    return ((name, value) for name, value in all_headers if name not in _HOP_BY_HOP | named | but)


def _led_away(response: httpx2.Response) -> RemoteError:
    status = response.status_code
    msg = f"The MCP server answered {status}, which leads out of the resource: give the URL that it leads to."
    return RemoteError(msg, code="mcp_status", status=status, by="resource_server")
