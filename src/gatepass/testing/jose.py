"""JOSE as a strict server does it: public keys in, verified claims out."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn, cast

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, OctKey, OKPKey, RSAKey, import_key

if TYPE_CHECKING:
    from collections.abc import Iterable

    from joserfc.jwk import DictKey

__all__ = [
    "ASYMMETRIC_ALGORITHMS",
    "InvalidJwtError",
    "KeyMaterial",
    "KeySetMaterial",
    "hashed",
    "numeric_date",
    "public_key_of",
    "public_keys_of",
    "read_header",
    "unverified_claims",
    "verified_claims",
]

KeyMaterial = str | bytes | Mapping[str, object] | Key
"""A public key: PEM, a JWK, or a key of joserfc. Of a private one, the public half is taken."""

KeySetMaterial = KeyMaterial | Sequence[KeyMaterial]
"""Public keys: a JWK set, several keys, or a single one."""

ASYMMETRIC_ALGORITHMS = (
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519",
)  # fmt: skip
"""RFC 7518 §3.1, RFC 8037, RFC 9864: what a client may sign with. Never ``none``, never a MAC."""


class InvalidJwtError(Exception):
    """It is not a JWT, or no key of ours made its signature. The text never quotes it."""


class _Registry(jws.JWSRegistry):
    """joserfc's algorithms without its advice: a server does not choose what its clients sign with."""

    max_header_length = 8192  # an x5c chain fits

    def get_alg(self, name: str) -> Any:
        if self.allowed is None or name not in self.allowed:
            msg = "The algorithm is not allowed."
            raise JoseError(msg)
        return self.algorithms[name]


def public_key_of(material: KeyMaterial) -> Key:
    """The public key in `material`.

    Raises:
        ValueError: there is none, or it is symmetric.
    """
    if isinstance(material, Mapping):
        key = _from_jwk(material)
    elif isinstance(material, str | bytes):
        key = _from_pem(material.encode() if isinstance(material, str) else material)
    else:
        key = material
    if isinstance(key, OctKey):
        msg = "A client signs with an asymmetric key."
        raise ValueError(msg)  # noqa: TRY004 - the type of the argument is right
    return import_key(key.as_dict(private=False))


def public_keys_of(material: KeySetMaterial) -> tuple[Key, ...]:
    """The public keys in `material`.

    Raises:
        ValueError: one of them is none.
    """
    if isinstance(material, Mapping) and "keys" in material:
        return public_keys_of(cast("Sequence[KeyMaterial]", material["keys"]))
    if isinstance(material, str | bytes | Mapping | Key):
        return (public_key_of(material),)
    return tuple(public_key_of(each) for each in material)


def hashed(octets: bytes) -> str:
    """SHA-256 in base64url: a challenge, an ``ath``, a thumbprint (RFC 7636 §4.2, RFC 9449 §4.2, RFC 8705 §3.1)."""
    return base64.urlsafe_b64encode(hashlib.sha256(octets).digest()).rstrip(b"=").decode()


def numeric_date(value: object) -> float | None:
    """A NumericDate (RFC 7519 §2); None if it is none."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _from_jwk(jwk: Mapping[str, object]) -> Key:
    try:
        return import_key(cast("DictKey", dict(jwk)))
    except (JoseError, ValueError, TypeError, KeyError):
        pass
    msg = "The JWK is not a key."
    raise ValueError(msg)


def _from_pem(pem: bytes) -> Key:
    for kind in (RSAKey, ECKey, OKPKey):
        try:
            return kind.import_key(pem)
        except (JoseError, ValueError, TypeError):
            continue
    msg = "The key is neither an RSA, an EC nor an OKP key in PEM."
    raise ValueError(msg)


def read_header(token: str) -> Mapping[str, object]:
    """The header of a JWS in compact form, unverified (RFC 7515 §7.1)."""
    return _extract(token).headers()


def verified_claims(token: str, keys: Iterable[Key], algorithms: tuple[str, ...]) -> dict[str, object]:
    """The claims of a JWT that one of `keys` signed (RFC 7519 §7.2).

    A ``kid`` in the header must be that of the key: its own, else its thumbprint (RFC 7638).

    Raises:
        InvalidJwtError: it is not a JWT, or none of the keys fits.
    """
    signed = _extract(token)
    header = signed.headers()
    key_id = header.get("kid")
    registry = _Registry(algorithms=list(algorithms), strict_check_header=False)
    for key in keys:
        if key_id is not None and key_id not in (key.kid, key.thumbprint()):
            continue
        if key.alg is not None and key.alg != header.get("alg"):
            continue
        try:
            if jws.validate_compact(signed, key, registry=registry):
                return _claims(signed.payload)
        except (JoseError, ValueError):
            continue
    msg = "no registered key made the signature, or its algorithm or kid is another"
    raise InvalidJwtError(msg)


def unverified_claims(token: str) -> dict[str, object]:
    """The claims of a JWT, to find out whose it says it is."""
    return _claims(_extract(token).payload)


def _extract(token: str) -> jws.CompactSignature:
    try:
        return jws.extract_compact(token.encode("ascii"), registry=_Registry(strict_check_header=False))
    except (JoseError, ValueError, KeyError, TypeError):
        pass
    msg = "it is not a JWT"
    raise InvalidJwtError(msg)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)  # NaN is not JSON, and neither before nor after anything


def _claims(payload: bytes) -> dict[str, object]:
    try:
        claims: object = json.loads(payload, parse_constant=_refuse)
    except ValueError:
        claims = None
    if not isinstance(claims, dict):
        msg = "its claims are not a JSON object"
        raise InvalidJwtError(msg)
    return cast("dict[str, object]", claims)
