"""A client without any proof: `none` (RFC 6749 §2.1, RFC 7591 §2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatepass.client_auth.base import Credentials, check_text, offered_method
from gatepass.core.value import Value

if TYPE_CHECKING:
    from gatepass.core.secret import Secret
    from gatepass.core.world import World
    from gatepass.protocol.server import ServerMetadata

__all__ = ["PublicClient"]


class PublicClient(Value, frozen=True):
    """A client that says who it is and proves nothing.

    Raises:
        ConfigurationError: `client_id` is empty or can't be sent (code ``client_id_invalid``).
    """

    client_id: str

    def __post_init__(self) -> None:
        check_text(self.client_id, field="client_id")

    @property
    def identity(self) -> tuple[str, ...]:
        """The kind of method and the client id."""
        return ("none", self.client_id)

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """None."""
        return ()

    def choose(self, server: ServerMetadata) -> str:
        """``none``.

        Raises:
            ConfigurationError: the server does not take unproven clients (code ``method_not_offered``).
        """
        return offered_method(server, "none")

    def authenticate(self, world: World, server: ServerMetadata) -> Credentials:  # noqa: ARG002 - no need
        """The client id in the body (RFC 6749 §3.2.1)."""
        self.choose(server)
        return Credentials(form=(("client_id", self.client_id),))
