"""The token client: what talks to authorization servers and fetches metadata.

It is ours alone. A user's HTTP client has redirects, hooks, history, cookies and logs, and each would see the secret.
"""

from __future__ import annotations

import logging
import os
import re
import ssl
import threading
import time
import zlib
from contextlib import closing
from http.cookiejar import CookieJar, DefaultCookiePolicy
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.request import getproxies

import httpx2

from gatepass.core.duration import is_duration
from gatepass.core.http import HttpRequest, HttpResponse
from gatepass.errors import ConfigurationError, GatepassError, RemoteError, UnreachableError
from gatepass.mutex import Mutex
from gatepass.protocol.text import clean

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["TokenHttp", "unreachable"]


class _Quiet(threading.local):
    """Whether this thread talks to an authorization server: the debug log of the wire then is off, with its headers."""

    on = False

    def filter(self, record: logging.LogRecord) -> bool:  # noqa: ARG002 - the protocol of a logging filter
        return not self.on


_quiet = _Quiet()
for _name in ("connection", "http11", "http2", "proxy", "socks"):
    logging.getLogger(f"httpcore2.{_name}").addFilter(_quiet.filter)

_LIMITS = httpx2.Limits(max_connections=16, max_keepalive_connections=0)
"""Each request has a connection of its own: renewals are far apart, and one that was kept may be dead by then."""
_Path = str | os.PathLike[str]
_AUTHORITY = re.compile(r"//(?:[^/?#]*@)?([^/?#\s]+)")
_LONGEST_TIMEOUT_S = 3600.0
_AT_ONCE_S = 0.001
"""A time-out of 0 would mean none."""


class _Limit:
    """One limit for all that a request does on its connection.

    The time-outs of a socket count from byte to byte; a server that sends its headers slowly enough meets none of them.
    """

    def __init__(self, timeout_s: float) -> None:
        self._until = time.monotonic() + timeout_s

    @property
    def left_s(self) -> float:
        """How long the request may still take, in seconds."""
        return self._until - time.monotonic()

    def trace(self, event: str, info: dict[str, Any]) -> None:
        """Take a new connection in charge; httpcore2 calls it with all that happens on the way."""
        if event.endswith(("connect_tcp.complete", "start_tls.complete")):
            self._limit(info["return_value"])

    def _limit(self, stream: Any) -> None:
        start_tls, read, write = stream.start_tls, stream.read, stream.write

        def start_tls_in_time(ssl_context: Any, server_hostname: Any = None, timeout: float | None = None) -> Any:
            return start_tls(ssl_context, server_hostname, self._sooner(timeout))

        def read_in_time(max_bytes: int, timeout: float | None = None) -> Any:
            return read(max_bytes, self._sooner(timeout))

        def write_in_time(buffer: bytes, timeout: float | None = None) -> Any:
            return write(buffer, self._sooner(timeout))

        stream.start_tls, stream.read, stream.write = start_tls_in_time, read_in_time, write_in_time

    def _sooner(self, timeout_s: float | None) -> float:
        left_s = max(_AT_ONCE_S, self.left_s)
        return left_s if timeout_s is None else min(timeout_s, left_s)


class TokenHttp:
    """How requests to authorization servers and for metadata travel: no redirects, no cookies, bounded answers.

    The usual environment variables (``HTTPS_PROXY``, ``NO_PROXY``, ``SSL_CERT_FILE``) and the system's trust store
    work by default. One object may serve many `Auth`s, from any thread.

    Args:
        proxy: the URL of a proxy for every request.
        verify: True for the system's trust store, the path of a CA bundle, or an `ssl.SSLContext`.
        cert: a client certificate: the path of a PEM file, or of certificate and key. A context has its own.
        timeout_s: how long one request may take in all, in seconds; at most an hour.
        max_body_bytes: answers larger than this are refused.
        transport: sends the requests instead of the network, for tests in one process.

    Raises:
        ConfigurationError: an argument does not fit; its name stands in the text.
    """

    def __init__(
        self,
        *,
        proxy: str | httpx2.Proxy | None = None,
        verify: bool | str | os.PathLike[str] | ssl.SSLContext = True,
        cert: _Path | tuple[_Path, _Path] | None = None,
        timeout_s: float = 10.0,
        max_body_bytes: int = 1024 * 1024,
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        if not verify:
            msg = (
                f"verify={verify!r} would show your credentials to anybody on the way. "
                "Give the server's CA: verify='ca.pem'."
            )
            raise ConfigurationError(msg, code="verify_invalid")
        if transport is not None and (proxy is not None or cert is not None or verify is not True):
            msg = "transport does the connecting: give proxy, verify and cert to it, not to TokenHttp."
            raise ConfigurationError(msg, code="transport_invalid")
        if isinstance(verify, ssl.SSLContext) and cert is not None:
            msg = "cert would change the SSLContext that verify is: load the certificate into your context yourself."
            raise ConfigurationError(msg, code="tls_invalid")
        if not is_duration(timeout_s, most_s=_LONGEST_TIMEOUT_S):
            msg = f"timeout_s is {timeout_s!r}; it must be a number of seconds, more than 0 and at most an hour (3600)."
            raise ConfigurationError(msg, code="timeout_invalid")
        if max_body_bytes < 1:
            msg = f"max_body_bytes is {max_body_bytes}; it must be at least 1."
            raise ConfigurationError(msg, code="max_body_bytes_invalid")
        self._proxy = proxy
        self._verify = verify
        self._cert = None if cert is None else _paths(cert)
        self._timeout_s = timeout_s
        self._max_body_bytes = max_body_bytes
        self._transport = transport
        self._mutex = Mutex()
        self._clients: dict[bool, httpx2.Client] = {}
        self._made_for: tuple[int, ...] = ()
        self._thumbprint: tuple[tuple[int, ...], str] | None = None

    def send(self, request: HttpRequest) -> HttpResponse:
        """Send a request and read its answer whole.

        Raises:
            UnreachableError: no answer came, or it broke off or took too long; retryable.
            RemoteError: the answer is too large.
            ConfigurationError: the settings can't be used, or the request can't be sent.
        """
        client = self._ready_client(secure=not request.url.lower().startswith("http:"))
        where = _host_of(request.url)
        limit = _Limit(self._timeout_s)
        _quiet.on = True
        try:
            return self._exchange(client, _built(client, request, where, limit), where, limit)
        except GatepassError as failure:
            error: GatepassError = failure.again()
        except (httpx2.LocalProtocolError, httpx2.UnsupportedProtocol) as problem:
            error = _unfit(problem, where)
        except httpx2.HTTPError as problem:
            error = unreachable(problem, where, timeout_s=self._timeout_s)
        except Exception as problem:  # noqa: BLE001 - a transport may be anybody's, and its texts may quote the request
            error = _broken(problem, where)
        finally:
            _quiet.on = False
        raise error

    @property
    def timeout_s(self) -> float:
        """How long one request may take in all, in seconds."""
        return self._timeout_s

    def certificate(self) -> str | None:
        """The thumbprint of the client certificate (RFC 8705 §3.1), read again when its file has changed; None if none.

        Raises:
            ConfigurationError: it can't be read.
        """
        if self._cert is None:
            return None
        state, known = self._cert_state(), self._thumbprint
        if known is None or known[0] != state:
            from gatepass.keys.thumbprint import x5t_s256  # not before there is a certificate: it is dear to import

            known = self._thumbprint = (state, x5t_s256(_content(self._cert[0])))
        return known[1]

    def tls_context(self) -> ssl.SSLContext | None:
        """What a client needs that is to show the same certificate; None if there is none.

        Raises:
            ConfigurationError: certificate, key or CA bundle can't be loaded.
        """
        return None if self._cert is None else self._ssl_context()

    def _cert_state(self) -> tuple[int, ...]:
        """What changes when the certificate is renewed; empty if there is none."""
        if self._cert is None:
            return ()
        try:
            found = os.stat(self._cert[0])  # noqa: PTH116 - it stands in each mint, and is twice as quick
        except (OSError, ValueError) as problem:
            error = _unreadable(self._cert[0], problem)
        else:
            return (found.st_mtime_ns, found.st_size, found.st_ino)
        raise error

    def _exchange(self, client: httpx2.Client, request: httpx2.Request, where: str, limit: _Limit) -> HttpResponse:
        body = bytearray()
        with closing(client.send(request, stream=True)) as response:
            for chunk in _chunks(response, self._max_body_bytes):
                body += chunk
                if len(body) > self._max_body_bytes:
                    msg = f"{where} answered with more than {self._max_body_bytes} bytes; that is no OAuth document."
                    raise RemoteError(msg, code="response_too_large", status=response.status_code)
                if limit.left_s < 0:
                    msg = f"{where} sent its answer too slowly: it was not complete after {self._timeout_s:g} s."
                    raise UnreachableError(msg, code="timeout", retryable=True)
            return HttpResponse(
                status=response.status_code, headers=tuple(response.headers.multi_items()), body=bytes(body)
            )

    def _ready_client(self, *, secure: bool) -> httpx2.Client:
        """A client, made on first use and again when its certificate was renewed; a forked child makes its own.

        There is one for plain http, which is for loopback only: to load what TLS trusts costs more than all the rest.
        """
        secure = secure or self._proxy is not None or any(url.startswith("https:") for url in getproxies().values())
        state = (os.getpid(), *self._cert_state())
        with self._mutex.lock:
            if self._made_for != state:
                self._clients, self._made_for = {}, state
            if secure not in self._clients:
                self._clients[secure] = self._make_client(secure=secure)
            return self._clients[secure]

    def _make_client(self, *, secure: bool) -> httpx2.Client:
        connects = secure and self._transport is None
        context = self._ssl_context() if connects else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        try:
            return httpx2.Client(
                verify=context,
                proxy=self._proxy,
                transport=self._transport,
                timeout=self._timeout_s,
                limits=_LIMITS,
                follow_redirects=False,
                cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
                headers={
                    "User-Agent": _user_agent(),
                    "Accept-Encoding": "identity",
                    "Connection": "close",
                },
            )
        except (ValueError, TypeError, ImportError, httpx2.InvalidURL) as problem:
            kind = type(problem).__name__
        which = "proxy=..." if self._proxy is not None else "The proxy that the environment names"
        msg = f"{which} can't be used ({kind}). Give a URL such as http://proxy.example.com:3128."
        raise ConfigurationError(msg, code="proxy_invalid")

    def _ssl_context(self) -> ssl.SSLContext:
        try:
            if isinstance(self._verify, ssl.SSLContext):
                context = self._verify
            elif isinstance(self._verify, bool):
                context = httpx2.create_ssl_context()
            else:
                context = ssl.create_default_context(cafile=self._verify)
            if self._cert is not None:
                context.load_cert_chain(*self._cert, password="")  # or OpenSSL asks for one at the terminal
        except (OSError, ValueError, TypeError) as problem:
            reason = type(problem).__name__
        else:
            return context
        if self._verify is True and self._cert is None:
            msg = f"The CA bundle that SSL_CERT_FILE or SSL_CERT_DIR names can't be loaded ({reason})."
        else:
            files = " and ".join(str(path) for path in self._cert or () if path)
            msg = f"verify={self._verify!r} or cert={files!r} can't be loaded ({reason}): give paths of PEM files."
        raise ConfigurationError(msg, code="tls_invalid")

    def __getstate__(self) -> dict[str, object]:
        msg = "A TokenHttp can't be pickled: make one where it is used."
        raise TypeError(msg)


def _paths(cert: _Path | tuple[_Path, _Path]) -> tuple[str, str | None]:
    """Where certificate and key stand; None for a key that stands beside its certificate."""
    if isinstance(cert, str | os.PathLike):
        return os.fspath(cert), None
    try:
        certificate, key = cert
        return os.fspath(certificate), os.fspath(key)
    except (TypeError, ValueError):
        kind = type(cert).__name__
    msg = f"cert is of the type {kind}. Give the path of a PEM file, or a pair of them: certificate and key."
    raise ConfigurationError(msg, code="tls_invalid")


def _content(path: str) -> str:
    try:
        return Path(path).read_text("ascii", "replace")
    except (OSError, ValueError) as problem:
        error = _unreadable(path, problem)
    raise error


def _unreadable(path: str, problem: Exception) -> ConfigurationError:
    msg = f"cert={path!r} can't be read ({type(problem).__name__}): give paths of PEM files."
    return ConfigurationError(msg, code="tls_invalid")


def _user_agent() -> str:
    try:
        return f"gatepass/{version('gatepass')}"
    except PackageNotFoundError:  # a program frozen into one file
        return "gatepass"


def _chunks(response: httpx2.Response, most: int) -> Iterator[bytes]:
    """The body in pieces. What a server compressed unasked unfolds only as far as it may."""
    if response.is_stream_consumed:  # a transport of the user's, with its answer at hand
        yield response.content
        return
    packed = response.headers.get("Content-Encoding", "identity").lower() in {"gzip", "x-gzip", "deflate"}
    unpack = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32) if packed else None
    for chunk in response.iter_raw():
        yield chunk if unpack is None else unpack.decompress(chunk, most + 1)


def _host_of(url: str) -> str:
    """Host and port, also of what is no URL."""
    match = _AUTHORITY.search(url)
    return match[1] if match else "a server without a name"


def _built(client: httpx2.Client, request: HttpRequest, where: str, limit: _Limit) -> httpx2.Request:
    try:
        return client.build_request(
            request.method,
            request.url,
            headers=list(request.headers),
            content=request.body or None,
            extensions={"trace": limit.trace},
        )
    except (httpx2.InvalidURL, ValueError, TypeError) as problem:
        error = _unfit(problem, where)
    raise error


def _unfit(problem: Exception, where: str) -> ConfigurationError:
    kind = type(problem).__name__
    msg = f"A request to {where} can't be sent ({kind}): something in it is no valid URL or header."
    return ConfigurationError(msg, code="request_invalid")


def unreachable(
    problem: httpx2.HTTPError,
    where: str,
    *,
    timeout_s: float | None = None,
    trust: str = "http=TokenHttp(verify='ca.pem')",
) -> UnreachableError:
    """Why no answer came. Only texts that can't quote the request are passed on.

    Args:
        problem: what the HTTP client says.
        where: the host and port.
        timeout_s: how long it waited, in seconds, if that is known.
        trust: how a private CA is given here.
    """
    if isinstance(problem, httpx2.TimeoutException):
        kind = "connection" if isinstance(problem, httpx2.ConnectTimeout) else "answer"
        limit = "in time" if timeout_s is None else f"within {timeout_s:g} s"
        return UnreachableError(f"{where} gave no {kind} {limit}.", code="timeout", retryable=True)
    if isinstance(problem, httpx2.ConnectError | httpx2.ProxyError):
        text = clean(str(problem)) or type(problem).__name__
        msg = f"{where} can't be reached: {text}.{_connect_hint(text, trust)}"
        return UnreachableError(msg, code="unreachable", retryable=True)
    return _broken(problem, where)


def _broken(problem: Exception, where: str) -> UnreachableError:
    msg = f"The connection to {where} broke ({type(problem).__name__})."
    return UnreachableError(msg, code="connection_broken", retryable=True)


def _connect_hint(text: str, trust: str) -> str:
    hints: Iterable[tuple[str, str]] = (
        ("certificate has expired", " Its certificate has to be renewed, or the clock of this machine is wrong."),
        ("CERTIFICATE_VERIFY_FAILED", f" If it uses a private CA, give it: {trust}."),
        ("Name or service not known", " Check the host name in the URL."),
        ("nodename nor servname", " Check the host name in the URL."),
        ("refused", " Is it running, and is the port right?"),
    )
    return next((hint for mark, hint in hints if mark in text), "")
