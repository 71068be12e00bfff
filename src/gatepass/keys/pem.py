"""Private keys in PEM: PKCS#8 (RFC 5958), PKCS#1 (RFC 8017), SEC1 (RFC 5915), plain or encrypted."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from gatepass.keys.local_key import LocalKey
from gatepass.keys.unfit import damaged, not_private, unfit, unsupported

if TYPE_CHECKING:
    from gatepass.errors import ConfigurationError

__all__ = ["key_from_pem"]

_PRIVATE = re.compile(r"-----BEGIN ((?:[A-Z0-9]+ )*)PRIVATE KEY-----.+?-----END \1PRIVATE KEY-----", re.DOTALL)
_PUBLIC = {
    "-----BEGIN CERTIFICATE REQUEST-----": "a certificate request",
    "-----BEGIN CERTIFICATE-----": "a certificate",
    "PUBLIC KEY-----": "a public key",
}


def key_from_pem(text: str, password: str | None, origin: str) -> LocalKey:
    """The first private key of a PEM text; see `parse_private_key`."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    if "\n" not in text:
        text = text.replace("\\n", "\n")  # how line breaks often come through an environment variable
    block = _PRIVATE.search(text)
    if block is None:
        raise _no_private_key(text, origin)
    if block[1] == "OPENSSH ":
        raise unsupported(origin, "a key in OpenSSH's own format")
    encrypted = block[1] == "ENCRYPTED " or "Proc-Type: 4,ENCRYPTED" in block[0]
    if encrypted and not password:
        what = "this private key is encrypted. Give its password, or a copy without one, which is made by:"
        raise unfit(origin, "key_password_missing", f"{what} openssl pkey -in KEY.pem -out PLAIN.pem")

    try:
        key = load_pem_private_key(block[0].encode(), password.encode() if encrypted and password else None)
    except UnsupportedAlgorithm:
        raise unsupported(origin, "a key of an unknown kind or on an unknown curve") from None
    except (ValueError, TypeError):
        raise _locked(origin) if encrypted else damaged(origin) from None
    return LocalKey.of(key, origin=origin)


def _no_private_key(text: str, origin: str) -> ConfigurationError:
    if "PRIVATE KEY-----" not in text:
        for mark, what in _PUBLIC.items():
            if mark in text:
                return not_private(origin, what)
    what = (
        "neither a JWK nor a whole private key in PEM, from its BEGIN line to its END line. "
        "A DER file becomes PEM by: openssl pkey -inform DER -in KEY.der -out KEY.pem"
    )
    return unfit(origin, "key_invalid", what)


def _locked(origin: str) -> ConfigurationError:
    what = "the password does not open this private key, or the key is damaged. Try the password with:"
    return unfit(origin, "key_password_wrong", f"{what} openssl pkey -in KEY.pem -noout")
