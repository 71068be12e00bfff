"""An event loop of gatepass's own, for stores that can only be awaited.

Such a store belongs to the loop that it was made in. Loops of the user's come and go, or there is none; this one runs
in a daemon thread for as long as the process does, and serves all of them.

A forked child has none of its parent's threads, and starts a loop of its own. It must leave alone what is open in the
parent, or that could be felt at the other end of a connection. So it is never collected there: the loop holds every
task that it was given, and the stack of its thread holds the loop, which a child inherits and never goes on with. And
what libraries end by themselves when the child exits finds the loop closed.
"""

from __future__ import annotations

import asyncio
import logging
import math
import os
import threading
from concurrent.futures import Future
from contextvars import Context
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakValueDictionary

from gatepass.errors import StoreError
from gatepass.mutex import Mutex

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

__all__ = ["Loop", "failure_of", "shared_loop"]

T = TypeVar("T")

logger = logging.getLogger("gatepass.store")

_GRACE_S = 1.0
"""How much longer than a step may take is waited for a loop that something blocks."""


class _EventLoop(asyncio.SelectorEventLoop):
    """A loop that is closed in a forked child, which shares the parent's epoll: what is removed there is gone here."""

    def __init__(self) -> None:
        self._home = os.getpid()
        super().__init__()

    def is_closed(self) -> bool:
        return self._home != os.getpid() or super().is_closed()


class Loop:
    """One event loop in a daemon thread, and a lock a name for what runs there.

    Raises:
        StoreError: no thread can be started; code ``store_failed``.
    """

    def __init__(self) -> None:
        self._loop = _EventLoop()  # whatever kind the program has set for itself
        self._loop.set_exception_handler(_report)
        self._loop.slow_callback_duration = math.inf  # of interest to nobody who debugs a loop of their own
        self._tasks: set[asyncio.Task[Any]] = set()
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        try:
            threading.Thread(target=self._live, name="gatepass loop", daemon=True).start()
        except RuntimeError:
            self._loop.close()
            msg = "No thread can be started for the event loop that the store needs."
            failure = StoreError(msg, code="store_failed", retryable=True)
        else:
            return
        raise failure

    def _live(self) -> None:
        self._loop.run_forever()

    def run(self, job: Callable[[], Coroutine[Any, Any, T]], timeout_s: float) -> T:
        """What a job gives, awaited in the loop; blocks the calling thread, which may have a loop of its own.

        Args:
            job: what is to be done.
            timeout_s: how long it may take, in seconds.

        Raises:
            StoreError: what the job raised, if it was one; else code ``store_unreachable``, if it took too long, or
                ``store_failed``, with no more than the kind of what was raised.
        """
        outcome: Future[T] = Future()

        def begin() -> None:
            self.start(_carry_out(job, timeout_s, outcome))

        # In a context of its own: that of the caller may say that it runs in trio.
        self._loop.call_soon_threadsafe(begin, context=Context())
        try:
            return outcome.result(timeout_s + _GRACE_S)
        except StoreError as failure:
            error = failure.again()
        except TimeoutError:
            error = _too_late(timeout_s)
        raise error

    def start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Begin something in the loop, and hold it until it is over. For what runs there."""
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def lock(self, name: str) -> asyncio.Lock:
        """The lock of a name. For what runs in the loop."""
        return self._locks.setdefault(name, asyncio.Lock())


async def _carry_out(job: Callable[[], Coroutine[Any, Any, T]], timeout_s: float, outcome: Future[T]) -> None:
    """Hand over what the job gives, or why it gave nothing: never an exception of somebody else's."""
    limit = asyncio.timeout(timeout_s)
    try:
        async with limit:
            answer = await job()
    except BaseException as problem:  # noqa: BLE001 - a store may raise anything; the loop goes on for the others
        outcome.set_exception(_too_late(timeout_s) if limit.expired() else failure_of("The store", problem))
    else:
        outcome.set_result(answer)


def failure_of(what: str, problem: BaseException) -> StoreError:
    """What is said of an exception: it as it is if it is ours, else its kind alone, for its text may hold a secret."""
    if isinstance(problem, StoreError):
        return problem.again()
    kind = type(problem).__name__
    msg = f"{what} failed with {kind}. What it said may hold a secret: use the store by itself to see it."
    return StoreError(msg, code="store_failed", retryable=True)


def _too_late(timeout_s: float) -> StoreError:
    msg = f"The store did not answer within {timeout_s:g} s. See whether it is up and can be reached from here."
    return StoreError(msg, code="store_unreachable", retryable=True)


def _report(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """What a store's own tasks left behind: of an exception its kind alone, where asyncio would log its text."""
    problem = context.get("exception")
    what = type(problem).__name__ if problem is not None else context["message"]
    logger.warning("A task of a store failed (%s).", what)


_mutex = Mutex()
_shared: list[Loop] = []


def shared_loop() -> Loop:
    """The loop of this process, started when it is first wanted.

    Raises:
        StoreError: no thread can be started; code ``store_failed``.
    """
    with _mutex.lock:
        if not _shared:
            _shared.append(Loop())
        return _shared[0]


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_shared.clear)
