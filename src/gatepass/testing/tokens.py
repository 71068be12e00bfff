"""Access tokens: how they are made, looked up, verified and revoked."""

from __future__ import annotations

import math
import secrets
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, cast

from joserfc import jwt
from joserfc.jwk import ECKey

from gatepass.testing.bindings import UNBOUND, Binding
from gatepass.testing.jose import InvalidJwtError, read_header, verified_claims

if TYPE_CHECKING:
    from collections.abc import Mapping

    from joserfc.jwk import KeySetSerialization

    from gatepass.testing.grant import Grant

__all__ = ["IssuedToken", "TokenFormat", "TokenMint"]

TokenFormat = Literal["jwt", "opaque"]
ALGORITHM = "ES256"
SHORT_LIFE_S = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedToken:
    """What an access token stands for.

    Attributes:
        value: the token.
        client_id: the client it was issued to.
        subject: in whose name.
        scopes: what it allows.
        audience: the resources it is for.
        expires_at: when it ends, in epoch seconds.
        binding: what its user must show.
        family: what it has in common with others that come of the same grant; None: it does not say.
    """

    value: str = field(repr=False)
    client_id: str
    subject: str
    scopes: tuple[str, ...]
    audience: tuple[str, ...]
    expires_at: float
    binding: Binding = UNBOUND
    family: str | None = None


class TokenMint:
    """Makes tokens, and knows those it made. Safe across threads."""

    def __init__(self, issuer: str) -> None:
        self._issuer = issuer
        self._key = ECKey.generate_key("P-256", auto_kid=True)
        self._lock = threading.Lock()
        self._issued: dict[str, IssuedToken] = {}
        self._revoked: set[str] = set()

    @property
    def jwks(self) -> KeySetSerialization:
        """The public key that JWT tokens are signed with (RFC 7517 §5)."""
        return {"keys": [{**self._key.as_dict(private=False), "use": "sig", "alg": ALGORITHM}]}

    def issue(
        self,
        grant: Grant,
        *,
        binding: Binding,
        now: float,
        lifetime_s: float,
        token_format: TokenFormat,
    ) -> IssuedToken:
        """A new token, as a JWT (RFC 9068) or as a random string."""
        expires_at = now + lifetime_s
        jwt_wanted = token_format == "jwt"  # noqa: S105 - a format, no password
        value = self._signed(grant, binding, now, expires_at) if jwt_wanted else secrets.token_urlsafe(32)
        token = IssuedToken(
            value=value,
            client_id=grant.client_id,
            subject=grant.subject,
            scopes=grant.scopes,
            audience=grant.audience,
            expires_at=expires_at,
            binding=binding,
            family=grant.family,
        )
        with self._lock:
            self._issued[value] = token
        return token

    def _signed(self, grant: Grant, binding: Binding, now: float, expires_at: float) -> str:
        # Whole seconds would make the life of a short token up to a second longer or shorter than it was told.
        exp = round(expires_at, 3) if expires_at - now < SHORT_LIFE_S else math.ceil(expires_at)
        claims: dict[str, object] = {
            "iss": self._issuer,
            "sub": grant.subject,
            "client_id": grant.client_id,
            "aud": grant.audience[0] if len(grant.audience) == 1 else list(grant.audience),
            "iat": int(now),
            "exp": exp,
            "jti": secrets.token_urlsafe(12),
        }
        if grant.scopes:
            claims["scope"] = " ".join(grant.scopes)
        if binding != UNBOUND:
            claims["cnf"] = binding.cnf()
        return self.sign(claims, typ="at+jwt")

    def sign(self, claims: Mapping[str, object], *, typ: str) -> str:
        """A JWT of ours."""
        header = {"typ": typ, "alg": ALGORITHM, "kid": self._key.kid}
        return jwt.encode(header, dict(claims), self._key, algorithms=[ALGORITHM])

    def read(self, value: str) -> dict[str, object]:
        """The claims of a JWT of ours.

        Raises:
            InvalidJwtError: it is none.
        """
        return verified_claims(value, [self._key], (ALGORITHM,))

    def verify(self, value: str, *, audience: str, now: float) -> IssuedToken | None:
        """The token, if it is ours, is for `audience`, has not ended and was not revoked; else None (RFC 9068 §4)."""
        with self._lock:
            token = self._issued.get(value)
            revoked = value in self._revoked
        if value.count(".") == 2:  # noqa: PLR2004 - a JWT has three parts, and speaks for itself
            token = self._read(value)
        if token is None or revoked or now >= token.expires_at or audience not in token.audience:
            return None
        return token

    def _read(self, value: str) -> IssuedToken | None:
        """What a JWT of ours says; None if the signature is not ours, or it is not an access token."""
        try:
            typ = read_header(value).get("typ")
            claims = cast("Any", self.read(value))
        except InvalidJwtError:
            return None
        if typ != "at+jwt" or claims["iss"] != self._issuer:
            return None
        audience, cnf = claims["aud"], claims.get("cnf", {})
        return IssuedToken(
            value=value,
            client_id=claims["client_id"],
            subject=claims["sub"],
            scopes=tuple(claims.get("scope", "").split()),
            audience=(audience,) if isinstance(audience, str) else tuple(audience),
            expires_at=claims["exp"],
            binding=Binding(jkt=cnf.get("jkt"), x5t=cnf.get("x5t#S256")),
        )

    def find(self, value: str) -> IssuedToken | None:
        """The token of that value, whether it is still good or not."""
        with self._lock:
            return self._issued.get(value)

    def revoke(self, value: str) -> None:
        """Take back one token."""
        with self._lock:
            self._revoked.add(value)

    def revoke_family(self, family: str) -> None:
        """Take back every token that comes of a grant."""
        with self._lock:
            self._revoked.update(value for value, token in self._issued.items() if token.family == family)

    def revoke_all(self) -> None:
        """Take back every token issued so far."""
        with self._lock:
            self._revoked.update(self._issued)
