"""Work that is done on a worker for somebody who waits: a signature of a key that lives elsewhere, a revocation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

from gatepass.engine.wake import ThreadWaiter, Waiter, task_waiter
from gatepass.errors import GatepassError

if TYPE_CHECKING:
    from collections.abc import Callable

    from gatepass.engine.pool import Pool

__all__ = ["do", "do_async"]

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
            self._error = GatepassError(f"gatepass failed unexpectedly ({type(bug).__name__}).", code="internal")
        self._waiter.settle(None)

    def result(self) -> T:
        if self._error is not None:
            raise self._error
        return self._made[0]


_FOREVER = 86_400.0
"""A job has time-outs of its own."""


def do(pool: Pool, host: str, job: Callable[[], T]) -> T:
    """What the job gives; blocks the calling thread.

    Raises:
        GatepassError: what the job raised.
    """
    waiter = ThreadWaiter(_FOREVER, bare_ok=False)
    piece = _Piece(job, waiter)
    pool.run(host, piece.run)
    pool.help(lambda: waiter.done, _FOREVER)
    waiter.wait(_FOREVER)
    return piece.result()


async def do_async(pool: Pool, host: str, job: Callable[[], T]) -> T:
    """As `do`, for a task of asyncio or trio."""
    waiter = task_waiter(_FOREVER, bare_ok=False)
    piece = _Piece(job, waiter)
    pool.run(host, piece.run)
    pool.help(lambda: waiter.done, _FOREVER)
    await waiter.wait(_FOREVER)
    return piece.result()
