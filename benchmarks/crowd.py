"""A crowd: many identities in one process that start cold in the same moment, each with one call.

gatepass gives one authorization server two workers at a time, and has eight in all, so that a server is not stormed by
its own clients: a crowd takes longer for that.
"""

from __future__ import annotations

import asyncio
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from benchmarks.contenders import CONTENDERS, FIXED, GATEPASS, YARDSTICKS
from benchmarks.lean import TOKEN_MS
from benchmarks.results import Result

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping

    from benchmarks.bench import Bench
    from benchmarks.contenders.base import Contender, Get
    from benchmarks.servers import Servers

__all__ = ["crowd"]

SIZES, QUICK_SIZES = (1, 10, 100, 1_000, 10_000), (1, 10, 100)
ALL_TAKE_PART_UP_TO = 1_000
CONNECTIONS = 100
PATIENCE_S = 10.0
MOST_WORKERS, MOST_CONNECTIONS = 8, 16
TOO_LONG_S = 60.0
LEFT_OUT = f"Left out: by what fewer took, it would take more than {TOO_LONG_S:.0f} s."
NOT_SO_MANY = f"Measured up to {ALL_TAKE_PART_UP_TO:,}."
NO_WORKERS = "It works in its callers' threads or event loop."


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """How a crowd got in.

    Attributes:
        took_s: until the last of them had its answer.
        late: how many waited longer than a caller of gatepass does by default.
        workers: how many threads of gatepass there were at the same moment, at most.
        connections: the same of connections to the authorization servers.
    """

    took_s: float
    late: int
    workers: int
    connections: int


def crowd(bench: Bench) -> Iterator[Result]:
    """From one identity to ten thousand, at one authorization server; then the most of them at sixteen."""
    sizes = QUICK_SIZES if bench.quick else SIZES
    arrivals: dict[str, dict[int, Arrival]] = {name: {} for name in (FIXED, *CONTENDERS)}
    for size in sizes:
        for name, each in {FIXED: YARDSTICKS["httpx2"], **CONTENDERS}.items():
            if _takes_part(name, size, arrivals[name]):
                arrivals[name][size] = asyncio.run(_arrival(each, bench.servers, size, 1))
        yield _times(size, {name: those[size] for name, those in arrivals.items() if size in those})
    most, ours = sizes[-1], arrivals[GATEPASS]
    everywhere = asyncio.run(_arrival(CONTENDERS[GATEPASS], bench.servers, most, len(bench.servers.crowd)))
    peers = [name for name in CONTENDERS if name != GATEPASS]
    yield Result(
        name="crowd-everywhere",
        measure=f"{most:,} identities cold at once, at {len(bench.servers.crowd)} authorization servers: each",
        figures={GATEPASS: everywhere.took_s / most * 1000},
        form="{:.2f} ms",
        notes=dict.fromkeys(peers, "Measured at one authorization server only."),
    )
    yield Result(
        name="crowd-late",
        measure=f"of {most:,} that start cold at once: who waits for more than {PATIENCE_S:.0f} s",
        figures={name: those[most].late for name, those in arrivals.items() if most in those},
        form="{:.0f}",
        notes={name: NOT_SO_MANY for name, those in arrivals.items() if most not in those},
    )
    yield _bounded(
        "crowd-connections",
        f"up to {most:,} identities: connections to authorization servers at once",
        {name: max(each.connections for each in those.values()) for name, those in arrivals.items() if name != FIXED}
        | {GATEPASS: max(each.connections for each in (*ours.values(), everywhere))},
        MOST_CONNECTIONS,
        {name: NOT_SO_MANY for name, those in arrivals.items() if most not in those},
    )
    yield _bounded(
        "crowd-workers",
        f"up to {most:,} identities: threads that make tokens",
        {GATEPASS: max(each.workers for each in (*ours.values(), everywhere))},
        MOST_WORKERS,
        dict.fromkeys(peers, NO_WORKERS),
    )


def _takes_part(name: str, size: int, before: Mapping[int, Arrival]) -> bool:
    """Whether a contender goes on to that size: by its last, as long again for each identity must not take too long."""
    if name != GATEPASS and size > ALL_TAKE_PART_UP_TO:
        return False
    last = max(before, default=0)
    return last == 0 or before[last].took_s / last * size < TOO_LONG_S or name == GATEPASS


def _times(size: int, arrivals: Mapping[str, Arrival]) -> Result:
    absent = NOT_SO_MANY if size > ALL_TAKE_PART_UP_TO else LEFT_OUT
    return Result(
        name=f"crowd-{size}",
        measure=f"{size:,} {'identity' if size == 1 else 'identities'} cold at once, a token in {TOKEN_MS} ms: each",
        figures={name: arrival.took_s / size * 1000 for name, arrival in arrivals.items()},
        form="{:.2f} ms",
        notes={name: absent for name in CONTENDERS if name not in arrivals},
    )


def _bounded(name: str, measure: str, figures: Mapping[str, float], at_most: int, notes: Mapping[str, str]) -> Result:
    met = figures[GATEPASS] <= at_most
    return Result(
        name=name, measure=measure, figures=figures, form="{:.0f}", notes=notes, aim=f"at most {at_most}", met=met
    )


async def _arrival(contender: Contender, servers: Servers, size: int, places: int) -> Arrival:
    """A crowd, spread over so many resources and their authorization servers."""
    sites = servers.crowd[:places]
    auths = list(chain.from_iterable(contender.crowd(site, size // places) for site in sites))
    urls = [site.url for site in sites for _ in range(size // places)]
    servers.reset()
    with _workers_counted() as workers:
        async with contender.opened(*auths, connections=CONNECTIONS) as gets:
            start = time.perf_counter()
            waits = await asyncio.gather(*(_wait(get, url) for get, url in zip(gets, urls, strict=True)))
            took_s = time.perf_counter() - start
    late = sum(wait > PATIENCE_S for wait in waits)
    return Arrival(took_s=took_s, late=late, workers=max(workers), connections=servers.crowd_counts().connections)


async def _wait(get: Get, url: str) -> float:
    start = time.perf_counter()
    status = await get(url)
    if status != 200:
        raise RuntimeError(f"A call that must succeed was answered {status}.")
    return time.perf_counter() - start


@contextmanager
def _workers_counted() -> Generator[list[int]]:
    """How many workers gatepass has, looked at again and again."""
    counts: list[int] = [0]
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.002):
            counts.append(sum(thread.name == "gatepass" for thread in threading.enumerate()))

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield counts
    finally:
        over.set()
        watcher.join()
