"""The conversation with an MCP server: each message until its fate is known, and the session that it belongs to.

    the server can't be reached   what has not left is sent again until it can, as long as a host would wait
    the session is lost (404)     another one is opened with the messages that opened the first; then it is sent again
    a stream breaks off           it is taken up again, if the server can do that (2025-11-25, Resumability)
    an answer is lost             it is asked for again if that does no harm; if it might, that is the outcome

A request is repeated only if the server has not looked at it, or if a second one changes nothing: by what the protocol
says of the method, or by what the server itself says of the tool.
"""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING

import anyio

from gatepass.bridge.exchange import Answered, Cursor, Exchange, Failed, Fate
from gatepass.bridge.failure import INTERNAL_ERROR
from gatepass.bridge.headers import headers_of, session_headers
from gatepass.bridge.message import notification_line, request_of_ours
from gatepass.bridge.patience import PATIENCE_S, Patience
from gatepass.bridge.session import NO_SESSION, Handshake, Session
from gatepass.bridge.tools import Tools
from gatepass.errors import RemoteError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from anyio.abc import TaskGroup

    from gatepass.bridge.exchange import Outcome
    from gatepass.bridge.message import Id, Message
    from gatepass.bridge.remote import Remote

__all__ = ["Conversation"]

_log = logging.getLogger("gatepass")

_SESSIONS_PER_MESSAGE = 3
_LONGEST_SILENCE_S = 30.0
_CONFLICT = 409
_HEADER_MISMATCH = -32020
_MAX_PAGES = 100

_OF_ONE_SESSION = frozenset({"notifications/initialized", "notifications/cancelled", "notifications/progress"})
"""Notifications that mean nothing to another session."""


class Conversation:
    """What is said to an MCP server, and what it says.

    Args:
        remote: the server.
        say: tells the host something.
        tasks: where the server's own messages are listened to.
    """

    def __init__(self, remote: Remote, say: Callable[[bytes], Awaitable[None]], tasks: TaskGroup) -> None:
        self._remote = remote
        self._say = say
        self._tasks = tasks
        self._tools = Tools()
        self._asked: dict[Id, Session] = {}  # what the server waits for
        self._session = NO_SESSION
        self._handshake: Handshake | None = None
        self._version: str | None = None  # of the stateless era
        self._healing = anyio.Lock()
        self._listening = anyio.CancelScope()

    @property
    def is_stateless(self) -> bool:
        """Whether every request speaks for itself (2026-07-28)."""
        return self._handshake is None and self._version is not None

    def is_harmless(self, message: Message) -> bool:
        """Whether it makes no difference if the server gets a message twice."""
        if message.method == "tools/call":
            return self._tools.may_repeat(message.param("name"))
        return message.is_harmless

    def note_era(self, request: Message) -> None:
        """What a request tells of the era, before it is on its way."""
        self._version = request.version or self._version

    async def answer(self, request: Message) -> Outcome:
        """What comes of a request."""
        if request.method == "initialize":
            self._begin(request)
        outcome = await self._settled(request)
        if await self._has_learned_better(request, outcome):
            outcome = await self._settled(request)
        if isinstance(outcome, Answered) and outcome.reply is not None and not outcome.reply.is_error:
            self._learn(request, outcome.reply, outcome.session_id)
        return outcome

    async def tell(self, notification: Message) -> Outcome:
        """What comes of a notification."""
        handshake = self._handshake if notification.method == "notifications/initialized" else None
        if handshake is not None:
            handshake.initialized = notification
        outcome = await self._settled(notification)
        if handshake is not None:
            self._listen()
        return outcome

    async def pass_back(self, response: Message) -> Outcome:
        """What comes of an answer to a question of the server's. It goes to the session that asked, or nowhere."""
        asked = self._asked.pop(response.id, None) if response.id is not None else None
        return Answered() if asked is None else await self._settled(response, asked)

    async def end(self) -> None:
        """End the session, if there is one."""
        if self._session.id is not None:
            await self._through(self._session).end(session_headers(self._session))

    def _begin(self, request: Message) -> None:
        self._handshake = Handshake(request)
        self._session = NO_SESSION
        self._asked.clear()
        self._listening.cancel()

    def _learn(self, request: Message, reply: Message, session_id: str | None) -> None:
        """What an answer means for the messages that follow."""
        if request.method == "initialize":
            self._session = _session_of(reply, session_id)
        elif request.method == "tools/list":
            self._tools.learn(reply)
        elif self._handshake is not None:
            self._handshake.remember(request)

    # One message, until its fate is known

    async def _settled(self, message: Message, asked: Session | None = None) -> Outcome:
        """Send a message, and again where that is right and of use.

        Args:
            message: whichever.
            asked: the session that it has to go to; if left out, the one that is open.
        """
        patience = Patience(PATIENCE_S if self._remote.reached else 0)
        sessions = 0
        while True:
            session, cursor = asked or self._session, Cursor()
            outcome = await self._through(session).post(message, self._headers(message, session), cursor)
            if isinstance(outcome, Answered):
                return outcome
            if outcome.fate is Fate.SESSION_LOST and asked is not None:
                return Answered()
            if outcome.fate is Fate.SESSION_LOST and sessions < _SESSIONS_PER_MESSAGE:
                problem = await self._healed(session)
                if problem is None and message.method in _OF_ONE_SESSION:
                    return Answered()
                if problem is None:
                    sessions += 1
                    continue
                outcome = problem
            if outcome.fate is Fate.UNKNOWN and cursor.last_event_id and not self.is_stateless:
                outcome = await self._resumed(message, session, cursor, outcome)
            if isinstance(outcome, Answered) or not self._may_go_again(message, outcome) or not await patience.pause():
                return outcome

    def _may_go_again(self, message: Message, outcome: Failed) -> bool:
        return outcome.fate is Fate.UNSENT or (outcome.fate is Fate.UNKNOWN and self.is_harmless(message))

    async def _resumed(self, request: Message, session: Session, cursor: Cursor, broken: Failed) -> Outcome:
        """Take up the stream of a request where it broke off. The request itself is not sent again."""
        patience = Patience(PATIENCE_S)
        while True:
            await anyio.sleep(cursor.pause_s)
            outcome = await self._through(session).listen(session_headers(session), cursor, request.id)
            if isinstance(outcome, Answered):
                return outcome
            if _was_open(outcome):
                patience = Patience(PATIENCE_S)
            elif outcome.fate not in (Fate.UNSENT, Fate.UNKNOWN) or not await patience.pause():
                return broken

    def _headers(self, message: Message, session: Session) -> dict[str, str]:
        version = message.version or (self._version if self.is_stateless else None)
        return session_headers(session) if version is None else headers_of(message, version, self._tools)

    def _through(self, session: Session) -> Exchange:
        return Exchange(self._remote, partial(self._hear, session))

    # The session, and another one in its place

    async def _healed(self, lost: Session) -> Failed | None:
        """Have a session in the place of one that is lost; None if there is one, else why there is none."""
        async with self._healing:
            if self._handshake is None or self._session is not lost:
                return None
            problem = await self._opened_again(self._handshake, lost)
        if problem is None or problem.fate is Fate.REFUSED:
            return problem
        return Failed(Fate.UNSENT, problem.failure, problem.code)

    async def _opened_again(self, handshake: Handshake, lost: Session) -> Failed | None:
        outcome = await self._through(NO_SESSION).post(handshake.again(lost.version), {}, Cursor())
        if isinstance(outcome, Failed):
            return outcome
        session = _session_of(outcome.reply, outcome.session_id) if outcome.reply else NO_SESSION
        if session.version is None or session.version != lost.version:
            msg = "The MCP server has lost the session, and does not open another one like it: connect to it anew."
            return Failed(Fate.REFUSED, RemoteError(msg, code="session_lost", by="resource_server"), INTERNAL_ERROR)
        for message in handshake.follow_up():
            outcome = await self._through(session).post(message, session_headers(session), Cursor())
            if isinstance(outcome, Failed):
                return outcome
        _log.info("The MCP server had lost the session; another one is open.")
        self._session = session
        await self._take_back(lost)
        if handshake.initialized is not None:
            self._listen()
        return None

    async def _take_back(self, lost: Session) -> None:
        """Nobody waits any more for what a session asked that is lost."""
        for number in [number for number, session in self._asked.items() if session is lost]:
            del self._asked[number]
            params = {"requestId": number, "reason": "The MCP server has lost the session."}
            await self._say(notification_line("notifications/cancelled", params))

    # What the server says of its own accord

    async def _hear(self, session: Session, message: Message) -> None:
        if message.method is not None and message.id is not None:
            self._asked[message.id] = session
        await self._say(message.line)

    def _listen(self) -> None:
        """Hear what the server has to say outside of any request (2025-11-25, Listening for Messages)."""
        self._listening.cancel()
        self._listening = anyio.CancelScope()
        self._tasks.start_soon(self._hear_out, self._session, self._listening)

    async def _hear_out(self, session: Session, scope: anyio.CancelScope) -> None:
        cursor = Cursor()
        pause_s = cursor.pause_s
        with scope:
            while True:
                outcome = await self._through(session).listen(session_headers(session), cursor)
                if isinstance(outcome, Answered):
                    return
                if not _may_open_later(outcome):
                    _log.info("The MCP server says nothing of its own accord. %s", outcome.failure)
                    return
                if outcome.fate is Fate.SESSION_LOST and await self._healed(session) is None:
                    return  # and the new session has a stream of its own
                pause_s = cursor.pause_s if _was_open(outcome) else min(2 * pause_s, _LONGEST_SILENCE_S)
                await anyio.sleep(pause_s)

    # Headers that depend on what the tools are

    async def _has_learned_better(self, request: Message, outcome: Outcome) -> bool:
        """Whether a call was refused for headers that would be others by now (2026-07-28, Custom Headers).

        On stdio there are none, so a host may call a tool that it has listed long ago, through another process.
        """
        reply = outcome.reply if isinstance(outcome, Answered) else None
        if reply is None or reply.error_code != _HEADER_MISMATCH or request.method != "tools/call":
            return False
        sent = self._headers(request, NO_SESSION)
        await self._list_tools(request)
        return self._headers(request, NO_SESSION) != sent

    async def _list_tools(self, call: Message) -> None:
        """List all tools in the name of who calls one."""
        page: dict[str, object] = {}
        for _ in range(_MAX_PAGES):
            listing = request_of_ours(call.id or 0, "tools/list", {"_meta": call.param("_meta"), **page})
            outcome = await self._settled(listing)
            if not isinstance(outcome, Answered) or outcome.reply is None:
                return
            self._tools.learn(outcome.reply)
            page = {"cursor": outcome.reply.outcome("nextCursor")}
            if page["cursor"] is None:
                return


def _session_of(reply: Message, session_id: str | None) -> Session:
    version = reply.outcome("protocolVersion")
    return Session(session_id, version if isinstance(version, str) else None)


def _was_open(outcome: Failed) -> bool:
    """Whether a stream was there before it ended."""
    return outcome.fate is Fate.UNKNOWN and outcome.failure.status is None


def _may_open_later(outcome: Failed) -> bool:
    """Whether it is worth asking for a stream again. A conflict is with our own, which broke off unnoticed."""
    refused = outcome.fate is Fate.REFUSED
    return not refused or outcome.failure.retryable or outcome.failure.status == _CONFLICT
