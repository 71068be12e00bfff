"""Certificates to throw away: an authority for one test, and what it signs."""

from __future__ import annotations

import datetime as dt
import ipaddress
from typing import TYPE_CHECKING, Literal

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from gatepass.testing.tls import Tls

if TYPE_CHECKING:
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes

__all__ = ["Certificates"]

HOST = "127.0.0.1"
LIFE = dt.timedelta(days=7)


class Certificates:
    """A certificate authority of its own, that a client has to be told to trust.

    All it makes are PEM files in a directory, certificate and key in one: what ``ssl`` and HTTP clients take.

    Args:
        directory: where the files are written to.
        names: what the server's certificate is for: host names and IP addresses.
        life: how long from now it is good; if that is negative, it has expired.

    Attributes:
        ca: the certificate of the authority.
        server: that of the server.
        client_ca: what a server takes client certificates by: the authority, and those that signed themselves.
    """

    def __init__(
        self, directory: Path, *, names: tuple[str, ...] = (HOST, "localhost"), life: dt.timedelta = LIFE
    ) -> None:
        self._directory = directory
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name("gatepass testing")
        self._certificate = self._signed(self._name, self._key.public_key(), x509.BasicConstraints(True, 0), ())
        self.ca = directory / "ca.pem"
        self.client_ca = directory / "client-ca.pem"
        for file in (self.ca, self.client_ca):
            file.write_bytes(_pem(self._certificate))
        extensions = (
            x509.SubjectAlternativeName(map(_alternative_name, names)),
            _usage(ExtendedKeyUsageOID.SERVER_AUTH),
        )
        self.server = self._issue("server.pem", names[0], extensions, life)

    def client(self, name: str) -> Path:
        """The file of a client certificate of the authority; its subject is ``CN=`` and the name."""
        return self._issue(f"{name}.pem", name, (_usage(ExtendedKeyUsageOID.CLIENT_AUTH),))

    def self_signed(self, name: str) -> Path:
        """The file of one that no authority signed. A server takes it if it starts later than this."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = (
            _builder(_name(name), _name(name), key.public_key())
            .add_extension(x509.BasicConstraints(False, None), critical=True)
            .sign(key, SHA256())
        )
        with self.client_ca.open("ab") as file:
            file.write(_pem(certificate))
        return self._written(f"{name}.self-signed.pem", certificate, key)

    def tls(self, client_certificates: Literal["none", "requested", "required"] = "none") -> Tls:
        """What to give to a server."""
        return Tls(certificate=self.server, client_ca=self.client_ca, client_certificates=client_certificates)

    def _issue(
        self, file: str, name: str, extensions: tuple[x509.ExtensionType, ...], life: dt.timedelta = LIFE
    ) -> Path:
        key = ec.generate_private_key(ec.SECP256R1())
        leaf = x509.BasicConstraints(False, None)
        return self._written(file, self._signed(_name(name), key.public_key(), leaf, extensions, life), key)

    def _signed(
        self,
        subject: x509.Name,
        public_key: CertificatePublicKeyTypes,
        constraints: x509.BasicConstraints,
        extensions: tuple[x509.ExtensionType, ...],
        life: dt.timedelta = LIFE,
    ) -> x509.Certificate:
        """A certificate that RFC 5280 has nothing against: newer Pythons check strictly."""
        own = self._key.public_key()
        usage = x509.KeyUsage(
            digital_signature=not constraints.ca,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            key_cert_sign=constraints.ca,
            crl_sign=constraints.ca,
            encipher_only=False,
            decipher_only=False,
        )
        builder = (
            _builder(subject, self._name, public_key, life)
            .add_extension(constraints, critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(own), critical=False)
        )
        for extension in extensions:
            builder = builder.add_extension(extension, critical=False)
        return builder.sign(self._key, SHA256())

    def _written(self, file: str, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Path:
        path = self._directory / file
        path.touch(mode=0o600)
        path.write_bytes(_pem(certificate) + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return path


def _builder(
    subject: x509.Name, issuer: x509.Name, public_key: CertificatePublicKeyTypes, life: dt.timedelta = LIFE
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - LIFE)
        .not_valid_after(now + life)
    )


def _alternative_name(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def _usage(what: x509.ObjectIdentifier) -> x509.ExtendedKeyUsage:
    return x509.ExtendedKeyUsage([what])


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.PEM)
