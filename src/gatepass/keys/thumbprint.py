"""Short names of public keys and certificates: their hashes."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import msgspec

from gatepass.errors import ConfigurationError
from gatepass.protocol.jwt import base64url

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["public_members", "thumbprint", "x5t_s256"]

_MEMBERS = {  # RFC 7638 §3.2 and RFC 8037 §2, in the order that is hashed
    "EC": ("crv", "kty", "x", "y"),
    "OKP": ("crv", "kty", "x"),
    "RSA": ("e", "kty", "n"),
}


def public_members(public_jwk: Mapping[str, object]) -> dict[str, object]:
    """The members that make the public key (RFC 7638 §3.2), and none else: whatever is given, nothing private is among
    them.

    Raises:
        ConfigurationError: it is not the JWK of a public key (code ``key_invalid``).
    """
    members = _MEMBERS.get(str(public_jwk.get("kty")), ())
    if not members or not all(isinstance(public_jwk.get(name), str) for name in members):
        msg = f"A JWK of type {', '.join(_MEMBERS)} was expected, with each of its required members."
        raise ConfigurationError(msg, code="key_invalid")
    return {name: public_jwk[name] for name in members}


def thumbprint(public_jwk: Mapping[str, object]) -> str:
    """The SHA-256 thumbprint of a public key (RFC 7638 §3), which many servers use as its ``kid``.

    Raises:
        ConfigurationError: it is not the JWK of a public key (code ``key_invalid``).
    """
    return base64url(hashlib.sha256(msgspec.json.encode(public_members(public_jwk))).digest())


def x5t_s256(certificate_pem: str) -> str:
    """The SHA-256 thumbprint of the first certificate of a PEM text (RFC 7515 §4.1.8).

    Raises:
        ConfigurationError: there is no certificate in it (code ``certificate_invalid``).
    """
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.x509 import load_pem_x509_certificate

    try:
        return base64url(load_pem_x509_certificate(certificate_pem.encode()).fingerprint(SHA256()))
    except ValueError:
        problem = "A certificate in PEM was expected, which begins with -----BEGIN CERTIFICATE-----."
    del certificate_pem  # it may be a private key, given by mistake
    raise ConfigurationError(problem, code="certificate_invalid")
