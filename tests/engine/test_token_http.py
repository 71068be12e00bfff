"""The token client on the wire: what it sends, what it puts up with, and what its errors say and don't say."""

from __future__ import annotations

import copy
import gzip
import hashlib
import logging
import os
import pickle
import socket
import ssl
import threading
import tracemalloc
import zlib
from base64 import urlsafe_b64encode
from collections.abc import Callable
from functools import partial
from pathlib import Path

import httpx2
import pytest
from canary import assert_hidden
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from scripts import succeeds
from wire import Answer, Authority, Visit, Wire, response, says

from gatepass.core.http import Headers, HttpRequest, HttpResponse
from gatepass.engine.token_http import TokenHttp
from gatepass.errors import ConfigurationError, GatepassError, RemoteError, UnreachableError
from gatepass.testing import AuthorizationServer, Trouble

CANARY = "c4n4ry"
FOR_EVER = 5000


@pytest.fixture(autouse=True)
def _no_proxy_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name in {"SSL_CERT_FILE", "SSL_CERT_DIR"}:
            monkeypatch.delenv(name)


def ask(url: str, headers: Headers = (), body: bytes = b"", method: str = "POST") -> HttpRequest:
    return HttpRequest(method=method, url=url, headers=headers, body=body)


SECRET_HEADERS = (("Authorization", f"Basic {CANARY}"), ("Content-Type", "application/x-www-form-urlencoded"))
SECRET_BODY = f"client_secret={CANARY}".encode()


def refused(http: TokenHttp, url: str) -> GatepassError:
    """What sending a request full of secrets fails with; they show nowhere."""
    with pytest.raises(GatepassError) as failure:
        http.send(ask(url, SECRET_HEADERS, SECRET_BODY))
    assert_hidden(failure.value, CANARY)
    assert failure.value.__context__ is None
    return failure.value


def broken_off(visit: Visit) -> None:
    """Close the connection without a word."""


# What is sent.


def test_a_request_arrives_as_it_was_made() -> None:
    with Wire(says(response(b"{}"))) as wire:
        TokenHttp().send(ask(wire.url, (("Content-Type", "text/x"), ("X-One", "1")), b"a=1&b=2"))
        visit = wire.visits[0]
    assert visit.head[0] == "POST /token HTTP/1.1"
    assert visit.request.endswith(b"\r\n\r\na=1&b=2")
    names = sorted(line.partition(":")[0].lower() for line in visit.head[1:])
    assert names == [
        "accept", "accept-encoding", "connection", "content-length", "content-type", "host", "user-agent", "x-one"
    ]  # fmt: skip
    assert {line for line in visit.head if line.startswith(("User-Agent", "Accept-Encoding", "Connection"))} == {
        f"User-Agent: gatepass/{_version()}",
        "Accept-Encoding: identity",
        "Connection: close",
    }


def _version() -> str:
    from importlib.metadata import version

    return version("gatepass")


def test_an_answer_arrives_as_it_was_given() -> None:
    answer = response(b"\xff{}", b"X-Two: 1", b"X-Two: 2", status=b"401 Whatever")
    with Wire(says(answer)) as wire:
        got = TokenHttp().send(ask(wire.url, method="GET"))
    assert got == HttpResponse(
        status=401, headers=(("x-two", "1"), ("x-two", "2"), ("content-length", "3")), body=b"\xff{}"
    )


@pytest.mark.parametrize("status", [b"301 Moved", b"302 Found", b"303 See", b"307 Same", b"308 Same"])
def test_a_redirect_is_not_followed(status: bytes) -> None:
    with Wire(says(response(b"", b"Location: /elsewhere", status=status))) as wire:
        got = TokenHttp().send(ask(wire.url, SECRET_HEADERS, SECRET_BODY))
        assert (got.status, got.header("location"), len(wire.visits)) == (int(status[:3]), "/elsewhere", 1)


def test_no_cookie_is_kept() -> None:
    with Wire(says(response(b"{}", b"Set-Cookie: a=1; Path=/", b"Set-Cookie: b=2"))) as wire:
        http = TokenHttp()
        for _ in range(2):
            http.send(ask(wire.url))
        assert not any(line.lower().startswith("cookie:") for visit in wire.visits for line in visit.head)


def test_no_password_of_a_netrc_file_is_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / ".netrc"
    netrc.write_text(f"machine 127.0.0.1 login somebody password {CANARY}\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HOME", str(tmp_path))
    with Wire(says(response(b"{}"))) as wire:
        TokenHttp().send(ask(wire.url))
        assert not any(line.lower().startswith("authorization:") for line in wire.visits[0].head)


def test_each_request_has_a_connection_of_its_own() -> None:
    with Wire(says(response(b"{}"))) as wire:
        http = TokenHttp()
        for _ in range(3):
            http.send(ask(wire.url))
        assert len(wire.visits) == 3


def test_threads_share_a_client() -> None:
    with Wire(says(response(b"{}"))) as wire:
        http = TokenHttp()
        threads = [threading.Thread(target=http.send, args=(ask(wire.url),)) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert len(wire.visits) == 20


# What can't be sent.


@pytest.mark.parametrize(
    "request_",
    [
        ask("{url}", (("Authorization", f"Basic {CANARY}\r\nX-Evil: 1"),)),
        ask("{url}", (("Authorization", f"Basic {CANARY}\nX-Evil: 1"),)),
        ask("{url}", (("Authorization", f"Basic {CANARY}\0"),)),
        ask("{url}", (("Authorization", f"Basic {CANARY}é\ud800"),)),
        ask("{url}", ((f"X-{CANARY}: 1\r\nX", "1"),)),
        ask("{url}", method=f"POST / HTTP/1.1\r\nX-Evil: {CANARY}\r\n\r\nGET"),
        ask("{url}\r\nX-Evil: " + CANARY),
        ask(f"ftp://{CANARY}@127.0.0.1/"),
        ask(f"http://{CANARY}@[::1/"),
        ask(f"{CANARY} is no URL"),
    ],
    ids=["CRLF", "LF", "NUL", "surrogate", "name", "method", "URL", "scheme", "IPv6", "no URL"],
)
def test_what_is_no_header_or_url_is_refused_and_not_quoted(request_: HttpRequest) -> None:
    with Wire(says(response(b"{}"))) as wire:
        request = ask(request_.url.replace("{url}", wire.url), request_.headers, method=request_.method)
        with pytest.raises(ConfigurationError) as failure:
            TokenHttp().send(request)
        assert wire.visits == []
    assert (failure.value.code, failure.value.retryable) == ("request_invalid", False)
    shown = failure.value.with_()  # the request, which the caller knows, is in the frame
    assert_hidden(shown, CANARY)


# What servers do.


def test_a_server_that_is_not_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
    failure = refused(TokenHttp(), f"http://127.0.0.1:{port}/token")
    assert isinstance(failure, UnreachableError)
    assert (failure.code, failure.retryable) == ("unreachable", True)
    assert str(failure).startswith(f"127.0.0.1:{port} can't be reached: ")
    assert "Is it running" in str(failure)


@pytest.mark.parametrize(
    ("trouble", "code", "retryable"),
    [
        (Trouble(connection="hang"), "timeout", True),
        (Trouble(connection="reset"), "connection_broken", True),
        (Trouble(connection="truncate", body={"access_token": CANARY}), "connection_broken", True),
        (Trouble(drip_s=0.02, body=b'{"a": "' + b"x" * FOR_EVER), "timeout", True),
        (Trouble(body="huge"), "response_too_large", False),
    ],
    ids=["hang", "reset", "truncated", "drip", "huge"],
)
def test_trouble_ends_in_an_error_that_says_which(trouble: Trouble, code: str, retryable: bool) -> None:
    with AuthorizationServer() as server:
        server.trouble = trouble
        failure = refused(TokenHttp(timeout_s=0.3), server.token_endpoint)
    assert (failure.code, failure.retryable) == (code, retryable)
    assert isinstance(failure, UnreachableError if retryable else RemoteError)


def trickle(*start: bytes, drop: bytes) -> Answer:
    return says(*start, *[drop] * FOR_EVER, pause_s=0.02)


SLOW: dict[str, Answer] = {
    "status line": trickle(b"HTTP/1.1 200 ", drop=b"O"),
    "headers": trickle(b"HTTP/1.1 200 OK\r\n", drop=b"X"),
    "many headers": trickle(b"HTTP/1.1 200 OK\r\n", drop=b"X: y\r\n"),
    "interim answers": trickle(drop=b"HTTP/1.1 103 Early Hints\r\n\r\n"),
    "body": trickle(b"HTTP/1.1 200 OK\r\n\r\n", drop=b"x"),
    "chunks": trickle(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", drop=b"1\r\nx\r\n"),
    "trailers": trickle(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", drop=b"X: y\r\n"),
}


@pytest.mark.parametrize("answer", SLOW.values(), ids=SLOW.keys())
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "TLS"])
def test_however_an_answer_trickles_in_the_whole_of_it_has_one_time_limit(
    answer: Answer, tls: bool, tmp_path: Path
) -> None:
    ca = Authority(tmp_path)
    with Wire(answer, tls=ca.server() if tls else None) as wire:
        failure = refused(TokenHttp(timeout_s=0.3, verify=ca.bundle), wire.url)
        assert (failure.code, failure.retryable) == ("timeout", True)
        assert wire.where in str(failure)


def test_a_tls_handshake_that_trickles_has_it_too() -> None:
    def hello(sock: socket.socket) -> None:
        line, _ = sock.accept()
        with line:
            line.sendall(b"\x16\x03\x03\x40\x00")  # the start of a long handshake message
            while line.recv(4096):
                pass

    with socket.create_server(("127.0.0.1", 0)) as sock:
        thread = threading.Thread(target=hello, args=(sock,))
        thread.start()
        failure = refused(TokenHttp(timeout_s=0.3), f"https://127.0.0.1:{sock.getsockname()[1]}/")
        thread.join(30)
    assert failure.code == "timeout"


def test_a_limit_of_one_request_is_not_that_of_the_next() -> None:
    answers = [trickle(drop=b"H"), says(response(b"{}"))]

    def answer(visit: Visit) -> None:
        answers.pop(0)(visit)

    with Wire(answer) as wire:
        http = TokenHttp(timeout_s=0.3)
        assert refused(http, wire.url).code == "timeout"
        assert http.send(ask(wire.url)).status == 200


@pytest.mark.parametrize(
    "answer",
    [
        broken_off,
        says(f"{CANARY} is no HTTP\r\n\r\n".encode()),
        says(f"HTTP/1.1 200 OK\r\nContent-Length: {CANARY}\r\n\r\n".encode()),
        says(f"HTTP/1.1 200 OK\r\nContent-Length: 500\r\nX: {CANARY}\r\n\r\n{CANARY}".encode()),
        says(f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;{CANARY}\r\n{CANARY}".encode()),
        says(b"HTTP/1.1 200 OK\r\n", f"X: {CANARY}\r\n".encode() * 20_000),
        says(response(CANARY.encode(), b"Content-Encoding: gzip")),
    ],
    ids=["nothing", "no HTTP", "bad length", "short", "bad chunks", "endless headers", "bad gzip"],
)
def test_nonsense_is_a_broken_connection_and_is_not_quoted(answer: Answer) -> None:
    with Wire(answer) as wire:
        failure = refused(TokenHttp(timeout_s=5), wire.url)
    assert isinstance(failure, UnreachableError)
    assert (failure.code, failure.retryable) == ("connection_broken", True)
    assert str(failure).startswith(f"The connection to {wire.where} broke (")


@pytest.mark.parametrize(("size", "fits"), [(999, True), (1000, True), (1001, False)])
@pytest.mark.parametrize("form", ["length", "chunks", "end", "gzip"])
def test_a_body_may_have_so_many_bytes_and_no_more(size: int, fits: bool, form: str) -> None:
    body = b"x" * size
    answer = {
        "length": response(body),
        "chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (size, body),
        "end": b"HTTP/1.1 200 OK\r\n\r\n" + body,
        "gzip": response(gzip.compress(body), b"Content-Encoding: gzip"),
    }[form]
    with Wire(says(answer)) as wire:
        http = TokenHttp(max_body_bytes=1000)
        if fits:
            assert http.send(ask(wire.url)).body == body
        else:
            failure = refused(http, wire.url)
            assert (type(failure), failure.code, failure.status) == (RemoteError, "response_too_large", 200)


@pytest.mark.parametrize(
    ("name", "pack"), [("gzip", gzip.compress), ("X-GZIP", gzip.compress), ("deflate", zlib.compress)]
)
def test_what_is_compressed_unasked_is_read(name: str, pack: Callable[[bytes], bytes]) -> None:
    with Wire(says(response(pack(b'{"a": 1}'), f"Content-Encoding: {name}".encode()))) as wire:
        assert TokenHttp().send(ask(wire.url)).body == b'{"a": 1}'


def test_a_bomb_unfolds_no_further_than_a_body_may() -> None:
    bomb = gzip.compress(bytes(64 * 1024 * 1024), 9)
    with Wire(says(response(bomb, b"Content-Encoding: gzip"))) as wire:
        http = TokenHttp()
        tracemalloc.start()
        failure = refused(http, wire.url)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert failure.code == "response_too_large"
    assert peak < 16 * 1024 * 1024


def test_a_bomb_in_a_bomb_is_not_unfolded_at_all() -> None:
    packed = gzip.compress(gzip.compress(bytes(1024 * 1024)))
    with Wire(says(response(packed, b"Content-Encoding: gzip, gzip"))) as wire:
        assert TokenHttp().send(ask(wire.url)).body == packed


def test_nothing_of_an_exchange_is_logged_but_its_url(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG), Wire(says(response(CANARY.encode(), f"X: {CANARY}".encode()))) as wire:
        TokenHttp().send(ask(wire.url, SECRET_HEADERS, SECRET_BODY))
    assert wire.url in caplog.text
    assert CANARY not in caplog.text
    assert CANARY not in repr([vars(record) for record in caplog.records])


def test_the_debug_log_of_others_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    with (
        caplog.at_level(logging.DEBUG, "httpcore2"),
        Wire(says(response(b"{}"))) as wire,
        httpx2.Client(trust_env=False) as theirs,
    ):
        TokenHttp().send(ask(wire.url))
        assert caplog.records == []
        theirs.get(wire.url)
        assert {record.name for record in caplog.records} == {"httpcore2.connection", "httpcore2.http11"}


# TLS.


def test_a_private_ca_is_refused_unless_it_is_given(tmp_path: Path) -> None:
    ca, other = Authority(tmp_path), Authority(tmp_path, "other CA")
    with Wire(says(response(b"{}")), tls=ca.server()) as wire:
        for http in (TokenHttp(), TokenHttp(verify=other.bundle)):
            failure = refused(http, wire.url)
            assert (failure.code, failure.retryable) == ("unreachable", True)
            assert "http=TokenHttp(verify='ca.pem')" in str(failure)
        assert wire.visits == []
        for bundle in (ca.bundle, str(ca.bundle)):
            assert TokenHttp(verify=bundle).send(ask(wire.url)).status == 200


def test_a_certificate_for_another_name_is_refused(tmp_path: Path) -> None:
    ca = Authority(tmp_path)
    with Wire(says(response(b"{}")), tls=ca.server()) as wire:
        failure = refused(TokenHttp(verify=ca.bundle), wire.url.replace("127.0.0.1", "localhost"))
        assert failure.code == "unreachable"
        assert wire.visits == []


def test_the_environment_may_name_the_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ca = Authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(ca.bundle))
    with Wire(says(response(b"{}")), tls=ca.server()) as wire:
        assert TokenHttp().send(ask(wire.url)).status == 200


def test_a_context_of_the_users_is_used_as_it_is(tmp_path: Path) -> None:
    ca = Authority(tmp_path)
    with Wire(says(response(b"{}")), tls=ca.server()) as wire:
        assert TokenHttp(verify=ssl.create_default_context(cafile=ca.bundle)).send(ask(wire.url)).status == 200


def test_a_client_certificate_is_shown(tmp_path: Path) -> None:
    ca = Authority(tmp_path)
    pem = str(ca.issue("ci-bot"))
    with Wire(says(response(b"{}")), tls=ca.server(clients=True)) as wire:
        for cert in (pem, (pem, pem)):
            assert TokenHttp(verify=ca.bundle, cert=cert).send(ask(wire.url)).status == 200
        assert wire.peers == [{"commonName": "ci-bot"}] * 2
        assert refused(TokenHttp(verify=ca.bundle), wire.url).retryable


def test_the_certificate_has_a_thumbprint_by_which_a_token_is_bound_to_it(tmp_path: Path) -> None:
    path = Authority(tmp_path).issue("ci-bot")
    expected = thumbprint_of(path)
    for cert in (path, str(path), (path, path), (str(path), str(path))):
        http = TokenHttp(cert=cert)
        assert [http.certificate() for _ in range(2)] == [expected] * 2


def thumbprint_of(path: Path) -> str:
    """RFC 8705 §3.1, without any code of ours."""
    certificate = x509.load_pem_x509_certificate(path.read_bytes())
    return urlsafe_b64encode(hashlib.sha256(certificate.public_bytes(Encoding.DER)).digest()).rstrip(b"=").decode()


def test_without_a_certificate_there_is_no_thumbprint_and_no_context() -> None:
    for http in (TokenHttp(), TokenHttp(verify=ssl.create_default_context())):
        assert (http.certificate(), http.tls_context()) == (None, None)


def test_a_renewed_certificate_is_shown_from_then_on_and_has_another_thumbprint(tmp_path: Path) -> None:
    ca = Authority(tmp_path)
    path = ca.issue("old")
    http = TokenHttp(verify=ca.bundle, cert=path)
    with Wire(says(response(b"{}")), tls=ca.server(clients=True)) as wire:
        http.send(ask(wire.url))
        before = http.certificate()
        ca.issue("new").replace(path)
        assert http.certificate() == thumbprint_of(path) != before
        http.send(ask(wire.url))
        assert wire.peers == [{"commonName": "old"}, {"commonName": "new"}]


def test_another_client_shows_the_same_certificate_with_its_context(tmp_path: Path) -> None:
    ca = Authority(tmp_path)
    http = TokenHttp(verify=ca.bundle, cert=ca.issue("ci-bot"))
    context = http.tls_context()
    assert context is not None
    with (
        Wire(says(response(b"{}")), tls=ca.server(clients=True)) as wire,
        httpx2.Client(verify=context, trust_env=False) as client,
    ):
        assert client.get(wire.url).status_code == 200
        assert wire.peers == [{"commonName": "ci-bot"}]


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lambda path: path.unlink(), "tls_invalid"),
        (lambda path: (path.unlink(), path.mkdir()), "tls_invalid"),
        (lambda path: path.write_text(CANARY), "certificate_invalid"),
        (lambda path: path.write_bytes(b"\xff"), "certificate_invalid"),
        (lambda path: path.write_text(path.read_text().partition("-----BEGIN CERT")[0]), "certificate_invalid"),
    ],
    ids=["missing", "a directory", "no PEM", "no text", "a key alone"],
)
def test_a_certificate_that_can_not_be_read_is_told(spoil: Callable[[Path], object], code: str, tmp_path: Path) -> None:
    path = Authority(tmp_path).issue("ci-bot")
    http = TokenHttp(cert=path)
    spoil(path)
    with pytest.raises(ConfigurationError) as failure:
        http.certificate()
    assert failure.value.code == code
    assert_hidden(failure.value, CANARY, "PRIVATE KEY")
    assert failure.value.__context__ is None
    with pytest.raises(ConfigurationError) as failure:
        http.tls_context()
    assert failure.value.code == "tls_invalid"


@pytest.mark.parametrize("cert", [7, b"client.pem".split(), ("one",), ("one", "two", "three"), ("one", None)], ids=repr)
def test_a_certificate_is_given_by_its_paths(cert: object) -> None:
    with pytest.raises(ConfigurationError, match="cert is of the type") as failure:
        TokenHttp(cert=cert)  # type: ignore[arg-type]
    assert failure.value.code == "tls_invalid"


@pytest.mark.parametrize("where", ["verify", "cert", "key", "environment", "encrypted"])
def test_what_can_not_be_loaded_is_named(where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ca = Authority(tmp_path)
    good, empty, missing = str(ca.issue("ci-bot")), tmp_path / "empty.pem", str(tmp_path / "missing.pem")
    empty.write_text("")
    locked = str(ca.issue("locked", password=b"pw"))
    if where == "environment":
        monkeypatch.setenv("SSL_CERT_FILE", missing)
    http, named = {
        "verify": (partial(TokenHttp, verify=empty), str(empty)),
        "cert": (partial(TokenHttp, cert=missing), missing),
        "key": (partial(TokenHttp, cert=(good, str(empty))), str(empty)),
        "environment": (TokenHttp, "SSL_CERT_FILE"),
        "encrypted": (partial(TokenHttp, cert=locked), locked),
    }[where]
    with pytest.raises(ConfigurationError) as failure:
        http().send(ask("https://127.0.0.1:1/"))
    assert failure.value.code == "tls_invalid"
    assert named in str(failure.value)


@pytest.mark.parametrize("verify", [False, None, "", 0])
def test_verification_can_not_be_switched_off(verify: object) -> None:
    with pytest.raises(ConfigurationError) as failure:
        TokenHttp(verify=verify)  # type: ignore[arg-type]
    assert failure.value.code == "verify_invalid"


@pytest.mark.parametrize("timeout_s", [0, -1, float("nan"), float("inf"), 3601, 1e12, "10", True, None])
def test_there_is_always_a_time_limit(timeout_s: float) -> None:
    with pytest.raises(ConfigurationError, match="timeout_s is") as failure:
        TokenHttp(timeout_s=timeout_s)
    assert failure.value.code == "timeout_invalid"


def test_a_time_limit_may_be_an_hour() -> None:
    http = TokenHttp(timeout_s=3600, transport=httpx2.MockTransport(lambda _: httpx2.Response(204)))
    assert http.send(ask("https://as.example.com/token")).status == 204


def test_a_context_of_the_users_is_not_changed() -> None:
    with pytest.raises(ConfigurationError, match="load the certificate into your context") as failure:
        TokenHttp(verify=ssl.create_default_context(), cert="client.pem")
    assert failure.value.code == "tls_invalid"


def test_there_is_always_a_limit_of_the_body() -> None:
    with pytest.raises(ConfigurationError, match="max_body_bytes is 0"):
        TokenHttp(max_body_bytes=0)


# Proxies.


@pytest.mark.parametrize("how", ["argument", "HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_a_proxy_is_used(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with Wire(says(response(b"by proxy"))) as proxy:
        url = f"http://user:{CANARY}@{proxy.where}"
        if how != "argument":
            monkeypatch.setenv(how, url)
        http = TokenHttp(proxy=url) if how == "argument" else TokenHttp()
        assert http.send(ask("http://as.example.com/token")).body == b"by proxy"
        head = proxy.visits[0].head
    assert head[0] == "POST http://as.example.com/token HTTP/1.1"
    assert any(line.startswith("Proxy-Authorization: Basic ") for line in head)


def test_no_proxy_is_used_for_whom_the_environment_excepts(monkeypatch: pytest.MonkeyPatch) -> None:
    with Wire(says(response(b"by proxy"))) as proxy, Wire(says(response(b"straight"))) as server:
        monkeypatch.setenv("HTTP_PROXY", f"http://{proxy.where}")
        assert TokenHttp().send(ask(server.url)).body == b"by proxy"
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        assert TokenHttp().send(ask(server.url)).body == b"straight"


def test_through_a_proxy_tls_reaches_the_server(tmp_path: Path) -> None:
    ca = Authority(tmp_path)

    def tunnel(visit: Visit) -> None:
        with socket.create_connection(("127.0.0.1", server.port)) as far:
            visit.say(b"HTTP/1.1 200 OK\r\n\r\n")
            far.settimeout(30)
            back = threading.Thread(target=pour, args=(far, visit.line))
            back.start()
            pour(visit.line, far)
            back.join(30)

    with Wire(says(response(b"{}")), tls=ca.server()) as server, Wire(tunnel) as proxy:
        http = TokenHttp(proxy=f"http://{proxy.where}", verify=ca.bundle)
        assert http.send(ask(server.url, SECRET_HEADERS, SECRET_BODY)).status == 200
        assert proxy.visits[0].head[0] == f"CONNECT {server.where} HTTP/1.1"
        assert CANARY.encode() not in proxy.visits[0].request
        assert CANARY.encode() in server.visits[0].request


def pour(source: socket.socket, into: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            into.sendall(data)
        into.shutdown(socket.SHUT_WR)
    except OSError:
        return


def test_a_proxy_that_refuses_is_told_of_in_clean_words() -> None:
    with Wire(says(response(CANARY.encode(), status=b"407 Who \x1b[31mare " + b"you" * 200))) as proxy:
        http = TokenHttp(proxy=f"http://user:{CANARY}@{proxy.where}")
        failure = refused(http, "https://as.example.com/token")
    assert (failure.code, failure.retryable) == ("unreachable", True)
    assert "as.example.com can't be reached: 407 Who" in str(failure)
    assert str(failure).isprintable()
    assert len(str(failure)) < 300


def test_a_proxy_that_trickles_has_the_same_time_limit() -> None:
    with Wire(trickle(b"HTTP/1.1 200 OK\r\n", drop=b"X")) as proxy:
        failure = refused(TokenHttp(proxy=f"http://{proxy.where}", timeout_s=0.3), "https://as.example.com/token")
    assert failure.code == "timeout"


@pytest.mark.parametrize("how", ["argument", "HTTPS_PROXY"])
@pytest.mark.parametrize("url", [f"gopher://user:{CANARY}@proxy/", f"socks5://user:{CANARY}@proxy/"])
def test_a_proxy_that_can_not_be_used_is_named(how: str, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if how != "argument":
        monkeypatch.setenv(how, url)
    with pytest.raises(ConfigurationError) as failure:
        (TokenHttp(proxy=url) if how == "argument" else TokenHttp()).send(ask("https://127.0.0.1:1/"))
    assert failure.value.code == "proxy_invalid"
    assert ("proxy=" if how == "argument" else "environment") in str(failure.value)
    assert CANARY not in str(failure.value)


# A transport of the user's own.


def test_a_transport_of_the_users_sends_instead_of_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    asked: list[httpx2.Request] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(request)
        return httpx2.Response(302, headers={"Location": "/x", "Set-Cookie": "a=1"}, content=b"moved")

    http = TokenHttp(transport=httpx2.MockTransport(answer))
    for _ in range(2):
        assert http.send(ask("http://as.example.com/token", body=b"a=1")).body == b"moved"
    assert [(request.method, str(request.url), request.content) for request in asked] == [
        ("POST", "http://as.example.com/token", b"a=1")
    ] * 2
    assert "cookie" not in asked[1].headers


def test_with_it_no_ca_bundle_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere/ca.pem")
    http = TokenHttp(transport=httpx2.MockTransport(lambda _: httpx2.Response(204)))
    assert http.send(ask("https://as.example.com/token")).status == 204


def test_its_answers_are_bounded_too() -> None:
    http = TokenHttp(transport=httpx2.MockTransport(lambda _: httpx2.Response(200, content=b"12345")), max_body_bytes=4)
    assert refused(http, "http://as.example.com/").code == "response_too_large"


@pytest.mark.parametrize("problem", [KeyError(CANARY), OSError(CANARY), httpx2.ReadError(CANARY)], ids=type)
def test_what_it_raises_is_told_by_its_kind_alone(problem: Exception) -> None:
    def answer(request: httpx2.Request) -> httpx2.Response:
        raise problem

    failure = refused(TokenHttp(transport=httpx2.MockTransport(answer)), "http://as.example.com/")
    assert str(failure) == f"The connection to as.example.com broke ({type(problem).__name__})."


@pytest.mark.parametrize("more", [{"proxy": "http://127.0.0.1:1"}, {"verify": "ca.pem"}, {"cert": "me.pem"}], ids=str)
def test_what_a_transport_would_pass_over_is_refused(more: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError) as failure:
        TokenHttp(transport=httpx2.MockTransport(lambda _: httpx2.Response(200)), **more)  # type: ignore[arg-type]
    assert failure.value.code == "transport_invalid"


# One process and the next.


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_makes_a_client_of_its_own_even_while_another_thread_makes_one() -> None:
    succeeds("""
        import os, threading
        import httpx2
        from gatepass.core.http import HttpRequest
        from gatepass.engine.token_http import TokenHttp

        http = TokenHttp(transport=httpx2.MockTransport(lambda _: httpx2.Response(204)))
        request = HttpRequest(method="GET", url="http://as.example.com/")
        making, go_on, make = threading.Event(), threading.Event(), http._make_client

        def slowly(**how):
            making.set()
            assert go_on.wait(30)
            return make(**how)

        http._make_client = slowly
        other = threading.Thread(target=http.send, args=(request,))
        other.start()
        assert making.wait(30)
        http._make_client = make
        child = os.fork()
        if child:
            go_on.set()
        assert http.send(request).status == 204
        client = http._clients[False]
        if not child:
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        child = os.fork()
        assert http.send(request).status == 204
        assert (http._clients[False] is client) == bool(child)
        if not child:
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        other.join()
        print("ok")
    """)


@pytest.mark.parametrize("copying", [pickle.dumps, copy.copy, copy.deepcopy])
def test_it_is_neither_pickled_nor_copied(copying: Callable[[object], object]) -> None:
    with pytest.raises(TypeError, match="can't be pickled"):
        copying(TokenHttp())
