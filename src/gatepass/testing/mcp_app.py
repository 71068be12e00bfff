"""The MCP server behind the gate, made with the official SDK: four small tools."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

import anyio
from mcp.server.mcpserver import Context, MCPServer

if TYPE_CHECKING:
    from collections.abc import Generator

    from starlette.applications import Starlette
    from starlette.requests import Request

__all__ = ["mcp_app"]

STEPS = 10


def mcp_app(*, path: str, stateless: bool) -> Starlette:
    """The app, without any check of tokens: that happens in front of it."""
    with _logging_left_alone():
        server = MCPServer("gatepass-testing", log_level="WARNING")
    server.add_tool(echo)
    server.add_tool(add)
    server.add_tool(whoami)
    server.add_tool(slow)
    return server.streamable_http_app(streamable_http_path=path, stateless_http=stateless)


def echo(text: str) -> str:
    """Gives the text back."""
    return text


def add(a: int, b: int) -> int:
    """Adds two numbers."""
    return a + b


def whoami(context: Context[Any, Any]) -> dict[str, Any]:
    """Tells which client the token was issued to, and its scopes."""
    request = cast("Request", context.request_context.request)
    token = request.user.access_token
    return {"client_id": token.client_id, "scopes": token.scopes}


async def slow(seconds: float, context: Context[Any, Any]) -> str:
    """Takes its time, and reports its progress."""
    for step in range(1, STEPS + 1):
        await anyio.sleep(seconds / STEPS)
        await context.report_progress(step, STEPS)
    return f"{seconds:g} s later"


@contextmanager
def _logging_left_alone() -> Generator[None]:
    """The SDK sets up the root logger, unless somebody has: here, somebody has."""
    root = logging.getLogger()
    somebody = logging.NullHandler()
    root.addHandler(somebody)
    try:
        yield
    finally:
        root.removeHandler(somebody)
