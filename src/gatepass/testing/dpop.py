"""Proofs of possession, checked as strictly as a server may: RFC 9449 §4.3, §8, §9."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal, cast

from gatepass.testing.jose import InvalidJwtError, hashed, numeric_date, public_key_of, read_header, verified_claims
from gatepass.testing.refusal import Refusal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from joserfc.jwk import Key

__all__ = ["DpopPolicy", "Proofs"]

DpopPolicy = Literal["off", "optional", "required"]
TYP = "dpop+jwt"
WINDOW_S = 60
SECRET_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
"""RFC 7518 §6: what only a private or a symmetric JWK has."""


class Proofs:
    """The proofs that came to one server, and the nonces that it gave out. Two servers have nothing in common."""

    def __init__(self) -> None:
        self._seen: set[tuple[str, str]] = set()
        self._nonces = (_new_nonce(),)

    @property
    def count(self) -> int:
        """How many different ones came; a proof that came twice counts once."""
        return len(self._seen)

    @property
    def nonce(self) -> str:
        """The newest nonce."""
        return self._nonces[0]

    def rotate_nonce(self, *, keep_old: bool) -> None:
        """A new nonce, beside the old ones or in their place."""
        self._nonces = (_new_nonce(), *(self._nonces if keep_old else ()))

    def check(
        self,
        headers: Sequence[str],
        *,
        method: str,
        url: str,
        token: str | None,
        now: float,
        algorithms: tuple[str, ...],
        nonce: bool,
    ) -> str:
        """The thumbprint of the key behind the one proof in `headers` (RFC 9449 §4.3).

        Args:
            headers: the values of every ``DPoP`` header.
            method: the method of the request.
            url: its URL without query and fragment, character by character what ``htu`` must be.
            token: the access token that came with it, if one did.
            now: the time by the server's clock, in epoch seconds.
            algorithms: what a proof may be signed with.
            nonce: whether it must have one of ours.

        Raises:
            Refusal: ``invalid_dpop_proof`` or ``use_dpop_nonce``.
        """
        if len(headers) != 1:
            raise _refused("there is not exactly one DPoP header")
        try:
            header = read_header(headers[0])
            key = _key_of(header)
            claims = verified_claims(headers[0], (key,), algorithms)
        except InvalidJwtError as error:
            raise _refused(str(error)) from None
        fault = self._replay_fault(key, claims) or (
            "typ is not dpop+jwt"
            if header.get("typ") != TYP
            else _claims_fault(claims, method=method, url=url, token=token, now=now)
        )
        if fault is not None:
            raise _refused(fault)
        if nonce and claims.get("nonce") not in self._nonces:
            raise Refusal("use_dpop_nonce", "the proof has no nonce of this server, or an old one")
        return key.thumbprint()

    def _replay_fault(self, key: Key, claims: Mapping[str, object]) -> str | None:
        """RFC 9449 §11.1. A refused proof is used up, too: the next request brings its own."""
        token_id = claims.get("jti")
        if not isinstance(token_id, str) or not token_id:
            return "jti is missing"
        if (key.thumbprint(), token_id) in self._seen:
            return "jti was used before"
        self._seen.add((key.thumbprint(), token_id))
        return None


def _claims_fault(claims: Mapping[str, object], *, method: str, url: str, token: str | None, now: float) -> str | None:
    if claims.get("htm") != method:
        return "htm is not the method"
    if claims.get("htu") != url:
        return "htu is not the URL without query and fragment"
    issued_at = numeric_date(claims.get("iat"))
    if issued_at is None:
        return "iat is missing or not a number"
    if abs(now - issued_at) > WINDOW_S:
        return f"iat is more than {WINDOW_S} s away from the server's time"
    if token is not None and claims.get("ath") != hashed(token.encode()):
        return "ath is not the hash of the access token"
    return None


def _key_of(header: Mapping[str, object]) -> Key:
    """The public key in the ``jwk`` of a header (RFC 9449 §4.2)."""
    jwk = header.get("jwk")
    if not isinstance(jwk, Mapping):
        raise InvalidJwtError("jwk is missing")
    if SECRET_MEMBERS & cast("Mapping[str, object]", jwk).keys():
        raise InvalidJwtError("jwk is not a public key")
    try:
        return public_key_of(cast("Mapping[str, object]", jwk))
    except ValueError:
        pass
    raise InvalidJwtError("jwk is not a key")


def _new_nonce() -> str:
    return secrets.token_urlsafe(12)


def _refused(fault: str) -> Refusal:
    return Refusal("invalid_dpop_proof", f"the proof is refused: {fault}")
