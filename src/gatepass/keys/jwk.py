"""Private keys as JWK (RFC 7517, RFC 7518 §6, RFC 8037 §2)."""

from __future__ import annotations

from base64 import urlsafe_b64decode
from typing import TYPE_CHECKING

import msgspec

from gatepass.keys.local_key import LocalKey
from gatepass.keys.unfit import check_rsa_bits, damaged, not_private, unfit, unsupported

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["key_from_jwk"]

_KINDS = {"RSA": (None,), "EC": ("P-256", "P-384", "P-521"), "OKP": ("Ed25519",)}
_MEMBERS = ("kty", "crv", "x", "y", "n", "e", "d", "p", "q", "dp", "dq", "qi")


def key_from_jwk(text: str, origin: str) -> LocalKey:
    """The private key that a JWK holds; see `parse_private_key`."""
    from joserfc.errors import JoseError
    from joserfc.jwk import JWKRegistry

    jwk = _json_object(text, origin)
    kind = str(jwk.get("kty"))
    if kind == "oct":
        raise unsupported(origin, "a symmetric key, with which the server could sign as well")
    if jwk.get("crv") not in _KINDS.get(kind, ()) or "oth" in jwk:
        raise unsupported(origin, "a JWK of another kind or on another curve")
    if "d" not in jwk:
        raise not_private(origin, "a public key")
    if not _signs(jwk):
        raise unfit(origin, "key_unsupported", "by its use or key_ops, this key is not for signing. Give one that is.")
    if kind == "RSA":
        check_rsa_bits(_bits(jwk.get("n"), origin), origin)

    try:
        members = msgspec.convert({name: jwk[name] for name in _MEMBERS if name in jwk}, dict[str, str])
        key = JWKRegistry.import_key({**members})
        key_id, algorithm = msgspec.convert((jwk.get("kid"), jwk.get("alg")), tuple[str | None, str | None])
    except (JoseError, ValueError, TypeError):
        raise damaged(origin) from None
    local = LocalKey.of(key.private_key, origin=origin, key_id=key_id, algorithm=algorithm)
    if kind == "OKP" and local.public_jwk["x"] != jwk["x"]:  # the only kind whose halves are not compared above
        raise damaged(origin)
    return local


def _json_object(text: str, origin: str) -> Mapping[str, object]:
    try:
        jwk = msgspec.json.decode(text, type=dict[str, object])
    except (msgspec.MsgspecError, ValueError):
        raise unfit(origin, "key_invalid", "begins like a JWK, but is not JSON. Give one JWK, whole.") from None
    if "keys" in jwk:
        raise unfit(origin, "key_invalid", "a JWK set. Give the one private key of it that is to sign.")
    return jwk


def _signs(jwk: Mapping[str, object]) -> bool:
    """Whether `use` and `key_ops` allow signing (RFC 7517 §4.2, §4.3)."""
    operations = jwk.get("key_ops", ["sign"])
    return jwk.get("use", "sig") == "sig" and isinstance(operations, list) and "sign" in operations


def _bits(modulus: object, origin: str) -> int:
    try:
        return int.from_bytes(urlsafe_b64decode(f"{modulus}==")).bit_length()
    except ValueError:
        raise damaged(origin) from None
