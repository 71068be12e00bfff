"""Waiting for something to become true: the one place where tests look again and again."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from collections.abc import Callable

LONGEST_S = 10.0
INTERVAL_S = 0.005


def eventually(condition: Callable[[], object], what: str) -> None:
    """Return once it is true; fail if that takes longer than anything here should."""
    end = time.monotonic() + LONGEST_S
    while not condition():
        assert time.monotonic() < end, f"it never came true that {what}"
        time.sleep(INTERVAL_S)


async def aeventually(condition: Callable[[], object], what: str) -> None:
    """As `eventually`, in a task of asyncio or trio."""
    end = time.monotonic() + LONGEST_S
    while not condition():
        assert time.monotonic() < end, f"it never came true that {what}"
        await anyio.sleep(INTERVAL_S)
