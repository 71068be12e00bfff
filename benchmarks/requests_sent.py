"""How many requests it takes: to get in, to stay in, to come back, and when servers say no."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import TYPE_CHECKING

from benchmarks.contenders import CONTENDERS, FIXED, GATEPASS, YARDSTICKS
from benchmarks.contenders.base import Shelf
from benchmarks.results import Result, best, compare, with_yardsticks

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator, Mapping
    from typing import Any

    from benchmarks.bench import Bench
    from benchmarks.contenders.base import Contender, Get
    from benchmarks.results import Figure
    from benchmarks.servers import Counts, Servers

    Play = Callable[[Contender, Servers], Coroutine[None, None, Figure]]

__all__ = ["herd", "restarts", "trouble"]

CALLERS = 100
SHORT_LIFE_S = 1.0
GIVES_UP = "It passes the 401 on, and goes on with the token that was refused."
TOLD = "It is told the token endpoint, and discovers nothing."
EXPIRED = "It fetches its first token only when told to; here it starts with one that has expired."


def herd(bench: Bench) -> Iterator[Result]:
    """Many callers at once, and no token yet. Who leaves it to chance how often it asks is shown at its worst."""
    servers = bench.servers
    cold: dict[str, Figure] = {}
    for _ in range(bench.rounds(5)):
        for name, figure in _played(servers, _cold).items():
            cold[name] = max(figure, cold.get(name, figure))
    yield Result(
        name="herd-requests",
        measure=f"{CALLERS} cold callers: token requests + discovery + 401s",
        figures=cold,
        form="{:.0f} + {:.0f} + {:.0f}",
        notes={
            "authlib": f"{TOLD} {EXPIRED}",
            **dict.fromkeys(("httpx-auth", "requests-oauth2client", "google-auth"), TOLD),
        },
        aim="1 + 2 + 0",
        met=cold[GATEPASS] <= (1, 2, 0),
    )
    samples = {
        name: lambda each=each: asyncio.run(_cold_seconds(each, servers))
        for name, each in with_yardsticks(CONTENDERS).items()
    }
    seconds = best(samples, bench.rounds(10))
    yield compare("herd-time", f"{CALLERS} cold callers: time", seconds, notes={"authlib": EXPIRED})


async def _cold(contender: Contender, servers: Servers) -> Figure:
    async with contender.opened(contender.cold(servers.site)) as (get,):
        await _succeed(get, servers, CALLERS)
    counts = servers.counts()
    return counts.token, counts.discovery, counts.refused


async def _cold_seconds(contender: Contender, servers: Servers) -> float:
    async with contender.opened(contender.cold(servers.site)) as (get,):
        start = time.perf_counter()
        await _succeed(get, servers, CALLERS)
        return time.perf_counter() - start


def trouble(bench: Bench) -> Iterator[Result]:
    """Servers say no: the authorization server, the resource to one token, the resource to everything."""
    servers = bench.servers
    sent = _played(servers, _token_endpoint_down)
    yield _row("as-503", f"{CALLERS} calls, token endpoint answers 503: requests", sent, at_most=3)
    failed = _played(servers, _revoked)
    measure = f"{CALLERS} calls after the token was revoked: calls that fail"
    notes = dict.fromkeys(("authlib", "httpx-auth", "requests-oauth2client"), GIVES_UP)
    yield _row("revoked", measure, failed, at_most=0, notes=notes)
    refused = _played(servers, _everybody_refused)
    yield Result(
        name="rs-401",
        measure=f"{CALLERS} calls, resource always answers 401: requests, tokens minted",
        figures=refused,
        form="{:.0f}, {:.0f}",
        notes=notes,
        aim="203, 1",
        met=refused[GATEPASS] <= (203, 1),
    )


async def _token_endpoint_down(contender: Contender, servers: Servers) -> Figure:
    servers.trouble_token_endpoint(status=503)
    async with contender.opened(contender.cold(servers.site)) as (get,):
        await _attempt(get, servers)
    servers.trouble_token_endpoint()
    return servers.counts().total


async def _revoked(contender: Contender, servers: Servers) -> Figure:
    async with contender.opened(contender.cold(servers.site)) as (get,):
        await _succeed(get, servers, 1)
        servers.revoke_all()
        return sum(answer != 200 for answer in await _attempt(get, servers))


async def _everybody_refused(contender: Contender, servers: Servers) -> Figure:
    """The token was good; then the resource turns against everybody."""
    async with contender.opened(contender.cold(servers.site)) as (get,):
        await _succeed(get, servers, 1)
        servers.refuse_everybody(True)
        await _attempt(get, servers)
        servers.refuse_everybody(False)
    counts = servers.counts()
    return counts.total, counts.token


def restarts(bench: Bench) -> Iterator[Result]:
    """A process that starts where another one left a token, and one that lives on when its token has expired."""
    servers = bench.servers
    shelf = Shelf(folder=bench.folder / "valid")
    extra = _played(servers, partial(_valid_token_stored, shelf))
    yield _row("restart-valid", "restart with a valid stored token: auth requests", extra, at_most=0)
    shelf = Shelf(folder=bench.folder / "expired")
    servers.issue_short_tokens(SHORT_LIFE_S)
    extra = _played(servers, partial(_token_expires, shelf))
    yield _row("renewal", "renewal after expiry: auth requests", extra, at_most=1)
    time.sleep(SHORT_LIFE_S * 1.2)
    servers.issue_short_tokens(None)
    extra = _played(servers, partial(_stored_token, shelf))
    yield _row("restart-expired", "restart with an expired stored token: auth requests", extra, at_most=1)


async def _valid_token_stored(shelf: Shelf, contender: Contender, servers: Servers) -> Figure:
    auth = contender.cold(servers.site, shelf=shelf)
    async with contender.opened(auth) as (get,):
        await _succeed(get, servers, 1)
    contender.keep(auth, shelf)
    return await _stored_token(shelf, contender, servers)


async def _token_expires(shelf: Shelf, contender: Contender, servers: Servers) -> Figure:
    auth = contender.cold(servers.site, shelf=shelf, leeway_s=0.1)
    async with contender.opened(auth) as (get,):
        await _succeed(get, servers, 1)
        await asyncio.sleep(SHORT_LIFE_S * 1.2)
        counts = await _succeed(get, servers, 1)
    contender.keep(auth, shelf)
    return counts.total - 1


async def _stored_token(shelf: Shelf, contender: Contender, servers: Servers) -> Figure:
    """What the first call of a process needs beside its own request."""
    async with contender.opened(contender.cold(servers.site, shelf=shelf)) as (get,):
        return (await _succeed(get, servers, 1)).total - 1


def _played(servers: Servers, play: Play) -> dict[str, Figure]:
    """A measure for every contender, each after the other; the fixed header is that on httpx2."""
    contenders = {FIXED: YARDSTICKS["httpx2"], **CONTENDERS}
    return {name: asyncio.run(play(each, servers)) for name, each in contenders.items()}


async def _succeed(get: Get, servers: Servers, calls: int) -> Counts:
    """The requests of calls that must succeed."""
    servers.reset()
    statuses = await asyncio.gather(*(get(servers.site.hello) for _ in range(calls)))
    if any(status != 200 for status in statuses):
        raise RuntimeError(f"A call that must succeed was answered {max(statuses)}.")
    return servers.counts()


async def _attempt(get: Get, servers: Servers) -> list[Any]:
    """The answers to calls that may well fail."""
    servers.reset()
    return await asyncio.gather(*(get(servers.site.hello) for _ in range(CALLERS)), return_exceptions=True)


def _row(
    name: str,
    measure: str,
    figures: Mapping[str, Figure],
    *,
    at_most: int,
    notes: Mapping[str, str] | None = None,
) -> Result:
    met = figures[GATEPASS] <= at_most
    aim = str(at_most)
    return Result(name=name, measure=measure, figures=figures, form="{:.0f}", notes=notes or {}, aim=aim, met=met)
