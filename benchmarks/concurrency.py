"""Calls at the same time: nobody waits for anybody else's, least of all for a long poll."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING

import httpx2

from benchmarks.contenders import FixedHeader, gatepass_holding, sdk_holding
from benchmarks.results import FIXED, GATEPASS, SDK, Result, best, compare

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

    from benchmarks.bench import Bench

__all__ = ["concurrency", "long_poll"]

CALL_MS = 50
SHORT_CALLS, SHORT_CALL_MS = 20, 20
LONG_POLL_MS = 2000


def concurrency(bench: Bench) -> Iterator[Result]:
    """1, 10 and 100 calls of 50 ms at once."""
    late = bench.servers.site.late
    for calls in (1, 10, 100):
        samples = {name: _sampler(_at_once, make, late, calls) for name, make in _contenders(late).items()}
        noun = "1 call" if calls == 1 else f"{calls} calls"
        yield compare(f"{noun} of {CALL_MS} ms at once", best(samples, bench.rounds(5)), at_most=1.05)


def long_poll(bench: Bench) -> Iterator[Result]:
    """Short calls while a long one is open: the median of their times."""
    late = bench.servers.site.late
    samples = {name: _sampler(_beside_a_long_poll, make, late) for name, make in _contenders(late).items()}
    measure = f"{SHORT_CALLS} short calls beside a {LONG_POLL_MS // 1000} s long poll, p50"
    yield compare(measure, best(samples, bench.rounds(10)), at_most=1.1)


def _contenders(late: str) -> dict[str, Callable[[], httpx2.Auth]]:
    return {FIXED: FixedHeader, GATEPASS: lambda: gatepass_holding(late), SDK: lambda: sdk_holding(late)}


def _sampler(
    sample: Callable[..., Coroutine[None, None, float]], make: Callable[[], httpx2.Auth], *arguments: object
) -> Callable[[], float]:
    return lambda: asyncio.run(sample(make(), *arguments))


async def _at_once(auth: httpx2.Auth, late: str, calls: int) -> float:
    async with _client(auth, calls) as http:
        await asyncio.gather(*(http.get(f"{late}/0") for _ in range(calls)))  # opens the connections
        start = perf_counter()
        await asyncio.gather(*(http.get(f"{late}/{CALL_MS}") for _ in range(calls)))
        return perf_counter() - start


async def _beside_a_long_poll(auth: httpx2.Auth, late: str) -> float:
    async def timed_call() -> float:
        start = perf_counter()
        await http.get(f"{late}/{SHORT_CALL_MS}")
        return perf_counter() - start

    async with _client(auth, SHORT_CALLS + 1) as http:
        await asyncio.gather(*(http.get(f"{late}/0") for _ in range(SHORT_CALLS + 1)))
        poll = asyncio.create_task(http.get(f"{late}/{LONG_POLL_MS}"))
        await asyncio.sleep(0.05)
        times = await asyncio.gather(*(timed_call() for _ in range(SHORT_CALLS)))
        poll.cancel()
        with suppress(asyncio.CancelledError):
            await poll
        return median(times)


def _client(auth: httpx2.Auth, connections: int) -> httpx2.AsyncClient:
    limits = httpx2.Limits(max_connections=connections, max_keepalive_connections=connections)
    return httpx2.AsyncClient(auth=auth, limits=limits, timeout=30)
