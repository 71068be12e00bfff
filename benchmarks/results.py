"""What a measure found, and how it looks on a page."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from time import perf_counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["FIXED", "GATEPASS", "SDK", "Result", "as_json", "as_table", "best", "compare", "interleave"]

FIXED = "fixed header"
GATEPASS = "gatepass"
SDK = "official SDK"

Cell = float | str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One row: what each contender needs, and what gatepass aims at.

    Attributes:
        measure: what was measured.
        fixed_header: the yardstick; for a ratio, what 1.00 stands for.
        gatepass: a ratio to the yardstick, or a figure in its own right.
        official_sdk: the same; None where the SDK has nothing to measure.
        aim: what was promised, in words; empty for a row that only informs.
        met: whether gatepass keeps the promise; None where there is none.
    """

    measure: str
    fixed_header: Cell
    gatepass: Cell
    official_sdk: Cell
    aim: str = ""
    met: bool | None = None


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


def compare(measure: str, seconds: Mapping[str, float], *, at_most: float | None = None) -> Result:
    """Times as ratios to the fixed header's."""
    yardstick = seconds[FIXED]
    ours = seconds[GATEPASS] / yardstick
    return Result(
        measure=measure,
        fixed_header=f"1.00 = {yardstick * 1e3:.3g} ms",
        gatepass=ours,
        official_sdk=seconds[SDK] / yardstick if SDK in seconds else None,
        aim="" if at_most is None else f"{at_most:g}",
        met=None if at_most is None else ours <= at_most,
    )


def as_json(results: Sequence[Result]) -> list[dict[str, object]]:
    """The rows, for machines."""
    return [asdict(result) for result in results]


def as_table(results: Sequence[Result]) -> str:
    """The rows, for people."""
    lines = [["measure", FIXED, GATEPASS, SDK, "aim", ""], *(_line(row) for row in results)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join(_aligned(line, widths) for line in lines)


def _line(row: Result) -> list[str]:
    figures = [_shown(cell) for cell in (row.fixed_header, row.gatepass, row.official_sdk)]
    return [row.measure, *figures, row.aim, _verdict(row)]


def _aligned(line: Sequence[str], widths: Sequence[int]) -> str:
    """The first column to the left, the others to the right."""
    cells = [cell.rjust(width) for cell, width in zip(line, widths, strict=True)]
    return "  ".join([line[0].ljust(widths[0]), *cells[1:]]).rstrip()


def _shown(cell: Cell) -> str:
    if cell is None:
        return "-"
    return cell if isinstance(cell, str) else f"{cell:.2f}"


def _verdict(row: Result) -> str:
    return "" if row.met is None else "met" if row.met else "missed"
