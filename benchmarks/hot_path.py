"""The hot path: what authorizing one request costs while the token is fresh.

Whole calls are timed by the processor's time for them, on a transport in this process, and the calls with a fixed
header subtracted.
"""

from __future__ import annotations

import asyncio
import gc
from operator import sub
from statistics import median
from time import thread_time
from typing import TYPE_CHECKING, Any

from benchmarks.contenders import CONTENDERS, GATEPASS
from benchmarks.contenders.base import URL
from benchmarks.results import (
    Result,
    contenders_for,
    interleave,
    with_yardsticks,
    without,
    yardstick_of,
    yardsticks_shown,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence

    from benchmarks.bench import Bench

__all__ = ["hot_path", "quickest_rounds", "undisturbed"]

CALLS = 50
ROUNDS = 200
AIM_US = 3.0


def hot_path(bench: Bench) -> Iterator[Result]:
    """Microseconds a call, more than with a fixed header."""
    rounds = bench.rounds(ROUNDS)
    yield _result("sync", _sync(rounds))
    yield _result("async", _async(rounds))


def _sync(rounds: int) -> dict[str, list[float]]:
    def sampler(call: Callable[[Any], object], member: Any) -> Callable[[], float]:
        def sample() -> float:
            start = thread_time()
            for _ in range(CALLS):
                call(member)
            return (thread_time() - start) / CALLS

        return sample

    contenders = with_yardsticks(contenders_for("sync"))
    return undisturbed(
        {name: sampler(each.caller(), each.member(each.holding(URL))) for name, each in contenders.items()}, rounds
    )


def _async(rounds: int) -> dict[str, list[float]]:
    async def calls(call: Callable[[Any], Awaitable[object]], member: Any) -> float:
        start = thread_time()
        for _ in range(CALLS):
            await call(member)
        return (thread_time() - start) / CALLS

    contenders = with_yardsticks(contenders_for("async"))
    with asyncio.Runner() as runner:

        def sampler(call: Callable[[Any], Awaitable[object]], member: Any) -> Callable[[], float]:
            return lambda: runner.run(calls(call, member))

        samples = {
            name: sampler(each.async_caller(), each.member(each.holding(URL), asynchronous=True))
            for name, each in contenders.items()
        }
        return undisturbed(samples, rounds)


def undisturbed(samples: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """As `interleave`, without the collector's pauses, which strike whoever is running."""
    gc.collect()
    gc.disable()
    try:
        return interleave(samples, rounds, patience_s=60.0)
    finally:
        gc.enable()


def _result(kind: str, seconds: Mapping[str, Sequence[float]]) -> Result:
    quick = quickest_rounds(seconds)
    added_us = {
        name: median(map(sub, quick[name], quick[yardstick_of(name)])) * 1e6 for name in CONTENDERS if name in quick
    }
    calls = {name: median(took) for name, took in quick.items()}
    return Result(
        name=f"hot-path-{kind}",
        measure=f"hot path, {kind}: added to a call",
        figures=added_us,
        form="{:.1f} µs",
        yardstick=f"0 = {yardsticks_shown(calls, 1e6, 'µs')}",
        notes=without(kind),
        aim=f"{AIM_US:g} µs",
        met=added_us[GATEPASS] <= AIM_US,
    )


def quickest_rounds(seconds: Mapping[str, Sequence[float]]) -> dict[str, tuple[float, ...]]:
    """The quarter of the rounds in which the machine had least else to do, whole, so that differences stay fair."""
    rounds = sorted(zip(*seconds.values(), strict=False), key=sum)
    return dict(zip(seconds, zip(*rounds[: max(1, len(rounds) // 4)], strict=True), strict=True))
