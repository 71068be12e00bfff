"""How far one gets to a server below HTTP: its name, a connection, TLS and the certificate.

It only looks. Nothing is sent but the hello of TLS, and a ``CONNECT`` where a proxy is in use; what the library then
makes of the same way is its own affair.
"""

from __future__ import annotations

import datetime as dt
import http.client
import socket
import ssl
from base64 import b64encode
from contextlib import closing
from ipaddress import ip_address
from typing import TYPE_CHECKING, Literal
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from gatepass.core.value import Value

if TYPE_CHECKING:
    from cryptography import x509

__all__ = ["Certificate", "Flaw", "FlawId", "Reached", "Stage", "reach"]

Stage = Literal["name", "connection", "tls"]
FlawId = Literal[
    "host_unknown",
    "connection_refused",
    "connection_timeout",
    "connection_failed",
    "proxy_failed",
    "certificate_expired",
    "certificate_not_yet_valid",
    "certificate_ca_unknown",
    "certificate_name",
    "certificate_refused",
    "tls_missing",
    "tls_failed",
]

_DEFAULT_PORTS = {"http": 80, "https": 443}
_VERIFY_CODES: dict[int, FlawId] = {
    9: "certificate_not_yet_valid",
    10: "certificate_expired",
    18: "certificate_ca_unknown",  # it signed itself
    19: "certificate_ca_unknown",  # one in its chain did
    20: "certificate_ca_unknown",  # its issuer is not here
    21: "certificate_ca_unknown",
    62: "certificate_name",
    64: "certificate_name",  # for an address
}
"""What OpenSSL found wrong with a certificate (``X509_V_ERR_...``)."""

_NO_TLS = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE")
_CLOSING_SOON = dt.timedelta(days=14)
_CLOSING_SOON_SHARE = 5


class Certificate(Value, frozen=True, kw_only=True):
    """What a server's certificate says.

    Attributes:
        subject: whose it is.
        issuer: who signed it.
        names: the hosts that it is for.
        not_before: from when it is good, in epoch seconds.
        not_after: until when.
        ends_soon: it is in the last days of its life, and should have been renewed.
    """

    subject: str
    issuer: str
    names: tuple[str, ...]
    not_before: float
    not_after: float
    ends_soon: bool = False


class Flaw(Value, frozen=True, kw_only=True):
    """What stopped us."""

    id: FlawId
    stage: Stage
    said: str


class Reached(Value, frozen=True, kw_only=True):
    """How far one got.

    Attributes:
        host: of the server.
        port: likewise.
        addresses: where its name leads; none if a proxy looks that up, or nobody knows it.
        literal: the host is an address itself.
        proxy: what the connection goes through, without user name and password.
        unseen: the proxy is of a kind that is not spoken here, so nothing was looked at.
        tls: the version of TLS, if it is spoken.
        certificate: the server's, if it showed one; not to be believed if there is a flaw.
        flaw: what stopped us.
    """

    host: str
    port: int
    addresses: tuple[str, ...] = ()
    literal: bool = False
    proxy: str | None = None
    unseen: bool = False
    tls: str | None = None
    certificate: Certificate | None = None
    flaw: Flaw | None = None


class _StoppedError(Exception):
    def __init__(self, flaw: Flaw) -> None:
        super().__init__(flaw.id)
        self.flaw = flaw


def reach(url: str, *, trust: ssl.SSLContext, proxy: str | None, timeout_s: float) -> Reached:
    """Go as far as TLS.

    Args:
        url: where to.
        trust: by which certificates are checked.
        proxy: the URL of a proxy; None: the one that the environment names for this host.
        timeout_s: how long each part of it may take.
    """
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or _DEFAULT_PORTS[parts.scheme]
    through = proxy or _proxy_of_the_environment(parts.scheme, host, port)
    literal = _is_address(host)
    reached = Reached(host=host, port=port, literal=literal, proxy=_shown(through) if through else None)
    if reached.proxy is not None and not reached.proxy.startswith("http://"):
        return _with(reached, unseen=True)
    try:
        if through is None and not literal:
            reached = _with(reached, addresses=_addresses(host, port))
        secure = parts.scheme == "https"
        with closing(_connected(host, port, through, secure=secure, timeout_s=timeout_s)) as plain:
            if not secure:
                return reached
            with _over_tls(plain, host, trust) as line:
                return _with(reached, tls=line.version(), certificate=_certificate(line.getpeercert(binary_form=True)))
    except _StoppedError as stopped:
        flaw = stopped.flaw
    shown = _looked_at(host, port, through, timeout_s) if flaw.id.startswith("certificate_") else None
    return _with(reached, flaw=flaw, certificate=shown)


def _proxy_of_the_environment(scheme: str, host: str, port: int) -> str | None:
    proxies = getproxies()
    found = proxies.get(scheme) or proxies.get("all")
    return None if found is None or proxy_bypass(f"{host}:{port}") else found


def _shown(proxy: str) -> str:
    """Without user name and password."""
    parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _addresses(host: str, port: int) -> tuple[str, ...]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as problem:
        said = getattr(problem, "strerror", None) or "it is no host name"
    else:
        return tuple(dict.fromkeys(str(entry[4][0]) for entry in found))
    raise _StoppedError(Flaw(id="host_unknown", stage="name", said=said))


def _connected(host: str, port: int, proxy: str | None, *, secure: bool, timeout_s: float) -> socket.socket:
    """A connection to the server; for plain HTTP through a proxy, one to the proxy, which is all there is."""
    try:
        if proxy is None:
            return socket.create_connection((host, port), timeout_s)
        return _through(proxy, (host, port) if secure else None, timeout_s)
    except TimeoutError:
        flaw = Flaw(id="connection_timeout", stage="connection", said=f"nothing came within {timeout_s:g} s")
    except ConnectionRefusedError:
        flaw = Flaw(id="connection_refused", stage="connection", said="nobody listens there")
    except (OSError, http.client.HTTPException, ValueError) as problem:
        said = getattr(problem, "strerror", None) or type(problem).__name__
        flaw = Flaw(id="connection_failed", stage="connection", said=said)
    raise _StoppedError(flaw if proxy is None else Flaw(id="proxy_failed", stage="connection", said=flaw.said))


def _through(proxy: str, target: tuple[str, int] | None, timeout_s: float) -> socket.socket:
    parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    line = http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=timeout_s)
    if target is not None:
        headers: dict[str, str] = {}
        if parts.username:
            pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            headers["Proxy-Authorization"] = f"Basic {b64encode(pair.encode()).decode()}"
        line.set_tunnel(*target, headers=headers)
    line.connect()
    return line.sock


def _over_tls(plain: socket.socket, host: str, trust: ssl.SSLContext) -> ssl.SSLSocket:
    timeout_s = plain.gettimeout()
    try:
        return trust.wrap_socket(plain, server_hostname=host)
    except TimeoutError:
        flaw = Flaw(id="tls_failed", stage="tls", said=f"nothing came within {timeout_s:g} s")
    except ssl.SSLCertVerificationError as problem:
        flaw = Flaw(
            id=_VERIFY_CODES.get(problem.verify_code, "certificate_refused"), stage="tls", said=problem.verify_message
        )
    except ssl.SSLError as problem:
        reason = problem.reason or type(problem).__name__
        flaw = Flaw(id="tls_missing" if reason in _NO_TLS else "tls_failed", stage="tls", said=reason)
    except OSError as problem:
        flaw = Flaw(id="tls_failed", stage="tls", said=problem.strerror or type(problem).__name__)
    raise _StoppedError(flaw)


def _looked_at(host: str, port: int, proxy: str | None, timeout_s: float) -> Certificate | None:
    """The certificate that was refused, for a look at what it says. Nothing is sent to whoever showed it."""
    blind = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    blind.check_hostname, blind.verify_mode = False, ssl.CERT_NONE
    try:
        with (
            closing(_connected(host, port, proxy, secure=True, timeout_s=timeout_s)) as plain,
            _over_tls(plain, host, blind) as line,
        ):
            return _certificate(line.getpeercert(binary_form=True))
    except _StoppedError:
        return None


def _certificate(der: bytes | None) -> Certificate | None:
    from cryptography import x509

    if der is None:
        return None
    try:
        return _read(x509.load_der_x509_certificate(der))
    except ValueError:  # TLS took it all the same
        return None


def _read(certificate: x509.Certificate) -> Certificate:
    not_before, not_after = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    last_days = min(_CLOSING_SOON, (not_after - not_before) / _CLOSING_SOON_SHARE)
    return Certificate(
        subject=certificate.subject.rfc4514_string(),
        issuer=certificate.issuer.rfc4514_string(),
        names=_names(certificate),
        not_before=not_before.timestamp(),
        not_after=not_after.timestamp(),
        ends_soon=not_after - dt.datetime.now(dt.UTC) < last_days,
    )


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    from cryptography import x509

    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return ()
    hosts = names.get_values_for_type(x509.DNSName)
    return (*hosts, *(str(address) for address in names.get_values_for_type(x509.IPAddress)))


def _with(reached: Reached, **changes: object) -> Reached:
    from msgspec.structs import replace

    return replace(reached, **changes)
