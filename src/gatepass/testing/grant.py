"""What somebody allowed a client to do: the root of all tokens that come of it."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

__all__ = ["Grant"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """An authorization grant (RFC 6749 §1.3).

    Attributes:
        client_id: the client.
        subject: in whose name it acts.
        scopes: what it may do.
        audience: the resources where.
        family: what the tokens that come of it have in common; they are revoked together (RFC 9700 §4.14.2).
    """

    client_id: str
    subject: str
    scopes: tuple[str, ...]
    audience: tuple[str, ...]
    family: str = field(default_factory=lambda: secrets.token_urlsafe(12))
