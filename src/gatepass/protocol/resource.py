"""Protected resource metadata (RFC 9728): what a resource says about itself and the servers that may let us in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from gatepass.errors import ConfigurationError, RemoteError
from gatepass.protocol.document import read_metadata
from gatepass.protocol.server import same_issuer
from gatepass.protocol.urls import check_issuer, covers, shown

if TYPE_CHECKING:
    from gatepass.core.http import HttpResponse
    from gatepass.core.world import Instant

__all__ = [
    "ResourceMetadata",
    "build_resource_metadata",
    "check_covers",
    "choose_server",
    "parse_resource_metadata",
]

_MOST_NAMED = 5


class ResourceMetadata(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The members of RFC 9728 §2 that a client uses; others are ignored. None: the document does not say."""

    resource: str
    authorization_servers: tuple[str, ...] | None = None
    jwks_uri: str | None = None
    scopes_supported: tuple[str, ...] | None = None
    bearer_methods_supported: tuple[str, ...] | None = None
    resource_name: str | None = None
    resource_documentation: str | None = None
    tls_client_certificate_bound_access_tokens: bool | None = None
    dpop_signing_alg_values_supported: tuple[str, ...] | None = None
    dpop_bound_access_tokens_required: bool | None = None


def build_resource_metadata(metadata: ResourceMetadata) -> bytes:
    """The JSON document of RFC 9728 §3.2."""
    return msgspec.json.encode(metadata)


def parse_resource_metadata(response: HttpResponse, *, url: str, now: Instant | None = None) -> ResourceMetadata | None:
    """The document from one candidate address (RFC 9728 §3.2); None if it is not here.

    Args:
        response: the answer.
        url: the address that was asked, for errors.
        now: turns a `Retry-After` into the error's `retry_at`.

    Raises:
        RemoteError: the server is in trouble (code ``metadata_unavailable``, retryable), or the document is broken
            (code ``resource_metadata_invalid``).
    """
    return read_metadata(
        response,
        ResourceMetadata,
        url=url,
        name="The resource metadata",
        by="resource_server",
        code="resource_metadata_invalid",
        now=now,
    )


def check_covers(metadata: ResourceMetadata, endpoint: str) -> None:
    """Refuse metadata that was written for another resource than the endpoint's (RFC 9728 §3.3).

    Raises:
        RemoteError: the document's `resource` does not cover the endpoint (code ``resource_mismatch``).
    """
    if not covers(metadata.resource, endpoint):
        message = (
            f"The resource metadata is for {shown(metadata.resource)}, which does not cover {shown(endpoint)}. "
            "Check the URL of the MCP server, or ask whoever runs it to correct `resource` in its metadata."
        )
        raise RemoteError(message, by="resource_server", code="resource_mismatch")


def choose_server(metadata: ResourceMetadata, issuer: str | None, *, tolerate_slash: bool = False) -> str:
    """The issuer to get a token from: the pinned one, if the resource lists it; else the first that is listed.

    Raises:
        RemoteError: the resource lists none (code ``no_authorization_server``), not the pinned one (code
            ``issuer_not_listed``), or as its first one that can't be an issuer (code ``issuer_invalid``).
    """
    listed = metadata.authorization_servers
    if not listed:
        message = (
            f"The resource metadata of {shown(metadata.resource)} lists no authorization server. Ask whoever runs the "
            "MCP server to add `authorization_servers`."
        )
        raise RemoteError(message, by="resource_server", code="no_authorization_server")
    if issuer is None:
        _check_listed(listed[0])
        return listed[0]
    if not any(same_issuer(entry, issuer, tolerate_slash=tolerate_slash) for entry in listed):
        message = (
            f"The MCP server does not list the issuer {shown(issuer)}; it lists {_named(listed)}. "
            "Check the configured issuer: it must be identical to an entry, slash by slash."
        )
        raise RemoteError(message, by="resource_server", code="issuer_not_listed")
    return issuer


def _check_listed(entry: str) -> None:
    flaw: ConfigurationError | None = None
    try:
        check_issuer(entry, field="authorization_servers[0]")
    except ConfigurationError as error:
        flaw = error
    if flaw is not None:
        message = f"The resource metadata can't be used: {flaw}"
        code = "insecure_endpoint" if flaw.code == "insecure_url" else flaw.code
        raise RemoteError(message, by="resource_server", code=code)


def _named(issuers: tuple[str, ...]) -> str:
    names = ", ".join(shown(issuer) for issuer in issuers[:_MOST_NAMED])
    more = len(issuers) - _MOST_NAMED
    return f"{names} and {more} more" if more > 0 else names
