"""Callers that wait, each with a wake-up of its own: a thread, an asyncio task or a trio task.

A future that all shared would be cancelled for all by the first who is. Here a caller that leaves takes nothing along.
"""

from __future__ import annotations

import logging
import sys
import threading
from typing import TYPE_CHECKING, Any

from gatepass.errors import GatepassError
from gatepass.lifecycle.hand import same
from gatepass.lifecycle.policy import asked_for

if TYPE_CHECKING:
    import asyncio

    import trio

    from gatepass.lifecycle.policy import Held

__all__ = ["AsyncioWaiter", "ThreadWaiter", "TrioWaiter", "Waiter", "task_waiter"]

_log = logging.getLogger("gatepass")


class Waiter:
    """One caller that waits for a flight.

    Attributes:
        until: when its patience ends, on the monotonic clock.
        bare_ok: it would rather have nothing than wait for a token to be made (see `Source.get`).
        needs: the scopes that the token must have been asked for with.
        instead_of: a token that serves, but not this caller.
        outcome: what it waited for, once woken.
    """

    __slots__ = ("bare_ok", "done", "instead_of", "needs", "outcome", "until")

    def __init__(self, until: float, bare_ok: bool) -> None:
        self.until = until
        self.bare_ok = bare_ok
        self.needs: tuple[str, ...] = ()
        self.instead_of: Held | None = None
        self.outcome: Held | GatepassError | None = None
        self.done = False

    def suits(self, outcome: Held | GatepassError) -> bool:
        """Whether that is what this caller waits for."""
        if isinstance(outcome, GatepassError):
            return True
        return asked_for(outcome, self.needs) and not same(outcome, self.instead_of)

    def settle(self, outcome: Held | GatepassError | None) -> None:
        """Hand over the outcome and wake the caller, from any thread."""
        self.outcome = outcome
        self.done = True
        try:
            self._wake()
        except Exception as problem:  # noqa: BLE001 - a loop may be anybody's; its trouble must not reach the next waiter
            _log.error("A caller of gatepass could not be woken (%s).", type(problem).__name__)

    def _wake(self) -> None:
        raise NotImplementedError


class ThreadWaiter(Waiter):
    """A caller that blocks its thread."""

    __slots__ = ("_event",)

    def __init__(self, until: float, bare_ok: bool) -> None:
        super().__init__(until, bare_ok)
        self._event = threading.Event()

    def _wake(self) -> None:
        self._event.set()

    def wait(self, timeout_s: float) -> None:
        """Wait until woken or until the time is over."""
        self._event.wait(max(0.0, timeout_s))


class AsyncioWaiter(Waiter):
    """A task of an asyncio loop."""

    __slots__ = ("_future", "_loop")

    def __init__(self, until: float, bare_ok: bool) -> None:
        import asyncio  # only for those who run it: it is dear to import

        super().__init__(until, bare_ok)
        self._loop = asyncio.get_running_loop()
        self._future: asyncio.Future[None] = self._loop.create_future()

    def _wake(self) -> None:
        try:
            self._loop.call_soon_threadsafe(self._resolve)
        except RuntimeError:  # the loop has closed: nobody waits any more
            return

    def _resolve(self) -> None:
        if not self._future.done():
            self._future.set_result(None)

    async def wait(self, timeout_s: float) -> None:
        """Wait until woken or until the time is over."""
        timer = self._loop.call_later(max(0.0, timeout_s), self._resolve)
        try:
            await self._future
        finally:
            timer.cancel()


class TrioWaiter(Waiter):
    """A task of a trio run."""

    __slots__ = ("_event", "_token", "_trio")

    def __init__(self, until: float, bare_ok: bool) -> None:
        super().__init__(until, bare_ok)
        self._trio: Any = sys.modules["trio"]
        self._token: trio.lowlevel.TrioToken = self._trio.lowlevel.current_trio_token()
        self._event: trio.Event = self._trio.Event()

    def _wake(self) -> None:
        try:
            self._token.run_sync_soon(self._event.set)
        except self._trio.RunFinishedError:  # the run is over: nobody waits any more
            return

    async def wait(self, timeout_s: float) -> None:
        """Wait until woken or until the time is over."""
        with self._trio.move_on_after(max(0.0, timeout_s)):
            await self._event.wait()


def task_waiter(until: float, bare_ok: bool) -> AsyncioWaiter | TrioWaiter:
    """The waiter for the running task, whichever library runs it."""
    return TrioWaiter(until, bare_ok) if _in_trio_task() else AsyncioWaiter(until, bare_ok)


def _in_trio_task() -> bool:
    """Whether trio runs this task; that it runs in this thread is not enough, since asyncio may be its host."""
    if "trio" not in sys.modules:
        return False
    try:
        sys.modules["trio"].lowlevel.current_task()
    except (RuntimeError, AttributeError):  # not of trio's, or trio is being imported just now
        return False
    return True
