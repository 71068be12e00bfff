"""Asking a person to sign in: a browser that is opened, and a listener on loopback that takes the answer (RFC 8252).

    listen on loopback -> show the URL -> wait until the browser comes back with our `state` -> thank it

Whatever else comes to the port (another program, a page that guesses it, the browser's own curiosity) is turned away,
and changes nothing.
"""

from __future__ import annotations

import hmac
import os
import queue
import re
import secrets
import socket
import sys
import threading
import webbrowser
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, cast
from urllib.parse import parse_qs, urlsplit

from gatepass.engine.callables import called
from gatepass.engine.pool import aside
from gatepass.errors import ConfigurationError, SignInRequiredError, UnreachableError
from gatepass.protocol.urls import is_loopback

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from gatepass.core.world import Contact, Person

__all__ = ["has_browser", "somebody"]

_PATH = "/callback"
_LOWEST_PORT, _PORTS = 20_000, 12_000
_SLOW_REQUEST_S = 10.0
_THANKS = b"""<!doctype html><html lang="en"><head><meta charset="utf-8"><title>gatepass</title>
<meta name="color-scheme" content="light dark"><style>body{font:1.1rem/1.5 system-ui;margin:20vh auto;max-width:32rem;
padding:0 1rem;text-align:center}</style></head><body><h1>That is all.</h1>
<p>The program has its answer. You can close this page.</p></body></html>
"""


@contextmanager
def somebody(contact: Contact, environment: Mapping[str, str] = os.environ) -> Generator[Person]:
    """Whoever can be reached that way, for one sign-in.

    Raises:
        ConfigurationError: the port of the redirect URI can't be listened on (code ``redirect_uri_invalid``).
    """
    if contact.ask is None and not has_browser(environment):
        yield _NoBrowser(contact.redirect_uri or contact.last_redirect_uri or _somewhere())
        return
    if contact.redirect_uri is not None and not _is_loopback_http(contact.redirect_uri):
        yield _Correspondent(contact)
        return
    listener = _listen(contact)
    thread = threading.Thread(target=listener.serve_forever, name="gatepass sign-in", args=(0.05,), daemon=True)
    thread.start()
    try:
        yield _AtTheBrowser(contact, listener)
    finally:
        listener.shutdown()
        listener.server_close()
        thread.join()


def _somewhere() -> str:
    """A redirect URI for a listener that will be there another time: on a port that the system gives to no other."""
    return f"http://127.0.0.1:{_LOWEST_PORT + secrets.randbelow(_PORTS)}{_PATH}"


def has_browser(environment: Mapping[str, str]) -> bool:
    """Whether a browser can be opened that somebody sees: not in CI, not without a screen, not in a remote shell."""
    if environment.get("CI") or environment.get("GITHUB_ACTIONS"):
        return False
    if not environment.get("BROWSER"):
        screen = any(environment.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))
        local = sys.platform in {"darwin", "win32"} and not environment.get("SSH_CONNECTION")
        if not (screen or local):
            return False
    try:
        webbrowser.get()
    except webbrowser.Error:
        return False
    return True


class _NoBrowser:
    """A process that can show nobody anything: the URL goes to whoever reads the error."""

    def __init__(self, redirect_uri: str) -> None:
        self.redirect_uri = redirect_uri

    def ask(self, url: str, state: str) -> str:  # noqa: ARG002 - there will be no answer
        raise _unasked("A person has to sign in, and this process can't open a browser.", url)


class _Correspondent:
    """Somebody whom only the user's callback reaches, and who is sent back to a place of the user's own."""

    def __init__(self, contact: Contact) -> None:
        self.redirect_uri = contact.redirect_uri or ""
        self._contact = contact

    @aside()
    def ask(self, url: str, state: str) -> str:  # noqa: ARG002 - looked at where the answer is read
        answer = _shown(self._contact, url)
        if answer is None:
            msg = "ask=... must return the URL that the person was sent back to: redirect_uri is not on loopback."
            raise ConfigurationError(msg, code="ask_failed")
        return answer


class _AtTheBrowser:
    """Somebody who comes back to our listener, or whose answer the user's callback returns."""

    def __init__(self, contact: Contact, listener: _Listener) -> None:
        self.redirect_uri = listener.redirect_uri
        self._contact = contact
        self._listener = listener

    @aside()
    def ask(self, url: str, state: str) -> str:
        self._listener.expect(state)
        if self._contact.ask is not None:
            answer = _shown(self._contact, url)
            if answer is not None:
                return answer
        elif not webbrowser.open(url):
            raise _unasked("A person has to sign in, and the browser could not be opened.", url)
        with suppress(queue.Empty):
            return self._listener.answers.get(timeout=self._contact.timeout_s)
        msg = f"Nobody signed in within {self._contact.timeout_s:g} s. Try again, or give more time with timeout_s=..."
        raise UnreachableError(msg, code="sign_in_timeout")


def _unasked(what: str, url: str) -> SignInRequiredError:
    """The end of a sign-in before it began: its verifier and its state go with it, so its URL is only to be read."""
    msg = (
        f"{what} Sign in once where somebody can answer, with the same store, or show people the URL yourself with "
        f"AuthorizationCode(ask=...). This URL signs nobody in any more, but shows what was asked for: {url}"
    )
    return SignInRequiredError(msg, code="sign_in_required").with_(url=url)


def _shown(contact: Contact, url: str) -> str | None:
    """What the user's callback makes of the URL; None if the listener has the answer, or will have.

    An asynchronous one runs on an event loop of its own in this thread, not on the user's (`called`).
    """
    answer = called(contact.ask, url, what="ask=...", code="ask_failed", timeout_s=contact.timeout_s)
    return (answer.strip() or None) if isinstance(answer, str) else None


class _Listener(ThreadingHTTPServer):
    """Takes one answer on loopback."""

    daemon_threads = True
    allow_reuse_address = os.name == "posix"
    """Or the port could not be had for a minute after a sign-in. Elsewhere, this would let two programs listen."""
    allow_reuse_port = False

    def __init__(self, uri: str, port: int) -> None:
        wanted = urlsplit(uri)
        host = wanted.hostname or ""
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, port), _Handler)
        self.redirect_uri = _on_port(uri, self.server_port)
        self.answers: queue.Queue[str] = queue.Queue(1)
        self._path = wanted.path or "/"
        self._state = ""

    def expect(self, state: str) -> None:
        """Take the answer to the authorization request with this state, and no other."""
        self._state = state

    def answer(self, target: str) -> str:
        """Where the browser was sent back to, if it asks for this path and query."""
        return f"{self.redirect_uri.partition('?')[0]}?{urlsplit(target).query}"

    def is_ours(self, target: str) -> bool:
        """Whether the request for this path and query is the answer."""
        parts = urlsplit(target)
        states = parse_qs(parts.query).get("state", ())
        return (
            parts.path == self._path
            and bool(self._state)
            and any(hmac.compare_digest(state.encode(), self._state.encode()) for state in states)
        )

    def handle_error(self, request: object, client_address: object) -> None:
        """Whatever a stranger does to the connection is no news."""


class _Handler(BaseHTTPRequestHandler):
    timeout = _SLOW_REQUEST_S

    def do_GET(self) -> None:
        listener = cast("_Listener", self.server)
        if not listener.is_ours(self.path):
            self.send_error(404)
            return
        with suppress(queue.Full):  # the page was loaded twice
            listener.answers.put_nowait(listener.answer(self.path))
        self.send_response(200)
        for name, value in (
            ("Content-Type", "text/html; charset=utf-8"),
            ("Content-Length", str(len(_THANKS))),
            ("Cache-Control", "no-store"),
            ("Referrer-Policy", "no-referrer"),
            ("Connection", "close"),
        ):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(_THANKS)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as it is called there
        """The request line holds the code."""


def _is_loopback_http(uri: str) -> bool:
    return urlsplit(uri).scheme == "http" and is_loopback(uri)


def _listen(contact: Contact) -> _Listener:
    """On the port that was configured; else that of the last time if it is free, else any (RFC 8252 §7.3)."""
    uri = contact.redirect_uri or contact.last_redirect_uri or f"http://127.0.0.1{_PATH}"
    configured = urlsplit(contact.redirect_uri or "").port or 0
    last = urlsplit(contact.last_redirect_uri or "").port or 0
    for port in (configured,) if configured else (last, 0):
        with suppress(OSError):
            return _Listener(uri, port)
    msg = f"redirect_uri is on port {configured}, which can't be listened on: is another program there?"
    raise ConfigurationError(msg, code="redirect_uri_invalid")


def _on_port(uri: str, port: int) -> str:
    """The URI with that port, and else as it was given: servers compare character by character (RFC 9700 §4.1.3)."""
    parts = urlsplit(uri)
    if parts.port == port:
        return uri
    return uri.replace(parts.netloc, f"{re.sub(r':[0-9]*$', '', parts.netloc)}:{port}", 1)
