"""What is stored, as bytes: a token, what was discovered, and the challenge of a resource.

A record says when things happened (epoch seconds) and how long they last; when to renew is decided on load, by each
process for itself.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

from gatepass.discovery import Discovery
from gatepass.errors import StoreError
from gatepass.protocol.challenge import ResourceChallenge

__all__ = ["TokenRecord", "decode", "encode"]


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

    def __repr__(self) -> str:
        return f"TokenRecord(generation={self.generation}, issuer={self.issuer!r}, resource={self.resource!r})"


Record = TypeVar("Record", TokenRecord, Discovery, ResourceChallenge)


def encode(record: TokenRecord | Discovery | ResourceChallenge) -> bytes:
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
