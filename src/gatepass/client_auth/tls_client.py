"""A client with a certificate: `tls_client_auth` and `self_signed_tls_client_auth` (RFC 8705 §2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatepass.client_auth.base import Credentials, check_text, offered_method
from gatepass.core.value import Value
from gatepass.errors import ConfigurationError

if TYPE_CHECKING:
    from gatepass.core.secret import Secret
    from gatepass.core.world import World
    from gatepass.protocol.server import ServerMetadata

__all__ = ["TlsClient"]


class TlsClient(Value, frozen=True):
    """A client that proves itself by the certificate of the connection: ``http=TokenHttp(cert=...)`` has it.

    What is issued may be bound to that certificate (RFC 8705 §3): then the resource wants to see it, too.

    Raises:
        ConfigurationError: `client_id` is empty or can't be sent (code ``client_id_invalid``).
    """

    client_id: str

    def __post_init__(self) -> None:
        check_text(self.client_id, field="client_id")

    @property
    def identity(self) -> tuple[str, ...]:
        """The kind of method and the client id."""
        return ("tls_client", self.client_id)

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """None: the certificate's key is the token client's."""
        return ()

    def choose(self, server: ServerMetadata) -> str:
        """The first of the two methods that the server offers; it knows which kind of certificate it registered.

        Raises:
            ConfigurationError: the server offers neither (code ``method_not_offered``).
        """
        return offered_method(server, "tls_client_auth", "self_signed_tls_client_auth")

    def authenticate(self, world: World, server: ServerMetadata) -> Credentials:
        """The client id in the body (RFC 8705 §2); the proof lies under the request.

        Raises:
            ConfigurationError: the server does not offer it, or no certificate is shown (code ``certificate_missing``).
        """
        self.choose(server)
        if world.certificate() is None:
            msg = "TlsClient needs a certificate on the connection: give http=TokenHttp(cert=('cert.pem', 'key.pem'))."
            raise ConfigurationError(msg, code="certificate_missing")
        return Credentials(form=(("client_id", self.client_id),))
