"""A real MCP client, of the official SDK, whose calls are under way at the same time."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from time import perf_counter
from typing import TYPE_CHECKING

import httpx2
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client

import gatepass
from benchmarks.contenders import FixedHeader, gatepass_auth, sdk_auth
from benchmarks.results import FIXED, GATEPASS, SDK, Result, best, compare

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.bench import Bench

__all__ = ["mcp_client"]

CALLS, CALL_S = 10, 0.5


def mcp_client(bench: Bench) -> Iterator[Result]:
    """Ten tool calls of half a second at once, in a session that is open already."""
    site = bench.servers.site
    samples: dict[str, Callable[[], float]] = {
        FIXED: lambda: asyncio.run(_through_http_auth(FixedHeader(site.token), site.url)),
        GATEPASS: lambda: asyncio.run(_calls(gatepass.connect(gatepass_auth(site)))),
        SDK: lambda: asyncio.run(_through_http_auth(sdk_auth(site), site.url)),
    }
    measure = f"MCP client, {CALLS} tool calls of {CALL_S:g} s at once"
    yield compare(measure, best(samples, bench.rounds(3)), at_most=1.05)


async def _through_http_auth(auth: httpx2.Auth, url: str) -> float:
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(httpx2.AsyncClient(auth=auth, timeout=30))
        return await _calls(Client(streamable_http_client(url, http_client=http)))


async def _calls(client: Client) -> float:
    async with client as mcp:
        await mcp.call_tool("echo", {"text": "warm"})
        start = perf_counter()
        await asyncio.gather(*(mcp.call_tool("slow", {"seconds": CALL_S}) for _ in range(CALLS)))
        return perf_counter() - start
