"""The Target: what a user configured about the resource and the authorization server in front of it."""

from __future__ import annotations

from gatepass.core.value import Value

__all__ = ["Target"]


class Target(Value, frozen=True, kw_only=True):
    """Where to get in, and what is known about the way beforehand.

    Attributes:
        endpoint: the MCP endpoint, in canonical form (RFC 8707 §2).
        issuer: the pinned issuer (RFC 8414 §2), or None to take the one that the resource names.
        scopes: the pinned scopes, or None to ask for what the server wants.
        token_endpoint: used instead of the discovered one; with a pinned issuer there is no discovery at all.
        resource: the resource indicator to send instead of the discovered one.
        send_resource: False leaves the resource indicator out (some servers refuse it).
        audience: the `audience` parameter that some servers want.
        extra: more parameters for each token request; their values may be secret.
        allow_metadata_origins: origins other than the resource's that may serve its metadata.
        allow_endpoint_origins: origins other than an unpinned issuer's that its endpoints may have.
        allow_legacy_discovery: without resource metadata, take the resource's own origin for its authorization server.
        step_up: whether scopes beyond the pinned ones may be asked for when the resource wants them.
        tolerate_issuer_slash: take an issuer that differs only by a trailing slash for the same.
    """

    hidden = ("extra",)

    endpoint: str
    issuer: str | None = None
    scopes: tuple[str, ...] | None = None
    token_endpoint: str | None = None
    resource: str | None = None
    send_resource: bool = True
    audience: str | None = None
    extra: tuple[tuple[str, str], ...] = ()
    allow_metadata_origins: tuple[str, ...] = ()
    allow_endpoint_origins: tuple[str, ...] = ()
    allow_legacy_discovery: bool = False
    step_up: bool = False
    tolerate_issuer_slash: bool = False
