"""The report for a person: on a terminal in colour and fitting its width, elsewhere one line a fact."""

from __future__ import annotations

import os
import sys
import textwrap
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.text import Text

from gatepass.cli.doctor.report import Verdict
from gatepass.cli.doctor.spelling import as_toml, as_typed
from gatepass.cli.voice import printable

if TYPE_CHECKING:
    from gatepass.cli.doctor.report import Exchange, Fix, Report, Side, Step, Trouble

__all__ = ["Progress", "Sheet"]

_LABEL_WIDTH = 10
_INDENT = 2
_WIDEST = 120
_NARROWEST = 20
_LONGEST_NAME = 24
"""A longer name of a field has a line of its own."""
_NO_BREAK = "\N{NO-BREAK SPACE}"
_MARKS = {
    Verdict.OK: ("\N{CHECK MARK}", "+", "green"),
    Verdict.WARNING: ("!", "!", "yellow"),
    Verdict.FAILED: ("\N{MULTIPLICATION X}", "x", "bold red"),
    Verdict.SKIPPED: ("\N{EN DASH}", "-", "dim"),
}


class _Console(Console):
    """A console that leaves it to others to notice that nobody reads any more."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


class Progress:
    """A line on a terminal that says what is asked just now, and goes when that is answered."""

    def __init__(self, *, shown: bool) -> None:
        self._shown = shown and sys.stderr.isatty() and os.environ.get("TERM", "dumb") not in ("dumb", "unknown")
        self._said = False

    def tell(self, text: str) -> None:
        """Say it, in the place of what was said before."""
        if self._shown:
            width = Console(stderr=True).width - 1
            sys.stderr.write(f"\r\x1b[2K{f'  {printable(text)} ...'[:width]}")
            sys.stderr.flush()
            self._said = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()

    def clear(self) -> None:
        """Leave nothing behind."""
        if self._said:
            sys.stderr.write("\r\x1b[2K")
            sys.stderr.flush()
            self._said = False


class Sheet:
    """Steps, written one by one.

    Args:
        quiet: only what is wrong, and the end.
    """

    def __init__(self, *, quiet: bool) -> None:
        self._console = _Console(highlight=False, soft_wrap=True)
        self._quiet = quiet
        self._plain = not self._console.encoding.startswith("utf")
        self._width = min(self._console.width, _WIDEST) if self._console.is_terminal else None

    def begin(self, url: str, client: str) -> None:
        """What this is about."""
        if not self._quiet:
            self._line((f"gatepass doctor: {url}", "bold"), (f"  as {client}" if client else "", ""))
            self._line()

    def step(self, step: Step) -> None:
        """One step, with all that was seen."""
        if self._quiet and step.verdict in (Verdict.OK, Verdict.SKIPPED):
            return
        mark, style = self._mark(step.verdict)
        self._line((f"{mark} ", style), (step.title, "bold"))
        if step.skipped is not None:
            self._part("skipped", step.skipped, style="dim")
        for exchange in step.exchanges:
            self._exchange(exchange)
        if step.skipped is None:
            self._part("wanted", f"{step.wants} ({step.source})", style="dim")
        for trouble in step.troubles:
            self._trouble(trouble)
        self._line()

    def end(self, report: Report) -> None:
        """What it comes to."""
        failure = report.first_failure
        mark, style = self._mark(report.verdict)
        if failure is not None:
            trouble = failure.troubles[0]
            self._line((f"{mark} ", style), (f"The way in is barred: {trouble.id}", style))
            self._part("cause", trouble.cause)
            self._fix(trouble.fix)
            return
        warnings = sum(step.verdict is Verdict.WARNING for step in report.steps)
        said = "" if not warnings else f", with {warnings} {'warning' if warnings == 1 else 'warnings'}"
        comes = f"{report.client} gets in" if report.client else "Nothing is in the way of a client"
        self._line((f"{mark} ", style), (f"{comes}{said}.", style))

    def _exchange(self, exchange: Exchange) -> None:
        style = _MARKS[exchange.verdict][2] if exchange.verdict in (Verdict.FAILED, Verdict.WARNING) else ""
        self._side("asked", exchange.asked, "")
        self._side("answered", exchange.answered, style)

    def _side(self, label: str, side: Side, style: str) -> None:
        self._part(label, side.text, style=style)
        indent = " " * (_INDENT + _LABEL_WIDTH)
        longest = max((len(name) for name, _ in side.fields if len(name) <= _LONGEST_NAME), default=0)
        for name, value in side.fields:
            if self._width is not None and len(name) > _LONGEST_NAME:
                self._line((f"{indent}{name}", "dim"))
                self._wrapped(f"{indent}  ", value, "")
            else:
                self._wrapped(f"{indent}{name.ljust(longest)}  ", value, "")

    def _trouble(self, trouble: Trouble) -> None:
        self._part(str(trouble.verdict), f"{trouble.id}: {trouble.cause}", style=_MARKS[trouble.verdict][2])
        self._fix(trouble.fix)

    def _fix(self, fix: Fix) -> None:
        self._part("fix", fix.said, style="cyan")
        if fix.options:
            self._part("", as_typed(fix.options), style="bold cyan")
            for line in as_toml(fix.options).splitlines():
                self._part("", f"{line}  # in gatepass.toml", style="cyan")

    def _part(self, label: str, text: str, *, style: str = "") -> None:
        self._wrapped(f"{' ' * _INDENT}{label.ljust(_LABEL_WIDTH)}", text, style)

    def _wrapped(self, head: str, text: str, style: str) -> None:
        for number, each in enumerate(self._lines(text, len(head))):
            self._line((head if number == 0 else " " * len(head), "dim"), (each, style))

    def _lines(self, text: str, indent: int) -> list[str]:
        """The text in lines that fit; a section stays with its RFC."""
        if self._width is None:
            return [text]
        together = text.replace("RFC ", f"RFC{_NO_BREAK}").replace(" §", f"{_NO_BREAK}§")
        width = max(self._width - indent, _NARROWEST)
        wrapped = textwrap.wrap(together, width, break_on_hyphens=False)
        return [line.replace(_NO_BREAK, " ") for line in wrapped] or [""]

    def _mark(self, verdict: Verdict) -> tuple[str, str]:
        fine, plain, style = _MARKS[verdict]
        return (plain if self._plain else fine), style

    def _line(self, *parts: tuple[str, str]) -> None:
        self._console.print(Text.assemble(*((printable(text), style) for text, style in parts)))
