"""What the command says beside its result: notes, progress and errors, all of it on stderr."""

from __future__ import annotations

import errno
import logging
import os
import re
import sys
import traceback
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from gatepass.cli.exits import Exit, exit_of, explain, who_knows_more
from gatepass.cli.width import fitting
from gatepass.cli.wording import in_options

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["Voice", "note", "printable", "reporting", "say", "writing"]

_PANEL = "How much it says"
_AUDIBLE = (
    {"gatepass": logging.WARNING},
    {"gatepass": logging.INFO, "httpx2": logging.INFO},
    {"gatepass": logging.DEBUG, "httpx2": logging.DEBUG, "mcp": logging.DEBUG},
)
"""Whose log is heard from which level on, by how often --verbose was given."""

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""What could move the cursor, ring, or turn the direction of text."""

_NOT_WRITTEN = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF})
"""What the system says of an output, and not of a connection."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Voice:
    """How loud a command is."""

    verbose: Annotated[
        int,
        typer.Option(
            "--verbose",
            "-v",
            count=True,
            show_default=False,
            help="Log to stderr; -vv logs more.",
            rich_help_panel=_PANEL,
        ),
    ] = 0
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="No notes, no progress; only errors.", rich_help_panel=_PANEL)
    ] = False
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.", rich_help_panel=_PANEL)] = (
        False
    )


@contextmanager
def reporting(voice: Voice) -> Generator[None]:
    """Log as loud as asked; an error becomes a line or two on stderr, and an exit code."""
    _listen(voice)
    try:
        with writing():
            yield
    except typer.Exit:
        raise
    except KeyboardInterrupt:
        if sys.stderr.isatty():  # which shows ^C where the cursor was
            sys.stderr.write("\n")
        say("interrupted.")
        raise typer.Exit(Exit.INTERRUPTED) from None
    except Exception as error:  # noqa: BLE001 - everything ends as a line and an exit code
        if voice.debug:
            traceback.print_exception(error)
        say(explain(error) + who_knows_more(error))
        raise typer.Exit(exit_of(error)) from None


@contextmanager
def writing() -> Generator[None]:
    """Write all of the output; where that fails, it ends: without a word if the reader has left, else with a line."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read our output has seen enough
        code = Exit.BROKEN_PIPE
    except OSError as problem:
        if problem.errno not in _NOT_WRITTEN or problem.filename is not None:
            raise
        say(f"The output can't be written: {problem.strerror}.")
        code = Exit.CONFIGURATION
    else:
        return
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left of it is lost
    raise typer.Exit(code)


def say(text: str) -> None:
    """One message on stderr."""
    sys.stderr.write(f"{fitting(f'gatepass: {printable(text)}', sys.stderr)}\n")


def note(voice: Voice, text: str) -> None:
    """A message that --quiet leaves out."""
    if not voice.quiet:
        say(f"note: {text}")


def printable(text: str) -> str:
    """Text of somebody else's, without what would steer a terminal; line breaks and tabs stay."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


def _listen(voice: Voice) -> None:
    """Hear what was asked for, and nothing else: `logging` writes warnings of anybody to stderr if nobody listens."""
    logging.getLogger().addHandler(logging.NullHandler())
    if voice.quiet:
        return
    ear = logging.StreamHandler(sys.stderr)
    ear.setFormatter(_Line())
    ear.addFilter(_Once())
    for name, level in _AUDIBLE[min(voice.verbose, len(_AUDIBLE) - 1)].items():
        logger = logging.getLogger(name)
        logger.setLevel(level)
        logger.addHandler(ear)


class _Once(logging.Filter):
    """A note is worth saying once."""

    def __init__(self) -> None:
        super().__init__()
        self._said: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno < logging.WARNING:
            return True
        text = record.getMessage()
        news = text not in self._said
        self._said.add(text)
        return news


class _Line(logging.Formatter):
    """One line a record, and no traceback."""

    def format(self, record: logging.LogRecord) -> str:
        text = printable(record.getMessage())
        said = f"{record.name}: {text}" if record.levelno < logging.WARNING else f"gatepass: note: {in_options(text)}"
        return fitting(said, sys.stderr)
