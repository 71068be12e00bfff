"""The hot path: what authorizing one request costs while the token is fresh.

Whole calls are timed, on a transport in this process, and the calls with a fixed header subtracted.
"""

from __future__ import annotations

import asyncio
import gc
from operator import sub
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING

import httpx2

from benchmarks.contenders import FixedHeader, gatepass_holding, sdk_holding
from benchmarks.results import FIXED, GATEPASS, SDK, Result, interleave

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from benchmarks.bench import Bench

__all__ = ["answer", "hot_path", "quickest_rounds", "undisturbed"]

URL = "https://mcp.example.com/mcp"
CALLS = 50
ROUNDS = 200
AIM_US = 3.0


def hot_path(bench: Bench) -> Iterator[Result]:
    """Microseconds a call, more than with a fixed header."""
    rounds = bench.rounds(ROUNDS)
    yield _result("hot path, sync: added to a call", _sync(rounds))
    yield _result("hot path, async: added to a call", _async(rounds))


def _sync(rounds: int) -> dict[str, list[float]]:
    contenders = {FIXED: FixedHeader(), GATEPASS: gatepass_holding(URL)}  # the SDK has no synchronous side
    clients = {
        name: httpx2.Client(auth=auth, transport=httpx2.MockTransport(answer)) for name, auth in contenders.items()
    }

    def sampler(http: httpx2.Client) -> Callable[[], float]:
        def sample() -> float:
            start = perf_counter()
            for _ in range(CALLS):
                http.get(URL)
            return (perf_counter() - start) / CALLS

        return sample

    return undisturbed({name: sampler(http) for name, http in clients.items()}, rounds)


def _async(rounds: int) -> dict[str, list[float]]:
    contenders = {FIXED: FixedHeader(), GATEPASS: gatepass_holding(URL), SDK: sdk_holding(URL)}
    clients = {
        name: httpx2.AsyncClient(auth=auth, transport=httpx2.MockTransport(answer)) for name, auth in contenders.items()
    }

    async def calls(http: httpx2.AsyncClient) -> float:
        start = perf_counter()
        for _ in range(CALLS):
            await http.get(URL)
        return (perf_counter() - start) / CALLS

    with asyncio.Runner() as runner:

        def sampler(http: httpx2.AsyncClient) -> Callable[[], float]:
            return lambda: runner.run(calls(http))

        return undisturbed({name: sampler(http) for name, http in clients.items()}, rounds)


def undisturbed(samples: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """As `interleave`, without the collector's pauses, which strike whoever is running."""
    gc.collect()
    gc.disable()
    try:
        return interleave(samples, rounds)
    finally:
        gc.enable()


def _result(measure: str, seconds: Mapping[str, Sequence[float]]) -> Result:
    quick = quickest_rounds(seconds)
    added_us = {name: median(map(sub, took, quick[FIXED])) * 1e6 for name, took in quick.items()}
    return Result(
        measure=measure,
        fixed_header=f"0 = {median(quick[FIXED]) * 1e6:.0f} µs",
        gatepass=f"{added_us[GATEPASS]:.1f} µs",
        official_sdk=f"{added_us[SDK]:.1f} µs" if SDK in added_us else None,
        aim=f"{AIM_US:g} µs",
        met=added_us[GATEPASS] <= AIM_US,
    )


def quickest_rounds(seconds: Mapping[str, Sequence[float]]) -> dict[str, tuple[float, ...]]:
    """The quarter of the rounds in which the machine had least else to do, whole, so that differences stay fair."""
    rounds = sorted(zip(*seconds.values(), strict=False), key=sum)
    return dict(zip(seconds, zip(*rounds[: max(1, len(rounds) // 4)], strict=True), strict=True))


def answer(_: httpx2.Request) -> httpx2.Response:
    """The resource, in this process."""
    return httpx2.Response(200)
