"""What the demo shows: numbered steps, the requests that were made, and claims, each of them checked."""

from __future__ import annotations

import sys
import textwrap
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from gatepass.cli.exits import ToolError
from gatepass.cli.width import command_lines, folded, width_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from gatepass.cli.watch import Seen

__all__ = ["Page"]

_INDENT = "   "
_WIDTH = 79
_NARROWEST = 30
"""Fewer columns are no room for a text."""
_BELOW = " " * 8
_FIRST_ERROR_STATUS = 400

_PROGRAM = """\
from gatepass import Auth, ClientCredentials, ClientSecret, Secret, connect

me = ClientSecret("my-id", Secret.env("MY_SECRET"))
async with connect(Auth(url, ClientCredentials(me))) as mcp: ...
"""

_SHELL = """\
export GATEPASS_CLIENT_ID=ci-bot GATEPASS_PRIVATE_KEY_FILE=ci-bot.pem
gatepass tools https://mcp.example.com/mcp
"""


class _Console(Console):
    """A console that leaves it to others to notice that nobody reads any more."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


class Page:
    """A page that is written from top to bottom while things happen.

    Args:
        quiet: nothing is written.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self._console = _Console(highlight=False, soft_wrap=True, quiet=quiet)
        self._check = "\N{CHECK MARK}" if self._console.encoding.startswith("utf") else "+"
        self._steps = 0
        self._claims = 0
        self._tokens = 0

    def title(self, text: str) -> None:
        """What this is."""
        self._line((text, "bold"), indent="")

    def step(self, text: str) -> None:
        """A new chapter."""
        self._steps += 1
        self._line()
        self._line((f"{self._steps}  ", "bold cyan"), (text, "bold"), indent="")

    def fact(self, name: str, value: object) -> None:
        """Something, and what it is."""
        head = f"{_INDENT}{name:<22}"
        first, *rest = self._behind(head, str(value))
        for line in (f"{head}{first}", *rest):
            self._line(line, indent="")

    def command(self, parts: Sequence[str]) -> None:
        """A command to copy, which a shell takes as one, where it does not fit the line, too.

        Args:
            parts: what has to stay together: the program, and each option with its value.
        """
        width = width_of(sys.stdout)
        for line in command_lines(parts, None if width is None else width - len(_INDENT)):
            self._line((line, "green"))

    def requests(self, seen: Iterable[Seen]) -> None:
        """Requests, in order, each with its status and what it was for."""
        for each in seen:
            colour = "green" if each.status < _FIRST_ERROR_STATUS else "yellow"
            asked = f"{each.method:<5}{each.path:<42}"
            self._line((asked, "dim"), (f"{each.status}  ", colour), (each.purpose, "dim"))

    def quote(self, text: str) -> None:
        """Words of somebody else's, wrapped."""
        for line in textwrap.wrap(text, _WIDTH - len(_INDENT)):
            self._line((line, "yellow"))

    def tick(self, tokens: int) -> None:
        """One more call, made when there had been that many tokens."""
        if tokens != self._tokens:
            self._tokens = tokens
            self._console.print(Text(f"{_INDENT}token {tokens} ", style="dim"), end="")
        self._console.print(Text(".", style="green"), end="")
        sys.stdout.flush()

    def ticked(self) -> None:
        """The last call was made."""
        self._line(indent="")

    def claim(self, text: str, *, holds: bool) -> None:
        """Say something that was checked.

        Raises:
            ToolError: it does not hold.
        """
        if not holds:
            msg = f"The demo failed: it does not hold that {text}."
            raise ToolError(msg)
        self._claims += 1
        self._line((f"{self._check} ", "green"), text)

    def end(self, seconds: float) -> None:
        """How it went, and where to go from here."""
        self._line()
        self._line(
            (f"{self._check}  {self._claims} claims, each of them checked, in {seconds:.0f} s.", "bold green"),
            indent="",
        )
        for heading, code in (("What next, in a program", _PROGRAM), ("or in a shell", _SHELL)):
            self._line()
            self._line((heading, "bold"), indent="")
            self._line()
            self._line(textwrap.indent(code.rstrip(), _INDENT), indent="")

    def _behind(self, head: str, text: str) -> list[str]:
        """A text in lines: the first stands behind its head, and the others do so, too; or all below, without room."""
        width = width_of(sys.stdout)
        if width is None or len(head) + len(text) <= width:
            return [text]
        room = width - len(head)
        lines = folded(text, room, hang="") if room >= _NARROWEST else []
        if lines and max(map(len, lines)) <= room:
            return [lines[0], *(" " * len(head) + line for line in lines[1:])]
        return ["", *(f"{_BELOW}{line}" for line in folded(text, width - len(_BELOW), hang=""))]

    def _line(self, *parts: str | tuple[str, str], indent: str = _INDENT) -> None:
        self._console.print(Text.assemble(indent if parts else "", *parts))
