"""Text that fits the terminal it is written to. What is written elsewhere has no width: programs read it by lines."""

from __future__ import annotations

import os
import re
import textwrap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TextIO

__all__ = ["command_lines", "fitting", "folded", "width_of"]

_NARROWEST = 20
_COMMAND = "  gatepass "
_GOES_ON = " \\"
"""What a shell takes for a command that goes on in the next line."""


def width_of(stream: TextIO) -> int | None:
    """The columns of the terminal behind a stream; None if there is none, or it does not know them."""
    try:
        return os.get_terminal_size(stream.fileno()).columns or None
    except (OSError, ValueError):  # it is no terminal; or no file at all
        return None


def folded(line: str, width: int | None, *, hang: str = "  ") -> list[str]:
    """A line in pieces that fit, between words. A word that is too long for any line has one of its own.

    Args:
        line: the line.
        width: how many columns there are; None if it does not matter.
        hang: what each piece but the first begins with.
    """
    if width is None or len(line) <= width:
        return [line]
    pieces = textwrap.wrap(
        line, max(width, _NARROWEST), subsequent_indent=hang, break_long_words=False, break_on_hyphens=False
    )
    return pieces or [""]


def fitting(text: str, stream: TextIO) -> str:
    """A text, each line folded where it has to be. What begins with a space is laid out, or is a command to copy."""
    width = width_of(stream)
    return "\n".join(piece for line in text.split("\n") for piece in _pieces(line, width))


def _pieces(line: str, width: int | None) -> list[str]:
    if line.startswith(_COMMAND):
        return command_lines(re.split(" (?=--)", line), width)
    return [line] if line.startswith(" ") else folded(line, width)


def command_lines(parts: Sequence[str], width: int | None, *, hang: str = "      ") -> list[str]:
    """A command in lines that fit, and that a shell takes as one.

    Args:
        parts: what has to stay together: the program, and each option with its value.
        width: how many columns there are; None if it does not matter.
        hang: what each line but the first begins with.
    """
    lines = [parts[0]]
    for part in parts[1:]:
        longer = f"{lines[-1]} {part}"
        if width is None or len(longer) + len(_GOES_ON) <= width:
            lines[-1] = longer
        else:
            lines[-1] += _GOES_ON
            lines.append(f"{hang}{part}")
    return lines
