"""Calls at the same time: nobody waits for anybody else's, least of all for a long poll."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING

from benchmarks.contenders import CONTENDERS
from benchmarks.results import Result, best, compare, with_yardsticks

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

    from benchmarks.bench import Bench
    from benchmarks.contenders.base import Contender

__all__ = ["concurrency", "long_poll"]

CALLS, CALL_MS = 100, 50
SHORT_CALLS, SHORT_CALL_MS = 20, 20
LONG_POLL_MS = 2000


def concurrency(bench: Bench) -> Iterator[Result]:
    """Many calls at once that take their time."""
    seconds = best(_samples(_at_once, bench.servers.late), bench.rounds(10))
    yield compare("at-once", f"{CALLS} calls of {CALL_MS} ms at once", seconds, at_most=1.05)


def long_poll(bench: Bench) -> Iterator[Result]:
    """Short calls while a long one is open: the median of their times."""
    seconds = best(_samples(_beside_a_long_poll, bench.servers.late), bench.rounds(5), patience_s=12.0)
    measure = f"{SHORT_CALLS} short calls beside a {LONG_POLL_MS // 1000} s long poll, p50"
    yield compare("long-poll", measure, seconds, at_most=1.1)


def _samples(
    sample: Callable[[Contender, str], Coroutine[None, None, float]], late: str
) -> dict[str, Callable[[], float]]:
    contenders = with_yardsticks(CONTENDERS)
    return {name: lambda each=each: asyncio.run(sample(each, late)) for name, each in contenders.items()}


async def _at_once(contender: Contender, late: str) -> float:
    async with contender.opened(contender.holding(late), connections=CALLS) as (get,):
        await asyncio.gather(*(get(f"{late}/{CALL_MS}") for _ in range(CALLS)))  # opens the connections
        start = perf_counter()
        await asyncio.gather(*(get(f"{late}/{CALL_MS}") for _ in range(CALLS)))
        return perf_counter() - start


async def _beside_a_long_poll(contender: Contender, late: str) -> float:
    async def timed_call() -> float:
        start = perf_counter()
        await get(f"{late}/{SHORT_CALL_MS}")
        return perf_counter() - start

    async with contender.opened(contender.holding(late), connections=SHORT_CALLS + 1) as (get,):
        await asyncio.gather(*(get(f"{late}/{SHORT_CALL_MS}") for _ in range(SHORT_CALLS + 1)))
        poll = asyncio.ensure_future(get(f"{late}/{LONG_POLL_MS}"))
        await asyncio.sleep(0.05)
        times = await asyncio.gather(*(timed_call() for _ in range(SHORT_CALLS)))
        poll.cancel()
        with suppress(asyncio.CancelledError):
            await poll
        return median(times)
