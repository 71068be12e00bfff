"""A conversation with the MCP server, in which whatever goes wrong is an error of gatepass's own tree."""

from __future__ import annotations

from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING

from mcp.shared.exceptions import MCPError
from mcp_types import CONNECTION_CLOSED, INTERNAL_ERROR, METHOD_NOT_FOUND, REQUEST_TIMEOUT
from pydantic import ValidationError

from gatepass.cli.voice import printable
from gatepass.errors import GatepassError, RemoteError, UnreachableError
from gatepass.integrations.mcp import authorization_error

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    import httpx2
    from mcp.client import Client
    from mcp_types import Tool

    from gatepass.cli.access import Access

__all__ = ["all_tools", "session"]

_MAX_PAGES = 1000
_MAX_SAID_CHARS = 300


@asynccontextmanager
async def session(access: Access) -> AsyncGenerator[Client, None]:
    """An MCP client, connected.

    Raises:
        GatepassError: the way in is barred, or the server answered with an error, inside the block, too.
    """
    last = _LastFailure()
    try:
        async with access.connect(last.answered) as mcp:
            yield mcp
    except MCPError as answer:
        reason = _reason(answer, last.status)
    except ValidationError:  # its text quotes the answer
        msg = "The MCP server's answer does not fit the protocol. Check that the URL is the one of the MCP endpoint."
        reason = RemoteError(msg, code="mcp_answer_invalid", by="resource_server")
    else:
        return
    raise reason


async def all_tools(mcp: Client) -> list[Tool]:
    """Every tool that the server lists, page by page."""
    page = await mcp.list_tools()
    tools = list(page.tools)
    for _ in range(_MAX_PAGES):
        if page.next_cursor is None:
            return tools
        page = await mcp.list_tools(cursor=page.next_cursor)
        tools += page.tools
    msg = f"The MCP server's list of tools did not end within {_MAX_PAGES} pages."
    raise RemoteError(msg, code="mcp_answer_invalid", by="resource_server")


class _LastFailure:
    """The last answer of the server that was a failure: the SDK says of it that there was one, and no more."""

    def __init__(self) -> None:
        self.status: int | None = None

    async def answered(self, response: httpx2.Response) -> None:
        if response.request.method == "POST":  # and not the stream beside it, nor the farewell
            self.status = response.status_code if response.is_error else None


def _reason(answer: MCPError, status: int | None) -> GatepassError:
    stopped = authorization_error(answer)
    if stopped is not None:
        return stopped
    if status is not None and answer.code == INTERNAL_ERROR:
        msg = f"The MCP server answered with status {status}. {_advice(status)}"
        return RemoteError(msg, code="mcp_error", by="resource_server", status=status)
    said = " ".join(printable(answer.message).split())[:_MAX_SAID_CHARS].rstrip(".") or "no reason given"
    if answer.code in (REQUEST_TIMEOUT, CONNECTION_CLOSED):
        return UnreachableError(f"The MCP server did not answer: {said}.", code="mcp_no_answer", retryable=True)
    hint = " Check that the URL is the one of the MCP endpoint." if answer.code == METHOD_NOT_FOUND else ""
    msg = f"The MCP server answered with an error: {said} ({answer.code}).{hint}"
    return RemoteError(msg, code="mcp_error", by="resource_server")


def _advice(status: int) -> str:
    if status == HTTPStatus.NETWORK_AUTHENTICATION_REQUIRED:
        return "The network wants a sign-in first, in a browser."
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return "It is in trouble: its log says why. Try again later."
    return "Check that the URL is the one of the MCP endpoint."
