"""What every way in promises."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from gatepass.core.secret import Secret  # noqa: TC001 - msgspec reads the annotations
from gatepass.core.value import Value

if TYPE_CHECKING:
    from gatepass.client_auth.base import ClientAuthentication
    from gatepass.core.target import Target
    from gatepass.core.world import World
    from gatepass.discovery import Discovery
    from gatepass.dpop import ProofKey
    from gatepass.grants.errand import Errand
    from gatepass.grants.exchange import Issued
    from gatepass.protocol.challenge import ResourceChallenge
    from gatepass.protocol.server import ServerMetadata

__all__ = ["Known", "Obtained", "Profile", "Traits"]


class Known(Value, frozen=True, kw_only=True):
    """What is known before a token is obtained.

    Attributes:
        target: what the user configured.
        discovery: what was discovered, now or earlier.
        challenge: the resource's last challenge, if there was one.
        stepped: the scopes to ask for beyond these, since the resource wanted more (RFC 6750 §3.1).
        proof_key: the key that the token is to be bound to, if any.
        awaited: somebody waits for the token, so that a person may be asked.
    """

    target: Target
    discovery: Discovery
    challenge: ResourceChallenge | None = None
    stepped: tuple[str, ...] = ()
    proof_key: ProofKey | None = None
    awaited: bool = True


class Obtained(Value, frozen=True, kw_only=True):
    """A token and what was learned on the way to it."""

    issued: Issued
    requested: tuple[str, ...]
    discovery: Discovery


class Traits(Value, frozen=True, kw_only=True):
    """What kind of way in a profile is.

    Attributes:
        extension: the extension of MCP that it is, which a client advertises in its capabilities.
        subject_missing: it acts for somebody else and does not say for whom: two such must never share a store.
        portable: its client may go on to another authorization server, should the resource name another one.
        attended: a person may have to be asked, who takes longer than a server and would rather not be asked again.
        patience_s: how long a caller waits by default, in seconds.
    """

    extension: str | None = None
    subject_missing: bool = False
    portable: bool = False
    attended: bool = False
    patience_s: float = 10.0


class Profile(Protocol):
    """A way in."""

    @property
    def identity(self) -> tuple[str, ...]:
        """Who asks, in which way, as a part of the cache key: configured values, never a secret."""
        ...

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """Every secret that a token request depends on."""
        ...

    @property
    def traits(self) -> Traits:
        """What kind of way in it is."""
        ...

    def client_of(self, world: World, server: ServerMetadata, client_id: str | None) -> ClientAuthentication | None:
        """The client to which this server issued a token earlier, under that id; None if it is not known any more."""
        ...

    def disowned(self, world: World, server: ServerMetadata, client_id: str | None) -> bool:
        """The server does not know that client (any more); whether that was a registration, which is dropped."""
        ...

    def grant(self, world: World, errand: Errand) -> Issued:
        """Obtain a token, in one token request where all is as it was discovered.

        Raises:
            ConfigurationError, RemoteError, UnreachableError: nothing was obtained.
            SignInRequiredError: only a person could help, and none can be asked.
        """
        ...
