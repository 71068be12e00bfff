"""Events: what happens on the way to a token, as whoever watches is told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

from gatepass.core.value import Value
from gatepass.core.world import Fact  # noqa: TC001 - msgspec reads the annotations

__all__ = ["Event", "Listener"]


class Event(Value, frozen=True, kw_only=True):
    """Something that happened on the way to a token, or with one. It never holds a secret.

    Attributes:
        code: a stable name, such as ``"token_obtained"``; docs/watching.md lists them.
        text: the same as a sentence; the log has it, too.
        level: how loud the log is about it, by the names of `logging`.
        at: when it happened, in epoch seconds.
        resource: the MCP endpoint.
        identity: tells apart the tokens for it: the name of their record in the store.
        facts: what belongs to it, by name: durations in seconds, codes, counts.
    """

    code: str
    text: str
    level: Literal["debug", "info", "warning"]
    at: float
    resource: str
    identity: str
    facts: Mapping[str, Fact]


Listener = Callable[[Event], object]
"""Is told of every event, at once and wherever it happens: on a worker, in a caller's thread or in its event loop.

So it must be quick and must not wait. What it raises is dropped."""
