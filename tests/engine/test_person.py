"""Asking a person, on real sockets: one answer is taken, by its state, and whatever else comes changes nothing."""

from __future__ import annotations

import http.client
import logging
import queue
import socket
import sys
import threading
import webbrowser
from collections.abc import Callable, Iterator, Mapping
from urllib.parse import urlsplit

import pytest

from gatepass.core.world import Contact
from gatepass.engine import person as person_module
from gatepass.engine.person import has_browser, somebody
from gatepass.errors import ConfigurationError, GatepassError, SignInRequiredError, UnreachableError

STATE = "st4te"
URL = f"https://as.example.com/authorize?client_id=x&state={STATE}"
CODE = "c4n4ry"
NO_SCREEN: Mapping[str, str] = {}
ipv6 = pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")


def visit(
    redirect_uri: str, target: str | None = None, *, method: str = "GET", port: int | None = None
) -> http.client.HTTPResponse:
    """What a browser does that is sent back; the answer, read."""
    parts = urlsplit(redirect_uri)
    line = http.client.HTTPConnection(parts.hostname or "", port or parts.port, timeout=30)
    line.request(method, target if target is not None else f"{parts.path}?code={CODE}&state={STATE}")
    response = line.getresponse()
    response.body = response.read()  # type: ignore[attr-defined]
    line.close()
    return response


def listens(redirect_uri: str) -> bool:
    parts = urlsplit(redirect_uri)
    try:
        socket.create_connection((parts.hostname, parts.port or 80), timeout=30).close()
    except OSError:
        return False
    return True


class Asked:
    """A callback of the user's that plays the browser, and remembers the answers."""

    def __init__(self, *steps: Callable[[str], object]) -> None:
        self.steps = steps
        self.redirect_uri = ""
        self.seen: list[object] = []
        self.urls: list[str] = []

    def __call__(self, url: str) -> None:
        self.urls.append(url)
        self.seen += [step(self.redirect_uri) for step in self.steps]


def ask(asked: Asked, **contact: object) -> str:
    """Ask somebody, and see that nobody listens any more afterwards."""
    with somebody(Contact(ask=asked, **contact), NO_SCREEN) as person:  # type: ignore[arg-type]
        asked.redirect_uri = person.redirect_uri
        answer = person.ask(URL, STATE)
    assert not listens(asked.redirect_uri)
    return answer


# Whether there is a browser.


@pytest.mark.parametrize(
    ("platform", "environment", "expected"),
    [
        ("linux", {}, False),
        ("linux", {"DISPLAY": ":0"}, True),
        ("linux", {"WAYLAND_DISPLAY": "wayland-0"}, True),
        ("linux", {"BROWSER": "lynx"}, True),
        ("linux", {"DISPLAY": ""}, False),
        ("linux", {"DISPLAY": ":0", "CI": "true"}, False),
        ("linux", {"DISPLAY": ":0", "GITHUB_ACTIONS": "true"}, False),
        ("linux", {"BROWSER": "lynx", "CI": "1"}, False),
        ("linux", {"DISPLAY": ":0", "CI": ""}, True),
        ("linux", {"DISPLAY": "localhost:10.0", "SSH_CONNECTION": "1 2 3 4"}, True),
        ("darwin", {}, True),
        ("darwin", {"SSH_CONNECTION": "1 2 3 4"}, False),
        ("darwin", {"CI": "true"}, False),
        ("win32", {}, True),
        ("win32", {"SSH_CONNECTION": "1 2 3 4"}, False),
        ("win32", {"SSH_CONNECTION": "1 2 3 4", "BROWSER": "x"}, True),
    ],
    ids=str,
)
def test_a_browser_is_there_where_somebody_would_see_it(
    platform: str, environment: dict[str, str], expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(webbrowser, "get", object)
    assert has_browser(environment) is expected


def test_a_screen_without_any_browser_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def get() -> object:
        raise webbrowser.Error("could not locate runnable browser")

    monkeypatch.setattr(webbrowser, "get", get)
    assert not has_browser({"DISPLAY": ":0"})


# The answer.


def test_the_answer_is_where_the_browser_was_sent_back_to(caplog: pytest.LogCaptureFixture) -> None:
    asked = Asked(visit)
    with caplog.at_level(logging.DEBUG):
        answer = ask(asked)
    assert asked.urls == [URL]
    assert answer == f"{asked.redirect_uri}?code={CODE}&state={STATE}"
    parts = urlsplit(asked.redirect_uri)
    assert (parts.scheme, parts.hostname, parts.path) == ("http", "127.0.0.1", "/callback")
    assert caplog.records == []


def test_a_refusal_is_an_answer_too() -> None:
    asked = Asked(lambda uri: visit(uri, f"/callback?error=access_denied&state={STATE}"))
    assert ask(asked) == f"{asked.redirect_uri}?error=access_denied&state={STATE}"


def test_the_person_sees_a_page_that_is_not_kept_and_tells_nobody_where_it_was(
    capfd: pytest.CaptureFixture[str],
) -> None:
    asked = Asked(visit, visit)  # loaded twice
    ask(asked)
    for response in asked.seen:
        assert isinstance(response, http.client.HTTPResponse)
        assert (response.status, response.getheader("Content-Type")) == (200, "text/html; charset=utf-8")
        assert (response.getheader("Cache-Control"), response.getheader("Referrer-Policy")) == (
            "no-store",
            "no-referrer",
        )
        page = response.body.decode()  # type: ignore[attr-defined]
        assert page.startswith("<!doctype html>")
        assert "You can close this page" in page
        assert CODE not in page
    assert capfd.readouterr() == ("", "")


def test_a_state_of_the_endpoints_own_is_not_the_one_that_is_waited_for() -> None:
    asked = Asked(visit)
    with somebody(Contact(ask=asked), NO_SCREEN) as person:
        asked.redirect_uri = person.redirect_uri
        answer = person.ask(f"https://as.example.com/authorize?state=of-its-own&client_id=x&state={STATE}", STATE)
    assert answer == f"{asked.redirect_uri}?code={CODE}&state={STATE}"


STRANGERS = [
    "/",
    "/favicon.ico",
    "/callback",
    f"/callback?code={CODE}",
    f"/callback?code={CODE}&state=",
    f"/callback?code={CODE}&state=guessed",
    f"/callback?code={CODE}&state={STATE}x",
    f"/callback?code={CODE}&state={STATE.upper()}",
    f"/callback?code={CODE}&state=%ff",
    f"/callback/?code={CODE}&state={STATE}",
    f"/Callback?code={CODE}&state={STATE}",
    f"/other?code={CODE}&state={STATE}",
    f"/?next=/callback&state={STATE}",
]


@pytest.mark.parametrize("target", STRANGERS)
def test_whatever_else_is_asked_for_is_not_here_and_does_not_end_the_wait(target: str) -> None:
    asked = Asked(lambda uri: visit(uri, target).status, visit)
    assert ask(asked) == f"{asked.redirect_uri}?code={CODE}&state={STATE}"
    assert asked.seen[0] == 404


@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "x"])
def test_another_method_than_get_is_not_taken_and_does_not_end_the_wait(method: str) -> None:
    asked = Asked(lambda uri: visit(uri, method=method).status, visit)
    ask(asked)
    assert asked.seen[0] == 501


@pytest.mark.parametrize(
    "bytes_", [b"\x16\x03\x01\x02\x00\x01\x00", b"GET /[ HTTP/1.1\r\n\r\n", b"GET //[ HTTP/1.1\r\n\r\n", b"\r\n", b""]
)
def test_what_is_no_http_changes_nothing(bytes_: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    def throw(uri: str) -> None:
        parts = urlsplit(uri)
        with socket.create_connection((parts.hostname, parts.port or 0), timeout=30) as line:
            line.sendall(bytes_)
            line.shutdown(socket.SHUT_WR)
            while line.recv(4096):
                pass

    ask(Asked(throw, visit))
    assert capfd.readouterr() == ("", "")


def test_a_connection_that_says_nothing_does_not_keep_the_answer_out() -> None:
    lines: list[socket.socket] = []

    def linger(uri: str) -> None:
        parts = urlsplit(uri)
        for said in (b"", b"GET /callback?code=", b"GET /callback HTTP/1.1\r\nHost: "):
            lines.append(socket.create_connection((parts.hostname, parts.port or 0), timeout=30))
            lines[-1].sendall(said)

    assert CODE in ask(Asked(linger, visit))
    for line in lines:
        line.close()


def test_without_a_state_in_what_was_asked_no_answer_is_ours() -> None:
    seen: list[int] = []

    def shows(_: str) -> None:
        seen.append(visit(uri, "/callback?code=x&state=").status)
        seen.append(visit(uri, "/callback?code=x").status)

    with somebody(Contact(ask=shows, timeout_s=0.05), NO_SCREEN) as person:
        uri = person.redirect_uri
        with pytest.raises(UnreachableError):
            person.ask("https://as.example.com/authorize", "")
    assert seen == [404, 404]


def test_before_anybody_was_asked_no_answer_is_taken() -> None:
    asked = Asked()
    with somebody(Contact(ask=asked, timeout_s=0.05), NO_SCREEN) as person:
        assert visit(person.redirect_uri).status == 404
        with pytest.raises(UnreachableError):
            person.ask(URL, STATE)


def test_nobody_comes_back_in_time() -> None:
    asked = Asked()
    with pytest.raises(UnreachableError, match=r"within 0\.05 s") as failure:
        ask(asked, timeout_s=0.05)
    assert (failure.value.code, failure.value.retryable) == ("sign_in_timeout", False)
    assert not listens(asked.redirect_uri)


# Where it listens.


@pytest.fixture
def taken() -> Iterator[int]:
    """A port on which somebody else listens."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield other.getsockname()[1]


def free_port(host: str = "127.0.0.1") -> int:
    with socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET) as other:
        port: int = other.getsockname()[1]
    return port


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", pytest.param("[::1]", marks=ipv6)])
def test_it_listens_where_it_is_told_to(host: str) -> None:
    uri = f"http://{host}:{free_port(host.strip('[]'))}/a/b"
    asked = Asked(visit)
    assert ask(asked, redirect_uri=uri) == f"{uri}?code={CODE}&state={STATE}"
    assert asked.redirect_uri == uri


@pytest.mark.parametrize(
    ("given", "sent_back"),
    [
        ("http://127.0.0.1:{port}", "/"),
        ("http://127.0.0.1:{port}/", "/"),
        ("http://127.0.0.1:{port}/back?app=1", "/back?app=1"),
        ("http://127.0.0.1:{port}?app=1", "/?app=1"),
        ("http://LOCALHOST:{port}/Back", "/Back"),
        ("HTTP://127.0.0.1:{port}/b%61ck", "/b%61ck"),
        pytest.param("http://[0:0::1]:{port}/back", "/back", marks=ipv6),
    ],
)
def test_a_redirect_uri_that_was_configured_is_sent_character_by_character(given: str, sent_back: str) -> None:
    uri = given.format(port=free_port("::1" if "[" in given else "127.0.0.1"))
    answer = f"{sent_back}{'&' if '?' in sent_back else '?'}code={CODE}&state={STATE}"
    asked = Asked(lambda uri: visit(uri, answer))
    came = ask(asked, redirect_uri=uri)
    assert asked.redirect_uri == uri
    assert came == f"{uri.partition('?')[0]}?{answer.partition('?')[2]}"


@pytest.mark.parametrize(
    "given",
    [
        "http://127.0.0.1{port}",
        "http://LOCALHOST{port}/Back?at=localhost",
        pytest.param("http://[::1]{port}/?app=1", marks=ipv6),
    ],
)
@pytest.mark.parametrize("no_port", ["", ":"])
def test_the_port_alone_is_put_in_where_there_is_none(given: str, no_port: str) -> None:
    with somebody(Contact(ask=Asked(), redirect_uri=given.format(port=no_port)), NO_SCREEN) as person:
        port = urlsplit(person.redirect_uri).port
        assert person.redirect_uri == given.format(port=f":{port}")
        assert listens(person.redirect_uri)


def test_a_redirect_uri_with_a_state_of_its_own_does_not_keep_the_answer_out() -> None:
    uri = f"http://127.0.0.1:{free_port()}/?state=mine"
    asked = Asked(lambda uri: visit(uri, f"/?state=mine&code={CODE}&state={STATE}"))
    assert ask(asked, redirect_uri=uri).endswith(f"/?state=mine&code={CODE}&state={STATE}")


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere, the machine has 127.0.0.1 only")
def test_every_address_of_loopback_is_one() -> None:
    uri = f"http://127.0.0.2:{free_port('127.0.0.2')}/"
    assert ask(Asked(visit), redirect_uri=uri).startswith(uri)


def test_a_redirect_uri_without_a_port_means_any(taken: int) -> None:
    asked = Asked(visit)
    ask(asked, redirect_uri="http://127.0.0.1/back")
    assert urlsplit(asked.redirect_uri).port not in {None, 80}
    assert urlsplit(asked.redirect_uri).path == "/back"


def test_a_redirect_uri_without_a_port_means_that_of_the_last_time_if_it_is_free(taken: int) -> None:
    asked, port = Asked(visit), free_port()
    for last, now in ((port, port), (taken, None)):
        ask(asked, redirect_uri="http://127.0.0.1/back", last_redirect_uri=f"http://127.0.0.1:{last}/back")
        assert urlsplit(asked.redirect_uri).port not in {None, taken}
        assert now in {None, urlsplit(asked.redirect_uri).port}


def test_a_port_that_was_configured_and_is_taken_is_told(taken: int) -> None:
    contact = Contact(ask=Asked(), redirect_uri=f"http://127.0.0.1:{taken}/callback")
    with pytest.raises(ConfigurationError, match=f"port {taken}") as failure, somebody(contact, NO_SCREEN):
        pass
    assert failure.value.code == "redirect_uri_invalid"
    assert failure.value.__context__ is None


def test_the_port_of_the_last_time_is_taken_again_if_it_is_free(taken: int) -> None:
    last = f"http://127.0.0.1:{free_port()}/back"
    asked = Asked(visit)
    ask(asked, last_redirect_uri=last)
    assert asked.redirect_uri == last
    ask(asked, last_redirect_uri=f"http://127.0.0.1:{taken}/back")
    assert urlsplit(asked.redirect_uri).port != taken
    assert urlsplit(asked.redirect_uri).path == "/back"


@pytest.mark.skipif(sys.platform == "win32", reason="there, it would let two programs listen")
def test_a_port_can_be_listened_on_again_right_after_a_sign_in() -> None:
    uri = f"http://127.0.0.1:{free_port()}/callback"
    for _ in range(3):
        assert ask(Asked(visit), redirect_uri=uri)


def test_two_who_are_asked_at_once_do_not_get_each_others_answer() -> None:
    asked = threading.Event()
    contact = Contact(ask=lambda _: asked.set())
    with somebody(contact, NO_SCREEN) as one, somebody(contact, NO_SCREEN) as other:
        answers: queue.Queue[str] = queue.Queue()
        thread = threading.Thread(target=lambda: answers.put(one.ask(URL, STATE)))
        thread.start()
        assert asked.wait(30)
        assert visit(other.redirect_uri).status == 404
        assert visit(one.redirect_uri).status == 200
        thread.join(30)
        assert answers.get_nowait().startswith(one.redirect_uri)


# The user's callback.


async def returns_it(url: str) -> str | None:
    return f"http://elsewhere/?for={url}"


async def returns_nothing(url: str) -> str | None:
    return None


def test_a_callback_may_return_where_the_person_was_sent_back_to() -> None:
    with somebody(Contact(ask=lambda url: f" http://elsewhere/?for={url}\n"), NO_SCREEN) as person:
        assert person.ask(URL, STATE) == f"http://elsewhere/?for={URL}"


def test_it_may_be_asynchronous() -> None:
    with somebody(Contact(ask=returns_it), NO_SCREEN) as person:
        assert person.ask(URL, STATE) == f"http://elsewhere/?for={URL}"


@pytest.mark.parametrize("callback", [lambda _: None, lambda _: 7, returns_nothing, lambda _: "", lambda _: " \n"])
def test_if_it_returns_nothing_the_listener_waits(callback: Callable[[str], None]) -> None:
    with somebody(Contact(ask=callback), NO_SCREEN) as person:
        person._listener.expect(STATE)  # type: ignore[attr-defined]
        visit(person.redirect_uri)
        assert CODE in person.ask(URL, STATE)


@pytest.mark.parametrize("asynchronous", [False, True])
def test_what_it_fails_with_is_told_by_its_kind(asynchronous: bool) -> None:
    def fails(url: str) -> str:
        raise ValueError(url + CODE)

    async def afails(url: str) -> str:
        return fails(url)

    contact = Contact(ask=afails if asynchronous else fails)
    with somebody(contact, NO_SCREEN) as person, pytest.raises(ConfigurationError) as failure:
        person.ask(URL, STATE)
    assert (failure.value.code, str(failure.value)) == ("ask_failed", "ask=... failed: ValueError.")
    assert not listens(person.redirect_uri)


@pytest.mark.parametrize("nothing", [None, " "])
def test_a_place_of_the_users_own_needs_a_callback_that_returns_the_answer(nothing: str | None) -> None:
    uri = "https://app.example.com/back"
    with somebody(Contact(ask=lambda _: f"{uri}?code={CODE}", redirect_uri=uri), NO_SCREEN) as person:
        assert person.redirect_uri == uri
        assert person.ask(URL, STATE) == f"{uri}?code={CODE}"
    with (
        somebody(Contact(ask=lambda _: nothing, redirect_uri=uri), NO_SCREEN) as person,
        pytest.raises(ConfigurationError) as failure,
    ):
        person.ask(URL, STATE)
    assert failure.value.code == "ask_failed"


# The browser, and none.


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the browser was told to open; it opens whatever does not contain `broken`."""
    urls: list[str] = []

    def opens(url: str) -> bool:
        urls.append(url)
        return "broken" not in url

    monkeypatch.setattr(webbrowser, "get", object)
    monkeypatch.setattr(webbrowser, "open", opens)
    return urls


def test_without_a_callback_the_browser_is_opened(opened: list[str]) -> None:
    with somebody(Contact(), {"DISPLAY": ":0"}) as person:
        person._listener.expect(STATE)  # type: ignore[attr-defined]
        visit(person.redirect_uri)
        assert CODE in person.ask(URL, STATE)
    assert opened == [URL]


def test_a_browser_that_can_not_be_opened_leaves_the_url_to_the_reader(opened: list[str]) -> None:
    url = f"{URL}&broken"
    with somebody(Contact(), {"DISPLAY": ":0"}) as person, pytest.raises(SignInRequiredError) as failure:
        person.ask(url, STATE)
    assert failure.value.url == url
    assert "signs nobody in any more" in str(failure.value)


def test_where_no_browser_is_nobody_is_waited_for_and_the_error_holds_the_url(opened: list[str]) -> None:
    with somebody(Contact(timeout_s=300.0), NO_SCREEN) as person:
        assert not listens(person.redirect_uri)
        with pytest.raises(SignInRequiredError) as failure:
            person.ask(URL, STATE)
    assert (failure.value.code, failure.value.url, opened) == ("sign_in_required", URL, [])
    assert "with the same store" in str(failure.value)
    assert str(failure.value).endswith(f"This URL signs nobody in any more, but shows what was asked for: {URL}")


@pytest.mark.parametrize(
    ("contact", "uri"),
    [
        (
            Contact(redirect_uri="http://127.0.0.1:1234/a", last_redirect_uri="http://127.0.0.1:1/b"),
            "http://127.0.0.1:1234/a",
        ),
        (Contact(last_redirect_uri="http://127.0.0.1:1/b"), "http://127.0.0.1:1/b"),
        (Contact(), None),
    ],
    ids=["configured", "as the last time", "anywhere"],
)
def test_there_the_redirect_uri_is_one_that_a_listener_will_have_another_time(
    contact: Contact, uri: str | None
) -> None:
    with somebody(contact, NO_SCREEN) as person:
        if uri is not None:
            assert person.redirect_uri == uri
        else:
            parts = urlsplit(person.redirect_uri)
            assert (parts.hostname, parts.path) == ("127.0.0.1", "/callback")
            assert 20_000 <= (parts.port or 0) < 32_000


def test_what_goes_wrong_between_asking_and_the_token_ends_the_listener() -> None:
    seen: list[str] = []

    def fail() -> None:
        with somebody(Contact(ask=Asked()), NO_SCREEN) as person:
            seen.append(person.redirect_uri)
            raise GatepassError("the registration failed")

    with pytest.raises(GatepassError):
        fail()
    assert not listens(seen[0])


def test_a_request_that_never_ends_ends_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(person_module._Handler, "timeout", 0.05)

    def linger(uri: str) -> bytes:
        parts = urlsplit(uri)
        with socket.create_connection((parts.hostname, parts.port or 0), timeout=30) as line:
            line.sendall(b"GET /callback?code=")
            return line.recv(4096)

    asked = Asked(linger, visit)
    ask(asked)
    assert asked.seen[0] == b""
