"""Every decision about a token's life, as functions of their arguments.

A token is *fresh*, then *stale* (served, while a renewal runs behind it), then *expired*. The windows are fractions of
its lifetime, so that a token of 30 seconds works as well as one of a day.
"""

from __future__ import annotations

import enum
import math
from typing import TYPE_CHECKING

from gatepass.core.value import Value
from gatepass.core.world import Instant
from gatepass.dpop import ProofKey, token_hash

if TYPE_CHECKING:
    from gatepass.lifecycle.record import Pause, TokenRecord

__all__ = [
    "Held",
    "Policy",
    "State",
    "asked_for",
    "back_off_s",
    "decide",
    "hold",
    "negative_memory_s",
    "pause_s",
    "still_paused_s",
]


class State(enum.Enum):
    """Where a token stands in its life."""

    ABSENT = "absent"
    FRESH = "fresh"
    STALE = "stale"
    EXPIRED = "expired"


class Policy(Value, frozen=True, kw_only=True):
    """The numbers of the life of a token. The defaults are meant to be kept."""

    renew_from: float = 0.70
    """A token is fresh up to a share of its lifetime that is drawn once for each token: from here ..."""
    renew_to: float = 0.80
    """... to here, so that many holders of one lifetime do not renew in the same moment."""
    margin_s: float = 10.0
    """A token is used no longer than this before its end, or ..."""
    margin_share: float = 0.05
    """... this share of its lifetime, whichever is shorter."""
    soft_lifetime_s: float = 300.0
    """When to renew a token whose lifetime the server did not say."""
    clock_back_s: float = 60.0
    """A stored token from further than this in the future tells of a clock that went back: it counts as stale."""
    forced_interval_s: float = 5.0
    """How far apart renewals are that a resource forces by refusing tokens."""
    attempts: int = 2
    """How often a caller's wait covers a retryable failure."""
    back_off_first_s: float = 1.0
    back_off_cap_s: float = 60.0
    back_off_share: float = 0.25
    """No longer than this share of the remaining life ..."""
    back_off_floor_s: float = 0.25
    """... and no shorter than this while the token lives: shares of what remains would never come to an end."""
    retry_after_cap_s: float = 3600.0
    retry_after_spread: float = 0.1
    """What a server asks for is exceeded by up to this share of it, at random."""
    negative_first_s: float = 60.0
    """How long a final failure is remembered, doubling each time ..."""
    negative_cap_s: float = 600.0
    """... up to this."""
    step_ups: int = 2
    """How often one operation at the resource may bring a token with more scopes."""


class Held(Value, frozen=True, kw_only=True):
    """A token placed on the clocks of this process, ready to use.

    Attributes:
        fresh_until: renew from here on.
        usable_until: not used from here on.
        authorization: the value of the Authorization header, ready made.
        proof_key: the key that the token is bound to, if it is (RFC 9449) ...
        token_hash: ... and what binds a proof to the token.
    """

    hidden = ("authorization", "token_hash")

    record: TokenRecord
    fresh_until: Instant
    usable_until: Instant
    authorization: str
    proof_key: ProofKey | None = None
    token_hash: str | None = None

    @property
    def generation(self) -> int:
        """Which renewal brought this token."""
        return self.record.generation


def hold(record: TokenRecord, now: Instant, policy: Policy, share: float, proof_key: ProofKey | None = None) -> Held:
    """Place a record on this process's clocks.

    Args:
        record: a token, new or loaded.
        now: the present.
        policy: the windows.
        share: where this token's fresh life ends, between `renew_from` and `renew_to`, as a number from 0 to 1.
        proof_key: the key that the token is bound to, if it is.
    """
    age = max(0.0, now.wall - record.obtained_at)
    from_the_future = record.obtained_at - now.wall > policy.clock_back_s
    lifetime = record.lifetime_s
    ratio = policy.renew_from + share * (policy.renew_to - policy.renew_from)
    fresh_s = ratio * (policy.soft_lifetime_s if lifetime is None else lifetime)
    if record.refresh_in_s is not None:
        fresh_s = min(fresh_s, record.refresh_in_s)
    usable_s = math.inf if lifetime is None else lifetime - min(policy.margin_s, policy.margin_share * lifetime)
    return Held(
        record=record,
        fresh_until=_after(now, -math.inf if from_the_future else fresh_s - age),
        usable_until=_after(now, usable_s - age),
        authorization=f"{record.token_type} {record.access_token}",
        proof_key=proof_key,
        token_hash=None if proof_key is None else token_hash(record.access_token),
    )


def decide(held: Held | None, now: Instant) -> State:
    """Where the token stands. Both clocks must agree that it still lives: a laptop may have slept."""
    if held is None:
        return State.ABSENT
    if _before(now, held.fresh_until):
        return State.FRESH
    if _before(now, held.usable_until):
        return State.STALE
    return State.EXPIRED


def asked_for(held: Held, scopes: tuple[str, ...]) -> bool:
    """Whether the token was asked for with all of these scopes."""
    return not scopes or set(scopes) <= set(held.record.requested)


def back_off_s(
    failures: int, *, remaining_s: float, retry_after_s: float | None, share: float, policy: Policy
) -> float:
    """How long to wait after a retryable failure: full jitter, doubling, never shorter than the server asks.

    Args:
        failures: how many in a row, this one included.
        remaining_s: what is left of the token's usable life; 0 if there is none.
        retry_after_s: the server's Retry-After (RFC 9110 §10.2.3), if it sent one.
        share: the jitter, a random number from 0 to 1.
        policy: the limits.
    """
    ceiling = min(policy.back_off_cap_s, policy.back_off_first_s * 2.0 ** min(failures - 1, 16))
    asked, floor = min(max(0.0, retry_after_s or 0.0), policy.retry_after_cap_s), 0.0
    if remaining_s > 0:
        ceiling = min(ceiling, policy.back_off_share * remaining_s)
        floor = policy.back_off_floor_s
    spread = max(ceiling, policy.retry_after_spread * asked)  # all were told the same, and must not come back at once
    return asked + max(share * spread, floor)


def pause_s(wait_s: float, *, remaining_s: float, policy: Policy) -> float:
    """How long all who share a token that still serves leave the authorization server alone after one failed.

    Args:
        wait_s: how long the one waits who failed.
        remaining_s: what is left of the token's usable life.
        policy: the limits.
    """
    return min(remaining_s, max(wait_s, min(policy.back_off_cap_s, policy.back_off_share * remaining_s)))


def still_paused_s(pause: Pause, now: Instant, policy: Policy) -> float:
    """How much longer a pause lasts; 0 or less if it is over, or begins in a future that tells of a wrong clock."""
    age_s = now.wall - pause.began_at
    return pause.lasts_s - max(0.0, age_s) if age_s >= -policy.clock_back_s else 0.0


def negative_memory_s(failures: int, policy: Policy) -> float:
    """How long a final failure stands before the authorization server is asked again."""
    return min(policy.negative_cap_s, policy.negative_first_s * 2.0 ** min(failures - 1, 16))


def _after(now: Instant, seconds: float) -> Instant:
    return Instant(wall=now.wall + seconds, mono=now.mono + seconds)


def _before(now: Instant, limit: Instant) -> bool:
    return now.mono < limit.mono and now.wall < limit.wall
