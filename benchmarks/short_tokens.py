"""Tokens that live two seconds, from a server 100 ms away, under a steady stream of calls.

Nobody should feel a renewal.
"""

from __future__ import annotations

import asyncio
from statistics import quantiles
from time import perf_counter
from typing import TYPE_CHECKING

import httpx2

from benchmarks.contenders import FixedHeader, gatepass_auth, sdk_auth
from benchmarks.results import FIXED, GATEPASS, SDK, Result, best, compare

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.bench import Bench
    from benchmarks.servers import Servers, Site

__all__ = ["short_tokens"]

TOKEN_S, TOKEN_REQUEST_S = 2.0, 0.1
RATE_HZ, CALL_MS = 50, 10
STREAM_S = 3.2
WARM_UP_CALLS = 5


def short_tokens(bench: Bench) -> Iterator[Result]:
    """The slowest one in a hundred calls, and the calls that the resource refused."""
    servers = bench.servers
    site = servers.site
    contenders: dict[str, Callable[[], httpx2.Auth]] = {
        FIXED: lambda: FixedHeader(site.token),
        GATEPASS: lambda: gatepass_auth(site),
        SDK: lambda: sdk_auth(site),
    }
    refused = dict.fromkeys(contenders, 0)

    def sampler(name: str) -> Callable[[], float]:
        def sample() -> float:
            p99, refusals = asyncio.run(_stream(contenders[name](), site, servers))
            refused[name] = max(refused[name], refusals)
            return p99

        return sample

    servers.issue_short_tokens(TOKEN_S)
    servers.trouble_token_endpoint(delay_s=TOKEN_REQUEST_S)
    seconds = best({name: sampler(name) for name in contenders}, bench.rounds(2))
    servers.trouble_token_endpoint()
    servers.issue_short_tokens(None)
    what = f"tokens of {TOKEN_S:g} s, {RATE_HZ} calls a second:"
    yield compare(f"{what} p99", seconds, at_most=1.1)
    yield Result(
        measure=f"{what} 401s",
        fixed_header=str(refused[FIXED]),
        gatepass=str(refused[GATEPASS]),
        official_sdk=str(refused[SDK]),
        aim="0",
        met=refused[GATEPASS] == 0,
    )


async def _stream(auth: httpx2.Auth, site: Site, servers: Servers) -> tuple[float, int]:
    """The calls leave on the beat, however long earlier ones take; the first ones, which get the token, don't count."""

    async def timed_call() -> float:
        start = perf_counter()
        (await http.get(f"{site.url}/plain/sleep?ms={CALL_MS}")).raise_for_status()
        return perf_counter() - start

    async with httpx2.AsyncClient(auth=auth, timeout=30) as http:
        for _ in range(WARM_UP_CALLS):
            await timed_call()
        servers.reset()
        loop = asyncio.get_running_loop()
        start, calls = loop.time(), []
        for number in range(int(RATE_HZ * STREAM_S)):
            await asyncio.sleep(start + number / RATE_HZ - loop.time())
            calls.append(asyncio.create_task(timed_call()))
        times = await asyncio.gather(*calls)
    return quantiles(times, n=100)[98], servers.counts().refused
