"""Trouble on purpose: what a server does wrong, and how it gets that onto the wire."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, cast

from starlette.responses import Response

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from gatepass.testing.serve import Connection

__all__ = ["Trouble", "cause"]

HUGE_BODY_BYTES = 64 * 1024 * 1024
CHUNK_BYTES = 64 * 1024
HTML_PAGE = b"<!doctype html><html><head><title>Sign in</title></head><body><h1>Sign in</h1></body></html>"
BROKEN_JSON = b'{"access_token": "'


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """What goes wrong, where, and how often.

    Attributes:
        paths: the requests concerned: ``"token"``, ``"metadata"``, ``"jwks"``, ``"resource"``, or a path such as
            ``"/other"``. Empty: the token endpoint of an authorization server, the resource of a protected server.
        times: only the next `times` requests; None: until it is taken away.
        delay_s: wait this long before anything else.
        status: answer with this status, and an empty body unless `body` says otherwise; the request has no effect.
        retry_after: the ``Retry-After`` header, in seconds or as the text of a date.
        body: answer with this body: bytes as they are, or broken JSON, an HTML page, or 64 MiB of JSON that never
            ends. The request has no effect.
        headers: headers of the answer to set or replace; an empty value takes one away.
        replace: members of the JSON answer to set or replace.
        without: members of the JSON answer to leave out.
        connection: ``"hang"`` never answers, ``"reset"`` resets the connection, ``"truncate"`` closes it in the middle
            of the body.
        drip_s: send the body byte by byte, this long apart.
        clock_offset_s: the server's clock is ahead by this much (negative: behind) as long as the trouble lasts, on
            all paths: in its ``Date`` header, in what it checks and in what it issues.
    """

    paths: tuple[str, ...] = ()
    times: int | None = None
    delay_s: float = 0.0
    status: int | None = None
    retry_after: float | str | None = None
    body: bytes | Literal["broken_json", "html", "huge"] | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    replace: Mapping[str, object] = field(default_factory=dict[str, object], repr=False)
    without: tuple[str, ...] = ()
    connection: Literal["hang", "reset", "truncate"] | None = None
    drip_s: float = 0.0
    clock_offset_s: float = 0.0

    @property
    def is_made_up(self) -> bool:
        """Whether the answer is invented, so that the request never reaches the server proper."""
        return self.status is not None or self.body is not None

    @property
    def is_retouched(self) -> bool:
        """Whether a real answer is changed on its way, which takes reading it whole."""
        edited = self.headers or self.replace or self.without or self.retry_after is not None
        return bool(edited) or self.connection == "truncate" or self.drip_s > 0


async def cause(trouble: Trouble, app: ASGIApp, scope: Scope, receive: Receive, send: Send, line: Connection) -> None:
    """Serve one request the way `trouble` wants it."""
    if trouble.delay_s:
        await asyncio.sleep(trouble.delay_s)
    if trouble.connection == "reset":
        line.reset()
    if trouble.connection in ("hang", "reset"):
        await _hang_up(receive)
    elif trouble.body == "huge":
        await _send_huge(trouble, send)
    elif trouble.is_made_up:
        await _deliver(trouble, _made_up(trouble), receive, send, line)
    elif trouble.is_retouched:
        answer = _edited(trouble, await _overhear(app, scope, receive))
        await _deliver(trouble, answer, receive, send, line)
    else:
        await app(scope, receive, send)


def _made_up(trouble: Trouble) -> Response:
    html = trouble.body == "html"
    body = (
        trouble.body
        if isinstance(trouble.body, bytes)
        else {"html": HTML_PAGE, "broken_json": BROKEN_JSON}.get(trouble.body or "", b"")
    )
    response = Response(body, trouble.status or 200, media_type="text/html" if html else "application/json")
    return _edited(trouble, response)


def _edited(trouble: Trouble, response: Response) -> Response:
    """The answer with the headers and the JSON members that the trouble wants."""
    headers = {**trouble.headers}
    if trouble.retry_after is not None:
        headers["Retry-After"] = str(trouble.retry_after)
    if trouble.replace or trouble.without:
        document = cast("dict[str, object]", json.loads(bytes(response.body)))
        document.update(trouble.replace)
        response.body = json.dumps({k: v for k, v in document.items() if k not in trouble.without}).encode()
        response.headers["Content-Length"] = str(len(response.body))
    for name, value in headers.items():
        if value:
            response.headers[name] = value
        elif name in response.headers:
            del response.headers[name]
    return response


async def _overhear(app: ASGIApp, scope: Scope, receive: Receive) -> Response:
    """The answer of `app`, read whole instead of sent."""
    response = Response()
    body = bytearray()

    async def listen(message: Message) -> None:
        if message["type"] == "http.response.start":
            response.status_code = message["status"]
            response.raw_headers = list(message.get("headers", ()))
        else:
            body.extend(message.get("body", b""))

    await app(scope, receive, listen)
    response.body = bytes(body)
    return response


async def _deliver(trouble: Trouble, response: Response, receive: Receive, send: Send, line: Connection) -> None:
    await send({"type": "http.response.start", "status": response.status_code, "headers": response.raw_headers})
    body = bytes(response.body)
    if trouble.connection == "truncate":
        await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
        line.close()
        await _hang_up(receive)
        return
    async for piece in _pieces(body, trouble.drip_s):
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _pieces(body: bytes, drip_s: float) -> AsyncIterator[bytes]:
    if not drip_s:
        yield body
        return
    for index in range(len(body)):
        await asyncio.sleep(drip_s)
        yield body[index : index + 1]


async def _send_huge(trouble: Trouble, send: Send) -> None:
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": trouble.status or 200, "headers": headers})
    await send({"type": "http.response.body", "body": b'{"padding": "', "more_body": True})
    for _ in range(HUGE_BODY_BYTES // CHUNK_BYTES):
        await send({"type": "http.response.body", "body": b"x" * CHUNK_BYTES, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _hang_up(receive: Receive) -> None:
    """Wait until the other end is gone."""
    while (await receive())["type"] != "http.disconnect":
        pass
