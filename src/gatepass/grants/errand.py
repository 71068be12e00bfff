"""The errand: what a token is wanted for, and where it is to be had. Every grant is sent on one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatepass.core.value import Value
from gatepass.protocol.scope import format_scope

if TYPE_CHECKING:
    from gatepass.core.target import Target
    from gatepass.dpop import ProofKey
    from gatepass.protocol.server import ServerMetadata

__all__ = ["Errand"]


class Errand(Value, frozen=True, kw_only=True):
    """One request for a token.

    Attributes:
        target: what the user configured.
        server: the authorization server.
        resource: the resource indicator that was discovered (RFC 8707).
        scopes: what to ask for; none leaves it to the server.
        proof_key: the key that the token is to be bound to (RFC 9449), if any.
        awaited: somebody waits for the token, so that a person may be asked.
    """

    target: Target
    server: ServerMetadata
    resource: str
    scopes: tuple[str, ...] = ()
    proof_key: ProofKey | None = None
    awaited: bool = True

    @property
    def scope(self) -> tuple[tuple[str, str], ...]:
        """The `scope` parameter (RFC 6749 §3.3), if there is something to ask for."""
        return (("scope", format_scope(self.scopes)),) if self.scopes else ()

    @property
    def purpose(self) -> tuple[tuple[str, str], ...]:
        """The parameters that say what the token is for (RFC 8707 §2.2), and what this deployment wants besides."""
        target = self.target
        indicator = (("resource", target.resource or self.resource),) if target.send_resource else ()
        audience = (("audience", target.audience),) if target.audience is not None else ()
        return (*indicator, *audience, *target.extra)
