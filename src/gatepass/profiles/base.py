"""What every way in promises."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from gatepass.core.value import Value

if TYPE_CHECKING:
    from gatepass.core.secret import Secret
    from gatepass.core.target import Target
    from gatepass.core.world import World
    from gatepass.discovery import Discovery
    from gatepass.grants.exchange import Issued
    from gatepass.protocol.challenge import ResourceChallenge

__all__ = ["Known", "Obtained", "Profile"]


class Known(Value, frozen=True, kw_only=True):
    """What is known before a token is obtained.

    Attributes:
        discovery: what was discovered, now or earlier.
        challenge: the resource's last challenge, if there was one.
    """

    discovery: Discovery
    challenge: ResourceChallenge | None = None


class Obtained(Value, frozen=True, kw_only=True):
    """A token and what was learned on the way to it."""

    issued: Issued
    requested: tuple[str, ...]
    discovery: Discovery


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

    def obtain(self, world: World, target: Target, known: Known) -> Obtained:
        """Obtain a token, in one token request where all is as it was discovered.

        Raises:
            ConfigurationError, RemoteError, UnreachableError: nothing was obtained.
        """
        ...
