"""`gatepass tools`: what an MCP server can do."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gatepass.cli.access import Access, Way, Where
from gatepass.cli.identity import Who  # noqa: TC001 - typer reads the annotations
from gatepass.cli.schema import signature
from gatepass.cli.screen import write_json, write_table
from gatepass.cli.spinner import spinning
from gatepass.cli.voice import Voice, note

if TYPE_CHECKING:
    from mcp_types import Tool

__all__ = ["tools"]


def tools(
    where: Where,
    who: Who,
    way: Way,
    voice: Voice,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Everything that the server says of them, as JSON.")] = False,
) -> None:
    """List the tools of an MCP server and their arguments.

    \b
    $ gatepass tools https://mcp.example.com/mcp
    $ gatepass tools reports --json | jq -r '.[].name'
    """
    access = Access.to(where, who, way)
    with spinning("Waiting for the list of tools", voice):
        listed = asyncio.run(_list(access))
    if as_json:
        write_json([tool.model_dump(mode="json", by_alias=True, exclude_none=True) for tool in listed])
    elif listed:
        write_table(("tool", "what it does", "arguments"), [_row(tool) for tool in listed])
    else:
        note(voice, "The server has no tools.")


async def _list(access: Access) -> list[Tool]:
    from gatepass.cli.session import all_tools, session

    async with session(access) as mcp:
        return await all_tools(mcp)


def _row(tool: Tool) -> tuple[str, str, str]:
    schema: dict[str, Any] = tool.input_schema
    first_line = next(iter((tool.description or tool.title or "").strip().splitlines()), "")
    return tool.name, first_line, signature(schema)
