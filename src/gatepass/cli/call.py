"""`gatepass call`: one tool of an MCP server, called from a shell."""

from __future__ import annotations

import asyncio
import sys
from contextlib import contextmanager
from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated

import typer

from gatepass.cli.access import Access, Url, Way
from gatepass.cli.arguments import Word, read_words, typed, undeclared
from gatepass.cli.exits import ToolError
from gatepass.cli.identity import Who  # noqa: TC001 - typer reads the annotations
from gatepass.cli.screen import write_json, write_text
from gatepass.cli.voice import Voice, note, printable
from gatepass.errors import RemoteError

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from mcp.shared.dispatcher import ProgressFnT
    from mcp_types import CallToolResult, ContentBlock, Tool

__all__ = ["call"]


def call(
    url: Url,
    tool: Annotated[str, typer.Argument(metavar="TOOL", help="The name of the tool.")],
    who: Who,
    way: Way,
    voice: Voice,
    *,
    arguments: Annotated[
        list[str] | None,
        typer.Argument(metavar="KEY=VALUE", help="Its arguments, typed as the tool declares them; KEY:=JSON for JSON."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The whole result, as JSON.")] = False,
) -> None:
    """Call a tool of an MCP server and print its result.

    Exit code 1 means that the tool was called and says that it failed.

    \b
    $ gatepass call https://mcp.example.com/mcp add a=1 b=2
    $ gatepass call https://mcp.example.com/mcp search text=otters 'tags:=["sea"]'
    """
    words = read_words(arguments or ())
    result = asyncio.run(_call(Access.to(url, who, way), tool, words, voice))
    if as_json:
        write_json(result.model_dump(mode="json", by_alias=True, exclude_none=True))
    if result.is_error:
        raise ToolError("\n".join(_texts(result.content)) or f"{tool} failed, and gave no reason.")
    if not as_json:
        _write(result, voice)


async def _call(access: Access, name: str, words: Sequence[Word], voice: Voice) -> CallToolResult:
    from gatepass.cli.session import all_tools, session

    async with session(access) as mcp:
        tool = _named(name, await all_tools(mcp))
        values = typed(words, tool.input_schema, tool=name)
        for unknown in undeclared(words, tool.input_schema):
            note(voice, f"{name} declares no argument {unknown}; it is sent as it was written.")
        with _progress(name, voice) as report:
            return await mcp.call_tool(name, values, progress_callback=report)


def _named(name: str, tools: Sequence[Tool]) -> Tool:
    for tool in tools:
        if tool.name == name:
            return tool
    names = [tool.name for tool in tools]
    close = get_close_matches(name, names, n=1)
    hint = f" Did you mean {close[0]}?" if close else ""
    msg = f"The MCP server has no tool {name}.{hint} `gatepass tools` lists what it has."
    raise RemoteError(msg, code="tool_unknown", by="resource_server")


def _write(result: CallToolResult, voice: Voice) -> None:
    if not result.content and result.structured_content is not None:
        write_json(result.structured_content)
    for text in _texts(result.content):
        write_text(text)
    for block in result.content:
        if block.type == "image" or block.type == "audio":  # noqa: PLR1714 - a type checker follows this
            note(voice, f"The result holds {block.type} data ({block.mime_type}), which --json shows.")


def _texts(content: Sequence[ContentBlock]) -> list[str]:
    """What of a result can be read: texts, texts in resources, and links."""
    texts: list[str] = []
    for block in content:
        match block.type:
            case "text":
                texts.append(block.text)
            case "resource":
                texts.append(getattr(block.resource, "text", block.resource.uri))
            case "resource_link":
                texts.append(block.uri)
            case _:
                pass
    return texts


@contextmanager
def _progress(name: str, voice: Voice) -> Generator[ProgressFnT | None]:
    """Shows the progress that the tool reports, while it runs, to a person who watches."""
    if voice.quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[said]}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(printable(name), total=None, said="")

        async def report(progress: float, total: float | None, message: str | None) -> None:
            said = " ".join(printable(message or "").split())
            bar.update(task, completed=progress, total=total, said=said)

        yield report
