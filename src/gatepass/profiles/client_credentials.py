"""Getting in with the client's own credentials (SEP-1046)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from gatepass.core.value import Value
from gatepass.core.world import Notice
from gatepass.discovery import Discovery, discover
from gatepass.errors import ConfigurationError, GatepassError, RemoteError, UnreachableError
from gatepass.grants.client_credentials import request_client_credentials
from gatepass.profiles.base import Known, Obtained
from gatepass.protocol.scope import select

if TYPE_CHECKING:
    from gatepass.client_auth.base import ClientAuthentication
    from gatepass.core.secret import Secret
    from gatepass.core.target import Target
    from gatepass.core.world import World

__all__ = ["ClientCredentials"]

_JUST_NOW_S = 5.0
_MOVED_STATUSES = frozenset({301, 302, 303, 307, 308, 404, 405, 410})


class ClientCredentials(Value, frozen=True):
    """The client credentials grant (RFC 6749 §4.4; extension `io.modelcontextprotocol/oauth-client-credentials`).

    Args:
        client: how the client proves who it is: `ClientSecret`, `PrivateKeyJwt`, `ClientAssertion` or `PublicClient`.
    """

    client: ClientAuthentication

    def __post_init__(self) -> None:
        if not hasattr(self.client, "authenticate"):
            msgspec.structs.force_setattr(self, "client", None)  # a secret, perhaps, which a traceback would show
            msg = "ClientCredentials takes a client authentication, such as ClientSecret(...) or PrivateKeyJwt(...)."
            raise ConfigurationError(msg, code="client_invalid")

    @property
    def identity(self) -> tuple[str, ...]:
        return ("client_credentials", *self.client.identity)

    @property
    def secrets(self) -> tuple[Secret, ...]:
        return self.client.secrets

    def obtain(self, world: World, target: Target, known: Known) -> Obtained:
        try:
            return self._grant(world, target, known.discovery, known)
        except (RemoteError, UnreachableError) as problem:
            failure = problem.again()
        if not _suggests_a_move(failure) or world.now().wall - known.discovery.fetched_at < _JUST_NOW_S:
            raise failure
        return self._after_a_move(world, target, known, failure)

    def _grant(self, world: World, target: Target, discovery: Discovery, known: Known) -> Obtained:
        challenged = known.challenge.scope if known.challenge else None
        scopes = select(target.scopes, challenged, discovery.scopes_supported)
        issued = request_client_credentials(world, self.client, discovery.server, scopes, target, discovery.resource)
        return Obtained(issued=issued, requested=scopes, discovery=discovery)

    def _after_a_move(self, world: World, target: Target, known: Known, failure: GatepassError) -> Obtained:
        """What was remembered led nowhere: the token endpoint may have moved since."""
        try:
            discovery = discover(world, target, known.challenge)
        except GatepassError:  # it is all gone: what failed first says more
            discovery = known.discovery
        if discovery.server.token_endpoint == known.discovery.server.token_endpoint:
            raise failure
        text = f"The token endpoint of {discovery.server.issuer} has moved to {discovery.server.token_endpoint}."
        world.notice(Notice(code="token_endpoint_moved", text=text, level="warning"))
        return self._grant(world, target, discovery, known)


def _suggests_a_move(failure: GatepassError) -> bool:
    """Whether there is no token endpoint where one was: another page, or no server at all."""
    return failure.code == "unreachable" or (failure.status in _MOVED_STATUSES and failure.error is None)
