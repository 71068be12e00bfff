"""The simulation by hand. From the root of the project:

PYTHONPATH=tests .venv/bin/python -m simulation --scenario hourly --seed 7
PYTHONPATH=tests .venv/bin/python -m simulation --scenario hourly --seeds 1-50
PYTHONPATH=tests .venv/bin/python -m simulation plot
"""

from __future__ import annotations

import argparse
import dataclasses
import gc
import sys

from simulation.report import report
from simulation.run import Run
from simulation.sabotage import SABOTAGE
from simulation.scenarios import SCENARIOS


def main() -> int:
    given = _arguments()
    if given.what == "plot":
        from simulation.plot import plot

        plot(given.seed)
        return 0
    changes = {name: value for name in ("workers", "days") if (value := getattr(given, name)) is not None}
    first, _, last = (given.seeds or str(given.seed)).partition("-")
    failures = 0
    for seed in range(int(first), int(last or first) + 1):
        scenario = dataclasses.replace(SCENARIOS[given.scenario], **changes)
        run = Run(scenario, seed, SABOTAGE.get(given.sabotage))
        gc.freeze()
        run.go()
        print(report(run, _command(given, seed)), flush=True)
        failures += run.watch.violation is not None
    return 1 if failures else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m simulation", description="The life of tokens in virtual time.")
    parser.add_argument("what", nargs="?", choices=["run", "plot"], default="run")
    parser.add_argument("--scenario", choices=SCENARIOS, default="fleet")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seeds", metavar="FROM-TO")
    parser.add_argument("--workers", type=int, help="instead of the scenario's")
    parser.add_argument("--days", type=float, help="instead of the scenario's")
    parser.add_argument("--sabotage", choices=SABOTAGE, help="break something, to see it noticed")
    return parser.parse_args()


def _command(given: argparse.Namespace, seed: int) -> str:
    """What repeats the run exactly."""
    options = [
        f"--{name} {value!r}" for name in ("scenario", "workers", "days", "sabotage") if (value := getattr(given, name))
    ]
    return f"PYTHONPATH=tests .venv/bin/python -m simulation {' '.join(options)} --seed {seed}"


if __name__ == "__main__":
    sys.exit(main())
