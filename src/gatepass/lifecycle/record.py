"""What is stored, as bytes: a token, what was discovered, the challenge of a resource, a registration, a key, a pause.

A record says when things happened (epoch seconds) and how long they last; when to renew is decided on load, by each
process for itself.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

from gatepass.errors import StoreError

__all__ = ["GeneratedKey", "Pause", "TokenRecord", "decode", "encode", "expires_at", "ttl_at"]

Record = TypeVar("Record")


class TokenRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A token as it is kept.

    Attributes:
        generation: counts the renewals of this key; a newer token has a higher one.
        access_token: the token itself.
        token_type: ``"Bearer"`` or ``"DPoP"``.
        obtained_at: when the request that brought it was sent, in epoch seconds.
        lifetime_s: `expires_in` as the server said it, or None if it said nothing.
        refresh_in_s: when the server wants a renewal, counted from `obtained_at`, if it said so.
        scope: what was granted; None means as requested.
        requested: what was asked for.
        issuer: who issued it.
        resource: for which resource.
        stepped: the scopes that were asked for beyond the usual ones, since the resource wanted more.
        refresh_token: what the next token is asked for with, if one was issued.
        client_id: to whom it was issued: nobody else may renew or revoke it.
        key_thumbprint: of the key that a `DPoP` token is bound to (RFC 9449 §6.1).
        key_algorithm: what the proofs for it are signed with.
    """

    generation: int
    access_token: str
    token_type: str
    obtained_at: float
    lifetime_s: float | None
    refresh_in_s: float | None
    scope: tuple[str, ...] | None
    requested: tuple[str, ...]
    issuer: str
    resource: str
    stepped: tuple[str, ...] = ()
    refresh_token: str | None = None
    client_id: str | None = None
    key_thumbprint: str | None = None
    key_algorithm: str | None = None

    def __repr__(self) -> str:
        return f"TokenRecord(generation={self.generation}, issuer={self.issuer!r}, resource={self.resource!r})"


def expires_at(record: TokenRecord) -> float | None:
    """When the token's life ends, in epoch seconds; None if the server did not say."""
    return None if record.lifetime_s is None else record.obtained_at + record.lifetime_s


def ttl_at(record: TokenRecord, wall: float) -> float | None:
    """How much longer the server takes the token, in seconds from a moment (epoch seconds); None if it did not say."""
    end = expires_at(record)
    return None if end is None else end - wall


class GeneratedKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key that was made for binding tokens to it, as it is kept.

    Attributes:
        jwk: the private key, as the text of a JWK.
    """

    jwk: str

    def __repr__(self) -> str:
        return "GeneratedKey(***)"


class Pause(msgspec.Struct, frozen=True, kw_only=True):
    """The authorization server failed one who shares a token: whoever still has that can wait, too.

    Attributes:
        began_at: since when, in epoch seconds.
        lasts_s: for how long.
    """

    began_at: float
    lasts_s: float


def encode(record: object) -> bytes:
    """The record as JSON."""
    return msgspec.json.encode(record)


def decode(value: bytes, kind: type[Record]) -> Record:
    """The record that `encode` wrote.

    Raises:
        StoreError: the bytes are not such a record (code ``record_invalid``); its text quotes nothing of them.
    """
    try:
        return msgspec.json.decode(value, type=kind)
    except (msgspec.ValidationError, msgspec.DecodeError) as problem:
        shape = type(problem).__name__
    msg = f"A stored {kind.__name__} can't be read ({shape}); it is ignored and will be replaced."
    raise StoreError(msg, code="record_invalid")
