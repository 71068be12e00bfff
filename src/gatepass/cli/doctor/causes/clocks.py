"""Troubles with clocks: what a JWT says of time is checked on both sides."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatepass.cli.doctor.report import Fix, Trouble, Verdict
from gatepass.protocol.dates import clock_skew_s

if TYPE_CHECKING:
    from gatepass.cli.doctor.overhear import Heard

__all__ = ["WORTH_SAYING_S", "differs", "skew_of", "skewed"]

WORTH_SAYING_S = 30.0
"""A Date has whole seconds, and an answer takes its time."""

_FIX = Fix("Have the clocks set (NTP): one of the two is wrong. To change the client is no use.")


def skew_of(heard: Heard) -> float | None:
    """By how many seconds the server's clock is ahead of ours, if that is worth saying."""
    skew = clock_skew_s(heard.response, heard.received) if heard.response else None
    return skew if skew is not None and abs(skew) >= WORTH_SAYING_S else None


def skewed(whose: str, skew_s: float, said: str) -> Trouble:
    """The clocks are why it is refused, and nothing else.

    Args:
        whose: clock it is.
        skew_s: by how many seconds it is ahead of ours.
        said: how it was refused.
    """
    cause = f"{said} The {whose}'s clock is {_apart(skew_s)}: what is made here is out of date there, or not made yet."
    return Trouble(id="clock_skew", cause=cause, fix=_FIX)


def differs(place: str, skew_s: float) -> Trouble:
    """It may be why something is refused, some day."""
    cause = f"The clock of {place} is {_apart(skew_s)}."
    return Trouble(id="clock_skew", cause=cause, fix=_FIX, verdict=Verdict.WARNING)


def _apart(skew_s: float) -> str:
    side = "ahead of" if skew_s > 0 else "behind"
    return f"{abs(skew_s):.0f} s {side} this machine's"
