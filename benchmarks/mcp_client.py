"""A real MCP client whose calls are under way at the same time: the official SDK's, and FastMCP's for FastMCP."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from time import perf_counter
from typing import TYPE_CHECKING, Any

import fastmcp
import httpx2
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client

import gatepass
from benchmarks.contenders import CONTENDERS, GATEPASS, YARDSTICKS
from benchmarks.results import best, compare, without, yardstick_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.bench import Bench
    from benchmarks.results import Result

__all__ = ["mcp_client"]

CALLS, CALL_S = 10, 0.5


def mcp_client(bench: Bench) -> Iterator[Result]:
    """Ten tool calls of half a second at once, in a session that is open already."""
    site = bench.servers.site
    cold = {name: lambda each=each: each.cold(site) for name, each in CONTENDERS.items()}
    header = YARDSTICKS["httpx2"].cold(site)
    samples: dict[str, Callable[[], float]] = {
        yardstick_of(GATEPASS): lambda: asyncio.run(_through(httpx2.AsyncClient(auth=header), site.url)),
        "fixed header, FastMCP": lambda: asyncio.run(_calls(fastmcp.Client(site.url, auth=header))),
        GATEPASS: lambda: asyncio.run(_calls(gatepass.connect(cold[GATEPASS]()))),
        "official SDK": lambda: asyncio.run(_through(httpx2.AsyncClient(auth=cold["official SDK"]()), site.url)),
        "FastMCP": lambda: asyncio.run(_calls(fastmcp.Client(site.url, auth=cold["FastMCP"]()))),
    }
    seconds = best(samples, bench.rounds(3), patience_s=12.0)
    seconds["FastMCP"] *= seconds[yardstick_of("FastMCP")] / seconds.pop("fixed header, FastMCP")
    measure = f"MCP client, {CALLS} tool calls of {CALL_S:g} s at once"
    notes = {**without("mcp"), "FastMCP": "Against a fixed header on its own MCP client."}
    yield compare("mcp-client", measure, seconds, at_most=1.05, notes=notes)


async def _through(http: httpx2.AsyncClient, url: str) -> float:
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(http)
        return await _calls(Client(streamable_http_client(url, http_client=http)))


async def _calls(client: Any) -> float:
    async with client as mcp:
        await mcp.call_tool("echo", {"text": "warm"})
        start = perf_counter()
        await asyncio.gather(*(mcp.call_tool("slow", {"seconds": CALL_S}) for _ in range(CALLS)))
        return perf_counter() - start
