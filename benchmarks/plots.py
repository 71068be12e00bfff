"""The pictures of a run. A picture whose rows were not measured is left out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib as mpl
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import NullFormatter

from benchmarks.contenders import CONTENDERS, GATEPASS
from benchmarks.results import parts

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.axes import Axes

    from benchmarks.results import Result
    from benchmarks.run import Run

__all__ = ["draw"]

OURS, THEIRS = "#1f6feb", "#8c959f"
PARTS = ("#1f6feb", "#9ec5fe", "#cf222e")
LINES = ("#1f6feb", "#cf222e", "#8250df", "#1a7f37", "#bf8700", "#57606a", "#0a3069")
STYLE = {
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "font.size": 9,
    "svg.fonttype": "none",
    "svg.hashsalt": "gatepass",  # the same figures give the same file
}
BARS = {
    "hot-path": (
        ("hot-path-sync", "added to a call, sync, µs"),
        ("hot-path-async", "added to a call, async, µs"),
    ),
    "trouble": (
        ("as-503", "100 calls, token endpoint\nanswers 503: requests"),
        ("rs-401", "100 calls, resource always\nanswers 401: requests"),
        ("revoked", "100 calls, token revoked:\ncalls that fail"),
    ),
    "short-tokens": (
        ("short-tokens-p99", "2 s tokens: p99,\nagainst a fixed header"),
        ("short-tokens-401s", "2 s tokens: 401s"),
        ("short-tokens-minted", "2 s tokens: token requests"),
    ),
    "start": (
        ("import", "import, against\nthe HTTP client's"),
        ("start-async", "process start to first answer,\nagainst a fixed header, asyncio"),
        ("memory", "memory of an identity, KiB"),
    ),
}
"""Pictures with a bar for each contender: by name, the rows and their titles."""


def draw(run: Run, folder: Path) -> None:
    """Write bench-*.svg."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = {row.name: row for row in run.results}
    with mpl.rc_context(STYLE):
        for name, panels in BARS.items():
            if all(row in rows for row, _ in panels):
                _save(_bars([(rows[row], title) for row, title in panels]), folder / f"bench-{name}.svg")
        if "herd-requests" in rows:
            _save(_herd(rows["herd-requests"]), folder / "bench-herd.svg")
        calls, crowds = _growing(run.results, "identities-"), _growing(run.results, "crowd-")
        if calls and crowds:
            _save(_identities(calls, crowds), folder / "bench-identities.svg")


def _growing(results: Sequence[Result], prefix: str) -> dict[int, Result]:
    """The rows that differ in the number of identities, by that number."""
    numbers = {row.name: row.name.removeprefix(prefix) for row in results if row.name.startswith(prefix)}
    return {int(numbers[row.name]): row for row in results if numbers.get(row.name, "").isdigit()}


def _bars(panels: Sequence[tuple[Result, str]]) -> Canvas:
    canvas = Canvas(figsize=(10, 2.6), layout="constrained")
    for axes, (row, title) in zip(canvas.subplots(1, len(panels), sharey=True), panels, strict=True):
        axes.set_title(title)
        _contenders_down(axes)
        for place, name in enumerate(CONTENDERS):
            figure = sum(parts(row.figures[name])[:1]) if name in row.figures else 0
            axes.barh(place, figure, color=OURS if name == GATEPASS else THEIRS)
            axes.annotate(row.shown(name), (figure, place), (3, 0), textcoords="offset points", va="center")
        axes.margins(x=0.3)
        axes.xaxis.set_visible(False)
        axes.spines["bottom"].set_visible(False)
    return canvas


def _herd(row: Result) -> Canvas:
    canvas = Canvas(figsize=(10, 2.6), layout="constrained")
    axes = canvas.subplots()
    axes.set_title("100 cold callers: what is sent beside their own requests")
    _contenders_down(axes)
    for place, name in enumerate(CONTENDERS):
        left = 0.0
        for part, label, colour in zip(
            parts(row.figures[name]), ("for a token", "for discovery", "refused with 401"), PARTS, strict=True
        ):
            axes.barh(place, part, left=left, color=colour, label=label if place == 0 else None)
            left += part
        axes.annotate(row.shown(name), (left, place), (3, 0), textcoords="offset points", va="center")
    axes.legend(frameon=False)
    axes.margins(x=0.15)
    return canvas


def _contenders_down(axes: Axes) -> None:
    """The contenders on the left, the first at the top."""
    axes.set_yticks(range(len(CONTENDERS)), list(CONTENDERS))
    axes.set_ylim(len(CONTENDERS) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)


def _identities(calls: dict[int, Result], crowds: dict[int, Result]) -> Canvas:
    canvas = Canvas(figsize=(10, 3.6), layout="constrained")
    left, right = canvas.subplots(1, 2)
    left.set_title("added to a call, µs")
    right.set_title("cold at once: until all are in, ms for each")
    for axes, rows in ((left, calls), (right, crowds)):
        for name, colour in zip(CONTENDERS, LINES, strict=True):
            points = [(size, *parts(row.figures[name])) for size, row in rows.items() if name in row.figures]
            width = 2.5 if name == GATEPASS else 1.2
            axes.plot(*zip(*points, strict=True), marker="o", markersize=4, linewidth=width, color=colour, label=name)
        axes.set_xscale("log")
        axes.set_xticks(list(rows), [f"{size:,}" for size in rows])
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_xlabel("identities in one process")
    left.set_ylim(bottom=0)
    right.set_yscale("log")
    right.yaxis.set_major_formatter("{x:g}")
    canvas.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=len(CONTENDERS), frameon=False)
    return canvas


def _save(canvas: Canvas, file: Path) -> None:
    canvas.savefig(file, metadata={"Date": None, "Creator": None})
