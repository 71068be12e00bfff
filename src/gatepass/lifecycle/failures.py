"""What failed, and when it is worth trying again: back-off for what may pass, silence for what stays."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatepass.errors import SignInRequiredError
from gatepass.lifecycle.policy import back_off_s, negative_memory_s

if TYPE_CHECKING:
    from gatepass.core.world import Instant
    from gatepass.errors import GatepassError
    from gatepass.lifecycle.policy import Policy

__all__ = ["Failures"]

_LONG_AGO = float("-inf")


class Failures:
    """The failures of one identity since its last token.

    Args:
        policy: the numbers.

    Attributes:
        last: the last of them; None since there was a token.
        latest: the last of them, even if there was a token since ...
        latest_at: ... and when that was, in epoch seconds.
        not_before_mono: when to try again, on the monotonic clock.
    """

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self.latest: GatepassError | None = None
        self.latest_at: float | None = None
        self.clear()

    def clear(self) -> None:
        """A token was made: forget the failures."""
        self.last: GatepassError | None = None
        self.not_before_mono = self._silent_until_mono = _LONG_AGO
        self._count = 0
        self._while_alive = False

    def add(
        self, error: GatepassError, now: Instant, *, remaining_s: float, share: float
    ) -> tuple[GatepassError, float]:
        """Remember a failure. The error with the time of the next try, and how long that is away in seconds.

        Args:
            error: what happened.
            now: the present.
            remaining_s: what is left of the token's usable life; 0 if there is none.
            share: the jitter, a random number from 0 to 1.
        """
        if self._while_alive and remaining_s <= 0:
            self._count = 0  # from now on somebody waits: the back-off begins anew
        self._while_alive = remaining_s > 0
        self._count += 1
        wait_s = back_off_s(
            self._count,
            remaining_s=remaining_s,
            retry_after_s=None if error.retry_at is None else error.retry_at - now.wall,
            share=share,
            policy=self._policy,
        )
        self.not_before_mono, self._silent_until_mono = now.mono + wait_s, _LONG_AGO
        if isinstance(error, SignInRequiredError):
            self.not_before_mono = now.mono + remaining_s  # until then, nobody needs to be asked
        elif error.retryable:
            error = error.with_(retry_at=now.wall + wait_s)
        else:
            self._silent_until_mono = now.mono + negative_memory_s(self._count, self._policy)
            self.postpone(now)
        self.last = self.latest = error
        self.latest_at = now.wall
        return error, wait_s

    def postpone(self, now: Instant, wait_s: float | None = None) -> None:
        """While the token at hand is good, look again only now and then; or after so many seconds."""
        self.not_before_mono = now.mono + (self._policy.back_off_first_s if wait_s is None else wait_s)

    def standing(self, now: Instant) -> GatepassError | None:
        """A final failure that still stands: asking again would bring the same answer."""
        return self.last if now.mono < self._silent_until_mono else None

    def retry_in_s(self, now: Instant) -> float:
        """How long to wait after a failure that may pass; 0 or less if there was none."""
        return self.not_before_mono - now.mono if self.last is not None and self.last.retryable else 0.0
