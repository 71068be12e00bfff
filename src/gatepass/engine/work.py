"""Work that is done on a worker for somebody who waits: a signature of a key that lives elsewhere, a revocation.

It has workers of its own, beside those of the host's tokens, and twice as many: a request may want a signature each,
while a token serves them all. That is still half of the pool, for a key's keeper that hangs must not delay everybody.
"""

from __future__ import annotations

import itertools
from threading import Thread
from time import monotonic
from typing import TYPE_CHECKING, Generic, TypeVar

from gatepass.engine.wake import ThreadWaiter, Waiter, task_waiter
from gatepass.engine.wording import bug_of_ours
from gatepass.errors import GatepassError, UnreachableError

if TYPE_CHECKING:
    from collections.abc import Callable

    from gatepass.engine.pool import Pool

__all__ = ["A_DAY_S", "do", "do_aside", "do_async"]

A_DAY_S = 86_400.0
_lanes = itertools.cycle(("work 1", "work 2"))

T = TypeVar("T")


class _Piece(Generic[T]):
    """One piece of work and what comes of it."""

    def __init__(self, job: Callable[[], T], waiter: Waiter) -> None:
        self._job = job
        self._waiter = waiter
        self._made: list[T] = []
        self._error: GatepassError | None = None

    def run(self) -> None:
        try:
            self._made.append(self._job())
        except GatepassError as failure:
            self._error = failure.again()
        except Exception as bug:  # noqa: BLE001 - its text could hold anything, its kind can't
            self._error = bug_of_ours(bug)
        except BaseException as leaving:  # Ctrl-C in a thread that works for want of workers
            self._error = bug_of_ours(leaving)
            raise
        finally:
            self._waiter.settle(None)

    def result(self, patience_s: float) -> T:
        if not self._waiter.done:
            msg = (
                f"No answer within {patience_s:g} s from where it has to come from: a key that lives elsewhere "
                "(a KMS, a token, an agent), or a store. It may be slow or busy."
            )
            raise UnreachableError(msg, code="deadline", retryable=True)
        if self._error is not None:
            raise self._error
        return self._made[0]


def do(pool: Pool, host: str, job: Callable[[], T], patience_s: float) -> T:
    """What the job gives; blocks the calling thread.

    Args:
        pool: whose workers do it.
        host: with whom it has to do: work with one host shares its workers.
        job: what is to be done.
        patience_s: how long to wait for it, in seconds.

    Raises:
        GatepassError: what the job raised, or it took too long (code ``deadline``).
    """
    waiter = ThreadWaiter(monotonic() + patience_s, bare_ok=False)
    piece = _Piece(job, waiter)
    pool.run(f"{host} {next(_lanes)}", piece.run)
    pool.help(lambda: waiter.done, patience_s)
    waiter.wait(waiter.until - monotonic())
    return piece.result(patience_s)


async def do_aside(job: Callable[[], T], patience_s: float) -> T:
    """As `do_async`, in a thread of its own: what must not wait for workers that all hang at servers."""
    waiter = task_waiter(monotonic() + patience_s, bare_ok=False)
    piece = _Piece(job, waiter)
    try:
        Thread(target=piece.run, name="gatepass aside", daemon=True).start()
    except RuntimeError:  # no thread can be had
        piece.run()
    await waiter.wait(patience_s)
    return piece.result(patience_s)


async def do_async(pool: Pool, host: str, job: Callable[[], T], patience_s: float) -> T:
    """As `do`, for a task of asyncio or trio."""
    waiter = task_waiter(monotonic() + patience_s, bare_ok=False)
    piece = _Piece(job, waiter)
    pool.run(f"{host} {next(_lanes)}", piece.run)
    pool.help(lambda: waiter.done, patience_s)
    await waiter.wait(waiter.until - monotonic())
    return piece.result(patience_s)
