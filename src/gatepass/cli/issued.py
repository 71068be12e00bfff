"""The token that a command hands on, with what is known of it, and with enough life left for what it is wanted for."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from gatepass.cli.span import seconds
from gatepass.cli.spinner import spinning
from gatepass.cli.voice import note
from gatepass.lifecycle.record import ttl_at

if TYPE_CHECKING:
    from gatepass.cli.access import Access
    from gatepass.cli.voice import Voice
    from gatepass.lifecycle.record import TokenRecord

__all__ = ["MinTtl", "issued", "leave", "timestamp"]

_FAREWELL_S = 3.0
"""How long a command that is done waits for a renewal that it started: the token that it had is out already."""


MinTtl = Annotated[
    float | None,
    typer.Option(
        "--min-ttl",
        metavar="TIME",
        parser=seconds,
        help="Renew first if the token would live no longer than that: 90s, 5m, 1h.",
    ),
]


def issued(access: Access, min_ttl_s: float | None, voice: Voice) -> TokenRecord:
    """A usable token, renewed first if it would not live long enough.

    Args:
        access: the way in.
        min_ttl_s: how long it should live from now on, in seconds; None if any usable token will do.
        voice: how loud to say that the server gives none that lives so long.

    Raises:
        GatepassError: there is no token, or it could not be renewed; the reason.
    """
    with spinning(f"Waiting for a token for {access.auth.resource} ...", voice):
        access.auth.warm(min_ttl_s or 0.0)
        held = access.auth._source.held  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  # of our own house
    assert held is not None  # noqa: S101 - `warm` has seen to it
    record = held.record
    if min_ttl_s is not None and record.lifetime_s is None:
        note(voice, "The server does not say how long its tokens live, so --min-ttl can't be seen to.")
    elif min_ttl_s is not None and (ttl_at(record, time.time()) or 0.0) < min_ttl_s:
        note(voice, f"A token of this server lives for {record.lifetime_s:g} s, too short for what --min-ttl asks for.")
    return record


def leave(access: Access) -> None:
    """Before a command ends: let a renewal that runs behind a stale token come to its end."""
    access.auth.close(_FAREWELL_S)


def timestamp(epoch_s: float | None) -> str | None:
    """A moment as RFC 3339 has it, in UTC."""
    if epoch_s is None:
        return None
    return datetime.fromtimestamp(epoch_s, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
