"""JWTs that say who somebody is (RFC 7521): where they come from, whom they are for, and how they travel as a proof."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, cast

from gatepass.client_auth.base import Credentials, as_secret, listed
from gatepass.core.secret import Secret
from gatepass.errors import ConfigurationError
from gatepass.protocol.jwt import expired, peek_claims
from gatepass.protocol.server import same_issuer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gatepass.core.world import World
    from gatepass.protocol.server import ServerMetadata

__all__ = [
    "ASSERTION_TYPE",
    "Source",
    "as_source",
    "assertion_audience",
    "assertion_credentials",
    "is_named",
    "named_audiences",
    "read_assertion",
    "read_identity",
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
    """The JWT from its source, read anew, and made for `audience`, so that nobody else's is given away.

    One without an ``aud`` is left to the server. A platform has looked at its own already, as it knows best.

    Args:
        world: the way out.
        source: where it comes from.
        audience: whom it is for, which a callable is told.
        field: the argument that the source was given as, for errors.

    Raises:
        ConfigurationError: it has expired (code ``assertion_expired``), is none (``assertion_invalid``), or is for
            somebody else (``workload_token_audience``).
    """
    assertion = read_identity(world, source, audience, field=field)
    named = named_audiences(peek_claims(assertion.reveal()))
    if named is None or is_named(named, audience) or getattr(source, "audience_checked", False):
        return assertion
    msg = (
        f"{_place(source, field)}: the assertion is for {listed(named)}, and one for {listed([audience])} was asked "
        "for. Have it made for that audience, or set audience=... to the one that the server expects."
    )
    raise ConfigurationError(msg, code="workload_token_audience")


def read_identity(world: World, source: Source, told: str, *, field: str) -> Secret:
    """A JWT that says who somebody is, read anew from its source; whom it was made for is its issuer's affair.

    Args:
        world: the way out.
        source: where it comes from.
        told: what a callable is told.
        field: the argument that the source was given as, for errors.

    Raises:
        ConfigurationError: it has expired (code ``assertion_expired``), or is none (``assertion_invalid``).
    """
    assertion = Secret(world.assertion(source, told).strip())
    problem = _problem(assertion, _place(source, field), world.now().wall)
    if problem is not None:
        raise problem
    return assertion


def _place(source: Source, field: str) -> str:
    reference = source.reference if isinstance(source, Secret) else None
    return f"{field} ({reference})" if reference else field


def _problem(assertion: Secret, place: str, now: float) -> ConfigurationError | None:
    try:
        if not expired(peek_claims(assertion.reveal()), now):
            return None
    except ConfigurationError as error:
        return ConfigurationError(f"{place}: {error}", code=error.code)
    msg = f"{place}: the assertion has expired. Have a new one made, and check this machine's clock."
    return ConfigurationError(msg, code="assertion_expired")


def named_audiences(claims: Mapping[str, object]) -> list[str] | None:
    """Whom a JWT is for: one or several (RFC 7519 §4.1.3); None if it does not say."""
    aud = claims.get("aud")
    if isinstance(aud, str):
        return [aud]
    return [item for item in cast("list[object]", aud) if isinstance(item, str)] if isinstance(aud, list) else None


def is_named(named: list[str], audience: str) -> bool:
    """Whether a JWT for those is one for `audience`. A slash at the end makes nobody else of it."""
    return any(same_issuer(one, audience, tolerate_slash=True) for one in named)


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
