"""One HTTP exchange of a message, and what became of it."""

from __future__ import annotations

import enum
import logging
from contextlib import suppress
from typing import TYPE_CHECKING

import anyio
import httpx2

from gatepass.bridge.failure import INTERNAL_ERROR, METHOD_NOT_FOUND, NOT_ANSWERED
from gatepass.bridge.headers import LAST_EVENT_ID, SESSION_ID
from gatepass.bridge.message import Message, NotAMessageError, answered_to, read
from gatepass.bridge.remote import UNSENT
from gatepass.core.value import Value
from gatepass.errors import GatepassError, RemoteError, UnreachableError
from gatepass.integrations.refusal import AUTHORIZATION_FAILED, refusal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from gatepass.bridge.message import Id
    from gatepass.bridge.remote import Remote

__all__ = ["Answered", "Cursor", "Exchange", "Failed", "Fate", "Outcome"]

_log = logging.getLogger("gatepass")

_MAX_MESSAGE_BYTES = 64 * 1024 * 1024
_MAX_REFUSAL_BYTES = 1024 * 1024
_SILENCE_S = 300.0
"""After that long without a byte, a stream of the server's own messages is opened anew."""
_PAUSE_S = 1.0
"""Before a stream is opened anew, if the server does not say how long."""
_LINGER_S = 0.05
"""How long a stream gets to end by itself, so that its connection serves the next request, too."""

_FIRST_ERROR_STATUS, _BAD_REQUEST, _NOT_FOUND = 300, 400, 404
_REFUSED = (401, 403)
_FROM_A_GATEWAY = (502, 503, 504)
_NO_ENDPOINT = (404, 405, 406, 415)
_HINT = " Check that the URL is the one of the MCP endpoint."


class Fate(enum.Enum):
    """What became of a message that was not answered."""

    UNSENT = enum.auto()
    """The server has not seen it."""
    UNKNOWN = enum.auto()
    """It was sent, and no answer came."""
    SESSION_LOST = enum.auto()
    """The server does not know the session, and so has not looked at it."""
    REFUSED = enum.auto()
    """There will be no other answer."""


class Answered(Value, frozen=True):
    """The server has taken a message.

    Attributes:
        reply: the response, if it was a request.
        session_id: the session that the answer named.
    """

    hidden = ("session_id",)

    reply: Message | None = None
    session_id: str | None = None


class Failed(Value, frozen=True):
    """There is no answer.

    Attributes:
        fate: what became of the message.
        failure: why.
        code: the error code of JSON-RPC for that.
    """

    fate: Fate
    failure: GatepassError
    code: int


Outcome = Answered | Failed


class Cursor:
    """Where a stream was broken off, and how soon to ask for the rest of it.

    Attributes:
        last_event_id: the last event that had a name; empty if there was none.
        pause_s: how long to wait before.
    """

    __slots__ = ("last_event_id", "pause_s")

    def __init__(self) -> None:
        self.last_event_id = ""
        self.pause_s = _PAUSE_S


class Exchange:
    """How messages get to an MCP server, and its own from there.

    Args:
        remote: the server.
        hear: is told each message of the server's that is not the awaited response.
    """

    def __init__(self, remote: Remote, hear: Callable[[Message], Awaitable[None]]) -> None:
        self._remote = remote
        self._hear = hear

    async def post(self, message: Message, headers: Mapping[str, str], cursor: Cursor) -> Outcome:
        """Send a message; what comes of a request is its reply, or why there is none."""
        usual = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
        is_stream = message.method == "subscriptions/listen"
        request = self._remote.request(
            "POST", {**usual, **headers}, message.line, silence_s=_SILENCE_S if is_stream else 0.0
        )

        async def take(response: httpx2.Response) -> Outcome:
            if response.status_code >= _FIRST_ERROR_STATUS:
                return await _refused(response, message)
            media_type = _media_type(response)
            if media_type == "text/event-stream" and message.is_request:
                return await self._follow(response, cursor, message.id)
            body = await _whole(response, _MAX_MESSAGE_BYTES)
            if not message.is_request:
                return Answered()
            if media_type == "application/json":
                return _reply(body, message, response)
            what = media_type or f"{response.status_code} and no message"
            return _senseless(f"The MCP server answered {message.method} with {what}.{_HINT}")

        return await self._exchange(request, take)

    async def listen(self, headers: Mapping[str, str], cursor: Cursor, wanted: Id | None = None) -> Outcome:
        """Open the stream of the server's own messages, or take up one again that was broken off.

        Args:
            headers: what names the session.
            cursor: where it was broken off.
            wanted: the id of the request whose response stands in it.
        """
        resumed = {LAST_EVENT_ID: cursor.last_event_id} if cursor.last_event_id else {}
        request = self._remote.request(
            "GET", {"Accept": "text/event-stream", **headers, **resumed}, silence_s=_SILENCE_S
        )

        async def take(response: httpx2.Response) -> Outcome:
            if response.status_code >= _FIRST_ERROR_STATUS:
                return await _refused(response, None)
            if _media_type(response) != "text/event-stream":
                return _senseless("The MCP server offers no stream of its own messages.")
            return await self._follow(response, cursor, wanted)

        return await self._exchange(request, take)

    async def end(self, headers: Mapping[str, str]) -> Outcome:
        """End a session."""

        async def take(_response: httpx2.Response) -> Outcome:
            return Answered()

        return await self._exchange(self._remote.request("DELETE", headers), take)

    async def _exchange(
        self, request: httpx2.Request, take: Callable[[httpx2.Response], Awaitable[Outcome]]
    ) -> Outcome:
        try:
            response = await self._remote.send(request)
            try:
                return await take(response)
            finally:
                await response.aclose()
        except GatepassError as failure:
            return Failed(Fate.REFUSED, failure.again(), AUTHORIZATION_FAILED)
        except httpx2.RequestError as problem:
            fate = Fate.UNSENT if isinstance(problem, UNSENT) else Fate.UNKNOWN
            return Failed(fate, self._remote.why(problem), NOT_ANSWERED)

    async def _follow(self, response: httpx2.Response, cursor: Cursor, wanted: Id | None) -> Outcome:
        """Pass on what a stream says, until the response that is wanted comes, or the stream ends."""
        events = aiter(httpx2.EventSource(response, max_event_size=_MAX_MESSAGE_BYTES))
        async for event in events:
            cursor.last_event_id = event.id or cursor.last_event_id
            cursor.pause_s = cursor.pause_s if event.retry is None else event.retry / 1000
            message = _message_in(event)
            if message is None:
                continue
            if wanted is None or not message.is_response or message.id not in (wanted, None):
                await self._hear(message)
                continue
            await _linger(events)
            return Answered(_addressed(message, wanted), response.headers.get(SESSION_ID))
        ended = UnreachableError("The MCP server's stream ended without an answer.", code="connection_broken")
        return Failed(Fate.UNKNOWN, ended, NOT_ANSWERED)


async def _refused(response: httpx2.Response, message: Message | None) -> Outcome:
    """What a status that is no success tells of a message; None is the GET of a stream."""
    status = response.status_code
    if status in _REFUSED:
        return Failed(Fate.REFUSED, refusal(response), AUTHORIZATION_FAILED)
    body = await _whole(response, _MAX_REFUSAL_BYTES)
    said = _error_in(body)
    awaited = None if message is None else message.id
    if said is not None and awaited is not None and said.id == awaited:
        return Answered(said)
    of_no_request = status == _BAD_REQUEST and said is not None and said.id is None
    if SESSION_ID in response.request.headers and (
        status == _NOT_FOUND or (of_no_request and b"session" in body.lower())
    ):
        msg = "The MCP server forgets each session as soon as it is opened."
        return Failed(Fate.SESSION_LOST, RemoteError(msg, code="session_lost", by="resource_server"), INTERNAL_ERROR)
    if said is not None and awaited is not None:
        return Answered(_addressed(said, awaited))
    what = "a GET" if message is None else message.method or "a response"
    failure = RemoteError(
        f"The MCP server answered {status} to {what}.{_HINT if status in _NO_ENDPOINT else ''}",
        code="mcp_status",
        status=status,
        retryable=status in _FROM_A_GATEWAY,
        by="resource_server",
    )
    if status in _FROM_A_GATEWAY:  # there may have been a server behind it
        return Failed(Fate.UNKNOWN, failure, NOT_ANSWERED)
    return Failed(Fate.REFUSED, failure, METHOD_NOT_FOUND if status == _NOT_FOUND else INTERNAL_ERROR)


def _reply(body: bytes, request: Message, response: httpx2.Response) -> Outcome:
    try:
        reply = read(body)
    except NotAMessageError:
        return _senseless(f"The MCP server's answer to {request.method} is no JSON-RPC message.")
    if request.id is None or not reply.is_response or reply.id not in (request.id, None):
        return _senseless(f"The MCP server answered {request.method} with a message that is no response to it.")
    return Answered(_addressed(reply, request.id), response.headers.get(SESSION_ID))


def _senseless(text: str) -> Failed:
    return Failed(Fate.REFUSED, RemoteError(text, code="mcp_answer_invalid", by="resource_server"), INTERNAL_ERROR)


def _addressed(response: Message, request: Id) -> Message:
    """A response names the request that it is for: on stdio nothing else tells."""
    return answered_to(request, response) if response.id is None else response


def _message_in(event: httpx2.ServerSentEvent) -> Message | None:
    if event.event != "message" or not event.data:
        return None
    try:
        return read(event.data.encode())
    except NotAMessageError as problem:
        _log.warning("The MCP server sent an event that can't be passed on: %s", problem)
        return None


def _error_in(body: bytes) -> Message | None:
    """The error response in the body of a refusal, if that is what it is."""
    try:
        message = read(body)
    except NotAMessageError:
        return None
    return message if message.is_error else None


def _media_type(response: httpx2.Response) -> str:
    return response.headers.get("Content-Type", "").partition(";")[0].strip().lower()


async def _whole(response: httpx2.Response, limit_bytes: int) -> bytes:
    """The body of an answer; one that is too large is cut off, and makes no sense any more."""
    body = bytearray()
    async for piece in response.aiter_bytes():
        body += piece
        if len(body) > limit_bytes:
            break
    return bytes(body[:limit_bytes])


async def _linger(events: AsyncIterator[httpx2.ServerSentEvent]) -> None:
    with anyio.move_on_after(_LINGER_S), suppress(httpx2.RequestError):
        async for _ in events:
            pass
