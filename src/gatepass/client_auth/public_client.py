"""A client without any proof: `none` (RFC 6749 §2.1, RFC 7591 §2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatepass.client_auth.base import ClientAuthentication, Credentials, check_text, is_client, offered_method
from gatepass.core.value import Value
from gatepass.errors import ConfigurationError

if TYPE_CHECKING:
    from gatepass.core.secret import Secret
    from gatepass.core.world import World
    from gatepass.protocol.server import ServerMetadata

__all__ = ["PublicClient", "as_client", "no_client"]


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


def as_client(value: object) -> ClientAuthentication | None:
    """A client authentication as it is; a client id alone as a public client; None for anything else.

    It does not raise for that, so that its caller can drop the value first: an error's frames must not hold it.

    Raises:
        ConfigurationError: the client id is empty or can't be sent (code ``client_id_invalid``).
    """
    if is_client(value):
        return value
    return PublicClient(value) if isinstance(value, str) else None


def no_client(kind: str) -> ConfigurationError:
    """The error for a value of that type in the place of a client (code ``client_invalid``)."""
    msg = f"client must be a client id, or a client authentication such as ClientSecret(...), not {kind}."
    return ConfigurationError(msg, code="client_invalid")
