"""Many identities in one process, as a gateway has them: what each costs in memory, and what their number costs a call.

Each contender has a process of its own, so that nobody's memory is in the way of another's:

    python -m benchmarks.identities NAME SIZE ...
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import json
import resource
import sys
from itertools import cycle, islice
from operator import sub
from pathlib import Path
from statistics import median
from time import thread_time
from typing import TYPE_CHECKING, Any

from benchmarks.contenders import CONTENDERS, FIXED, YARDSTICKS
from benchmarks.contenders.base import URL
from benchmarks.hot_path import quickest_rounds, undisturbed
from benchmarks.results import Result, yardsticks_shown

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from benchmarks.bench import Bench
    from benchmarks.contenders.base import Contender

__all__ = ["identities"]

SIZES = (1, 100, 1_000, 10_000)
QUICK_SIZES = (1, 100, 1_000)
CALLS = 50
ROUNDS = 200
MEMORY_NOTES = {
    "authlib": "An identity is a client with a pool of its own; all share one SSLContext.",
    "requests-oauth2client": "An identity has a session of its own.",
    "google-auth": "An identity has two sessions of its own.",
}


def identities(bench: Bench) -> Iterator[Result]:
    """Memory by the resident set of the process; calls in this process, the identities in turn."""
    sizes = QUICK_SIZES if bench.quick else SIZES
    rounds = bench.rounds(ROUNDS)
    found = {
        name: bench.ask_python("benchmarks.identities", name, str(rounds), *map(str, sizes))
        for name in (FIXED, *CONTENDERS)
    }
    yield Result(
        name="memory",
        measure=f"memory of an identity with a token, from {sizes[-2]:,} to {sizes[-1]:,}",
        figures={name: answer["bytes"] / 1024 for name, answer in found.items()},
        form="{:.1f} KiB",
        notes=MEMORY_NOTES,
    )
    firsts = {each.speaks: name for name, each in reversed(CONTENDERS.items())}
    for number, size in enumerate(sizes):
        fixed = {f"{FIXED}, {client}": found[firsts[client]]["call_us"][number] for client in YARDSTICKS}
        added = {name: found[name]["added_us"][number] for name in CONTENDERS}
        yield Result(
            name=f"identities-{size}",
            measure=f"hot path with {size:,} {'identity' if size == 1 else 'identities'}: added to a call",
            figures=added,
            form="{:.1f} µs",
            yardstick=f"0 = {yardsticks_shown(fixed, 1, 'µs')}",
        )


def main(name: str, rounds: int, sizes: list[int]) -> None:
    """Grow from size to size; print what was found as JSON."""
    contender = YARDSTICKS["httpx2"] if name == FIXED else CONTENDERS[name]
    asynchronous = "sync" in contender.lacks
    members: list[Any] = []
    resident: list[int] = []
    added_us: list[float] = []
    call_us: list[float] = []
    for size in sizes:
        while len(members) < size:
            members.append(contender.member(contender.holding(URL, len(members)), asynchronous=asynchronous))
        resident.append(_resident_bytes())
        header_s, ours_s = _timed(contender, members, rounds, asynchronous=asynchronous)
        added_us.append(median(map(sub, ours_s, header_s)) * 1e6)
        call_us.append(median(header_s) * 1e6)
    grown = (resident[-1] - resident[-2]) / (sizes[-1] - sizes[-2])
    print(json.dumps({"bytes": grown, "added_us": added_us, "call_us": call_us}))


def _timed(
    contender: Contender, members: list[Any], rounds: int, *, asynchronous: bool
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """What a call takes, round by round: with as many fixed headers, and with the contender's, each in its turn."""
    yardstick = YARDSTICKS[contender.speaks]
    headers = [yardstick.holding(URL, number) for number in range(len(members))]
    with asyncio.Runner() as runner:

        def sampler(each: Contender, those: list[Any]) -> Callable[[], float]:
            turn = cycle(those)
            if asynchronous:
                call = each.async_caller()
                return lambda: runner.run(_async_calls(call, turn))
            call = each.caller()
            return lambda: _calls(call, turn)

        samples = {"header": sampler(yardstick, headers), "contender": sampler(contender, members)}
        quick = quickest_rounds(undisturbed(samples, rounds))
    return quick["header"], quick["contender"]


def _calls(call: Callable[[Any], object], turn: Iterator[Any]) -> float:
    start = thread_time()
    for member in islice(turn, CALLS):
        call(member)
    return (thread_time() - start) / CALLS


async def _async_calls(call: Callable[[Any], Awaitable[object]], turn: Iterator[Any]) -> float:
    start = thread_time()
    for member in islice(turn, CALLS):
        await call(member)
    return (thread_time() - start) / CALLS


def _resident_bytes() -> int:
    """The memory of this process, without garbage; where the system does not tell, the most that it ever was."""
    gc.collect()
    if sys.platform != "linux":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    ctypes.CDLL(None).malloc_trim(0)
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), [int(size) for size in sys.argv[3:]])
