"""The hand: what one process knows of the tokens of one identity. The one at hand, and those that the resource refused.

Each process that can't reach the store counts generations for itself, so that a higher number may be the worse token:
of two, the better one is in a better state, or in the same and newer.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from gatepass.lifecycle.policy import State, decide

if TYPE_CHECKING:
    from gatepass.core.world import Instant
    from gatepass.lifecycle.policy import Held

__all__ = ["Hand", "same"]

_REFUSED = 8
"""How many refused tokens are remembered. Others may put one of them into the store again."""
_WORTH = {State.FRESH: 2, State.STALE: 1}


class Hand:
    """Which token to use. Whoever has it changes it under a lock; what only looks needs none.

    Attributes:
        held: the token at hand, whatever its state.
        last: the newest generation that was heard of, here or in the store; the next token's is higher.
    """

    __slots__ = ("_refused", "_spent", "held", "last")

    def __init__(self) -> None:
        self.held: Held | None = None
        self.last = 0
        self._refused: deque[str] = deque(maxlen=_REFUSED)
        self._spent: str | None = None

    def hold(self, held: Held) -> None:
        """Use that token from now on. If it was refused, the server gave it all the same: it is worth another try."""
        self.held = held
        self.heard_of(held.generation)
        if self.refuses(held.record.access_token):
            self._refused.remove(held.record.access_token)

    def drop(self) -> Held | None:
        """Use no token any more, and this one never again, wherever it still stands; which one that was."""
        dropped, self.held = self.held, None
        if dropped is not None:
            self.refuse(dropped)
        return dropped

    def heard_of(self, generation: int) -> None:
        """A token of that generation exists."""
        self.last = max(self.last, generation)

    def refuse(self, held: Held) -> bool:
        """The resource refused that token; whether that is news."""
        news = not self.refuses(held.record.access_token)
        if news:
            self._refused.append(held.record.access_token)
        return news

    def refuses(self, access_token: str) -> bool:
        """Whether the resource refused that token."""
        return access_token in self._refused

    def usable(self, held: Held, now: Instant) -> bool:
        """Whether that token can be served: alive, and not refused by the resource."""
        return self._worth(held, now) > 0

    def prefers(self, other: Held, now: Instant) -> bool:
        """Whether another token, from the store, is better than the one at hand."""
        if self.held is None:
            return True
        mine, its = self._worth(self.held, now), self._worth(other, now)
        return not same(self.held, other) and (its, other.generation) > (mine, self.held.generation)

    def spend(self, held: Held) -> None:
        """The refresh token of that token is not to be used again."""
        self._spent = held.record.access_token

    @property
    def refresh_token(self) -> str | None:
        """The refresh token of the one at hand, unless it is spent."""
        record = self.held.record if self.held else None
        return None if record is None or record.access_token == self._spent else record.refresh_token

    def _worth(self, held: Held, now: Instant) -> int:
        return 0 if self.refuses(held.record.access_token) else _WORTH.get(decide(held, now), 0)


def same(one: Held | None, other: Held | None) -> bool:
    """Whether they are one token, whatever else is known of it."""
    return one is not None and other is not None and one.record.access_token == other.record.access_token
