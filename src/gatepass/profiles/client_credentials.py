"""Getting in with the client's own credentials (SEP-1046)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from gatepass.client_auth.base import is_client
from gatepass.core.value import Value
from gatepass.errors import ConfigurationError
from gatepass.grants.client_credentials import request_client_credentials
from gatepass.profiles.base import Traits

if TYPE_CHECKING:
    from gatepass.client_auth.base import ClientAuthentication
    from gatepass.core.secret import Secret
    from gatepass.core.world import World
    from gatepass.grants.errand import Errand
    from gatepass.grants.exchange import Issued
    from gatepass.protocol.server import ServerMetadata

__all__ = ["ClientCredentials"]


class ClientCredentials(Value, frozen=True):
    """The client credentials grant (RFC 6749 §4.4; extension `io.modelcontextprotocol/oauth-client-credentials`).

    Args:
        client: how the client proves who it is: `ClientSecret`, `PrivateKeyJwt`, `ClientAssertion` or `TlsClient`.
    """

    client: ClientAuthentication

    def __post_init__(self) -> None:
        if not is_client(self.client):
            msgspec.structs.force_setattr(self, "client", None)  # a secret, perhaps, which a traceback would show
            msg = "ClientCredentials takes a client authentication, such as ClientSecret(...) or PrivateKeyJwt(...)."
            raise ConfigurationError(msg, code="client_invalid")

    @property
    def identity(self) -> tuple[str, ...]:
        return ("client_credentials", *self.client.identity)

    @property
    def secrets(self) -> tuple[Secret, ...]:
        return self.client.secrets

    @property
    def traits(self) -> Traits:
        return Traits(extension="io.modelcontextprotocol/oauth-client-credentials")

    def client_of(self, world: World, server: ServerMetadata, client_id: str | None) -> ClientAuthentication:  # noqa: ARG002 - the same for all
        return self.client

    def disowned(self, world: World, server: ServerMetadata, client_id: str | None) -> bool:  # noqa: ARG002 - it was not registered here
        return False

    def grant(self, world: World, errand: Errand) -> Issued:
        return request_client_credentials(world, self.client, errand)
