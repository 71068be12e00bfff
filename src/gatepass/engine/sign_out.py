"""Signing out: the token is revoked where its server offers that (RFC 7009), and forgotten in any case."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatepass.core.secret import Secret
from gatepass.errors import GatepassError, RemoteError
from gatepass.grants.revocation import revoke

if TYPE_CHECKING:
    from collections.abc import Callable

    from gatepass.engine.source import Source
    from gatepass.lifecycle.record import TokenRecord

__all__ = ["revoked", "sign_out"]


def sign_out(source: Source) -> bool:
    """Forget the token of a source, here and in its store; whether it was revoked as well.

    Raises:
        GatepassError: it could not be revoked, or the store may still have it.
    """
    unread = _trouble(lambda: source.loaded(source.stored()))
    held = source.forget()
    trouble = _trouble(source.shelf.drop_token) or unread
    done = held is not None and revoked(source, held.record)
    if trouble is not None:
        raise trouble
    return done


def revoked(source: Source, record: TokenRecord) -> bool:
    """Have a token revoked, if its authorization server offers that; whether it was.

    Raises:
        GatepassError: it could not be revoked.
    """
    discovery = source.discovery or source.shelf.discovery()
    server = discovery.server if discovery and discovery.server.issuer == record.issuer else None
    client = source.profile.client_of(source.world, server, record.client_id) if server else None
    if server is None or client is None or server.revocation_endpoint is None:
        return False
    refresh_token = record.refresh_token
    if refresh_token is not None:  # first, since it could bring other tokens (RFC 7009 §2.1)
        revoke(source.world, client, server, Secret(refresh_token), "refresh_token")
    try:
        revoke(source.world, client, server, Secret(record.access_token), "access_token")
    except RemoteError as problem:
        refusal = problem.again()
    else:
        return True
    if refusal.error != "unsupported_token_type":  # a JWT, say, which lives until it ends (RFC 7009 §2.2.1)
        raise refusal
    return refresh_token is not None


def _trouble(step: Callable[[], object]) -> GatepassError | None:
    """What a step fails with, if it fails."""
    try:
        step()
    except GatepassError as failure:
        return failure.again()
    return None
