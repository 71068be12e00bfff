"""JWTs as gatepass makes and reads them: what is signed (RFC 7515, RFC 7519, RFC 7523), not how."""

from __future__ import annotations

import binascii
from base64 import b64decode, urlsafe_b64encode
from typing import TYPE_CHECKING

import msgspec

from gatepass.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "assertion_claims",
    "assertion_header",
    "base64url",
    "check_extra_claims",
    "compact",
    "expired",
    "jti",
    "peek_claims",
    "signing_input",
]

_OWN_CLAIMS = ("iss", "sub", "aud", "jti", "iat", "exp")
_PARTS = 3


def base64url(data: bytes) -> str:
    """Base64url without padding (RFC 7515 §2)."""
    return urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def signing_input(header: Mapping[str, object], claims: Mapping[str, object]) -> bytes:
    """The bytes that are signed: header and claims as compact JSON in base64url, joined by a dot (RFC 7515 §5.1)."""
    encode = msgspec.json.encode
    return f"{base64url(encode(header))}.{base64url(encode(claims))}".encode("ascii")


def compact(signing_input: bytes, signature: bytes) -> str:
    """The JWT: the signed bytes and their signature (RFC 7515 §7.1)."""
    return f"{signing_input.decode('ascii')}.{base64url(signature)}"


def jti(random: bytes) -> str:
    """A JWT ID from random bytes, of which 16 are enough (RFC 7519 §4.1.7)."""
    return base64url(random)


def assertion_header(
    *,
    algorithm: str,
    typ: str,
    key_id: str | None = None,
    x5t_s256: str | None = None,
) -> dict[str, str]:
    """The header of a client assertion (RFC 7515 §4.1); what is None is left out."""
    members = {"alg": algorithm, "typ": typ, "kid": key_id, "x5t#S256": x5t_s256}
    return {name: value for name, value in members.items() if value is not None}


def assertion_claims(
    *,
    client_id: str,
    audience: str,
    issued_at: int,
    lifetime_s: int,
    jti: str,
    extra: Mapping[str, object],
) -> dict[str, object]:
    """The claims of a client assertion (RFC 7523 §3), with `extra` ones after them.

    Raises:
        ConfigurationError: `extra` would replace one of them (code ``claims_invalid``).
    """
    check_extra_claims(extra)
    return {
        "iss": client_id,
        "sub": client_id,
        "aud": audience,
        "jti": jti,
        "iat": issued_at,
        "exp": issued_at + lifetime_s,
        **extra,
    }


def check_extra_claims(extra: Mapping[str, object]) -> None:
    """Refuse extra claims that would replace one that gatepass sets itself.

    Raises:
        ConfigurationError: names the claims (code ``claims_invalid``).
    """
    taken = [name for name in _OWN_CLAIMS if name in extra]
    if taken:
        msg = f"claims may not replace {', '.join(taken)}: these are set for each assertion. Leave them out."
        raise ConfigurationError(msg, code="claims_invalid")


def peek_claims(jwt: str) -> Mapping[str, object]:
    """The claims of a signed JWT, read without checking its signature: for hints, never for trust.

    Raises:
        ConfigurationError: it is not a signed JWT in compact form (code ``assertion_invalid``); it is not quoted.
    """
    claims = _claims(jwt)
    del jwt  # so that no frame of the error holds it
    if claims is None:
        msg = "The assertion is not a JWT: three parts of base64url, separated by dots, were expected."
        raise ConfigurationError(msg, code="assertion_invalid")
    return claims


def expired(claims: Mapping[str, object], now: float) -> bool:
    """Whether `exp` (RFC 7519 §4.1.4) has come, at `now` in epoch seconds. Without one, a JWT does not expire.

    Raises:
        ConfigurationError: `exp` is not a number (code ``assertion_invalid``).
    """
    if "exp" not in claims:
        return False
    exp = claims["exp"]
    if isinstance(exp, bool) or not isinstance(exp, int | float):
        msg = "The exp claim of the assertion is not a number."
        raise ConfigurationError(msg, code="assertion_invalid")
    return exp <= now


def _claims(jwt: str) -> dict[str, object] | None:
    parts = jwt.split(".")
    if len(parts) != _PARTS or not all(parts):
        return None
    try:
        header, claims, _ = (_decoded(part) for part in parts)
        msgspec.json.decode(header, type=dict[str, object])
        return msgspec.json.decode(claims, type=dict[str, object])
    except (ValueError, msgspec.MsgspecError):
        return None


def _decoded(part: str) -> bytes:
    if "+" in part or "/" in part or "=" in part:
        raise binascii.Error
    return b64decode(part.encode("ascii") + b"=" * (-len(part) % 4), altchars=b"-_", validate=True)
