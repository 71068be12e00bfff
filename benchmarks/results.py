"""What a measure found, and how it looks in a table."""

from __future__ import annotations

from dataclasses import dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING

from benchmarks.contenders import CONTENDERS, FIXED, GATEPASS, YARDSTICKS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from benchmarks.contenders.base import Contender

__all__ = [
    "NOTHING",
    "Figure",
    "Result",
    "as_table",
    "best",
    "compare",
    "contenders_for",
    "interleave",
    "parts",
    "with_yardsticks",
    "without",
    "yardstick_of",
    "yardsticks_shown",
]

Figure = float | tuple[float, ...]

COLUMNS = (FIXED, *CONTENDERS)
NOTHING = "\N{EN DASH}"
"""What stands where there is no figure."""
A_LITTLE = 0.05
"""What is no further apart than this share is a draw."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One row: what each contender needs (less is better), and what gatepass aims at.

    Attributes:
        name: what the row is called by programs.
        measure: what was measured, for people.
        figures: by contender; a figure may have several parts.
        form: how a figure is written, as a format string that takes its parts.
        yardstick: what 1.00 or 0 stands for; empty where the fixed header has a figure of its own.
        notes: by contender: why it has no figure, or what is to be known about the one it has.
        aim: what was promised, in words; empty for a row that only informs.
        met: whether gatepass keeps the promise; None where there is none.
    """

    name: str
    measure: str
    figures: Mapping[str, Figure]
    form: str = "{:.2f}"
    yardstick: str = ""
    notes: Mapping[str, str] = field(default_factory=dict)
    aim: str = ""
    met: bool | None = None

    def shown(self, contender: str) -> str:
        """The figure of a contender, as it is written."""
        if contender == FIXED and self.yardstick:
            return self.yardstick
        figure = self.figures.get(contender)
        return NOTHING if figure is None else self.form.format(*parts(figure))


def parts(figure: Figure) -> tuple[float, ...]:
    """What a figure is made of."""
    return figure if isinstance(figure, tuple) else (figure,)


def contenders_for(ability: str) -> dict[str, Contender]:
    """Those who lack nothing that a measure needs."""
    return {name: each for name, each in CONTENDERS.items() if ability not in each.lacks}


def without(ability: str) -> dict[str, str]:
    """Why the others have no figure."""
    return {name: each.lacks[ability] for name, each in CONTENDERS.items() if ability in each.lacks}


def yardstick_of(name: str) -> str:
    """What the fixed header is called that a contender is compared with: the one on the same HTTP client."""
    return f"{FIXED}, {CONTENDERS[name].speaks}"


def with_yardsticks(contenders: Mapping[str, Contender]) -> dict[str, Contender]:
    """The contenders, and before them the fixed headers that they are compared with."""
    clients = dict.fromkeys(each.speaks for each in contenders.values())
    return {f"{FIXED}, {client}": YARDSTICKS[client] for client in clients} | dict(contenders)


def interleave(
    samples: Mapping[str, Callable[[], float]], rounds: int, *, patience_s: float = 4.0
) -> dict[str, list[float]]:
    """Several samples of each, taken in turn, so that a busy moment of the machine strikes all alike.

    Args:
        samples: how to take one sample of each contender.
        rounds: how many of each.
        patience_s: who has had that long sits out the rounds that are left.
    """
    taken: dict[str, list[float]] = {name: [] for name in samples}
    spent_s = dict.fromkeys(samples, 0.0)
    for _ in range(rounds):
        for name, sample in samples.items():
            if spent_s[name] < patience_s:
                start = perf_counter()
                taken[name].append(sample())
                spent_s[name] += perf_counter() - start
    return taken


def best(samples: Mapping[str, Callable[[], float]], rounds: int, *, patience_s: float = 4.0) -> dict[str, float]:
    """The least of `interleave`: what it takes when nothing else is going on."""
    return {name: min(taken) for name, taken in interleave(samples, rounds, patience_s=patience_s).items()}


def compare(
    name: str,
    measure: str,
    seconds: Mapping[str, float],
    *,
    at_most: float | None = None,
    notes: Mapping[str, str] | None = None,
) -> Result:
    """Times, as ratios to that of the fixed header on the same HTTP client."""
    ratios = {each: seconds[each] / seconds[yardstick_of(each)] for each in CONTENDERS if each in seconds}
    return Result(
        name=name,
        measure=measure,
        figures=ratios,
        yardstick=f"1.00 = {yardsticks_shown(seconds, 1e3, 'ms')}",
        notes=notes or {},
        aim="" if at_most is None else f"{at_most:g}",
        met=None if at_most is None else ratios[GATEPASS] <= at_most,
    )


def yardsticks_shown(seconds: Mapping[str, float], scale: float, unit: str) -> str:
    """What the fixed headers took, one for each HTTP client in the measure."""
    took = [value * scale for name, value in seconds.items() if name.startswith(f"{FIXED}, ")]
    return f"{' / '.join(f'{value:.3g}' if value < 1000 else f'{value:.0f}' for value in took)} {unit}"


def as_table(results: Sequence[Result]) -> str:
    """The rows as a table of Markdown, below it what gatepass loses, and the footnotes of both."""
    notes = _Notes()
    head = ["", *COLUMNS, "aim"]
    lines = [head, *([row.measure, *(_cell(row, name, notes) for name in COLUMNS), _aim(row)] for row in results)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    lines.insert(1, ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])])
    table = "\n".join(f"| {' | '.join(_aligned(line, widths))} |" for line in lines)
    return "\n\n".join(filter(None, (table, _lost(results, notes), notes.text)))


class _Notes:
    """The footnotes of a table; the same words are one note."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def mark(self, note: str | None) -> str:
        if note is None:
            return ""
        number = self._numbers.setdefault(note, len(self._numbers) + 1)
        return str(number).translate(str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹"))

    @property
    def text(self) -> str:
        return "  \n".join(f"{self.mark(note)} {note}" for note in self._numbers)


def _cell(row: Result, name: str, notes: _Notes) -> str:
    return row.shown(name) + notes.mark(row.notes.get(name))


def _aim(row: Result) -> str:
    return row.aim if row.met is None else f"{row.aim}: {'met' if row.met else '**missed**'}"


def _aligned(line: Sequence[str], widths: Sequence[int]) -> list[str]:
    """The first column to the left, the others to the right."""
    first, *others = zip(line, widths, strict=True)
    return [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]


def _lost(results: Iterable[Result], notes: _Notes) -> str:
    """Every row where gatepass misses its aim, or a peer needs less."""
    lines = []
    for row in results:
        better = [peer for peer in CONTENDERS if _beats(row, peer)]
        if row.met is False or better:
            aim = f" for an aim of {row.aim}" if row.met is False else ""
            said = [f"{_cell(row, GATEPASS, notes)}{aim}", *(f"{peer} {_cell(row, peer, notes)}" for peer in better)]
            lines.append(f"- {row.measure}: {'; '.join(said)}")
    return "\n".join(["Where an aim is missed, or a peer needs less than gatepass:\n", *lines]) if lines else ""


def _beats(row: Result, peer: str) -> bool:
    if peer == GATEPASS or peer not in row.figures:
        return False
    ours, theirs = sum(parts(row.figures[GATEPASS])), sum(parts(row.figures[peer]))
    return theirs < ours - A_LITTLE * abs(ours)
