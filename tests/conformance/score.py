"""The score of gatepass in the official conformance suite, as a Markdown table. A record, not a gate.

Run as a script. All `auth/*` scenarios of the suite are played at both wires, one after the other (minutes).
"""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from conformance.suite import SPEC_VERSIONS, Played, auth_scenarios, play


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
    print(f"| scenario | {' | '.join(SPEC_VERSIONS)} |")
    print("|---|" + "---|" * len(SPEC_VERSIONS))
    total = {version: Counter[str]() for version in SPEC_VERSIONS}
    for scenario in auth_scenarios():
        cells = []
        for version in SPEC_VERSIONS:
            with tempfile.TemporaryDirectory() as results:
                played = play(scenario, version, Path(results))
            total[version].update(check.status for check in played.checks)
            total[version]["clean"] += played.exit_code == 0
            cells.append(verdict(played))
        print(f"| {scenario.removeprefix('auth/')} | {' | '.join(cells)} |", flush=True)
    sums = [f"{t['SUCCESS']}/{t['SUCCESS'] + t['FAILURE']}, {t['clean']} scenarios clean" for t in total.values()]
    print(f"| **all** | {' | '.join(sums)} |")


if __name__ == "__main__":
    main()
