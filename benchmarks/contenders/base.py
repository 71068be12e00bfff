"""What the measures ask of a contender, and the three HTTP clients that contenders speak."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from threading import Barrier
from typing import TYPE_CHECKING, Any, ClassVar

import httpx2
import requests
from requests.adapters import BaseAdapter, HTTPAdapter

from benchmarks.servers import CLIENT_ID, SCOPE

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
    from pathlib import Path
    from types import ModuleType

    from benchmarks.servers import Site

    Get = Callable[[str], Awaitable[int]]
    """Calls a URL; the status of the answer."""

__all__ = [
    "ISSUER",
    "LIFETIME_S",
    "READY",
    "RESOURCE_METADATA",
    "SERVER_METADATA",
    "URL",
    "Contender",
    "OnHttpx",
    "OnRequests",
    "Shelf",
    "a_token",
    "in_process",
    "pooled",
]

URL = "https://mcp.example.com/mcp"
"""Where calls go that never leave the process."""
LIFETIME_S = 86_400
ISSUER = "https://auth.example.com"
RESOURCE_METADATA = {"resource": URL, "authorization_servers": [ISSUER], "scopes_supported": [SCOPE]}
SERVER_METADATA = {
    "issuer": ISSUER,
    "token_endpoint": f"{ISSUER}/token",
    "authorization_endpoint": f"{ISSUER}/authorize",  # the SDK takes no metadata without it
    "response_types_supported": ["code"],
    "grant_types_supported": ["client_credentials"],
    "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
}
READY = "# ready to call"
"""Where a program has made and imported everything, and calls next."""
TIMEOUT_S = 30


def a_token(number: int = 0) -> str:
    """As long as a JWT is, and different for each identity."""
    return f"eyJhbGciOiJSUzI1NiJ9.{'x' * 700}{number:05}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """Where tokens outlive a process.

    Attributes:
        folder: for a store on disk.
        kept: for what a program has to keep by itself, as if it were on disk.
    """

    folder: Path
    kept: dict[str, Any] = field(default_factory=dict)


class Contender(ABC):
    """One column of the table.

    Attributes:
        name: the head of the column.
        package: what is installed.
        speaks: its HTTP client; a fixed header on the same is its yardstick.
        imports: what a program imports.
        lacks: what it has no way to do, and why, in a sentence: ``"sync"``, ``"async"``, ``"mcp"``, ``"disk"``.
    """

    name: ClassVar[str]
    package: ClassVar[str]
    speaks: str
    imports: ClassVar[str]
    lacks: ClassVar[Mapping[str, str]] = {}

    @abstractmethod
    def cold(
        self,
        site: Site,
        *,
        client_id: str = CLIENT_ID,
        shelf: Shelf | None = None,
        leeway_s: float | None = None,
    ) -> Any:
        """What a program makes once, at its start.

        Args:
            site: where to get in.
            client_id: as whom.
            shelf: where an earlier process may have left a token.
            leeway_s: how long before its end a token is replaced, in seconds, where that can be said.
        """

    @abstractmethod
    def holding(self, url: str, number: int = 0) -> Any:
        """The same with a token that cost no network and lives for a day; identities differ in their number."""

    def keep(self, auth: Any, shelf: Shelf) -> None:  # noqa: B027 - most do it by themselves
        """What a program has to do before it ends, so that the next one finds the token."""

    def crowd(self, site: Site, size: int) -> list[Any]:
        """Many identities in one process, all of them cold."""
        return [self.cold(site, client_id=f"{CLIENT_ID}-{number}") for number in range(size)]

    def member(self, auth: Any, *, asynchronous: bool = False) -> Any:  # noqa: ARG002 - for those that override it
        """What a process keeps for an identity: as a rule, what `holding` gave."""
        return auth

    @abstractmethod
    def caller(self) -> Callable[[Any], object]:
        """Makes one call for a member, to a resource in this process."""

    @abstractmethod
    def async_caller(self) -> Callable[[Any], Awaitable[object]]:
        """As `caller`, in an event loop."""

    @abstractmethod
    def opened(self, *auths: Any, connections: int = 100) -> AbstractAsyncContextManager[list[Get]]:
        """A client on the network; a `Get` for each of the auths."""

    def program(self, site: Site, *, asynchronous: bool = False, folder: Path | None = None) -> str:
        """A whole program that makes one authorized call, as a user would write it; a line of it is `READY`.

        Args:
            site: where to get in.
            asynchronous: with asyncio.
            folder: where tokens are kept.
        """
        raise NotImplementedError


class OnHttpx(Contender):
    """Speaks httpx2, or httpx, whose classes are the same."""

    speaks = "httpx2"
    library: ModuleType = httpx2

    def caller(self) -> Callable[[Any], object]:
        http = self.library.Client(transport=self.library.MockTransport(self._answer))
        return lambda member: http.get(URL, auth=member)

    def async_caller(self) -> Callable[[Any], Awaitable[object]]:
        http = self.library.AsyncClient(transport=self.library.MockTransport(self._answer))
        return lambda member: http.get(URL, auth=member)

    @asynccontextmanager
    async def opened(self, *auths: Any, connections: int = 100) -> AsyncGenerator[list[Get]]:
        async with self.library.AsyncClient(**self._options(connections)) as http:
            yield [self._get(http, auth=auth) for auth in auths]

    def _get(self, http: Any, **options: Any) -> Get:
        async def get(url: str) -> int:
            return (await http.get(url, **options)).status_code

        return get

    def _options(self, connections: int) -> dict[str, Any]:
        limits = self.library.Limits(max_connections=connections, max_keepalive_connections=connections)
        return {"limits": limits, "timeout": self.library.Timeout(TIMEOUT_S, pool=None)}  # a crowd has to queue

    def _answer(self, _: object) -> Any:
        return self.library.Response(200)

    def _program(self, setup: str, options: str, url: str, *, asynchronous: bool) -> str:
        """A program around what differs: what is made before the client, and what the client is given."""
        name = self.library.__name__
        if not asynchronous:
            return f"""\
import {name}
{setup}
{READY}
with {name}.Client({options}) as http:
    http.get({url!r}).raise_for_status()
"""
        return f"""\
import asyncio
import {name}
{setup}
async def main():
    async with {name}.AsyncClient({options}) as http:
        (await http.get({url!r})).raise_for_status()
{READY}
asyncio.run(main())
"""


class OnRequests(Contender):
    """Speaks requests: many calls at once are as many threads."""

    speaks = "requests"
    lacks: ClassVar[Mapping[str, str]] = {
        "async": "It speaks requests, which has no asyncio side.",
        "mcp": "It does not speak httpx2, as the MCP client does.",
    }

    def caller(self) -> Callable[[Any], object]:
        session = in_process(requests.Session())
        return lambda member: session.get(URL, auth=member)

    def async_caller(self) -> Callable[[Any], Awaitable[object]]:
        raise NotImplementedError

    @asynccontextmanager
    async def opened(self, *auths: Any, connections: int = 100) -> AsyncGenerator[list[Get]]:
        with ThreadPoolExecutor(connections) as threads:
            all_there = Barrier(connections)  # or the first threads would be done before the last have started
            for _ in range(connections):
                threads.submit(all_there.wait)
            yield [self._get(threads, session, options) for session, options in self._sessions(auths, connections)]

    def _sessions(self, auths: Sequence[Any], connections: int) -> list[tuple[requests.Session, dict[str, Any]]]:
        """For each of the auths, a session and what each call is given."""
        session = pooled(requests.Session(), connections)
        return [(session, {"auth": auth}) for auth in auths]

    def _get(self, threads: ThreadPoolExecutor, session: requests.Session, options: dict[str, Any]) -> Get:
        def call(url: str) -> int:
            return session.get(url, timeout=TIMEOUT_S, **options).status_code

        async def get(url: str) -> int:
            return await asyncio.get_running_loop().run_in_executor(threads, call, url)

        return get

    def _program(self, setup: str, url: str) -> str:
        return f"""\
import requests
session = requests.Session()
{setup}
{READY}
session.get({url!r}).raise_for_status()
"""


class InProcess(BaseAdapter):
    """The resource, in this process, for requests."""

    def send(self, request: requests.PreparedRequest, **_: object) -> requests.Response:
        response = requests.Response()
        response.status_code, response.request, response.url = 200, request, URL
        response._content = b""  # noqa: SLF001 - what an adapter without a socket has to do
        return response

    def close(self) -> None:
        """There is nothing to close."""


def in_process(session: requests.Session) -> requests.Session:
    """A session whose calls stay here. The environment is left alone: each call would look for proxies and .netrc."""
    session.trust_env = False
    session.mount("https://", InProcess())
    return session


def pooled(session: requests.Session, connections: int) -> requests.Session:
    """A session with room for that many calls at once."""
    session.trust_env = False
    session.mount("http://", HTTPAdapter(pool_maxsize=connections, pool_block=True))
    return session
