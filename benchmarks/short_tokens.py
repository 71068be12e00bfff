"""Tokens that live two seconds, from a server 100 ms away, under a steady stream of calls across many expiries.

Nobody should feel a renewal.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from statistics import quantiles
from time import perf_counter
from typing import TYPE_CHECKING

from benchmarks.contenders import CONTENDERS, FIXED, GATEPASS
from benchmarks.results import Result, compare, with_yardsticks, yardstick_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from benchmarks.bench import Bench
    from benchmarks.contenders.base import Contender
    from benchmarks.servers import Servers

__all__ = ["short_tokens"]

TOKEN_S, TOKEN_REQUEST_S = 2.0, 0.1
LEEWAY_S = 0.2
RATE_HZ, CALL_MS = 50, 10
STREAM_S, QUICK_STREAM_S = 12.2, 3.2
WARM_UP_CALLS = 5
LEEWAY_NOTES = {
    **dict.fromkeys(
        ("authlib", "httpx-auth", "requests-oauth2client"),
        f"It is told to replace a token {LEEWAY_S:g} s before its end; by default 20 to 60 s, more than a token lives.",
    ),
    "google-auth": "It replaces a token 225 s before its end, which can't be changed: with short tokens, at each call.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """How a stream of calls went.

    Attributes:
        seconds: what each call took.
        refused: how many calls the resource answered 401.
        failed: how many calls did not succeed in the end.
        token_requests: how many tokens were asked for.
    """

    seconds: list[float]
    refused: int
    failed: int
    token_requests: int

    def percentile(self, number: int) -> float:
        """What that many of a hundred calls took at the most, in seconds."""
        return quantiles(self.seconds, n=100)[number - 1]


def short_tokens(bench: Bench) -> Iterator[Result]:
    """What half of the calls and 99 of 100 take at most, the calls that were refused, and the tokens asked for."""
    servers = bench.servers
    stream_s = QUICK_STREAM_S if bench.quick else STREAM_S
    servers.issue_short_tokens(TOKEN_S)
    servers.trouble_token_endpoint(delay_s=TOKEN_REQUEST_S)
    streams = {
        name: asyncio.run(_stream(each, servers, stream_s)) for name, each in with_yardsticks(CONTENDERS).items()
    }
    servers.trouble_token_endpoint()
    servers.issue_short_tokens(None)
    what = f"tokens of {TOKEN_S:g} s, {RATE_HZ} calls a second for {stream_s:.0f} s:"
    for number, at_most in ((50, 1.1), (99, 1.1)):
        seconds = {name: stream.percentile(number) for name, stream in streams.items()}
        yield compare(f"short-tokens-p{number}", f"{what} p{number}", seconds, at_most=at_most, notes=LEEWAY_NOTES)
    yield _counted("short-tokens-401s", f"{what} 401s", {n: s.refused for n, s in streams.items()}, aim=0)
    yield _counted("short-tokens-failed", f"{what} calls that failed", {n: s.failed for n, s in streams.items()}, aim=0)
    yield _counted("short-tokens-minted", f"{what} token requests", {n: s.token_requests for n, s in streams.items()})


def _counted(name: str, measure: str, counts: Mapping[str, int], aim: int | None = None) -> Result:
    figures = {FIXED: counts[yardstick_of(GATEPASS)], **{each: counts[each] for each in CONTENDERS}}
    return Result(
        name=name,
        measure=measure,
        figures=figures,
        form="{:.0f}",
        aim="" if aim is None else str(aim),
        met=None if aim is None else counts[GATEPASS] <= aim,
    )


async def _stream(contender: Contender, servers: Servers, stream_s: float) -> Stream:
    """The calls leave on the beat, however long earlier ones take; the first ones, which get the token, don't count."""
    seconds: list[float] = []
    url = f"{servers.site.url}/plain/sleep?ms={CALL_MS}"

    async def timed_call() -> int:
        start = perf_counter()
        status = await get(url)
        seconds.append(perf_counter() - start)
        return status

    async with contender.opened(contender.cold(servers.site, leeway_s=LEEWAY_S)) as (get,):
        for _ in range(WARM_UP_CALLS):
            await timed_call()
        seconds.clear()
        servers.reset()
        loop = asyncio.get_running_loop()
        start, calls = loop.time(), []
        for number in range(int(RATE_HZ * stream_s)):
            await asyncio.sleep(start + number / RATE_HZ - loop.time())
            calls.append(asyncio.create_task(timed_call()))
        answers = await asyncio.gather(*calls, return_exceptions=True)
    counts = servers.counts()
    failed = sum(answer != 200 for answer in answers)
    return Stream(seconds=seconds, refused=counts.refused, failed=failed, token_requests=counts.token)
