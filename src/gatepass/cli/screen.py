"""Results on stdout: fit for a person on a terminal, fit for a program everywhere else."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import msgspec

from gatepass.cli.voice import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["write_bytes", "write_facts", "write_json", "write_table", "write_text"]


def write_text(text: str) -> None:
    """A text of a server's, as it is, ending with a line break; a terminal gets none of its control characters."""
    shown = printable(text) if sys.stdout.isatty() else text
    sys.stdout.write(shown if shown.endswith("\n") else f"{shown}\n")


def write_bytes(data: bytes) -> None:
    """Bytes, and nothing else."""
    sys.stdout.flush()
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def write_json(value: object, *, indent: int | None = 2) -> None:
    """A value as JSON, indented; None puts all of it on one line.

    What UTF-8 or the encoding of stdout can't take, such as an odd byte in a path, is escaped as JSON has it.
    """
    try:
        text = msgspec.json.format(msgspec.json.encode(value), indent=indent or -1).decode()
        text.encode(sys.stdout.encoding)
    except UnicodeEncodeError:
        text = json.dumps(msgspec.to_builtins(value), indent=indent)
    sys.stdout.write(f"{text}\n")


def write_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Columns with a head. On a terminal they fit its width; else each row is one line, however long."""
    clean = [[" ".join(printable(cell).split()) for cell in row] for row in rows]
    if sys.stdout.isatty():
        _write_fitting(head, clean)
        return
    lines = [[name.upper() for name in head], *clean]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        sys.stdout.write("  ".join(cells).rstrip() + "\n")


def _write_fitting(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for number, name in enumerate(head):
        table.add_column(name, style="cyan" if number == 0 else None, overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    Console(highlight=False).print(table)


def write_facts(facts: Sequence[tuple[str, str]]) -> None:
    """Names and what they stand for, a line each. On a terminal, what is long is wrapped beside its name."""
    if sys.stdout.isatty():
        _write_facts_fitting(facts)
        return
    width = max(len(name) for name, _ in facts)
    for name, value in facts:
        sys.stdout.write(f"{name.ljust(width)}  {' '.join(printable(value).split())}\n")


def _write_facts_fitting(facts: Sequence[tuple[str, str]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    table.add_column(style="cyan", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in facts:
        table.add_row(name, Text(" ".join(printable(value).split())))
    Console(highlight=False).print(table)
