"""Refresh tokens as a server keeps them: alive, or spent and remembered as such."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from gatepass.testing.bindings import Binding
    from gatepass.testing.grant import Grant

__all__ = ["RefreshToken", "RefreshTokenPolicy", "RefreshTokens"]

RefreshTokenPolicy = Literal["none", "issued", "rotating"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshToken:
    """A refresh token (RFC 6749 §1.5).

    Attributes:
        value: the token.
        grant: what it stands for, whatever a narrower access token was made from it.
        binding: what its client must show; nothing, where the client authenticates (RFC 9449 §5).
        spent: whether another one took its place.
    """

    value: str = field(repr=False)
    grant: Grant
    binding: Binding
    spent: bool = False


class RefreshTokens:
    """The refresh tokens of one server.

    Attributes:
        reuses: how often a spent one came back.
    """

    def __init__(self) -> None:
        self.reuses = 0
        self._kept: dict[str, RefreshToken] = {}

    def issue(self, grant: Grant, binding: Binding) -> RefreshToken:
        """A new one."""
        token = RefreshToken(value=secrets.token_urlsafe(32), grant=grant, binding=binding)
        self._kept[token.value] = token
        return token

    def find(self, value: str) -> RefreshToken | None:
        """The one of that value, alive or spent."""
        return self._kept.get(value)

    def rotate(self, token: RefreshToken) -> RefreshToken:
        """A new one in place of `token`, which is spent (RFC 9700 §4.14.2)."""
        self._kept[token.value] = replace(token, spent=True)
        return self.issue(token.grant, token.binding)

    def revoke_family(self, family: str) -> None:
        """Forget every one that comes of a grant."""
        for token in list(self._kept.values()):
            if token.grant.family == family:
                del self._kept[token.value]
