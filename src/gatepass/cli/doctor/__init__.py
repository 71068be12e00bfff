"""`gatepass doctor`: the whole way in, step by step, with what is wrong and what mends it."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import TYPE_CHECKING, Annotated

import typer

from gatepass.cli.identity import Who  # noqa: TC001 - typer reads the annotations
from gatepass.cli.voice import Voice, note
from gatepass.cli.way import Way, Where  # noqa: TC001 - typer reads the annotations
from gatepass.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Generator

    from gatepass.cli.doctor.report import Report

__all__ = ["doctor"]


def doctor(
    where: Where,
    who: Who,
    way: Way,
    voice: Voice,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="The whole report, as JSON.")] = False,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the report as a page with a picture, too.")
    ] = None,
) -> None:
    """Walk the whole way in, and say what is wrong and what mends it.

    Each step shows what was asked, what came back and what the specification wants, down to a call of the MCP server.
    Secrets are masked. Nothing is kept, and no credential goes where gatepass would not send it.

    \b
    $ gatepass doctor reports
    $ gatepass doctor https://mcp.example.com/mcp --html report.html
    $ gatepass doctor reports --json | jq -r .diagnosis
    """
    from gatepass.cli.doctor.examination import Examination
    from gatepass.cli.doctor.report import as_json as in_json
    from gatepass.cli.doctor.terminal import Progress, Sheet
    from gatepass.cli.screen import write_json

    progress = Progress(shown=not voice.quiet)
    examination = Examination(where, who, way, progress.tell)
    sheet = None if as_json else Sheet(quiet=voice.quiet)
    if sheet is not None:
        sheet.begin(examination.url, examination.client)
    with _heard_in_the_report(voice), progress:
        for step in examination.steps():
            progress.clear()
            if sheet is not None:
                sheet.step(step)
    report = examination.report()
    if sheet is None:
        write_json(in_json(report))
    else:
        sheet.end(report)
    if html is not None:
        _write_page(report, html)
        note(voice, f"The page is in {html}.")
    if report.first_failure is not None:
        raise typer.Exit(report.first_failure.exit_code)


@contextmanager
def _heard_in_the_report(voice: Voice) -> Generator[None]:
    """What the library warns of stands in the report; who asks for a log hears it from there, too."""
    if voice.verbose:
        yield
        return
    logger = logging.getLogger("gatepass")
    logger.addFilter(_nothing)
    try:
        yield
    finally:
        logger.removeFilter(_nothing)


def _nothing(record: logging.LogRecord) -> bool:  # noqa: ARG001 - the protocol of a filter
    return False


def _write_page(report: Report, file: Path) -> None:
    from gatepass.cli.doctor.page import page

    try:
        file.write_text(page(report), "utf-8")
    except OSError as problem:
        reason = problem.strerror or type(problem).__name__
    else:
        return
    msg = f"--html {file} can't be written: {reason}."
    raise ConfigurationError(msg, code="report_not_written")
