"""A key pair, made by the cryptography package."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

from gatepass.cli.exits import UsageError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

__all__ = ["RSA_BITS", "RSA_MAX_BITS", "RSA_MIN_BITS", "Algorithm", "new_pem"]

RSA_MIN_BITS, RSA_BITS, RSA_MAX_BITS = 2048, 3072, 8192
"""The least that RFC 7518 §3.3 allows, what is made unless told otherwise, and the most that servers can be sure of."""


class Algorithm(enum.StrEnum):
    """What a key can be made for (RFC 7518 §3.1, RFC 8037 §3.1)."""

    ES256 = "ES256"
    ES384 = "ES384"
    ES512 = "ES512"
    EDDSA = "EdDSA"
    RS256 = "RS256"
    PS256 = "PS256"


def new_pem(algorithm: Algorithm, bits: int | None, password: str | None) -> bytes:
    """A new private key in PEM (PKCS#8, RFC 5958).

    Args:
        algorithm: what it is for.
        bits: the size of an RSA key.
        password: what it is encrypted with.

    Raises:
        UsageError: `bits` is given for a key whose algorithm leaves no choice.
    """
    from cryptography.hazmat.primitives.serialization import (
        BestAvailableEncryption,
        Encoding,
        NoEncryption,
        PrivateFormat,
    )

    if bits is not None and algorithm not in (Algorithm.RS256, Algorithm.PS256):
        msg = f"--bits is the size of an RSA key, and {algorithm} leaves no choice: leave it out."
        raise UsageError(msg)
    lock = BestAvailableEncryption(password.encode()) if password else NoEncryption()
    return _private_key(algorithm, bits or RSA_BITS).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, lock)


def _private_key(algorithm: Algorithm, bits: int) -> EllipticCurvePrivateKey | Ed25519PrivateKey | RSAPrivateKey:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    match algorithm:
        case Algorithm.ES256:
            return ec.generate_private_key(ec.SECP256R1())
        case Algorithm.ES384:
            return ec.generate_private_key(ec.SECP384R1())
        case Algorithm.ES512:
            return ec.generate_private_key(ec.SECP521R1())
        case Algorithm.EDDSA:
            return ed25519.Ed25519PrivateKey.generate()
        case Algorithm.RS256 | Algorithm.PS256:
            return rsa.generate_private_key(65537, bits)
