"""The relay: a host on one side, an MCP server behind its gate on the other; between them no message lost or doubled.

Requests run side by side. The handshake, notifications and responses go one after the other, each before whatever the
host says next.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Protocol

import anyio

from gatepass.bridge.conversation import Conversation
from gatepass.bridge.exchange import Answered, Failed, Fate
from gatepass.bridge.failure import INTERNAL_ERROR, failed, unknown
from gatepass.bridge.message import INVALID_REQUEST, NotAMessageError, error_line, read
from gatepass.bridge.patience import PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Awaitable, Callable

    from anyio.abc import TaskGroup

    from gatepass.bridge.exchange import Outcome
    from gatepass.bridge.message import Id, Message
    from gatepass.bridge.remote import Remote
    from gatepass.errors import GatepassError

__all__ = ["Host", "Relay"]

_log = logging.getLogger("gatepass")

_AT_ONCE = 100
"""Requests that are on their way at the same time; notifications and responses are never held up by them."""
_UNANSWERED = 10_000
"""Requests that the host may wait for."""

_GRACE_S = 1.0
_FAREWELL_S = 0.7
"""A host that closes stdin waits two seconds or so before it kills: the grace and the farewell must do with that."""

_SUBSCRIPTION = "subscriptions/listen"
"""Changes nothing, but what is said while nobody listens is lost: whoever listens has to know."""


class Host(Protocol):
    """The program on this side.

    Attributes:
        lines: what it says, one message each.
        gone: is set when it has closed its end.
    """

    @property
    def lines(self) -> AsyncIterable[bytes]: ...

    @property
    def gone(self) -> anyio.Event: ...

    async def say(self, line: bytes) -> None:
        """Tell it something. Waits while it does not listen."""


class Relay:
    """Carries messages between a host and an MCP server, both ways.

    Args:
        remote: the server.
        host: the program on the other side.
        explain: what a failure says, in the words of whoever started the relay.
    """

    def __init__(self, remote: Remote, host: Host, explain: Callable[[GatepassError], str] = str) -> None:
        self._remote = remote
        self._host = host
        self._explain = explain
        self._slots = anyio.Semaphore(_AT_ONCE)
        self._calls: dict[Id, anyio.CancelScope] = {}
        self._server: Conversation

    async def run(self) -> None:
        """Carry messages until the host is gone; what it still waits for gets another second."""
        all_answered = anyio.Event()
        async with anyio.create_task_group() as tasks:
            self._server = Conversation(self._remote, self._host.say, tasks)
            try:
                tasks.start_soon(self._take_all, all_answered)
                await self._host.gone.wait()
                with anyio.move_on_after(_GRACE_S):
                    await all_answered.wait()
            finally:
                tasks.cancel_scope.cancel()
                with anyio.move_on_after(_FAREWELL_S, shield=True):
                    await self._server.end()

    async def _take_all(self, all_answered: anyio.Event) -> None:
        async with anyio.create_task_group() as calls:
            async for line in self._host.lines:
                await self._take(line, calls)
        all_answered.set()

    async def _take(self, line: bytes, calls: TaskGroup) -> None:
        try:
            message = read(line)
        except NotAMessageError as problem:
            await self._host.say(error_line(None, problem.code, str(problem)))
            return
        if message.is_response:
            await self._send(message, self._server.pass_back)
        elif message.method == "notifications/cancelled":
            await self._cancel(message)
        elif message.id is None:
            await self._send(message, self._server.tell)
        elif message.method == "initialize":
            await self._answer(message, message.id)
        else:
            await self._accept(message, message.id, calls)

    async def _accept(self, request: Message, number: Id, calls: TaskGroup) -> None:
        if number in self._calls:
            await self._host.say(error_line(number, INVALID_REQUEST, "A request with this id is not answered yet."))
        elif len(self._calls) >= _UNANSWERED:
            await self._host.say(error_line(number, INTERNAL_ERROR, f"{_UNANSWERED} requests are not answered yet."))
        else:
            self._server.note_era(request)
            self._calls[number] = scope = anyio.CancelScope()
            calls.start_soon(self._serve, request, number, scope)

    async def _serve(self, request: Message, number: Id, scope: anyio.CancelScope) -> None:
        try:
            with scope:
                async with self._slots:
                    await self._answer(request, number)
        finally:
            if self._calls.get(number) is scope:
                del self._calls[number]

    async def _answer(self, request: Message, number: Id) -> None:
        """Have a request answered, by the server or by what went wrong."""
        outcome = await self._server.answer(request)
        if isinstance(outcome, Failed):
            failure = outcome.failure
            might_harm = not self._server.is_harmless(request) and request.method != _SUBSCRIPTION
            if outcome.fate is Fate.UNKNOWN and might_harm:
                failure = unknown(str(request.method), failure)
            await self._host.say(failed(number, failure, outcome.code, self._explain))
        elif outcome.reply is not None:
            await self._host.say(outcome.reply.line)

    async def _cancel(self, notification: Message) -> None:
        """The host wants no answer any more. In the stateless era, to hang up says so."""
        number = notification.param("requestId")
        if isinstance(number, int | str) and number in self._calls:
            self._calls.pop(number).cancel()
        if not self._server.is_stateless:
            await self._send(notification, self._server.tell)

    async def _send(self, message: Message, send: Callable[[Message], Awaitable[Outcome]]) -> None:
        """Send what has no answer. If that fails, only the log hears of it; what comes next does not wait for long."""
        outcome: Outcome | None = None
        with anyio.move_on_after(PATIENCE_S):
            outcome = await send(message)
        if not isinstance(outcome, Answered):
            why = "It gave no sign." if outcome is None else self._explain(outcome.failure)
            _log.warning("The MCP server has not taken %s. %s", message.method or "a response", why)
