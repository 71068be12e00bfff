"""`gatepass call`: one tool of an MCP server, called from a shell."""

from __future__ import annotations

import asyncio
import sys
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from gatepass.cli.access import Access, Way, Where
from gatepass.cli.arguments import Word, read_words, typed, undeclared
from gatepass.cli.exits import ToolError, UsageError
from gatepass.cli.identity import Who  # noqa: TC001 - typer reads the annotations
from gatepass.cli.progress import waiting
from gatepass.cli.result import save_pieces, texts, write_only_piece, write_result
from gatepass.cli.saved import Folder
from gatepass.cli.screen import write_json
from gatepass.cli.voice import Voice, note
from gatepass.errors import RemoteError, UnreachableError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mcp_types import CallToolResult, Tool

__all__ = ["call"]

_STDOUT = Path("-")


def call(
    where: Where,
    tool: Annotated[str, typer.Argument(metavar="TOOL", help="The name of the tool.")],
    who: Who,
    way: Way,
    voice: Voice,
    *,
    arguments: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="KEY=VALUE",
            help="Its arguments, typed as the tool declares them; KEY:=JSON for JSON, @FILE for what is in a file.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The whole result, as JSON.")] = False,
    save: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Save pictures, sounds and files here, and print where; - writes the only one to stdout.",
        ),
    ] = None,
) -> None:
    """Call a tool of an MCP server.

    Its result is printed. Exit code 1 means that the tool was called and says that it failed.

    An argument is a text, or what the tool declares it to be. KEY=@FILE takes the text from a file, KEY:=@FILE the
    JSON, and @FILE alone all arguments, as a JSON object; - as FILE is the standard input.

    \b
    $ gatepass call https://mcp.example.com/mcp add a=1 b=2
    $ gatepass call reports search text=otters 'tags:=["sea"]' --json
    $ gatepass call reports summarize text=@letter.txt
    $ gatepass call reports chart --save pictures
    """
    words = read_words(arguments or ())
    to_stdout = save == _STDOUT
    if to_stdout:
        _check_stdout(as_json=as_json)
    folder = Folder(save, tool) if save is not None and not to_stdout else None
    result = asyncio.run(_call(Access.to(where, who, way), tool, words, voice))
    if as_json:
        write_json(result.model_dump(mode="json", by_alias=True, exclude_none=True))
    if result.is_error:
        raise ToolError("\n".join(texts(result.content)) or f"{tool} failed, and gave no reason.")
    if to_stdout:
        write_only_piece(result, voice)
    elif as_json:
        save_pieces(result, folder, voice)
    else:
        write_result(result, folder, voice)


_UNANSWERED = ("connection_broken", "mcp_no_answer", "timeout")
"""What a call ends with that the server may have had."""


def _may_be_done(failure: UnreachableError, url: str) -> bool:
    """Whether it is the answer to the call that is missing, and not a token."""
    return failure.code == "mcp_no_answer" or (
        failure.code in _UNANSWERED and urlsplit(url).netloc in str(failure).split()
    )


async def _call(access: Access, name: str, words: Sequence[Word], voice: Voice) -> CallToolResult:
    from gatepass.cli.session import all_tools, session

    called = False
    try:
        with waiting(name, voice) as report:
            async with session(access) as mcp:
                tool = _named(name, await all_tools(mcp))
                values = typed(words, tool.input_schema, tool=name)
                for unknown in undeclared(words, tool.input_schema):
                    note(voice, f"{name} declares no argument {unknown}; it is sent as it was written.")
                called = True
                return await mcp.call_tool(name, values, progress_callback=report)
    except UnreachableError as failure:
        if not called or not _may_be_done(failure, access.auth.resource):
            raise
        msg = f"{failure} {name} may have done its work all the same: look before you call it again."
    raise UnreachableError(msg, code="answer_lost")


def _named(name: str, tools: Sequence[Tool]) -> Tool:
    for tool in tools:
        if tool.name == name:
            return tool
    names = [tool.name for tool in tools]
    close = get_close_matches(name, names, n=1)
    hint = f" Did you mean {close[0]}?" if close else ""
    msg = f"The MCP server has no tool {name}.{hint} `gatepass tools` lists what it has."
    raise RemoteError(msg, code="tool_unknown", by="resource_server")


def _check_stdout(*, as_json: bool) -> None:
    """Bytes are for a file or a program, and nothing else goes where they go."""
    if as_json:
        msg = "--save - and --json both want stdout: leave one out, or give --save a folder."
        raise UsageError(msg)
    if sys.stdout.isatty():
        msg = (
            "--save - writes bytes, and stdout is a terminal: send it to a file or a program, or give --save a folder."
        )
        raise UsageError(msg)
