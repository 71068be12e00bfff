"""Authorization server metadata (RFC 8414, OpenID Connect Discovery): where the endpoints are and what is offered."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import msgspec

from gatepass.errors import RemoteError
from gatepass.protocol.document import read_metadata
from gatepass.protocol.urls import require_secure_endpoint, same_origin, shown

if TYPE_CHECKING:
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


Holder = TypeVar("Holder", ServerMetadata, EndpointAliases)

_OTHER_ENDPOINTS = ("registration_endpoint", "revocation_endpoint", "introspection_endpoint")
"""What sees a credential or a token, beside the token endpoint."""


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
    token_endpoint: str | None = None,
    now: Instant | None = None,
) -> ServerMetadata | None:
    """The document from one candidate address (RFC 8414 §3.2), checked; None if it is not here.

    The token endpoint, which will see a credential, must be fit for it. Any other endpoint that is not is left out, so
    that nobody can use it later. A token endpoint of the user's is the only one: the document's own for certificates
    goes, too; and what an unpinned issuer names beside it must be on its origin, for that is whom the user trusts.

    Args:
        response: the answer.
        url: the address that was asked, for errors.
        issuer: the issuer that the address was made from.
        pinned: whether the user named the issuer. If not, its endpoints must be on its own origin, and those that see
            a credential on that of `token_endpoint`, if given.
        tolerate_slash: take an issuer that differs by a slash at the end for the same.
        allow_endpoint_origins: other origins that an unpinned issuer's endpoints may have.
        token_endpoint: the user's own, which takes the place of the document's.
        now: turns a `Retry-After` into the error's `retry_at`.

    Raises:
        RemoteError: the server is in trouble (code ``metadata_unavailable``, retryable), or the document is broken
            (``server_metadata_invalid``), someone else's (``issuer_mismatch``), or names a token endpoint that must
            not see a credential (``insecure_endpoint``, ``endpoint_origin``).
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
    trusted = None if pinned else (issuer, *allow_endpoint_origins)
    metadata = _keep_fit(metadata, ("authorization_endpoint",), trusted)
    if token_endpoint is not None:
        metadata = _with_token_endpoint(metadata, token_endpoint)
        trusted = None if pinned else (token_endpoint, *allow_endpoint_origins)
    elif metadata.token_endpoint is not None:
        _check_endpoint(metadata.token_endpoint, "token_endpoint", trusted)
    return _without_unfit(metadata, trusted)


def _with_token_endpoint(metadata: ServerMetadata, token_endpoint: str) -> ServerMetadata:
    """The user's, with or without a certificate."""
    aliases = metadata.mtls_endpoint_aliases
    if aliases is not None:
        aliases = msgspec.structs.replace(aliases, token_endpoint=None)
    return msgspec.structs.replace(metadata, token_endpoint=token_endpoint, mtls_endpoint_aliases=aliases)


def _without_unfit(metadata: ServerMetadata, trusted: tuple[str, ...] | None) -> ServerMetadata:
    """Leave out what must not see a credential, so that it never does."""
    aliases = metadata.mtls_endpoint_aliases
    if aliases is not None:
        aliases = _keep_fit(aliases, EndpointAliases.__struct_fields__, trusted)
        metadata = msgspec.structs.replace(metadata, mtls_endpoint_aliases=aliases)
    return _keep_fit(metadata, _OTHER_ENDPOINTS, trusted)


def _keep_fit(holder: Holder, fields: tuple[str, ...], trusted: tuple[str, ...] | None) -> Holder:
    unfit = {field: None for field in fields if not _is_fit(getattr(holder, field), trusted)}
    return msgspec.structs.replace(holder, **unfit)


def _is_fit(endpoint: str | None, trusted: tuple[str, ...] | None) -> bool:
    try:
        if endpoint is not None:
            _check_endpoint(endpoint, "endpoint", trusted)
    except RemoteError:
        return False
    return True


def _check_endpoint(endpoint: str, field: str, trusted: tuple[str, ...] | None) -> None:
    """Refuse an endpoint that must not see a credential: one in the clear, or on no trusted origin (None: any is)."""
    require_secure_endpoint(endpoint, field=field, document=_DOCUMENT)
    if trusted is not None and not any(same_origin(endpoint, one) for one in trusted):
        message = (
            f"The {field} {shown(endpoint)} is on another origin than its issuer {shown(trusted[0])}, which you did "
            "not pin. Configure `issuer` if you trust it, or allow the origin in `allow_endpoint_origins`."
        )
        raise RemoteError(message, by="authorization_server", code="endpoint_origin")
