"""What counts as a number of seconds."""

from __future__ import annotations

from typing import TypeGuard

__all__ = ["is_duration"]


def is_duration(value: object, *, most_s: float, least_s: float = 0.0) -> TypeGuard[float]:
    """Whether this is a number of seconds, more than 0, at least `least_s` and at most `most_s`."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    return value > 0 and least_s <= value <= most_s
