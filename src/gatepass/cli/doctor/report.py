"""What the doctor found: steps on the way in, the exchanges of each, and what is wrong. No secret stands in any of it.

The JSON of a report is made of the same values, and is stable: fields are added, never changed.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Literal

import msgspec

from gatepass.cli.doctor.spelling import as_toml, as_typed
from gatepass.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Exchange", "Fields", "Fix", "Options", "Party", "Report", "Side", "Step", "Trouble", "Verdict", "as_json"]

Party = Literal["mcp_server", "authorization_server", "here"]
"""Whom an exchange is with; ``"here"`` is this machine: its files, its resolver."""

Fields = tuple[tuple[str, str], ...]
Options = dict[str, str | bool]


class Verdict(enum.StrEnum):
    """How a step went."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    SKIPPED = "skipped"


class Side(Value, frozen=True):
    """One side of an exchange.

    Attributes:
        text: what was sent or came, in a line.
        fields: the parts of it that matter, each with its value.
        short: the text for a picture.
    """

    text: str
    fields: Fields = ()
    short: str = ""


class Exchange(Value, frozen=True, kw_only=True):
    """Something that was asked, and what came back."""

    to: Party
    asked: Side
    answered: Side
    verdict: Verdict = Verdict.OK


class Fix(Value, frozen=True):
    """What mends a trouble.

    Attributes:
        text: in a sentence or two.
        options: the options of the command that do it, by their names with underscores; a value in capitals is to be
            filled in. ``url`` stands for another URL.
        tried: it was tried, and got in.
    """

    text: str
    options: Options = msgspec.field(default_factory=dict[str, str | bool])
    tried: bool = False

    @property
    def said(self) -> str:
        """The text, and that it was tried if it was."""
        return f"{self.text} It was tried, and it gets in." if self.tried else self.text


class Trouble(Value, frozen=True, kw_only=True):
    """Something that is wrong.

    Attributes:
        id: its name, which does not change.
        cause: what happened, and most likely why.
        fix: what mends it.
        verdict: whether it stops the way in.
    """

    id: str
    cause: str
    fix: Fix
    verdict: Verdict = Verdict.FAILED


class Step(Value, frozen=True, kw_only=True):
    """One step on the way in.

    Attributes:
        id: its name, which does not change.
        title: what it is about.
        wants: what the specification wants here.
        source: where that is written.
        exchanges: what was asked, and what came back.
        troubles: what is wrong, the worst first.
        skipped: why the step was not taken, if it was not.
        exit_code: what the command ends with if this is the first step that failed.
    """

    id: str
    title: str
    wants: str
    source: str
    exchanges: tuple[Exchange, ...] = ()
    troubles: tuple[Trouble, ...] = ()
    skipped: str | None = None
    exit_code: int = 0

    @property
    def verdict(self) -> Verdict:
        """How it went: as bad as its worst trouble."""
        if self.troubles:
            return self.troubles[0].verdict
        return Verdict.OK if self.skipped is None else Verdict.SKIPPED


class Report(Value, frozen=True, kw_only=True):
    """All of it.

    Attributes:
        url: the MCP server's.
        client: who asked.
        issuer: the authorization server, if it is known.
        at: when, in epoch seconds.
        version: of gatepass.
        steps: in the order of the way in.
    """

    url: str
    client: str
    issuer: str | None
    at: float
    version: str
    steps: tuple[Step, ...]

    @property
    def first_failure(self) -> Step | None:
        """The step that stops the way in."""
        return next((step for step in self.steps if step.verdict is Verdict.FAILED), None)

    @property
    def verdict(self) -> Verdict:
        """How it went altogether."""
        verdicts = {step.verdict for step in self.steps}
        return next((each for each in (Verdict.FAILED, Verdict.WARNING) if each in verdicts), Verdict.OK)


def as_json(report: Report) -> dict[str, object]:
    """The report as JSON has it."""
    failure = report.first_failure
    return {
        "url": report.url,
        "client": report.client or None,
        "issuer": report.issuer,
        "at": report.at,
        "gatepass": report.version,
        "verdict": report.verdict,
        "failed": failure.id if failure else None,
        "diagnosis": failure.troubles[0].id if failure else None,
        "steps": [_step(step) for step in report.steps],
    }


def _step(step: Step) -> dict[str, object]:
    worst = step.troubles[0] if step.troubles else None
    return {
        "id": step.id,
        "title": step.title,
        "verdict": step.verdict,
        "asked": [_side(each.asked, to=each.to) for each in step.exchanges],
        "answered": [_side(each.answered, verdict=each.verdict) for each in step.exchanges],
        "wants": {"text": step.wants, "source": step.source},
        "skipped": step.skipped,
        "diagnosis": worst.id if worst else None,
        "cause": worst.cause if worst else None,
        "fix": _fix(worst.fix) if worst else None,
        "also": [_trouble(trouble) for trouble in step.troubles[1:]],
    }


def _trouble(trouble: Trouble) -> dict[str, object]:
    return {"diagnosis": trouble.id, "verdict": trouble.verdict, "cause": trouble.cause, "fix": _fix(trouble.fix)}


def _fix(fix: Fix) -> dict[str, object]:
    typed, written = as_typed(fix.options), as_toml(fix.options)
    return {"text": fix.text, "options": fix.options, "typed": typed, "toml": written, "tried": fix.tried}


def _side(side: Side, **more: str) -> dict[str, object]:
    return {"text": side.text, "fields": _listed(side.fields), **more}


def _listed(fields: Sequence[tuple[str, str]]) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in fields]
