"""MCP servers with the same tools, made with three SDKs, each behind a check of tokens."""

from __future__ import annotations

import base64
import json
import socket
import struct
import subprocess
import threading
import zlib
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import fastmcp
import fastmcp.exceptions
from fastmcp.utilities.types import Image
from interop.node.install import NODE, installed
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import (
    AudioContent,
    BlobResourceContents,
    CallToolResult,
    EmbeddedResource,
    ImageContent,
    ResourceLink,
    TextContent,
)
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Route

from gatepass.testing import ProtectedServer
from gatepass.testing.gate import Gate
from gatepass.testing.metadata import resource_metadata_path
from gatepass.testing.protected_server import PATH

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gatepass.testing import AuthorizationServer

START_TIMEOUT_S = 60
HERE = Path(__file__).parent


def png(colour: bytes) -> bytes:
    """A picture of one pixel."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    scanline = zlib.compress(b"\0" + colour)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", scanline) + chunk(b"IEND", b"")


PICTURE = png(b"\xff\x00\x7f")
SOUND = b"RIFF\x26\0\0\0WAVEfmt \x10\0\0\0\1\0\1\0\x40\x1f\0\0\x80\x3e\0\0\2\0\x10\0data\2\0\0\0\0\0"
DOCUMENT = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"


class GatedServer(ProtectedServer):
    """Somebody's MCP server behind the gate of `gatepass.testing`."""

    def __init__(self, authority: AuthorizationServer, make_app: Callable[[], Starlette], scopes: tuple[str, ...]):
        super().__init__(authority, scopes=scopes)
        self._make_app = make_app

    def app(self) -> Starlette:
        mcp = self._make_app()
        metadata = Route(resource_metadata_path("path", PATH), self._metadata)
        return Starlette(
            routes=[*mcp.routes, metadata],
            middleware=[Middleware(Gate, server=self)],
            lifespan=mcp.router.lifespan_context,
        )


def python_sdk_app(**protection: Any) -> Starlette:
    """Made with the official Python SDK; it has some more tools, for odd results. It may see to its tokens itself."""
    server = MCPServer("a Python server", log_level="WARNING", **protection)

    @server.tool()
    def add(a: float, b: float) -> float:
        """Adds two numbers."""
        return a + b

    @server.tool(structured_output=False)
    def picture() -> list[Any]:
        """Draws something."""
        link = ResourceLink(name="more", uri="https://example.com/more")
        return [TextContent(text="one pixel"), image(PICTURE), link]

    @server.tool()
    def fail() -> str:
        """Fails."""
        raise ToolError("no luck today")

    @server.tool()
    async def steps(context: Context[Any, Any]) -> str:
        """Goes step by step."""
        for step in (1, 2, 3):
            await context.report_progress(step, 3, f"step {step}")
        return "done"

    _add_odd_tools(server)
    return server.streamable_http_app(streamable_http_path=PATH)


def _add_odd_tools(server: MCPServer[Any]) -> None:
    @server.tool(structured_output=False)
    def everything() -> list[Any]:
        """A bit of everything."""
        blob = BlobResourceContents(uri="file:///etc/x", blob=encoded(DOCUMENT), mime_type="application/pdf")
        sound = AudioContent(data=encoded(SOUND), mime_type="audio/wav")
        return [image(PICTURE), TextContent(text="and"), sound, EmbeddedResource(resource=blob)]

    @server.tool(structured_output=False)
    def disguised() -> list[Any]:
        """A page that is called a picture."""
        return [image(b"<script>alert(1)</script>")]

    @server.tool()
    def weigh(item: dict[str, Any], tags: list[str]) -> CallToolResult:
        """Answers with data alone."""
        return CallToolResult(content=[], structured_content={"item": item, "tags": tags})

    @server.tool()
    def length(text: str) -> str:
        """Counts the letters of a text."""
        return f"{len(text)} {text!r}"

    @server.tool()
    def lines(count: int) -> str:
        """As many lines as are wanted."""
        return "\n".join(map(str, range(count)))

    @server.tool()
    async def dawdle(seconds: float, context: Context[Any, Any]) -> str:
        """Takes its time."""
        for step in range(1, 11):
            await anyio.sleep(seconds / 10)
            await context.report_progress(step, 10, "digging")
        return "found"


def fastmcp_app(**protection: Any) -> Starlette:
    """Made with FastMCP. It may see to its tokens itself."""
    server = fastmcp.FastMCP("a FastMCP server", **protection)

    @server.tool
    def add(a: float, b: float) -> float:
        """Adds two numbers."""
        return a + b

    @server.tool
    def picture() -> list[Any]:
        """Draws something."""
        link = ResourceLink(name="more", uri="https://example.com/more")
        return ["one pixel", Image(data=PICTURE, format="png"), link]

    @server.tool
    def fail() -> str:
        """Fails."""
        raise fastmcp.exceptions.ToolError("no luck today")

    @server.tool
    async def steps(context: fastmcp.Context) -> str:
        """Goes step by step."""
        for step in (1, 2, 3):
            await context.report_progress(step, 3, f"step {step}")
        return "done"

    return server.http_app(path=PATH)


def image(data: bytes) -> ImageContent:
    return ImageContent(data=encoded(data), mime_type="image/png")


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


@contextmanager
def typescript_server(authority: AuthorizationServer, log: Path) -> Iterator[str]:
    """The URL of a server made with the official TypeScript SDK, which runs for as long as the block."""
    with (
        socket.create_server(("127.0.0.1", 0)) as own,
        typescript_serving(authority.issuer, authority.jwks_uri, own, log) as url,
    ):
        authority.add_resource(url)
        yield url


@contextmanager
def typescript_serving(issuer: str, jwks_uri: str, own: socket.socket, log: Path) -> Iterator[str]:
    """The same on a socket that listens already, with tokens of any authorization server."""
    command = [str(NODE), str(HERE / "typescript_server.mjs")]
    given = {"issuer": issuer, "jwks_uri": jwks_uri, "fd": own.fileno()}
    pipe = subprocess.PIPE
    with (
        log.open("wb") as stderr,
        subprocess.Popen(
            command, cwd=installed(), stdin=pipe, stdout=pipe, stderr=stderr, text=True, pass_fds=[own.fileno()]
        ) as process,
    ):
        assert process.stdin
        assert process.stdout
        too_late = threading.Timer(START_TIMEOUT_S, process.kill)
        too_late.start()
        try:
            process.stdin.write(json.dumps(given) + "\n")
            process.stdin.flush()
            ready = process.stdout.readline()
            too_late.cancel()
            assert ready, log.read_text()
            yield json.loads(ready)["url"]
        finally:
            too_late.cancel()
            process.terminate()
