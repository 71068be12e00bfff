"""Certificates of clients: of a throw-away authority, and one that answers for itself."""

from __future__ import annotations

import base64
import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from joserfc.jwk import ECKey

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificates:
    """PEM files, those of clients with their keys.

    Attributes:
        authority: who answers for all but one.
        trusted: the authority and the one that answers for itself.
        bot: the client that is known by its name, ``CN=bot``.
        renewed_bot: another certificate of its, by the same name.
        stranger: the same authority answers for it, but nobody knows it.
        lone: the client that is known by its certificate.
    """

    authority: Path
    trusted: Path
    bot: Path
    renewed_bot: Path
    stranger: Path
    lone: Path


def self_signed(path: Path) -> dict[str, Any]:
    """Write a certificate that answers for itself, with its key; the key set to register it by (RFC 8705 §2.2.2)."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, path.stem)])
    start = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + dt.timedelta(days=36500))
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(pem + certificate.public_bytes(Encoding.PEM))
    public = ECKey.import_key(pem).as_dict(private=False)
    return {"keys": [{**public, "x5c": [base64.b64encode(certificate.public_bytes(Encoding.DER)).decode()]}]}
