"""The books of an authorization server: whom it knows, and what it gave to whom."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gatepass.testing.authorize import Code
from gatepass.testing.clients import Client
from gatepass.testing.dpop import Proofs
from gatepass.testing.refresh_tokens import RefreshTokens
from gatepass.testing.registration import Registration

if TYPE_CHECKING:
    from joserfc.jwk import Key

    from gatepass.testing.tokens import TokenMint

__all__ = ["Books"]


@dataclass(slots=True, kw_only=True)
class Books:
    """What one authorization server has written down.

    Attributes:
        mint: its access tokens, and the key that it signs with.
        clients: its clients, by their id.
        codes: the authorization codes that it gave out, those in `spent_codes` included.
        spent_codes: those that were redeemed.
        refresh_tokens: its refresh tokens.
        proofs: the DPoP proofs that came, and its nonces.
        registrations: what clients asked to be registered as.
        documents: the URLs of the client ID metadata documents that it knows.
        trusted_issuers: whose assertions it takes, and their keys.
        assertion_ids: issuer and ``jti`` of the assertions that are used up.
        identity_provider: whether it knows people, and vouches for them.
        saml_assertions: the person behind each SAML assertion.
        client_ids_at: what its clients are called at other authorization servers, by client and issuer.
    """

    mint: TokenMint
    clients: dict[str, Client] = field(default_factory=dict[str, Client])
    codes: dict[str, Code] = field(default_factory=dict[str, Code])
    spent_codes: set[str] = field(default_factory=set[str])
    refresh_tokens: RefreshTokens = field(default_factory=RefreshTokens)
    proofs: Proofs = field(default_factory=Proofs)
    registrations: list[Registration] = field(default_factory=list[Registration])
    documents: set[str] = field(default_factory=set[str])
    trusted_issuers: dict[str, tuple[Key, ...]] = field(default_factory=dict[str, "tuple[Key, ...]"])
    assertion_ids: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])
    identity_provider: bool = False
    saml_assertions: dict[str, str] = field(default_factory=dict[str, str])
    client_ids_at: dict[tuple[str, str], str] = field(default_factory=dict[tuple[str, str], str])

    def revoke_family(self, family: str) -> None:
        """Take back every token that came of one grant."""
        self.mint.revoke_family(family)
        self.refresh_tokens.revoke_family(family)
