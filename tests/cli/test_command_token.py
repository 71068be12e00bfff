"""`gatepass token`: the token alone; and every way in which a command can fail, with its exit code and its line."""

from __future__ import annotations

import datetime as dt
import http.server
import ipaddress
import json
import re
import ssl
import threading
import time
from contextlib import contextmanager

import key_material
import pytest
from ageing import grow_older
from cli.conftest import SECRET, ci_bot
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from gatepass import FileStore
from gatepass.cli.app import run as run_here
from gatepass.testing import AuthorizationServer, ProtectedServer, Trouble

CONFIGURATIONS = {
    "no_scheme": ["mcp.example.com/mcp", "is neither the name of a server"],
    "http_url": ["http://mcp.example.com/mcp", "Use https; or --allow-http, if the network"],
    "http_issuer": ["https://mcp.example.com/mcp", "--issuer=http://auth.example.com", "issuer is http://"],
    "no_secret": ["{url}", "--client-secret-file=/no/such/secret", "file /no/such/secret can't be read"],
    "no_key": ["{url}", "--private-key-file=/no/such/key", "/no/such/key: the key file can't be read"],
    "public_key": ["{url}", "--private-key-file={files}/public.pem", "a public key, not a private key"],
    "no_password": ["{url}", "--private-key-file={files}/encrypted.pem", "--private-key-password-file PATH"],
    "wrong_password": [
        "{url}",
        "--private-key-file={files}/encrypted.pem",
        "--private-key-password-file={files}/other",
        "the password does not open this private key",
    ],
}
"""What can't be used: the arguments, and then what is said of it."""


@pytest.fixture(scope="session")
def key_files(tmp_path_factory):
    """What somebody could give as a private key."""
    folder = tmp_path_factory.mktemp("keys")
    texts = {
        "encrypted.pem": key_material.pem("P-256", password="canary-password"),
        "public.pem": key_material.public_pem("P-256"),
        "password": "canary-password\n",
        "other": "canary-other-password\n",
    }
    for name, text in texts.items():
        (folder / name).write_text(text)
    return folder


class TestAToken:
    def test_it_stands_alone_on_stdout_and_is_good_at_the_server(self, gatepass, url, authority, tmp_path):
        run = gatepass("token", url, "--store", tmp_path / "store")
        assert (run.code, run.err) == (0, "")
        token = run.out.removesuffix("\n")
        assert authority.verify(token, audience=url).client_id == "ci-bot"
        assert (tmp_path / "store").stat().st_mode & 0o777 == 0o700
        assert len(list(tmp_path.glob("store/token.*.record"))) == 1

    def test_a_second_call_takes_it_from_the_store_without_a_request(self, gatepass, url, authority, mcp_server):
        first = gatepass("token", url)
        assert authority.count("token") == 1
        requests = authority.count() + mcp_server.count()
        second = gatepass("token", url, GATEPASS_CLIENT_SECRET="canary-not-even-looked-at")
        assert (second.out, second.code) == (first.out, 0)
        assert authority.count() + mcp_server.count() == requests

    def test_without_a_store_each_call_makes_one_and_nothing_is_left_behind(self, gatepass, url, authority, tmp_path):
        for _ in range(2):
            assert gatepass("token", url, "--no-store").code == 0
        assert authority.count("token") == 2
        assert list(tmp_path.iterdir()) == []

    def test_json_says_what_else_is_known_of_it(self, gatepass, url, authority):
        run = gatepass("token", url, "--json")
        said = json.loads(run.out)
        assert list(said) == ["access_token", "token_type", "expires_at", "scope"]
        assert authority.verify(said["access_token"], audience=url)
        assert (said["token_type"], said["scope"]) == ("Bearer", "mcp:read")
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", said["expires_at"])
        left_s = dt.datetime.fromisoformat(said["expires_at"]).timestamp() - time.time()
        assert 200 < left_s <= 301

    def test_one_that_would_not_live_long_enough_is_renewed_first(self, gatepass, url, authority, tmp_path):
        first = gatepass("token", url).out
        grow_older(FileStore(tmp_path / "state" / "gatepass"), 100)
        assert gatepass("token", url, "--min-ttl", "3m").out == first
        run = gatepass("token", url, "--min-ttl", "4m")
        assert (run.code, run.err, authority.count("token")) == (0, "", 2)
        assert run.out != first
        assert gatepass("token", url).out == run.out

    def test_where_none_lives_that_long_a_young_one_will_do(self, gatepass, url, authority):
        first = gatepass("token", url).out
        run = gatepass("token", url, "--min-ttl", "301s")
        assert (run.code, run.out, authority.count("token")) == (0, first, 1)
        assert run.err == (
            "gatepass: note: A token of this server lives for 300 s, too short for what --min-ttl asks for.\n"
        )

    def test_one_whose_life_is_unknown_is_good_for_any_time(self, gatepass, tmp_path):
        with AuthorizationServer(expires_in="missing") as authority, ProtectedServer(authority) as server:
            authority.add_client("ci-bot", secret=SECRET)
            identity = ci_bot(tmp_path, authority)
            first = gatepass("token", server.url, **identity).out
            run = gatepass("token", server.url, "--json", "--min-ttl", "1h", **identity)
        said = json.loads(run.out)
        assert (said["access_token"], said["expires_at"]) == (first.strip(), None)
        assert "does not say how long its tokens live" in run.err

    @pytest.mark.parametrize("text", ["soon", "-5s", "5d", ""])
    def test_a_time_that_is_none_is_refused(self, capsys, text):
        assert run_here(["token", "https://a.example", f"--min-ttl={text}"]) == 2
        assert "Invalid value for '--min-ttl': it is a time such as 90s, 5m or 1h." in capsys.readouterr().err

    def test_an_encrypted_key_opens_with_its_password(self, gatepass, url, key_files):
        run = gatepass(
            "token",
            url,
            "--private-key-password-file",
            key_files / "password",
            GATEPASS_CLIENT_ID="key-bot",
            GATEPASS_CLIENT_SECRET=None,
            GATEPASS_PRIVATE_KEY_FILE=str(key_files / "encrypted.pem"),
        )
        assert (run.code, run.err) == (0, "")

    def test_an_issuer_that_is_not_pinned_is_noted_and_quiet_hushes_it(self, gatepass, url, authority):
        noted = gatepass("token", url, "--no-store", GATEPASS_ISSUER=None)
        assert noted.code == 0
        assert noted.err.startswith("gatepass: note: ")
        assert f"--issuer {authority.issuer}" in noted.err
        assert noted.err.count("\n") == 1
        assert gatepass("token", url, "--no-store", "--quiet", GATEPASS_ISSUER=None).err == ""

    def test_all_that_can_be_logged_shows_the_requests_and_no_secret(self, gatepass, url, authority):
        run = gatepass("token", url, "-vv", "--scopes", "mcp:read")
        assert f"POST {authority.token_endpoint}" in run.err
        assert "\n" not in run.out.strip()

    def test_a_store_that_fails_costs_a_note_and_not_the_token(self, gatepass, url, tmp_path):
        (tmp_path / "file").touch()
        run = gatepass("token", url, "--store", tmp_path / "file" / "store")
        assert run.code == 0
        assert run.out.startswith("eyJ")
        assert run.err.startswith("gatepass: note: The store ")
        assert run.err.count("\n") == 1


@pytest.fixture(scope="module")
def configurations(together, mcp_server, key_files):
    def filled(arguments):
        return [each.format(url=mcp_server.url, files=key_files) for each in arguments]

    return together(**{case: ["token", *filled(words[:-1])] for case, words in CONFIGURATIONS.items()})


class TestAFailure:
    """Exit code, and what the line on stderr says."""

    def test_a_wrong_secret_is_refused_by_the_authorization_server(self, gatepass, url):
        run = gatepass("token", url, GATEPASS_CLIENT_SECRET="canary-wrong")
        assert (run.code, run.out) == (4, "")
        assert "invalid_client" in run.err
        assert run.err.count("\n") == 2
        assert "`gatepass doctor`" in run.err.splitlines()[1]

    def test_a_host_that_nobody_knows_is_unreachable(self, gatepass):
        run = gatepass("token", "https://no-such-host.invalid/mcp", "--timeout", "2")
        assert (run.code, run.out) == (6, "")
        assert "no-such-host.invalid can't be reached" in run.err

    def test_a_server_that_hangs_is_unreachable_when_the_time_is_up(self, gatepass, url, authority):
        authority.trouble = Trouble(connection="hang")
        try:
            run = gatepass("token", url, "--timeout", "0.3")
        finally:
            authority.trouble = None
        assert run.code == 6
        assert "0.3 s" in run.err

    @pytest.mark.parametrize("case", CONFIGURATIONS)
    def test_what_cannot_be_used_is_named_as_configuration(self, configurations, case):
        run = configurations[case]
        assert (run.code, run.out) == (3, "")
        assert CONFIGURATIONS[case][-1] in run.err
        assert run.err.startswith("gatepass: ")
        assert run.err.count("\n") <= 2

    def test_a_secret_is_never_an_argument_and_is_told_where_to_go(self, gatepass, url, authority, mcp_server):
        run = gatepass("token", url, "--client-secret", "canary-typed")
        assert (run.code, run.out) == (2, "")
        assert "--client-secret-file PATH or --client-secret-env NAME" in run.err
        assert authority.count() + mcp_server.count() == 0


class TestAPrivateAuthority:
    def test_a_certificate_that_nobody_knows_is_trusted_when_it_is_given(self, gatepass, tmp_path):
        with a_tls_server(tmp_path) as (where, certificate):
            stranger = gatepass("token", where)
            assert stranger.code == 6
            assert "--ca-file ca.pem" in stranger.err
            friend = gatepass("token", where, "--ca-file", certificate, GATEPASS_ISSUER=None)
        assert friend.code == 3
        assert "publishes no resource metadata" in friend.err
        assert "--issuer" in friend.err


@contextmanager
def a_tls_server(folder):
    """It answers 404 to everything; its URL and the file of its certificate."""
    certificate, key = folder / "server.pem", folder / "server.key"
    certificate.write_text(loopback_certificate())
    key.write_text(key_material.pem("P-384"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = http.server.HTTPServer(("127.0.0.1", 0), Silent)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"https://127.0.0.1:{server.server_port}/mcp", certificate
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Silent(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_error(404)

    def log_message(self, *arguments):
        pass


def loopback_certificate() -> str:
    """A certificate for 127.0.0.1 that is its own authority."""
    key = key_material.private_key("P-384")
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "loopback")])
    now = dt.datetime.now(dt.UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    )
    return built.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()
