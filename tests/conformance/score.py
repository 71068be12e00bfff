"""The score of gatepass in the official conformance suite, as a Markdown table: what docs/conformance.md shows.

Run as a script. Every play of the suite about authorization, one after the other (two minutes).
"""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from conformance.suite import Played, play, plays


def verdict(played: Played) -> str:
    """Checks passed of checks made, by the suite's own count, and what else it holds against the client."""
    count = Counter(check.status for check in played.checks)
    remarks = [
        f"{count[status]} {word}" for status, word in (("WARNING", "warned"), ("SKIPPED", "skipped")) if count[status]
    ]
    if played.exit_code and not count["FAILURE"] and not count["WARNING"]:
        remarks.append("client failed")
    return ", ".join([f"{count['SUCCESS']}/{count['SUCCESS'] + count['FAILURE']}", *remarks])


def main() -> None:
    print("| scenario | version | checks |\n|---|---|---|")
    checks, clean, played_at_all = Counter[str](), 0, plays()
    for scenario, version in played_at_all:
        with tempfile.TemporaryDirectory() as results:
            played = play(scenario, version, Path(results))
        checks.update(check.status for check in played.checks)
        clean += played.clean
        print(f"| {scenario.removeprefix('auth/')} | {version} | {verdict(played)} |", flush=True)
    total = checks["SUCCESS"] + checks["FAILURE"]
    print(f"| **all** | | **{checks['SUCCESS']}/{total}; {clean} of {len(played_at_all)} clean** |")


if __name__ == "__main__":
    main()
