"""For how long something is tried again, and how often."""

from __future__ import annotations

import anyio

__all__ = ["PATIENCE_S", "Patience"]

PATIENCE_S = 30.0
"""Shorter than hosts wait, and longer than most servers take to come back."""
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 2.0


class Patience:
    """Counts from the first failure.

    Args:
        patience_s: how long it lasts, in seconds; 0 if there is to be one try only.
    """

    def __init__(self, patience_s: float) -> None:
        self._patience_s = patience_s
        self._until: float | None = None
        self._pause_s = _FIRST_PAUSE_S

    async def pause(self) -> bool:
        """Wait before the next try; False, at once, if there is to be none."""
        now = anyio.current_time()
        if self._until is None:
            self._until = now + self._patience_s
        if now + self._pause_s > self._until:
            return False
        await anyio.sleep(self._pause_s)
        self._pause_s = min(2 * self._pause_s, _LONGEST_PAUSE_S)
        return True
