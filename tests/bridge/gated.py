"""MCP servers of several makes, all behind the gate of `gatepass.testing`, and the command in front of them."""

from __future__ import annotations

import os
import sys
from collections import Counter
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
import fastmcp
from integration.patience import aeventually
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.streamable_http import EventMessage, EventStore
from mcp_types import SamplingMessage, TextContent
from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Route

from gatepass.testing import ProtectedServer
from gatepass.testing.gate import Gate
from gatepass.testing.metadata import resource_metadata_path

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

SECRET = "canary-client-secret"
SCOPE = "mcp:read"


class Gated(ProtectedServer):
    """Another MCP server in the place of the usual one, which may be restarted: it forgets its sessions then.

    Attributes:
        counted: how often its tool ``count`` was called, by the name of the call. It outlives restarts.
    """

    def __init__(self, authority, make: Callable[[Counter[str]], Starlette], **options: Any) -> None:
        self.counted: Counter[str] = Counter()
        self._make = make
        super().__init__(authority, scopes=(SCOPE,), **options)

    def app(self):
        mcp = self._make(self.counted)
        metadata = Route(resource_metadata_path("path", "/mcp"), self._metadata)
        return Starlette(
            routes=[*mcp.routes, metadata],
            middleware=[Middleware(Gate, server=self)],
            lifespan=mcp.router.lifespan_context,
        )

    def restart(self) -> None:
        self.stop()
        self.start()


class Name(BaseModel):
    name: str


class Events(EventStore):
    """The events of all streams, in memory."""

    def __init__(self) -> None:
        self._events: list[tuple[str, Any]] = []

    async def store_event(self, stream_id, message):
        self._events.append((stream_id, message))
        return str(len(self._events))

    async def replay_events_after(self, last_event_id, send_callback):
        stream_id = self._events[int(last_event_id) - 1][0]
        for number, (stream, message) in enumerate(self._events, 1):
            if number > int(last_event_id) and stream == stream_id and message is not None:
                await send_callback(EventMessage(message, str(number)))
        return stream_id


def official(**options: Any) -> Callable[[Counter[str]], Starlette]:
    """With the official SDK; `options` are those of its app."""

    def make(counted):
        server = MCPServer("official", log_level="CRITICAL")

        async def hang_up(name: str, context: Context) -> int:
            """Closes its stream, and then goes on (2025-11-25)."""
            counted[name] += 1
            await context.close_sse_stream()
            return counted[name]

        for tool in (*counting(counted), echo, steps, ask_all, change, hang_up):
            server.add_tool(tool)
        return server.streamable_http_app(**options)

    return make


def counting(counted: Counter[str]) -> list[Callable[..., Any]]:
    """Tools that count."""

    def count(name: str) -> int:
        counted[name] += 1
        return counted[name]

    async def wait(name: str) -> None:
        """Waits for ever."""
        counted[f"{name} begun"] += 1
        try:
            await anyio.sleep_forever()
        finally:
            counted[f"{name} ended"] += 1

    async def until(name: str) -> None:
        """Waits until that was counted."""
        await aeventually(lambda: counted[name], f"{name} was counted")

    return [count, wait, until]


def echo(text: str) -> str:
    return text


async def steps(number: int, context: Context) -> str:
    for step in range(1, number + 1):
        await context.report_progress(step, number)
    return "done"


async def ask_all(context: Context) -> str:
    """Asks all that a server of the handshake era can ask its client."""
    question = SamplingMessage(role="user", content=TextContent(text="?"))
    said = await context.session.create_message([question], max_tokens=9)
    named = await context.elicit("Who?", Name)
    roots = await context.session.list_roots()
    return f"{said.content.text} {named.data.name} {roots.roots[0].uri}"


async def change(context: Context) -> str:
    """Says that the tools have changed, outside of any request, in both eras."""
    await context.session.send_tool_list_changed()
    await context.notify_tools_changed()
    return "changed"


def other(counted: Counter[str]) -> Starlette:
    """With FastMCP."""
    server = fastmcp.FastMCP("other")

    async def steps(number: int, context: fastmcp.Context) -> str:
        for step in range(1, number + 1):
            await context.report_progress(step, number)
        return "done"

    for tool in (*counting(counted), echo, steps):
        server.tool(tool)
    return server.http_app(path="/mcp")


def environment(authority, home: Path) -> dict[str, str]:
    """What the command finds."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "XDG_STATE_HOME": str(home / "state"),
        "PYTHONWARNINGS": "error",
        "GATEPASS_CLIENT_ID": "ci-bot",
        "GATEPASS_CLIENT_SECRET": SECRET,
        "GATEPASS_ISSUER": authority.issuer,
    } | {name: value for name, value in os.environ.items() if name.startswith("COVERAGE")}


@asynccontextmanager
async def through_the_proxy(server: ProtectedServer, home: Path, **options: Any) -> AsyncIterator[Client]:
    """The official client, which starts ``gatepass proxy --stdio`` as a host does. Nothing secret may be said."""
    log = home / "stderr.txt"
    parameters = StdioServerParameters(
        command=sys.executable,
        args=["-m", "gatepass", "proxy", server.url, "--stdio", "-v"],
        env=environment(server.authorization_server, home),
        cwd=home,
    )
    with log.open("w") as stderr:
        async with Client(stdio_client(parameters, stderr), read_timeout_seconds=60, **options) as client:
            yield client
    said = log.read_text()
    assert "canary" not in said
    assert "eyJ" not in said
    assert "Traceback" not in said
