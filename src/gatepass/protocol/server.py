"""Authorization server metadata (RFC 8414, OpenID Connect Discovery): where the endpoints are and what is offered."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from gatepass.errors import RemoteError
from gatepass.protocol.document import read_metadata
from gatepass.protocol.urls import require_secure_endpoint, same_origin, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gatepass.core.http import HttpResponse
    from gatepass.core.world import Instant

__all__ = ["EndpointAliases", "ServerMetadata", "build_server_metadata", "parse_server_metadata", "same_issuer"]

_DOCUMENT = "The authorization server metadata"


class EndpointAliases(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The endpoints for a client that shows a certificate (RFC 8705 §5)."""

    token_endpoint: str | None = None
    registration_endpoint: str | None = None
    revocation_endpoint: str | None = None
    introspection_endpoint: str | None = None


class ServerMetadata(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The members of RFC 8414 §2 and its extensions that a client uses; others are ignored. None: absent."""

    issuer: str
    token_endpoint: str | None = None
    authorization_endpoint: str | None = None
    registration_endpoint: str | None = None
    revocation_endpoint: str | None = None
    introspection_endpoint: str | None = None
    jwks_uri: str | None = None
    scopes_supported: tuple[str, ...] | None = None
    response_types_supported: tuple[str, ...] | None = None
    grant_types_supported: tuple[str, ...] | None = None
    token_endpoint_auth_methods_supported: tuple[str, ...] | None = None
    token_endpoint_auth_signing_alg_values_supported: tuple[str, ...] | None = None
    code_challenge_methods_supported: tuple[str, ...] | None = None
    authorization_response_iss_parameter_supported: bool | None = None
    client_id_metadata_document_supported: bool | None = None
    dpop_signing_alg_values_supported: tuple[str, ...] | None = None
    mtls_endpoint_aliases: EndpointAliases | None = None
    tls_client_certificate_bound_access_tokens: bool | None = None


def build_server_metadata(metadata: ServerMetadata) -> bytes:
    """The JSON document of RFC 8414 §3.2."""
    return msgspec.json.encode(metadata)


def same_issuer(a: str, b: str, *, tolerate_slash: bool = False) -> bool:
    """Whether two issuers are identical (RFC 8414 §3.3), or, where asked for, but for a slash at the end."""
    return a == b or (tolerate_slash and a.removesuffix("/") == b.removesuffix("/"))


def parse_server_metadata(
    response: HttpResponse,
    *,
    url: str,
    issuer: str,
    pinned: bool,
    tolerate_slash: bool = False,
    allow_endpoint_origins: tuple[str, ...] = (),
    now: Instant | None = None,
) -> ServerMetadata | None:
    """The document from one candidate address (RFC 8414 §3.2), checked; None if it is not here.

    Args:
        response: the answer.
        url: the address that was asked, for errors.
        issuer: the issuer that the address was made from.
        pinned: whether the user named the issuer. If not, its endpoints must be on its own origin.
        tolerate_slash: take an issuer that differs by a slash at the end for the same.
        allow_endpoint_origins: other origins that an unpinned issuer's endpoints may have.
        now: turns a `Retry-After` into the error's `retry_at`.

    Raises:
        RemoteError: the server is in trouble (code ``metadata_unavailable``, retryable), or the document is broken
            (``server_metadata_invalid``), someone else's (``issuer_mismatch``), or names an endpoint that must not
            see a credential (``insecure_endpoint``, ``endpoint_origin``).
    """
    metadata = read_metadata(
        response,
        ServerMetadata,
        url=url,
        name=_DOCUMENT,
        by="authorization_server",
        code="server_metadata_invalid",
        now=now,
    )
    if metadata is None:
        return None
    if not same_issuer(metadata.issuer, issuer, tolerate_slash=tolerate_slash):
        message = (
            f'The metadata at {shown(url)} is of the issuer "{shown(metadata.issuer)}", not of "{shown(issuer)}". '
            "The two must be identical: correct the configured issuer, or ask whoever runs the server."
        )
        raise RemoteError(message, by="authorization_server", code="issuer_mismatch")
    for field, endpoint in _guarded_endpoints(metadata):
        require_secure_endpoint(endpoint, field=field, document=_DOCUMENT)
        if not pinned:
            _check_origin(endpoint, field=field, allowed=(issuer, *allow_endpoint_origins))
    return metadata


def _guarded_endpoints(metadata: ServerMetadata) -> Iterator[tuple[str, str]]:
    """Every endpoint that a credential, a token or a person's password may go to, with its name."""
    aliases = metadata.mtls_endpoint_aliases or EndpointAliases()
    named = (
        ("token_endpoint", metadata.token_endpoint),
        ("authorization_endpoint", metadata.authorization_endpoint),
        ("registration_endpoint", metadata.registration_endpoint),
        ("revocation_endpoint", metadata.revocation_endpoint),
        ("introspection_endpoint", metadata.introspection_endpoint),
        ("mtls_endpoint_aliases.token_endpoint", aliases.token_endpoint),
        ("mtls_endpoint_aliases.registration_endpoint", aliases.registration_endpoint),
        ("mtls_endpoint_aliases.revocation_endpoint", aliases.revocation_endpoint),
        ("mtls_endpoint_aliases.introspection_endpoint", aliases.introspection_endpoint),
    )
    return ((field, endpoint) for field, endpoint in named if endpoint is not None)


def _check_origin(endpoint: str, *, field: str, allowed: tuple[str, ...]) -> None:
    if not any(same_origin(endpoint, one) for one in allowed):
        message = (
            f"The {field} {shown(endpoint)} is on another origin than its issuer {shown(allowed[0])}, which you did "
            "not pin. Configure `issuer` if you trust it, or allow the origin in `allow_endpoint_origins`."
        )
        raise RemoteError(message, by="authorization_server", code="endpoint_origin")
