"""JWTs that say who somebody is (RFC 7521): where they come from, whom they are for, and how they travel as a proof."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, cast

from gatepass.client_auth.base import Credentials, as_secret
from gatepass.core.secret import Secret
from gatepass.errors import ConfigurationError
from gatepass.protocol.jwt import expired, peek_claims

if TYPE_CHECKING:
    from gatepass.core.world import World
    from gatepass.protocol.server import ServerMetadata

__all__ = [
    "ASSERTION_TYPE",
    "Source",
    "as_source",
    "assertion_audience",
    "assertion_credentials",
    "read_assertion",
    "source_identity",
    "source_secrets",
]

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

Source = Secret | Callable[[str], str | Awaitable[str | None] | None]
"""Where an assertion comes from, with nothing left in the clear."""


def as_source(value: object) -> Source | None:
    """A JWT, a `Secret` or a callable as a source; None for anything else.

    It does not raise, so that its caller can drop the value first: an error's frames must not hold it.
    """
    return as_secret(value) or (cast("Source", value) if callable(value) else None)


def source_identity(source: Source) -> tuple[str, ...]:
    """What is configured of a source, as a part of a cache key. Never a secret."""
    if isinstance(source, Secret):
        return (str(source.reference),) if source.reference else ()
    own: object = getattr(source, "identity", ())
    return tuple(str(part) for part in own) if isinstance(own, tuple) else ()  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]  # anybody's


def source_secrets(source: Source) -> tuple[Secret, ...]:
    """The secret that a source is, where it is one."""
    return (source,) if isinstance(source, Secret) else ()


def read_assertion(world: World, source: Source, audience: str, *, field: str) -> Secret:
    """The JWT from its source, read anew.

    Args:
        world: the way out.
        source: where it comes from.
        audience: what a callable is told.
        field: the argument that the source was given as, for errors.

    Raises:
        ConfigurationError: it has expired (code ``assertion_expired``), or is none (``assertion_invalid``).
    """
    assertion = Secret(world.assertion(source, audience).strip())
    problem = _problem(assertion, source, field, world.now().wall)
    if problem is not None:
        raise problem
    return assertion


def _problem(assertion: Secret, source: Source, field: str, now: float) -> ConfigurationError | None:
    reference = source.reference if isinstance(source, Secret) else None
    origin = f"{field} ({reference})" if reference else field
    try:
        if not expired(peek_claims(assertion.reveal()), now):
            return None
    except ConfigurationError as error:
        return ConfigurationError(f"{origin}: {error}", code=error.code)
    msg = f"{origin}: the assertion has expired. Have a new one made, and check this machine's clock."
    return ConfigurationError(msg, code="assertion_expired")


def assertion_audience(server: ServerMetadata, audience: str) -> str:
    """Whom an assertion is made for: ``"issuer"`` and ``"token_endpoint"`` mean the server's, all else itself.

    Without an issuer, when only a token endpoint was configured, it is the token endpoint.
    """
    if audience == "issuer":
        return server.issuer or server.token_endpoint or ""
    if audience == "token_endpoint":
        return server.token_endpoint or server.issuer
    return audience


def assertion_credentials(assertion: str, *, client_id: str | None = None) -> Credentials:
    """The parameters of RFC 7521 §4.2, with `client_id` among them if given."""
    form = (("client_assertion_type", ASSERTION_TYPE), ("client_assertion", assertion))
    return Credentials(form=form if client_id is None else (("client_id", client_id), *form), hide=(assertion,))
