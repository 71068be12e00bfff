"""`python -m benchmarks`: every measure in one run; the table of what came out, and pictures of it."""

from __future__ import annotations

import argparse
import logging
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import measures
from benchmarks.bench import Bench
from benchmarks.run import Run
from benchmarks.servers import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks.results import Result

PAGE = ROOT / "docs" / "benchmarks.md"


def main() -> None:
    """Run the measures that were asked for. An aim that is missed is shown, and is no failure."""
    options = _options()
    run = Run.read(options.reuse) if options.reuse else _measured(options)
    print(run.text)
    if options.json:
        run.write(options.json)
    if options.docs:
        run.put_into(options.docs)
    for folder in filter(None, (options.plots, options.docs and options.docs.parent / "pictures")):
        from benchmarks.plots import draw  # not before there is something to draw: it is dear to import

        draw(run, folder)


def _measured(options: argparse.Namespace) -> Run:
    logging.getLogger().addHandler(logging.NullHandler())  # what the contenders say about the troubles made for them
    results: list[Result] = []
    try:
        with Bench(quick=options.quick) as bench:
            results.extend(_rows(bench, options.only or list(measures.ALL)))
    except BaseException:  # what was measured before something broke took its time, too
        print(Run.here(results, quick=options.quick).text)
        raise
    return Run.here(results, quick=options.quick)


def _rows(bench: Bench, names: Sequence[str]) -> Iterator[Result]:
    """The rows of each measure, as they come; how far it has got stands on standard error."""
    for number, name in enumerate(names, 1):
        print(f"[{number}/{len(names)}] {name} ...", end=" ", file=sys.stderr, flush=True)
        start = time.monotonic()
        yield from measures.ALL[name](bench)
        print(f"{time.monotonic() - start:.1f} s", file=sys.stderr, flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=main.__doc__)
    parser.add_argument("--quick", action="store_true", help="few rounds: to see that it works, not for figures")
    parser.add_argument(
        "--only",
        action="append",
        choices=list(measures.ALL),
        metavar="NAME",
        help=f"only this measure, of {', '.join(measures.ALL)}; may be repeated",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what came out there, too")
    parser.add_argument("--from", dest="reuse", type=Path, metavar="FILE", help="measure nothing: take that JSON file")
    parser.add_argument("--plots", type=Path, metavar="FOLDER", help="draw bench-*.svg there")
    parser.add_argument(
        "--docs",
        type=Path,
        nargs="?",
        const=PAGE,
        metavar="PAGE",
        help="write the table into a page, docs/benchmarks.md if none is named, and draw into pictures/ beside it",
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
