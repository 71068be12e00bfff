"""Public halves, in the three forms in which they are registered or published. Nothing private gets out of here."""

from __future__ import annotations

import enum
import sys
from base64 import urlsafe_b64decode
from typing import TYPE_CHECKING, cast

import msgspec

from gatepass.cli.keys.key_file import read_signer, read_text
from gatepass.cli.screen import write_json
from gatepass.errors import ConfigurationError
from gatepass.keys.local_key import ALGORITHMS
from gatepass.keys.thumbprint import public_members, thumbprint
from gatepass.keys.unfit import check_rsa_bits, unfit, unsupported

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from gatepass.core.secret import Secret
    from gatepass.core.world import Signer

__all__ = ["Form", "PublicHalf", "bits_of", "jwk_set", "kind_of", "public_half", "read_public_halves", "write_public"]

PublicHalf = dict[str, object]
"""A public key as it is published (RFC 7517 §4): with a ``kid``, its ``use``, and its ``alg`` if it has but one."""

_PUBLIC_PEM, _PRIVATE_PEM = "-----BEGIN PUBLIC KEY-----", "PRIVATE KEY-----"
_CURVES = ("secp256r1", "secp384r1", "secp521r1")
_STRANGE = "a key of another kind or on another curve"
_DAMAGED = "a public key that is damaged. Export it anew."
_CURVE_BITS = {"P-256": 256, "P-384": 384, "P-521": 521, "Ed25519": 256}


class Form(enum.StrEnum):
    """How a public key is written."""

    PEM = "pem"
    JWK = "jwk"
    JWKS = "jwks"


def public_half(signer: Signer, algorithm: str | None = None) -> PublicHalf:
    """The public half of a private key.

    Args:
        signer: the key.
        algorithm: the one algorithm that it is for, where its kind leaves a choice.
    """
    return _published(signer.public_jwk, (algorithm,) if algorithm else signer.algorithms)


def read_public_halves(path: Path, password: Secret | None) -> list[PublicHalf]:
    """The public halves in a file: of a private key, a public one (PEM or JWK), or all of a JWK set.

    Raises:
        ConfigurationError: it can't be read, or holds something else.
    """
    public = _public_jwks(path)
    if public is None:
        return [public_half(read_signer(path, password))]
    return [_published(jwk, _algorithms(jwk, f"file {path}")) for jwk in public]


def jwk_set(halves: Iterable[PublicHalf]) -> dict[str, list[PublicHalf]]:
    """The JWK set (RFC 7517 §5) of these keys; one that is given twice is in it once.

    Raises:
        ConfigurationError: two different keys have the same ``kid`` (code ``key_id_taken``).
    """
    by_kid: dict[object, PublicHalf] = {}
    for half in halves:
        known = by_kid.setdefault(half["kid"], half)
        if thumbprint(known) != thumbprint(half):
            msg = f"Two keys have the kid {half['kid']}, and servers tell keys apart by it. Change one of the two."
            raise ConfigurationError(msg, code="key_id_taken")
    return {"keys": list(by_kid.values())}


def write_public(half: PublicHalf, form: Form) -> None:
    """A public key on stdout."""
    match form:
        case Form.PEM:
            sys.stdout.write(_pem(half))
        case Form.JWK:
            write_json(half)
        case Form.JWKS:
            write_json(jwk_set([half]))


def kind_of(jwk: Mapping[str, object]) -> str:
    """What kind of key it is, for people."""
    return {"EC": f"EC on {jwk.get('crv')}", "OKP": str(jwk.get("crv"))}.get(str(jwk["kty"]), "RSA")


def bits_of(jwk: Mapping[str, object]) -> int:
    """How large a key is."""
    if "crv" in jwk:
        return _CURVE_BITS[str(jwk["crv"])]
    return int.from_bytes(urlsafe_b64decode(f"{jwk['n']}==")).bit_length()


def _published(jwk: Mapping[str, object], algorithms: Sequence[str]) -> PublicHalf:
    half: PublicHalf = {"kty": jwk["kty"], **public_members(jwk)}
    own = jwk.get("kid")
    half["kid"] = own if isinstance(own, str) and own else thumbprint(jwk)
    half["use"] = "sig"
    if len(algorithms) == 1:
        half["alg"] = algorithms[0]
    return half


def _pem(jwk: Mapping[str, object]) -> str:
    """The key in PEM (RFC 7468 §13), which has no room for a ``kid``."""
    from joserfc.jwk import ECKey, OKPKey, RSAKey

    kinds: Mapping[object, type[ECKey | OKPKey | RSAKey]] = {"EC": ECKey, "OKP": OKPKey, "RSA": RSAKey}
    members = cast("dict[str, str | list[str]]", public_members(jwk))
    return kinds[jwk["kty"]].import_key(members).as_pem(private=False).decode()


def _public_jwks(path: Path) -> list[dict[str, object]] | None:
    """The public keys in a file, as JWKs; None if it holds a private one, or nothing of the kind."""
    text = read_text(path)
    if text.lstrip().startswith("{"):
        try:
            document = msgspec.json.decode(text, type=dict[str, object])
            keys = msgspec.convert(document.get("keys", [document]), list[dict[str, object]])
        except msgspec.MsgspecError:
            return None
        return keys if "keys" in document or "d" not in document else None
    return [_jwk_of_pem(text, f"file {path}")] if _PUBLIC_PEM in text and _PRIVATE_PEM not in text else None


def _jwk_of_pem(text: str, origin: str) -> dict[str, object]:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key
    from joserfc.jwk import ECKey, OKPKey, RSAKey

    try:
        key = load_pem_public_key(text.encode())
    except (ValueError, UnsupportedAlgorithm):
        raise unfit(origin, "key_invalid", _DAMAGED) from None
    if isinstance(key, RSAPublicKey):
        check_rsa_bits(key.key_size, origin)
        return {**RSAKey.import_key(key).as_dict(private=False)}
    if isinstance(key, EllipticCurvePublicKey) and key.curve.name in _CURVES:
        return {**ECKey.import_key(key).as_dict(private=False)}
    if isinstance(key, Ed25519PublicKey):
        return {**OKPKey.import_key(key).as_dict(private=False)}
    raise unsupported(origin, _STRANGE)


def _algorithms(jwk: Mapping[str, object], origin: str) -> tuple[str, ...]:
    """What a public key is for.

    Raises:
        ConfigurationError: it is broken, too weak, or of a kind that gatepass does not sign with.
    """
    from joserfc.errors import JoseError

    members = public_members(jwk)
    able = ALGORITHMS.get(str(members.get("crv", "RSA")))
    if able is None:
        raise unsupported(origin, _STRANGE)
    if jwk.get("use", "sig") != "sig":
        raise unfit(origin, "key_unsupported", "by its use, this key is not for signing. Leave it out.")
    try:
        if "n" in members:
            check_rsa_bits(bits_of(members), origin)
        _pem(members)
    except (JoseError, ValueError, TypeError, KeyError):
        raise unfit(origin, "key_invalid", _DAMAGED) from None
    return (str(jwk["alg"]),) if jwk.get("alg") in able else able
