"""The simulation in the default run: every scenario once, by the command that a person would use.

Each run is a process of its own, without the coverage tool, which could not follow thousands of greenlets.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from simulation.scenarios import SCENARIOS

ROOT = Path(__file__).parents[2]
SHORTER = {"outages": ("--workers", "100")}
"""What is not run in full by default."""
SABOTAGE = [
    ("the lease is everybody's", "people", "one renewal a generation"),
    ("the store acknowledges what it does not keep", "people", "a refresh token is spent once"),
    ("leases last a day", "hourly", "everybody is served again in time"),
    ("the store hides its tokens", "hourly", "one renewal a generation"),
    ("tokens are given up at a tenth of their life", "hourly", "a valid token is served"),
    ("tokens are renewed at a tenth of their life", "hourly", "a token is renewed in its time"),
    ("no jitter", "alone", "the load is smooth"),
    ("renewal on 401", "outages", "the load is smooth"),
    ("what is to be done later is forgotten", "alone", "no flight is stuck"),
]

Run = tuple[int, str]


def simulated(*options: str, hash_seed: str = "random") -> Run:
    """The exit code and the report of a run."""
    surroundings = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    surroundings |= {"PYTHONPATH": str(ROOT / "tests"), "PYTHONHASHSEED": hash_seed}
    command = [sys.executable, "-m", "simulation", *options]
    done = subprocess.run(command, cwd=ROOT, env=surroundings, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def runs() -> Iterator[dict[str, Future[Run]]]:
    """Every scenario, as many at a time as there are processors; the longest begins first."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield {
            scenario: pool.submit(simulated, "--scenario", scenario, *SHORTER.get(scenario, ()), "--seed", "1")
            for scenario in SCENARIOS
        }


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_nothing_happens_that_must_never_happen(scenario: str, runs: dict[str, Future[Run]]) -> None:
    code, report = runs[scenario].result()
    assert code == 0, report


@pytest.mark.parametrize(("sabotage", "scenario", "invariant"), SABOTAGE, ids=[each[0] for each in SABOTAGE])
def test_sabotage_is_noticed(sabotage: str, scenario: str, invariant: str) -> None:
    options = ("--scenario", scenario, "--sabotage", sabotage)
    code, report = simulated(*options, "--seed", "1")
    assert code == 1, report
    assert f": {invariant}, but " in report, report
    assert "\n\nThe last events of " in report
    again = report.rstrip().rpartition("Again: ")[2]
    assert again.startswith("PYTHONPATH=tests .venv/bin/python -m simulation --scenario ")
    assert again.endswith(" --seed 1")


def test_a_seed_replays_to_the_last_event() -> None:
    lives = {fingerprint("1", hash_seed) for hash_seed in ("1", "2", "3")}
    assert len(lives) == 1
    assert fingerprint("2", "1") not in lives


def fingerprint(seed: str, hash_seed: str) -> str:
    _, report = simulated("--scenario", "hourly", "--days", "0.5", "--seed", seed, hash_seed=hash_seed)
    found = re.search(r", fingerprint ([0-9a-f]{16})$", report, re.MULTILINE)
    assert found, report
    return found[1]
