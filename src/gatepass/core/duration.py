"""What counts as a number of seconds."""

from __future__ import annotations

from typing import TypeGuard

__all__ = ["is_duration"]


def is_duration(value: object, *, most_s: float) -> TypeGuard[float]:
    """Whether this is a number of seconds, more than 0 and at most `most_s`."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= most_s
