"""A server on a loopback socket that answers with whatever bytes a test wants, and certificates to serve with."""

from __future__ import annotations

import datetime as dt
import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

Answer = Callable[["Visit"], None]


class Visit:
    """One connection and the request that came on it."""

    def __init__(self, line: socket.socket, over: threading.Event) -> None:
        self.line = line
        self.over = over
        """Set when the server stops."""
        self.request = _read_request(line)

    def say(self, *pieces: bytes, pause_s: float = 0.0) -> None:
        """Send pieces, as long as somebody listens."""
        with suppress(OSError):
            for piece in pieces:
                self.line.sendall(piece)
                if pause_s and self.over.wait(pause_s):
                    return

    @property
    def head(self) -> list[str]:
        """The lines of the request's head."""
        return self.request.partition(b"\r\n\r\n")[0].decode().split("\r\n")


class Wire:
    """Serves on loopback, one thread a connection, until it is left.

    Args:
        answer: what to do with a visit.
        tls: serve TLS with this.
    """

    def __init__(self, answer: Answer, *, tls: ssl.SSLContext | None = None) -> None:
        self._answer = answer
        self._tls = tls
        self._over = threading.Event()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._threads = [threading.Thread(target=self._accept)]
        self.port: int = self._socket.getsockname()[1]
        self.where = f"127.0.0.1:{self.port}"
        self.url = f"{'https' if tls else 'http'}://{self.where}/token"
        self.visits: list[Visit] = []
        self.peers: list[object] = []
        """The names in the clients' certificates."""

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for thread in self._threads:
            thread.join(30)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                line, _ = self._socket.accept()
                line.settimeout(30)
                self._threads.append(threading.Thread(target=self._serve, args=(line,)))
                self._threads[-1].start()

    def _serve(self, line: socket.socket) -> None:
        with line, suppress(OSError):
            if self._tls is None:
                self._receive(line)
            else:
                with self._tls.wrap_socket(line, server_side=True) as wrapped:
                    certificate = wrapped.getpeercert()
                    self.peers.append(dict(certificate["subject"][0]) if certificate else None)  # type: ignore[arg-type]
                    self._receive(wrapped)

    def _receive(self, line: socket.socket) -> None:
        visit = Visit(line, self._over)
        if visit.request:
            self.visits.append(visit)
            self._answer(visit)


def says(*pieces: bytes, pause_s: float = 0.0) -> Answer:
    """An answer of these pieces."""
    return lambda visit: visit.say(*pieces, pause_s=pause_s)


def response(body: bytes = b"", *headers: bytes, status: bytes = b"200 OK") -> bytes:
    """A response, whole."""
    lines = (b"HTTP/1.1 " + status, *headers, b"Content-Length: %d" % len(body), b"", body)
    return b"\r\n".join(lines)


def _read_request(line: socket.socket) -> bytes:
    read = b""
    while b"\r\n\r\n" not in read:
        more = line.recv(65536)
        if not more:
            return b""
        read += more
    head, _, body = read.partition(b"\r\n\r\n")
    lengths = [item.partition(b":")[2] for item in head.split(b"\r\n") if item.lower().startswith(b"content-length:")]
    while lengths and len(body) < int(lengths[0]):
        body += line.recv(65536)
    return head + b"\r\n\r\n" + body


class Authority:
    """A private CA, whose certificates are written into a directory."""

    def __init__(self, directory: Path, name: str = "test CA") -> None:
        self._directory = directory
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _named(name)
        self._certificate = self._signed(name, self._key, authority=True)
        self.bundle = directory / f"{name}.pem"
        self.bundle.write_bytes(self._certificate.public_bytes(Encoding.PEM))

    def issue(self, name: str, *, password: bytes | None = None) -> Path:
        """A certificate for 127.0.0.1 with its key, in one PEM file."""
        key = ec.generate_private_key(ec.SECP256R1())
        lock = BestAvailableEncryption(password) if password else NoEncryption()
        path = self._directory / f"{name}.pem"
        path.write_bytes(
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, lock)
            + self._signed(name, key, authority=False).public_bytes(Encoding.PEM)
        )
        return path

    def server(self, *, clients: bool = False) -> ssl.SSLContext:
        """What a server with a certificate of this CA needs; with `clients`, one that asks for theirs."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.issue("server"))
        if clients:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(self.bundle)
        return context

    def _signed(self, name: str, key: ec.EllipticCurvePrivateKey, *, authority: bool) -> x509.Certificate:
        start = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
        address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
        return (
            x509.CertificateBuilder()
            .subject_name(_named(name))
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(start + dt.timedelta(days=36500))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([address]), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
