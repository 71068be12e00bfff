"""The relay: a host on one side, an MCP server behind its gate on the other; between them no message lost or doubled.

Messages are on their way side by side, but for the two of the handshake: each of those is over before whatever the
host says next.
"""

from __future__ import annotations

import logging
from contextlib import nullcontext
from typing import TYPE_CHECKING, NamedTuple, Protocol

import anyio

from gatepass.bridge.conversation import Conversation
from gatepass.bridge.exchange import Answered, Failed, Fate
from gatepass.bridge.failure import INTERNAL_ERROR, NOT_ANSWERED, failed, unknown
from gatepass.bridge.message import INVALID_REQUEST, NotAMessageError, error_line, read
from gatepass.bridge.patience import PATIENCE_S
from gatepass.errors import UnreachableError

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

_LAST_ANSWER_S = 30.0
"""After the host has closed its end, for how long without an answer the calls on their way are waited for."""
_GRACE_S = 1.0
_FAREWELL_S = 0.7
"""A host that closes stdin waits two seconds or so before it kills: where no call is on its way, the grace for
notifications and the farewell must do with that."""

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


class _Call(NamedTuple):
    """A request that is not answered yet."""

    request: Message
    scope: anyio.CancelScope


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
        self._calls: dict[Id, _Call] = {}
        self._server: Conversation
        self._all_taken = False
        self._news = anyio.Event()
        self._is_over = False
        self._lost = 0

    async def run(self) -> None:
        """Carry messages until the host is gone and its calls are answered.

        Raises:
            UnreachableError: calls were left without an answer, each with an error that says so.
        """
        all_done = anyio.Event()
        async with anyio.create_task_group() as tasks:
            self._server = Conversation(self._remote, self._host.say, tasks)
            try:
                tasks.start_soon(self._take_all, all_done)
                await self._host.gone.wait()
                await self._last_answers()
                with anyio.move_on_after(_GRACE_S):
                    await all_done.wait()
            finally:
                tasks.cancel_scope.cancel()
                with anyio.move_on_after(_FAREWELL_S, shield=True):
                    await self._server.end()
        if self._lost:
            msg = (
                f"Calls without an answer at the end: {self._lost}. Look whether they were done before you repeat them."
            )
            raise UnreachableError(msg, code="answer_lost")

    async def _last_answers(self) -> None:
        """Wait on while answers come; then give up the calls that have none."""
        while not self._all_taken or self._awaited():
            with anyio.move_on_after(_LAST_ANSWER_S) as silence:
                await self._news.wait()
            if silence.cancelled_caught:
                self._is_over = True
                for call in self._awaited():
                    call.scope.cancel()
                return

    def _awaited(self) -> list[_Call]:
        """The calls that end by themselves."""
        return [call for call in self._calls.values() if call.request.method != _SUBSCRIPTION]

    def _tell_news(self) -> None:
        news, self._news = self._news, anyio.Event()
        news.set()

    async def _take_all(self, all_done: anyio.Event) -> None:
        async with anyio.create_task_group() as tasks:
            async for line in self._host.lines:
                await self._take(line, tasks)
            self._all_taken = True
            self._tell_news()
        all_done.set()

    async def _take(self, line: bytes, tasks: TaskGroup) -> None:
        try:
            message = read(line)
        except NotAMessageError as problem:
            await self._host.say(error_line(None, problem.code, str(problem)))
            return
        if message.is_response:
            tasks.start_soon(self._send, message, self._server.pass_back)
        elif message.method == "notifications/cancelled":
            self._cancel(message, tasks)
        elif message.method == "notifications/initialized":
            await self._send(message, self._server.tell)
        elif message.id is None:
            tasks.start_soon(self._send, message, self._server.tell)
        else:
            await self._accept(message, message.id, tasks)

    async def _accept(self, request: Message, number: Id, tasks: TaskGroup) -> None:
        if number in self._calls:
            await self._host.say(error_line(number, INVALID_REQUEST, "A request with this id is not answered yet."))
        elif len(self._calls) >= _UNANSWERED:
            await self._host.say(error_line(number, INTERNAL_ERROR, f"{_UNANSWERED} requests are not answered yet."))
        else:
            self._calls[number] = call = _Call(request, anyio.CancelScope())
            if self._is_over:
                call.scope.cancel()
            if request.method == "initialize":
                await self._serve(call, number)
            else:
                self._server.note_era(request)
                tasks.start_soon(self._serve, call, number)

    async def _serve(self, call: _Call, number: Id) -> None:
        try:
            with call.scope:
                async with nullcontext() if call.request.method == "initialize" else self._slots:
                    await self._answer(call.request, number)
            if call.scope.cancelled_caught and self._is_over:
                await self._give_up(call.request, number)
        finally:
            if self._calls.get(number) is call:
                del self._calls[number]
            self._tell_news()

    async def _give_up(self, request: Message, number: Id) -> None:
        self._lost += 1
        silent = UnreachableError(f"No answer came within {_LAST_ANSWER_S:.0f} seconds.", code="timeout")
        await self._host.say(failed(number, unknown(str(request.method), silent), NOT_ANSWERED, self._explain))

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

    def _cancel(self, notification: Message, tasks: TaskGroup) -> None:
        """The host wants no answer any more. In the stateless era, to hang up says so."""
        number = notification.param("requestId")
        if isinstance(number, int | str) and number in self._calls:
            self._calls.pop(number).scope.cancel()
        if not self._server.is_stateless:
            tasks.start_soon(self._send, notification, self._server.tell)

    async def _send(self, message: Message, send: Callable[[Message], Awaitable[Outcome]]) -> None:
        """Send what has no answer. If that fails, only the log hears of it."""
        outcome: Outcome | None = None
        with anyio.move_on_after(PATIENCE_S):
            outcome = await send(message)
        if not isinstance(outcome, Answered):
            why = "It gave no sign." if outcome is None else self._explain(outcome.failure)
            _log.warning("The MCP server has not taken %s. %s", message.method or "a response", why)
