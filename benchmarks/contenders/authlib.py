"""Authlib: its client is an httpx2 client that authorizes itself.

It fetches the first token only when the program tells it to. Here it starts with one that has expired, which it renews
by itself.
"""

from __future__ import annotations

import time
from contextlib import AsyncExitStack, asynccontextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

import httpx2
from authlib.integrations.httpx_client import AsyncOAuth2Client, OAuth2Client

from benchmarks.contenders.base import ISSUER, LIFETIME_S, READY, URL, OnHttpx, Shelf, a_token
from benchmarks.servers import CLIENT_ID, CLIENT_SECRET, SCOPE, Site

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
    from pathlib import Path

    from benchmarks.contenders.base import Get

__all__ = ["Authlib"]

GRANT = "client_credentials"


class Authlib(OnHttpx):
    """`OAuth2Client` and `AsyncOAuth2Client`: what makes one is kept as its arguments."""

    name = "authlib"
    package = "authlib"
    imports = "from authlib.integrations.httpx_client import OAuth2Client"
    lacks: ClassVar[Mapping[str, str]] = {
        "disk": "It brings no store that outlives the process.",
        "mcp": "The MCP client sends its requests by a method of httpx2 that authlib does not authorize.",
    }

    def cold(
        self,
        site: Site,
        *,
        client_id: str = CLIENT_ID,
        shelf: Shelf | None = None,
        leeway_s: float | None = None,
    ) -> dict[str, Any]:
        kept = {} if shelf is None else shelf.kept

        async def keep(token: dict[str, Any], **_: object) -> None:
            kept[self.name] = token

        return {
            **_arguments(client_id, site.token_endpoint),
            "token": kept.get(self.name) or {"access_token": "expired", "token_type": "Bearer", "expires_at": 1},
            "update_token": keep,
            **({} if leeway_s is None else {"leeway": leeway_s}),
        }

    def holding(self, url: str, number: int = 0) -> dict[str, Any]:  # noqa: ARG002 - it sends its token anywhere
        expires_at = int(time.time()) + LIFETIME_S
        return {
            **_arguments(f"{CLIENT_ID}-{number}", f"{ISSUER}/token"),
            "token": {"access_token": a_token(number), "token_type": "Bearer", "expires_at": expires_at},
        }

    def member(self, auth: Any, *, asynchronous: bool = False) -> AsyncOAuth2Client | OAuth2Client:
        """A client for each identity, with a pool of its own; they share what TLS trusts, or each would load it."""
        make = AsyncOAuth2Client if asynchronous else OAuth2Client
        return make(**auth, verify=_trust(), mounts={"https://": httpx2.MockTransport(self._answer)})

    def caller(self) -> Callable[[Any], object]:
        return lambda member: member.get(URL)

    def async_caller(self) -> Callable[[Any], Awaitable[object]]:
        return lambda member: member.get(URL)

    @asynccontextmanager
    async def opened(self, *auths: Any, connections: int = 100) -> AsyncGenerator[list[Get]]:
        async with AsyncExitStack() as stack:
            gets = []
            for auth in auths:
                client = AsyncOAuth2Client(**auth, verify=_trust(), **self._options(connections))
                gets.append(self._get(await stack.enter_async_context(client)))
            yield gets

    def program(self, site: Site, *, asynchronous: bool = False, folder: Path | None = None) -> str:  # noqa: ARG002
        name = "AsyncOAuth2Client" if asynchronous else "OAuth2Client"
        setup = f"""\
from authlib.integrations.httpx_client import {name}
options = dict(
    client_id={CLIENT_ID!r}, client_secret={CLIENT_SECRET!r}, scope={SCOPE!r}, token_endpoint={site.token_endpoint!r}
)
"""
        if not asynchronous:
            return f"""\
{setup}
{READY}
with {name}(**options) as http:
    http.fetch_token(grant_type={GRANT!r})
    http.get({site.hello!r}).raise_for_status()
"""
        return f"""\
import asyncio
{setup}
async def main():
    async with {name}(**options) as http:
        await http.fetch_token(grant_type={GRANT!r})
        (await http.get({site.hello!r})).raise_for_status()
{READY}
asyncio.run(main())
"""


def _arguments(client_id: str, token_endpoint: str) -> dict[str, Any]:
    return {
        "client_id": client_id,
        "client_secret": CLIENT_SECRET,
        "scope": SCOPE,
        "token_endpoint": token_endpoint,
        "grant_type": GRANT,
    }


@cache
def _trust() -> ssl.SSLContext:
    return httpx2.create_ssl_context()
