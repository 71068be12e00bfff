"""What came of a run, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulation.invariants import needed

if TYPE_CHECKING:
    from simulation.run import Run


def report(run: Run, command: str) -> str:
    """A page about a run."""
    watch, scenario, server = run.watch, run.scenario, run.watch.auth_server
    issued = len(watch.resource.issued)
    peak = max((count for second, count in server.requests.items() if second >= 60), default=0)
    failed = ", ".join(f"{count} {code}" for code, count in watch.failed.most_common()) or "none"
    lines = [
        command,
        f"{scenario.about}: {scenario.workers} workers, {scenario.days:g} days",
        f"  took {run.took_s:.1f} s for {run.hub.events} events, fingerprint {watch.fingerprint}",
        f"  calls served: {watch.served}; failed: {sum(watch.failed.values())} ({failed}); 401s: {watch.refusals}",
        f"  tokens issued: {issued}; needed: {needed(run)}; requests for one: {server.token_requests}",
        f"  requests in all: {sum(server.requests.values())}, {peak} in one second at the most",
        *([f"  people asked to sign in: {watch.people_asked}"] if watch.people_asked else []),
        *(f"  excused {count:6} times: {name}: {why}" for (name, why), count in sorted(watch.excused.items())),
    ]
    if watch.violation is not None:
        lines += ["", f"VIOLATED at {watch.violation}", "", f"Again: {command}"]
    return "\n".join(lines)
