"""What is shown while something takes its time: a bar for a person, lines for who asked for them, else nothing."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from gatepass.cli.voice import printable

if TYPE_CHECKING:
    from collections.abc import Generator

    from mcp.shared.dispatcher import ProgressFnT

    from gatepass.cli.voice import Voice

__all__ = ["waiting"]

_log = logging.getLogger("gatepass.progress")

_UNNOTICED_S = 1.0
"""What is over within that time needs no bar."""


@contextmanager
def waiting(name: str, voice: Voice) -> Generator[ProgressFnT | None]:
    """Show what a tool reports of its progress; to be used in an event loop.

    On a terminal it is a bar on stderr, once the wait is long. With --verbose it is a line for each report.

    Args:
        name: what is waited for.
        voice: how loud the command is.
    """
    name = printable(name)
    if voice.verbose and not voice.quiet:
        yield _line_by_line(name)
    elif voice.quiet or not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield None
    else:
        with _bar(name) as report:
            yield report


def _line_by_line(name: str) -> ProgressFnT:
    async def report(progress: float, total: float | None, message: str | None) -> None:
        part = f"{progress:g}" if total is None else f"{progress:g} of {total:g}"
        _log.info("%s: %s", name, f"{part}, {_one_line(message)}" if message else part)

    return report


@contextmanager
def _bar(name: str) -> Generator[ProgressFnT]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[said]}", markup=False),
        TimeElapsedColumn(),
    )
    bar = Progress(*columns, console=Console(stderr=True), transient=True)
    task = bar.add_task(name, total=None, said="")
    start = asyncio.get_running_loop().call_later(_UNNOTICED_S, bar.start)

    async def report(progress: float, total: float | None, message: str | None) -> None:
        bar.update(task, completed=progress, total=total, said=_one_line(message or ""))

    try:
        yield report
    finally:
        start.cancel()
        bar.stop()


def _one_line(message: str) -> str:
    return " ".join(printable(message).split())
