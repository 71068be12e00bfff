"""The picture of docs/simulation.md: what an authorization server sees of a fleet, and of clients that renew on 401."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simulation.report import report
from simulation.run import Run
from simulation.sabotage import SABOTAGE
from simulation.scenarios import DAY_S, HOUR_S, MINUTE_S, SCENARIOS

if TYPE_CHECKING:
    from collections.abc import Mapping

PICTURE = Path(__file__).parents[2] / "docs" / "pictures" / "as-load.svg"
SCENARIO = "outages"
CLIENTS = {
    "a client that renews on 401": (SABOTAGE["renewal on 401"], "#c2570c"),
    "gatepass": (None, "#0f766e"),
}
UNBOUNDED = {"most_per_second": 10**6, "most_when_well": 10**6}
"""Nobody is stopped, whatever the load."""
NOTHING = 0.5
"""Where a logarithmic axis begins."""


def plot(seed: int) -> None:
    """Run the scenario once with each client, print what came of it, and draw both."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "gatepass"  # the same run gives the same file
    from matplotlib import pyplot as plt

    figure, (load, failures) = plt.subplots(2, 1, figsize=(9, 6), sharex=True, layout="constrained")
    for name, (sabotage, colour) in CLIENTS.items():
        run = Run(replace(SCENARIOS[SCENARIO], **UNBOUNDED), seed, sabotage)
        watch = run.go()
        print(report(run, f"{name}:").partition("\n\n")[0], end="\n\n")
        _draw(load, watch.auth_server.minutes, name, colour)
        _draw(failures, watch.failures_by_minute, name, colour)
    load.set_ylabel("requests at the\nauthorization server, a minute")
    failures.set_ylabel("failed calls, a minute")
    failures.set_xlabel("hours")
    for axes in (load, failures):
        _dress(axes)
    load.legend(loc="upper left", frameon=False)
    figure.suptitle(f"{SCENARIOS[SCENARIO].workers} workers, tokens of an hour, two outages (grey)")
    PICTURE.parent.mkdir(exist_ok=True)
    figure.savefig(PICTURE, facecolor="white", metadata={"Date": None})


def _draw(axes: Any, by_minute: Mapping[int, int], name: str, colour: str) -> None:
    """One curve, with a point for each change. A minute without anything lies at the bottom of the logarithmic axis."""
    end = int(SCENARIOS[SCENARIO].days * DAY_S / MINUTE_S)
    counts = [max(by_minute.get(minute, 0), NOTHING) for minute in range(end + 1)]
    changes = [minute for minute in range(end + 1) if minute in {0, end} or counts[minute] != counts[minute - 1]]
    hours, heights = [minute * MINUTE_S / HOUR_S for minute in changes], [counts[minute] for minute in changes]
    axes.fill_between(hours, heights, NOTHING, step="post", color=colour, alpha=0.25, linewidth=0)
    axes.step(hours, heights, where="post", color=colour, linewidth=1.0, label=name)


def _dress(axes: Any) -> None:
    axes.set_yscale("log")
    axes.set_ylim(NOTHING, 3000)
    axes.set_xlim(0, SCENARIOS[SCENARIO].days * DAY_S / HOUR_S)
    axes.set_yticks([1, 10, 100, 1000], ["1", "10", "100", "1000"])
    axes.grid(axis="y", color="#d4d4d4", linewidth=0.6)
    for _, when, lasts_s in SCENARIOS[SCENARIO].outages:
        axes.axvspan(when / HOUR_S, (when + lasts_s) / HOUR_S, color="#9ca3af", alpha=0.35, linewidth=0)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
