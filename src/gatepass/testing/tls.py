"""https on loopback, and clients that show a certificate: RFC 8705."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, cast

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from gatepass.testing.jose import hashed
from gatepass.testing.serve import CONNECTION, Connection

if TYPE_CHECKING:
    from pathlib import Path

    from starlette.requests import Request

__all__ = [
    "TLS_METHODS",
    "Tls",
    "certificate_from_pem",
    "certificate_has_subject",
    "certificate_of",
    "certificate_thumbprint",
]

TLS_METHODS = ("tls_client_auth", "self_signed_tls_client_auth")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """How a server speaks TLS.

    Attributes:
        certificate: a PEM file with the server's certificate and its key.
        client_ca: a PEM file with the authorities of client certificates, and with those that are self-signed: Python
            asks for no certificate that it cannot check. It is read when the server starts.
        client_certificates: whether a client may, or has to, show one.
    """

    certificate: Path
    client_ca: Path | None = None
    client_certificates: Literal["none", "requested", "required"] = "none"

    def __post_init__(self) -> None:
        if self.asks and self.client_ca is None:
            msg = "A server that asks for client certificates needs to know whose: client_ca."
            raise ValueError(msg)

    @property
    def asks(self) -> bool:
        """Whether a client certificate is any use here."""
        return self.client_certificates != "none"

    @property
    def verify_mode(self) -> ssl.VerifyMode:
        """The same, as `ssl` says it."""
        modes = {"none": ssl.CERT_NONE, "requested": ssl.CERT_OPTIONAL, "required": ssl.CERT_REQUIRED}
        return modes[self.client_certificates]


def certificate_of(request: Request) -> bytes | None:
    """The certificate that the client of a request showed, in DER; None if it showed none."""
    tls = request.scope["scheme"] == "https"
    return cast("Connection", request.scope[CONNECTION]).certificate if tls else None


def certificate_thumbprint(certificate: bytes | None) -> str | None:
    """Its ``x5t#S256`` (RFC 8705 §3.1)."""
    return None if certificate is None else hashed(certificate)


def certificate_from_pem(pem: str | bytes) -> bytes:
    """The first certificate of a PEM file, in DER.

    Raises:
        ValueError: there is none.
    """
    octets = pem.encode() if isinstance(pem, str) else pem
    return x509.load_pem_x509_certificates(octets)[0].public_bytes(Encoding.DER)


def certificate_has_subject(certificate: bytes, subject: str) -> bool:
    """Whether an authority says that its holder has that name, such as ``CN=ci-bot`` (RFC 8705 §2.1, RFC 4514)."""
    read = x509.load_der_x509_certificate(certificate)
    return read.subject == x509.Name.from_rfc4514_string(subject) and read.issuer != read.subject
