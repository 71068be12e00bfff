"""The status: what an operator asks about a token, at night."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from gatepass.core.value import Value
from gatepass.engine.wording import without_url
from gatepass.errors import GatepassError
from gatepass.lifecycle.policy import decide
from gatepass.lifecycle.record import expires_at
from gatepass.stores.base import Lease  # noqa: TC001 - msgspec reads the annotations

if TYPE_CHECKING:
    from gatepass.core.world import Instant
    from gatepass.engine.source import Source
    from gatepass.lifecycle.failures import Failures
    from gatepass.lifecycle.policy import Held

__all__ = ["Status", "status_of"]


_State = Literal["absent", "fresh", "stale", "expired", "rejected"]


class Status(Value, frozen=True, kw_only=True):
    """Where the token of an `Auth` stands, here and in its store. It holds no secret.

    Attributes:
        state: ``"fresh"`` (served), ``"stale"`` (served, to be renewed), ``"expired"`` or ``"absent"`` (callers wait),
            or ``"rejected"`` (the resource refused it, and there is no newer one yet).
        resource: the MCP endpoint.
        issuer: who issued it; or the pinned issuer, if there is no token.
        generation: which renewal brought it, counted across all who share the store; 0 if there is no token.
        obtained_at: when it was asked for, in epoch seconds.
        expires_at: when its life ends, in epoch seconds; None if the server did not say.
        renew_at: when the next call starts a renewal, in epoch seconds; while one fails, when it is tried again.
        scopes: what was granted; what was asked for, where the server did not say.
        refreshable: it came with a refresh token.
        renewing: a renewal is under way in this process.
        last_failure: the last thing that went wrong in this process, if anything did ...
        failed_at: ... and when, in epoch seconds. A token that is newer than this has made up for it.
        lease: who has the right to renew just now (host, process and number), if anybody has.
        store_failure: why the store can't be read, if it can't; then all of this is what this process knows.
    """

    state: _State
    resource: str
    issuer: str | None
    generation: int = 0
    obtained_at: float | None = None
    expires_at: float | None = None
    renew_at: float | None = None
    scopes: tuple[str, ...] = ()
    refreshable: bool = False
    renewing: bool = False
    last_failure: GatepassError | None = None
    failed_at: float | None = None
    lease: Lease | None = None
    store_failure: GatepassError | None = None


def status_of(source: Source) -> Status:
    """Look into the store and say how things are. Nothing is renewed, and nothing of what is found is taken."""
    record, lease, trouble = None, None, None
    try:
        signer = source.binding.known_signer()
        record, lease = source.shelf.peek()
        stored = source.placed(record, signer)
    except GatepassError as failure:
        stored, trouble = None, failure.again()
    now, held, failures = source.world.now(), source.held, source.failures
    if stored is not None and source.hand.prefers(stored, now):
        held = stored
    status = Status(
        state=_state(source, held, now),
        resource=source.target.endpoint,
        issuer=source.target.issuer,
        renewing=source.renewing,
        last_failure=None if failures.latest is None else without_url(failures.latest),
        failed_at=failures.latest_at,
        lease=lease,
        store_failure=trouble,
    )
    return status if held is None else _with_token(status, held, now, failures)


def _with_token(status: Status, held: Held, now: Instant, failures: Failures) -> Status:
    record = held.record
    renew_at = held.fresh_until.wall
    if failures.last is not None:
        renew_at = now.wall + failures.not_before_mono - now.mono
    return msgspec.structs.replace(
        status,
        issuer=record.issuer,
        generation=held.generation,
        obtained_at=record.obtained_at,
        expires_at=expires_at(record),
        renew_at=max(now.wall, renew_at),
        scopes=record.requested if record.scope is None else record.scope,
        refreshable=record.refresh_token is not None,
    )


def _state(source: Source, held: Held | None, now: Instant) -> _State:
    if held is not None and source.hand.refuses(held.record.access_token):
        return "rejected"
    return decide(held, now).value
