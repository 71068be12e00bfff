"""When to ask for more scopes: after an `insufficient_scope` (RFC 6750 §3.1; MCP, "Step-Up Authorization Flow").

Only for a scope that was not asked for yet, nothing above the ceiling that the user set, nothing that the authorization
server has refused of late, and twice at the most for one operation at the resource.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatepass.lifecycle.policy import negative_memory_s
from gatepass.protocol.scope import step_up

if TYPE_CHECKING:
    from gatepass.core.world import Instant
    from gatepass.lifecycle.policy import Policy

__all__ = ["StepUps"]

_MOST_OPERATIONS = 1000


class StepUps:
    """What one identity has tried at one resource. Whoever has it guards it.

    Args:
        ceiling: the scopes that the user pinned; None if there is no limit.
        policy: the numbers.
    """

    def __init__(self, ceiling: tuple[str, ...] | None, policy: Policy) -> None:
        self._ceiling = ceiling
        self._policy = policy
        self._brought: dict[str, frozenset[int]] = {}
        self._refused: dict[str, float] = {}
        self._refusals = 0

    def wanted(
        self, asked: tuple[str, ...], challenged: tuple[str, ...], operation: str, now: Instant
    ) -> tuple[str, ...] | None:
        """The scopes to ask for now; None if it is no use, and the 403 is the caller's.

        Args:
            asked: what the token at hand was asked for with.
            challenged: what the resource wants for this operation.
            operation: what was tried at the resource.
            now: the present.
        """
        if any(self._refused.get(scope, 0.0) > now.mono for scope in challenged if scope not in asked):
            return None
        if len(self._brought.get(operation, ())) >= self._policy.step_ups:
            return None
        return step_up(asked, challenged, self._ceiling)

    def brought(self, operation: str, generation: int) -> None:
        """A token with more scopes was had for that operation: one for all who tried it at once."""
        if len(self._brought) >= _MOST_OPERATIONS:
            self._brought.clear()
        self._brought[operation] = self._brought.get(operation, frozenset()) | {generation}

    def refused(self, scopes: tuple[str, ...], now: Instant) -> None:
        """The authorization server does not give these: not to be asked for again for a while."""
        self._refusals += 1
        until = now.mono + negative_memory_s(self._refusals, self._policy)
        self._refused = {scope: end for scope, end in self._refused.items() if end > now.mono}
        self._refused.update(dict.fromkeys(scopes, until))
