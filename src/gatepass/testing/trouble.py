"""Trouble on purpose: what a server does wrong, and how that gets onto the wire."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, cast

from starlette.responses import Response

from gatepass.testing.serve import CONNECTION, Connection

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["Trouble", "cause"]

HTML_PAGE = b"<!doctype html><html><head><title>Sign in</title></head><body><h1>Sign in</h1></body></html>"
BROKEN_JSON = b'{"access_token": "'
HUGE_BODY_BYTES = 64 * 1024 * 1024
CHUNK_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """What goes wrong, where, and how often.

    Attributes:
        paths: the requests concerned: ``"token"``, ``"metadata"``, ``"jwks"``, ``"resource"``, or a path such as
            ``"/other"``. Empty: the token endpoint of an authorization server, the resource of a protected server.
        times: only the next `times` requests; None: until it is taken away.
        delay_s: wait this long before anything else.
        status: answer with this status, and an empty body unless `body` says otherwise; the request has no effect.
        body: answer with this body: bytes as they are, a JSON object, broken JSON, an HTML page, or 64 MiB of JSON. The
            request has no effect.
        retry_after: the ``Retry-After`` header, in seconds or as the text of a date.
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
    body: bytes | Mapping[str, object] | Literal["broken_json", "html", "huge"] | None = None
    retry_after: int | str | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    replace: Mapping[str, object] = field(default_factory=dict[str, object])
    without: tuple[str, ...] = ()
    connection: Literal["hang", "reset", "truncate"] | None = None
    drip_s: float = 0.0
    clock_offset_s: float = 0.0


async def cause(trouble: Trouble, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Serve one request the way `trouble` wants it."""
    line = cast("Connection", scope[CONNECTION])
    if trouble.delay_s:
        await asyncio.sleep(trouble.delay_s)
    if trouble.connection == "reset":
        line.reset()
    if trouble.connection in ("hang", "reset"):
        await _until_disconnected(receive)
    elif trouble.body == "huge":
        await _send_huge(trouble.status or 200, send)
    elif trouble.status is not None or trouble.body is not None:
        await _send(_retouched(_made_up(trouble), trouble), trouble, receive, send, line)
    elif _changes_the_answer(trouble):
        answer = await _overhear(app, scope, receive)
        await _send(_retouched(answer, trouble), trouble, receive, send, line)
    else:
        await app(scope, receive, send)


def _changes_the_answer(trouble: Trouble) -> bool:
    edits = (trouble.headers, trouble.replace, trouble.without, trouble.connection, trouble.drip_s)
    return any(edits) or trouble.retry_after is not None


def _made_up(trouble: Trouble) -> Response:
    """An answer that the server never gave."""
    status = trouble.status or 200
    match trouble.body:
        case "html":
            return Response(HTML_PAGE, status, media_type="text/html")
        case "broken_json":
            return Response(BROKEN_JSON, status, media_type="application/json")
        case bytes(body):
            return Response(body, status, media_type="application/json")
        case Mapping() as document:
            return Response(json.dumps(document), status, media_type="application/json")
        case _:
            return Response(b"", status)


def _retouched(response: Response, trouble: Trouble) -> Response:
    """An answer with the headers and the JSON members that the trouble wants."""
    if trouble.replace or trouble.without:
        document = cast("dict[str, object]", json.loads(bytes(response.body)))
        document.update(trouble.replace)
        response.body = json.dumps({k: v for k, v in document.items() if k not in trouble.without}).encode()
        response.headers["Content-Length"] = str(len(response.body))
    if trouble.retry_after is not None:
        response.headers["Retry-After"] = str(trouble.retry_after)
    for name, value in trouble.headers.items():
        if value:
            response.headers[name] = value
        else:
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


async def _send(response: Response, trouble: Trouble, receive: Receive, send: Send, line: Connection) -> None:
    """Send an answer whole, in drops, or half."""
    body = bytes(response.body)
    await send({"type": "http.response.start", "status": response.status_code, "headers": response.raw_headers})
    if trouble.connection == "truncate":
        await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
        line.close()
        await _until_disconnected(receive)
        return
    if trouble.drip_s:
        for index in range(len(body)):
            await asyncio.sleep(trouble.drip_s)
            await send({"type": "http.response.body", "body": body[index : index + 1], "more_body": True})
        body = b""
    await send({"type": "http.response.body", "body": body, "more_body": False})


async def _send_huge(status: int, send: Send) -> None:
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b'{"padding": "', "more_body": True})
    for _ in range(HUGE_BODY_BYTES // CHUNK_BYTES):
        await send({"type": "http.response.body", "body": b"x" * CHUNK_BYTES, "more_body": True})
    await send({"type": "http.response.body", "body": b'"}', "more_body": False})


async def _until_disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
