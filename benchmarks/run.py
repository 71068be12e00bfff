"""One run: under what conditions, and what came out; as JSON, as text, and in a page of the docs."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Self

from benchmarks.contenders import CONTENDERS
from benchmarks.results import Result, as_table

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Run"]

BEGIN, END = "<!-- figures, written by the benchmarks -->", "<!-- end of figures -->"
CLIENTS = ("httpx2", "httpx", "requests")
LEGEND = """\
Less is better. A time is a ratio to the same calls by the same HTTP client with a fixed header, in the same run; what
1.00 stands for is said for httpx2 / httpx / requests."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What was measured, where.

    Attributes:
        packages: their versions.
        python: the version of Python.
        system: the operating system.
        cores: how many processors there were.
        quick: few rounds, so no figure is to be trusted.
        results: the rows.
    """

    packages: dict[str, str]
    python: str
    system: str
    cores: int
    quick: bool
    results: list[Result]

    @classmethod
    def here(cls, results: list[Result], *, quick: bool) -> Self:
        """What was measured on this machine, just now."""
        return cls(
            packages={name: version(name) for name in (*(each.package for each in CONTENDERS.values()), *CLIENTS)},
            python=platform.python_version(),
            system=platform.system(),
            cores=os.cpu_count() or 1,
            quick=quick,
            results=results,
        )

    @classmethod
    def read(cls, file: Path) -> Self:
        """What `write` wrote."""
        fields = json.loads(file.read_text())
        rows = fields.pop("results")
        return cls(**fields, results=[_row(**row) for row in rows])

    def write(self, file: Path) -> None:
        """Write it as JSON."""
        file.write_text(json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n")

    @property
    def text(self) -> str:
        """The conditions, the table, and what there is to say about it, as Markdown."""
        packages = ", ".join(f"{name} {number}" for name, number in self.packages.items())
        cores = "one core" if self.cores == 1 else f"{self.cores} cores"
        quick = " A quick run: the figures are not to be trusted." if self.quick else ""
        conditions = f"Python {self.python} on {self.system}, {cores}; {packages}.{quick}"
        return f"{conditions}\n\n{LEGEND}\n\n{as_table(self.results)}"

    def put_into(self, page: Path) -> None:
        """Replace the figures of a page.

        Raises:
            ValueError: it has no place for them.
        """
        before, begin, rest = page.read_text().partition(BEGIN)
        _, end, after = rest.partition(END)
        if not end:
            raise ValueError(f"{page} has no place for figures: a line {BEGIN!r}, and a line {END!r} below it.")
        page.write_text(f"{before}{begin}\n\n{self.text}\n\n{end}{after}")


def _row(**fields: object) -> Result:
    """A row from JSON, which has lists for tuples."""
    figures = {
        name: tuple(figure) if isinstance(figure, list) else figure for name, figure in fields.pop("figures").items()
    }
    return Result(figures=figures, **fields)
