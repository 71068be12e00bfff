"""`gatepass status`: where the tokens stand. Nothing is asked of any server, and nothing is renewed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gatepass.cli.access import Access, Way
from gatepass.cli.configuration.place import read_config
from gatepass.cli.exits import UsageError, exit_of, explain
from gatepass.cli.identity import Who  # noqa: TC001 - typer reads the annotations
from gatepass.cli.issued import timestamp
from gatepass.cli.screen import write_json, write_table
from gatepass.cli.voice import Voice, note, say
from gatepass.cli.way import server_names
from gatepass.errors import GatepassError

if TYPE_CHECKING:
    from gatepass import Status

__all__ = ["status"]

_UNITS = ((86_400, "days"), (3600, "h"), (60, "min"), (1, "s"))


def status(
    who: Who,
    way: Way,
    voice: Voice,
    *,
    where: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME|URL",
            help="Servers by name or URL; all of the configuration if none is given.",
            autocompletion=server_names,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="All that is known, as JSON.")] = False,
) -> None:
    """Show where the tokens of servers stand, here and in the store.

    fresh: it is used. stale: it is used, and renewed at the next call. expired, absent: the next call gets one first.

    \b
    $ gatepass status
    $ gatepass status reports --json | jq -r '.[].expires_at'
    """
    names = where or read_config(way.config).known()
    found: dict[str, Status] = {}
    problems: list[GatepassError | UsageError] = []
    for name in names:
        try:
            found[name] = Access.to(name, who, way).auth.status()
        except (GatepassError, UsageError) as problem:
            problems.append(problem)
    if as_json:
        write_json([_described(*each) for each in found.items()])
    elif found:
        write_table(("server", "token", "expires", "scopes", "issuer"), [_row(*each) for each in found.items()])
    elif not names:
        note(voice, "No server is configured. gatepass init URL writes an entry.")
    for failure in (known.store_failure for known in found.values() if known.store_failure):
        note(voice, str(failure))
    for each in problems:
        say(explain(each))
    if problems:
        raise typer.Exit(exit_of(problems[0]))


def _row(name: str, known: Status) -> tuple[str, str, str, str, str]:
    state = f"{known.state}, renewing" if known.lease is not None else known.state
    return name, state, _until(known.expires_at), " ".join(known.scopes), known.issuer or ""


def _until(moment: float | None) -> str:
    """How long it is until then, or was, in one unit."""
    if moment is None:
        return ""
    left_s = moment - time.time()
    size, unit = next((each for each in _UNITS if abs(left_s) >= each[0]), _UNITS[-1])
    span = f"{abs(left_s) / size:.0f} {unit}"
    return f"in {span}" if left_s > 0 else f"{span} ago"


def _described(name: str, known: Status) -> dict[str, Any]:
    lease = known.lease
    return {
        "server": name,
        "resource": known.resource,
        "issuer": known.issuer,
        "state": known.state,
        "generation": known.generation,
        "obtained_at": timestamp(known.obtained_at),
        "expires_at": timestamp(known.expires_at),
        "renew_at": timestamp(known.renew_at),
        "scopes": list(known.scopes),
        "refreshable": known.refreshable,
        "lease": None if lease is None else {"owner": lease.owner, "until": timestamp(lease.until)},
        "store_failure": None if known.store_failure is None else str(known.store_failure),
    }
