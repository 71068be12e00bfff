"""`python -m benchmarks`: every measure in one run, and the table of what came out."""

from __future__ import annotations

import argparse
import json
import logging
import platform
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import measures
from benchmarks.bench import Bench
from benchmarks.results import Result, as_json, as_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


def main() -> None:
    """Run the measures that were asked for. An aim that is missed is shown, and is no failure."""
    options = _options()
    logging.getLogger().addHandler(logging.NullHandler())  # what the contenders say about the troubles made for them
    results: list[Result] = []
    try:
        with Bench(quick=options.quick) as bench:
            results.extend(_measured(bench, options.only or list(measures.ALL)))
    finally:  # what was measured before something broke took its time, too
        print(_heading())
        print(as_table(results))
    if options.json:
        options.json.write_text(json.dumps(as_json(results), indent=2, ensure_ascii=False) + "\n")


def _measured(bench: Bench, names: Sequence[str]) -> Iterator[Result]:
    """The results of each measure, as they come; how far it has got stands on standard error."""
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
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there, too")
    return parser.parse_args()


def _heading() -> str:
    packages = ", ".join(f"{name} {version(name)}" for name in ("gatepass", "httpx2", "mcp"))
    return f"""\
{packages}; Python {platform.python_version()} on {platform.system()}.
Ratios to the same client with a fixed header, in the same run; the best of several interleaved rounds.
"""


if __name__ == "__main__":
    main()
