"""How many requests it takes: to get in, to stay in, to come back, and when servers say no."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import httpx2

from benchmarks.contenders import FixedHeader, SdkStorage, gatepass_auth, sdk_auth
from benchmarks.results import FIXED, GATEPASS, SDK, Result
from gatepass import FileStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from benchmarks.bench import Bench
    from benchmarks.servers import Counts, Servers, Site

__all__ = ["requests_sent"]

CALLERS = 100
SHORT_LIFE_S = 1.0


def requests_sent(bench: Bench) -> Iterator[Result]:
    """Counted by the servers; calls that belong together are all under way at once."""
    servers = bench.servers
    yield _cold(servers)
    yield _token_endpoint_down(servers)
    yield _everybody_refused(servers)
    yield _restart_with_a_valid_token(servers, Shelves(bench.folder / "valid"))
    soon_expired = Shelves(bench.folder / "expired")
    yield _renewal(servers, soon_expired)
    yield _restart_with_an_expired_token(servers, soon_expired)


def _cold(servers: Servers) -> Result:
    counts = {name: _count(servers, make(servers.site)) for name, make in _NEW.items()}

    def told(counted: Counts) -> str:
        return f"{counted.token} + {counted.discovery}" + (" (after a 401)" if counted.refused else "")

    return _row(
        f"{CALLERS} cold callers: token + discovery requests",
        {name: told(counted) for name, counted in counts.items()},
        aim="1 + 2",
        met=(counts[GATEPASS].token, counts[GATEPASS].discovery) <= (1, 2),
    )


def _token_endpoint_down(servers: Servers) -> Result:
    servers.trouble_token_endpoint(status=503)
    sent = {name: _count_in_trouble(servers, make(servers.site)).total for name, make in _NEW.items()}
    servers.trouble_token_endpoint()
    return _row(f"{CALLERS} calls, token endpoint answers 503: requests", sent, aim="3", met=sent[GATEPASS] <= 3)


def _everybody_refused(servers: Servers) -> Result:
    """The token was good; then the resource turns against everybody."""
    auths = {name: make(servers.site) for name, make in _NEW.items()}
    for auth in auths.values():
        _count(servers, auth, calls=1)
    servers.refuse_everybody(True)
    counts = {name: _count_in_trouble(servers, auth) for name, auth in auths.items()}
    servers.refuse_everybody(False)
    return _row(
        f"{CALLERS} calls, resource always answers 401: requests",
        {name: f"{counted.total}, {counted.token} minted" for name, counted in counts.items()},
        aim="203, 1 minted",
        met=counts[GATEPASS].total <= 203 and counts[GATEPASS].token <= 1,
    )


def _restart_with_a_valid_token(servers: Servers, shelves: Shelves) -> Result:
    for auth in shelves.contenders(servers.site).values():
        _count(servers, auth, calls=1)
    restarted = shelves.contenders(servers.site)
    return _on_top_of_one("restart with a valid stored token: auth requests", servers, restarted, at_most=0)


def _renewal(servers: Servers, shelves: Shelves) -> Result:
    """The same process, after the token has expired. It leaves a token that will soon expire in the store."""
    contenders = shelves.contenders(servers.site)
    servers.issue_short_tokens(SHORT_LIFE_S)
    for auth in contenders.values():
        _count(servers, auth, calls=1)
    time.sleep(SHORT_LIFE_S * 1.2)
    renewed = _on_top_of_one("renewal after expiry: auth requests", servers, contenders, at_most=1)
    servers.issue_short_tokens(None)
    return renewed


def _restart_with_an_expired_token(servers: Servers, shelves: Shelves) -> Result:
    time.sleep(SHORT_LIFE_S * 1.2)
    restarted = shelves.contenders(servers.site)
    return _on_top_of_one("restart with an expired stored token: auth requests", servers, restarted, at_most=1)


class Shelves:
    """Where tokens outlive a process: the file store of gatepass, and for the SDK an object that stays.

    Args:
        folder: for the file store.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._storage = SdkStorage()

    def contenders(self, site: Site) -> dict[str, httpx2.Auth]:
        """As a new process would make them."""
        return {
            FIXED: FixedHeader(site.token),
            GATEPASS: gatepass_auth(site, store=FileStore(self._folder)),
            SDK: sdk_auth(site, self._storage),
        }


def _on_top_of_one(measure: str, servers: Servers, contenders: Mapping[str, httpx2.Auth], *, at_most: int) -> Result:
    """What one call needs beside its own request: every request to the authorization server, and every refused one."""
    extra = {name: _count(servers, auth, calls=1).total - 1 for name, auth in contenders.items()}
    return _row(measure, extra, aim=str(at_most), met=extra[GATEPASS] <= at_most)


def _row(measure: str, cells: Mapping[str, object], *, aim: str, met: bool | None) -> Result:
    fixed, ours, sdk = (str(cells[name]) for name in (FIXED, GATEPASS, SDK))
    return Result(measure=measure, fixed_header=fixed, gatepass=ours, official_sdk=sdk, aim=aim, met=met)


def _count(servers: Servers, auth: httpx2.Auth, *, calls: int = CALLERS) -> Counts:
    """The requests of calls that must succeed."""
    servers.reset()
    for answer in asyncio.run(_answers(auth, servers.site, calls)):
        if isinstance(answer, BaseException):
            raise answer
        answer.raise_for_status()
    return servers.counts()


def _count_in_trouble(servers: Servers, auth: httpx2.Auth) -> Counts:
    """The requests of calls that may well fail."""
    servers.reset()
    asyncio.run(_answers(auth, servers.site, CALLERS))
    return servers.counts()


async def _answers(auth: httpx2.Auth, site: Site, calls: int) -> list[httpx2.Response | BaseException]:
    limits = httpx2.Limits(max_connections=calls, max_keepalive_connections=calls)
    async with httpx2.AsyncClient(auth=auth, limits=limits, timeout=30) as http:
        return await asyncio.gather(*(http.get(site.hello) for _ in range(calls)), return_exceptions=True)


_NEW: dict[str, Callable[[Site], httpx2.Auth]] = {
    FIXED: lambda site: FixedHeader(site.token),
    GATEPASS: gatepass_auth,
    SDK: sdk_auth,
}
