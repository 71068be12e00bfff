"""No client authentication and no client id, where the grant itself says who asks (RFC 7521 §4.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatepass.client_auth.base import Credentials
from gatepass.core.value import Value

if TYPE_CHECKING:
    from gatepass.core.secret import Secret
    from gatepass.core.world import World
    from gatepass.protocol.server import ServerMetadata

__all__ = ["Nobody"]


class Nobody(Value, frozen=True):
    """A client that does not say who it is."""

    @property
    def client_id(self) -> str:
        """None."""
        return ""

    @property
    def identity(self) -> tuple[str, ...]:
        """The kind of method."""
        return ("nobody",)

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """None."""
        return ()

    def choose(self, server: ServerMetadata) -> str:  # noqa: ARG002 - any will do
        """``none``."""
        return "none"

    def authenticate(self, world: World, server: ServerMetadata) -> Credentials:  # noqa: ARG002 - nothing to prove
        """Nothing."""
        return Credentials()
