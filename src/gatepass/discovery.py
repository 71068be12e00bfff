"""Discovery: from a resource to the token endpoint in front of it.

    challenge -> resource metadata (RFC 9728) -> issuer -> server metadata (RFC 8414, OIDC Discovery)

Everything here happens before a credential is touched: a document that does not fit stops the way in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from gatepass.core.http import HttpRequest, HttpResponse
from gatepass.core.target import Target
from gatepass.core.world import Notice
from gatepass.errors import ConfigurationError, RemoteError, UnreachableError
from gatepass.protocol.caching import cache_seconds
from gatepass.protocol.challenge import ResourceChallenge, resource_challenge
from gatepass.protocol.resource import ResourceMetadata, check_covers, choose_server, parse_resource_metadata
from gatepass.protocol.server import ServerMetadata, parse_server_metadata
from gatepass.protocol.urls import (
    is_loopback,
    origin,
    require_secure,
    resource_metadata_candidates,
    same_origin,
    server_metadata_candidates,
)

if TYPE_CHECKING:
    from gatepass.core.world import World

__all__ = ["Discovery", "KnownServer", "discover", "discover_server"]


_DAY_S = 86_400.0


class KnownServer(msgspec.Struct, frozen=True, kw_only=True):
    """An authorization server's metadata, as it is kept.

    Attributes:
        server: the document.
        fetched_at: when, in epoch seconds.
        cache_s: how long it may be used without asking again.
    """

    server: ServerMetadata
    fetched_at: float
    cache_s: float

    def fresh(self, wall: float) -> bool:
        """Whether it may be used at that moment (epoch seconds) without asking again."""
        return 0.0 <= wall - self.fetched_at < self.cache_s


class Discovery(KnownServer, frozen=True, kw_only=True):
    """What discovery found, as it is kept: the authorization server, and what the resource says of itself.

    Attributes:
        resource: the resource indicator (RFC 8707): the resource metadata's own, else the endpoint.
        scopes_supported: the scopes that the resource metadata lists, if it does.
        dpop_required: the resource takes only tokens that are bound to a key (RFC 9449).
        dpop_algorithms: what it says that proofs may be signed with.
    """

    resource: str
    scopes_supported: tuple[str, ...] | None
    dpop_required: bool = False
    dpop_algorithms: tuple[str, ...] | None = None


class _Found(msgspec.Struct, frozen=True, kw_only=True):
    """A document and how long it may be kept."""

    metadata: ResourceMetadata
    cache_s: float


def discover(world: World, target: Target, challenge: ResourceChallenge | None) -> Discovery:
    """Find the way from the resource to its authorization server.

    Args:
        world: the way out.
        target: what the user configured.
        challenge: the resource's challenge, if it gave one.

    Raises:
        ConfigurationError: what the user pinned does not fit, or is missing.
        RemoteError: a document is broken, or names something that a client must refuse.
        UnreachableError: a server did not answer.
    """
    if target.issuer is not None and target.token_endpoint is not None:
        return _configured(world, target, target.issuer, target.token_endpoint)
    found = _find_resource_metadata(world, target, challenge)
    if found is None:
        return _without_resource_metadata(world, target)
    metadata = found.metadata
    check_covers(metadata, target.endpoint)
    issuer = choose_server(metadata, target.issuer, tolerate_slash=target.tolerate_issuer_slash)
    if target.issuer is None:
        _check_loopback(target, issuer)
        world.notice(_not_pinned(issuer))
    known = _known_server(world, target, issuer)
    return Discovery(
        resource=metadata.resource,
        scopes_supported=metadata.scopes_supported,
        dpop_required=metadata.dpop_bound_access_tokens_required is True,
        dpop_algorithms=metadata.dpop_signing_alg_values_supported,
        server=known.server,
        fetched_at=known.fetched_at,
        cache_s=min(found.cache_s, known.cache_s),
    )


def discover_server(world: World, issuer: str) -> KnownServer:
    """The metadata of a server that the user named, apart from any resource.

    Raises:
        RemoteError, UnreachableError: it has none, or it can't be used.
    """
    return _known_server(world, Target(endpoint=issuer, issuer=issuer), issuer)


def _without_resource_metadata(world: World, target: Target) -> Discovery:
    """The pinned issuer; or, where that is asked for, what the MCP specification of 2025-03-26 had in its place."""
    if target.issuer is not None or not target.allow_legacy_discovery:
        known = _known_server(world, target, _pinned_issuer(target))
    else:
        known = _legacy_server(world, target, origin(target.endpoint))
    return Discovery(
        resource=target.endpoint,
        scopes_supported=None,
        server=known.server,
        fetched_at=known.fetched_at,
        cache_s=known.cache_s,
    )


def _legacy_server(world: World, target: Target, issuer: str) -> KnownServer:
    """MCP 2025-03-26, Authorization §2.3: the resource's origin is the issuer, with or without metadata."""
    text = (
        f"{target.endpoint} publishes no resource metadata; its own origin is taken for its authorization server, "
        "as the MCP specification of 2025-03-26 had it."
    )
    world.notice(Notice(code="legacy_discovery", text=text, level="warning", once=True))
    known = _find_server_metadata(world, target, issuer)
    if known is not None:
        return known
    server = ServerMetadata(
        issuer=issuer,
        authorization_endpoint=f"{issuer}/authorize",
        token_endpoint=target.token_endpoint or f"{issuer}/token",
        registration_endpoint=f"{issuer}/register",
        code_challenge_methods_supported=("S256",),
    )
    return KnownServer(server=server, fetched_at=world.now().wall, cache_s=_DAY_S)


def _configured(world: World, target: Target, issuer: str, token_endpoint: str) -> Discovery:
    """No discovery: the user named both the issuer and its token endpoint."""
    require_secure(token_endpoint, field="token_endpoint")
    return Discovery(
        resource=target.endpoint,
        scopes_supported=None,
        server=ServerMetadata(issuer=issuer, token_endpoint=token_endpoint),
        fetched_at=world.now().wall,
        cache_s=_DAY_S,
    )


def _find_resource_metadata(world: World, target: Target, challenge: ResourceChallenge | None) -> _Found | None:
    """RFC 9728 §3 and §5: where the challenge points, else the well-known places, else where a bare request is sent."""
    named = challenge.resource_metadata if challenge else None
    candidates = resource_metadata_candidates(target.endpoint)
    if named is not None:
        _check_metadata_url(target, named)
        candidates = (named, *(url for url in candidates if url != named))
    found = _first_resource_metadata(world, candidates)
    if found is not None or named is not None:
        return found
    named = _challenged_location(world, target)
    return _first_resource_metadata(world, (named,)) if named else None


def _first_resource_metadata(world: World, candidates: tuple[str, ...]) -> _Found | None:
    for url in candidates:
        response = _get(world, url)
        metadata = parse_resource_metadata(response, url=url, now=world.now())
        if metadata is not None:
            return _Found(metadata=metadata, cache_s=cache_seconds(response))
    return None


def _challenged_location(world: World, target: Target) -> str | None:
    """Ask the resource itself, without a token: its challenge may say where the metadata is."""
    response = _bare_answer(world, target)
    challenge = resource_challenge(response.header_values("WWW-Authenticate")) if response else None
    if challenge is None or challenge.resource_metadata is None:
        return None
    _check_metadata_url(target, challenge.resource_metadata)
    return challenge.resource_metadata


def _bare_answer(world: World, target: Target) -> HttpResponse | None:
    """What the resource says to a bare request. With a pinned issuer it may say nothing, or never come to an end."""
    try:
        return _get(world, target.endpoint)
    except (UnreachableError, RemoteError) as failure:
        if target.issuer is None:
            raise
        text = f"The resource did not answer a bare request; going on without its challenge. {failure}"
    world.notice(Notice(code="challenge_unknown", text=text, level="debug"))
    return None


def _check_metadata_url(target: Target, url: str) -> None:
    """A resource that points elsewhere could make us ask any host on its behalf."""
    if same_origin(url, target.endpoint) or origin(url) in target.allow_metadata_origins:
        return
    msg = (
        f"The resource says that its metadata is at {origin(url)}, which is not its own origin. "
        f"If that is right, allow it with allow_metadata_origins=[{origin(url)!r}]."
    )
    raise RemoteError(msg, code="resource_metadata_origin", by="resource_server")


def _pinned_issuer(target: Target) -> str:
    if target.issuer is not None:
        return target.issuer
    msg = (
        f"{target.endpoint} publishes no resource metadata (RFC 9728), so its authorization server is not known. "
        "Name it with issuer=..."
    )
    raise ConfigurationError(msg, code="issuer_unknown")


def _check_loopback(target: Target, issuer: str) -> None:
    """A server elsewhere must not send credentials to whatever listens on this machine."""
    if is_loopback(target.endpoint) or not origin(issuer).startswith("http:"):
        return
    msg = (
        f"The resource metadata is refused: it names the authorization server {issuer} on this machine, which is not "
        f"encrypted, and the resource is elsewhere. If that is right, pin it with issuer={issuer!r}."
    )
    raise RemoteError(msg, code="insecure_endpoint", by="resource_server")


def _not_pinned(issuer: str) -> Notice:
    text = (
        f"The resource chose the authorization server {issuer}. "
        f"Pin it with issuer={issuer!r}, so that a resource can never send your credentials elsewhere."
    )
    return Notice(code="issuer_not_pinned", text=text, level="warning", once=True)


def _known_server(world: World, target: Target, issuer: str) -> KnownServer:
    known = _find_server_metadata(world, target, issuer)
    if known is None:
        tried = ", ".join(server_metadata_candidates(issuer))
        msg = f"The authorization server {issuer} publishes no metadata; tried {tried}."
        raise RemoteError(msg, code="server_metadata_missing", by="authorization_server")
    return known


def _find_server_metadata(world: World, target: Target, issuer: str) -> KnownServer | None:
    """RFC 8414 §3 and OIDC Discovery §4, in the order that MCP gives."""
    for url in server_metadata_candidates(issuer):
        response = _get(world, url)
        server = parse_server_metadata(
            response,
            url=url,
            issuer=issuer,
            now=world.now(),
            pinned=target.issuer is not None,
            tolerate_slash=target.tolerate_issuer_slash,
            allow_endpoint_origins=target.allow_endpoint_origins,
            token_endpoint=_configured_token_endpoint(target),
        )
        if server is not None:
            server = _with_token_endpoint(server)
            return KnownServer(server=server, fetched_at=world.now().wall, cache_s=cache_seconds(response))
    return None


def _configured_token_endpoint(target: Target) -> str | None:
    if target.token_endpoint is not None:
        require_secure(target.token_endpoint, field="token_endpoint")
    return target.token_endpoint


def _with_token_endpoint(server: ServerMetadata) -> ServerMetadata:
    if server.token_endpoint is None:
        msg = f"The metadata of {server.issuer} has no token_endpoint. Name it with token_endpoint=..."
        raise RemoteError(msg, code="token_endpoint_missing", by="authorization_server")
    return server


def _get(world: World, url: str) -> HttpResponse:
    return world.send(HttpRequest(method="GET", url=url, headers=(("Accept", "application/json"),)))
