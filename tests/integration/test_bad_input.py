"""Bad input, line by line: each gives one error that names what is wrong and what to do, and nothing hangs.

The error is what a person sees: its text names the field or the file, and quotes nothing of what a server said.
"""

from __future__ import annotations

import os
import socket

import key_material
import pytest
from integration.crowd import on_threads
from integration.forks import NOBODY, in_child, needs_fork, needs_root, open_to_all
from integration.odd_servers import dripping, saying, speaking
from integration.ways_in import auth_for, by_secret, cost

import gatepass
from gatepass.errors import ConfigurationError, GatepassError, RemoteError, UnreachableError
from gatepass.lifecycle.policy import Policy
from gatepass.testing import Trouble

SAID = "quoted-by-nobody"
"""Stands in every answer that a client should not repeat."""


def only_error(action):
    """The one `GatepassError` that an action ends with, and that says something to a person."""
    with pytest.raises(GatepassError) as caught:
        action()
    error = caught.value
    assert error.__cause__ is None
    assert error.__context__ is None or error.__suppress_context__
    assert error.code not in {"error", "internal"}
    assert SAID not in f"{error} {vars(error)}"
    return error


def refusal(auth):
    """The error of an `Auth` that tries once."""
    auth._source.policy = Policy(attempts=1)
    return only_error(auth.token)


def check(error, kind, code, *parts):
    assert (type(error), error.code) == (kind, code)
    for part in parts:
        assert part in str(error), str(error)


KEYS = {
    "a public key": (key_material.public_pem("P-256"), "key_not_private", "a public key, not a private key"),
    "a certificate": (key_material.certificate("P-256"), "key_not_private", "a certificate, not a private key"),
    "an encrypted one": (key_material.pem("P-256", password="x"), "key_password_missing", "Give its password"),
    "a weak one": (key_material.pem("RSA-1024"), "key_weak", "2048 are the least"),
    "one that can't sign": (key_material.pem("X25519"), "key_unsupported", "Supported are RSA"),
    "one in OpenSSH's format": (key_material.openssh("Ed25519"), "key_unsupported", "OpenSSH"),
    "a damaged one": ("-----BEGIN PRIVATE KEY-----\nAA\n-----END PRIVATE KEY-----\n", "key_invalid", "damaged"),
    "half of one": (key_material.pem("P-256")[:60], "key_invalid", "from its BEGIN line to its END line"),
    "an empty file": ("", "secret_empty", "empty"),
    "something else": ("hunter2", "key_invalid", "neither a JWK nor a whole private key in PEM"),
    "half a JWK": ("{", "key_invalid", "is not JSON"),
    "a JWK set": ('{"keys": []}', "key_invalid", "Give the one private key"),
}


class TestKeys:
    """Of a key file, given as a path."""

    @pytest.fixture
    def file(self, tmp_path):
        return tmp_path / "ci-bot.pem"

    def refused(self, mcp_server, file, content=None, **options):
        """The error of a client with that key; the authorization server is never asked for a token."""
        if content is not None:
            file.write_text(content)
        auth = auth_for(mcp_server, gatepass.PrivateKeyJwt("key-bot", file, **options))
        error = only_error(auth.token)
        assert cost(mcp_server)["token"] == 0
        return error

    def test_a_missing_one(self, mcp_server, file):
        error = self.refused(mcp_server, file)
        check(error, ConfigurationError, "key_file_unreadable", str(file), "No such file", "Check the path")

    def test_a_directory(self, mcp_server, file):
        file.mkdir()
        check(self.refused(mcp_server, file), ConfigurationError, "file_unreadable", str(file), "Is a directory")

    @needs_fork
    @needs_root
    @pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
    def test_one_that_this_user_may_not_read(self, mcp_server, file):
        file.write_text(key_material.pem("P-256"))
        assert self.refused(mcp_server, file.with_name("other.pem"))  # every import is done before the user changes
        with open_to_all() as directory:
            closed = directory / "ci-bot.pem"
            closed.write_text(key_material.pem("P-256"))
            closed.chmod(0o600)

            def visit():
                error = self.refused(mcp_server, closed)
                return type(error).__name__, error.code, str(error)

            kind, code, said = in_child(visit, user=NOBODY)
        assert (kind, code) == ("ConfigurationError", "file_unreadable")
        assert str(closed) in said
        assert "Permission denied" in said
        assert "Check the path and its permissions" in said

    @pytest.mark.parametrize(("content", "code", "says"), KEYS.values(), ids=KEYS)
    def test_one_that_will_not_do(self, mcp_server, file, content, code, says):
        check(self.refused(mcp_server, file, content), ConfigurationError, code, str(file), says)

    def test_a_wrong_password(self, mcp_server, file):
        error = self.refused(mcp_server, file, key_material.pem("P-256", password="right"), password="hunter2")
        check(error, ConfigurationError, "key_password_wrong", str(file), "openssl pkey")
        assert "hunter2" not in str(error)

    @pytest.mark.parametrize(
        ("kind", "algorithm"), [("RSA", "ES256"), ("P-256", "RS256"), ("P-384", "ES256"), ("Ed25519", "PS256")]
    )
    def test_one_that_does_not_fit_the_algorithm(self, mcp_server, file, kind, algorithm):
        error = self.refused(mcp_server, file, key_material.pem(kind), algorithm=algorithm)
        check(
            error,
            ConfigurationError,
            "key_algorithm_mismatch",
            f"algorithm is {algorithm}",
            "the key signs with",
        )

    @pytest.mark.parametrize("algorithm", ["none", "HS256", ""])
    def test_an_algorithm_without_a_private_key(self, algorithm):
        error = only_error(lambda: gatepass.PrivateKeyJwt("key-bot", key_material.pem("P-256"), algorithm=algorithm))
        check(error, ConfigurationError, "algorithm_invalid", "algorithm")

    @pytest.mark.parametrize("key", ["ci-bot.pem", b"\x30\x82", 7, None, ""])
    def test_what_is_no_key_at_all(self, key):
        check(
            only_error(lambda: gatepass.PrivateKeyJwt("key-bot", key)),
            ConfigurationError,
            "key_invalid",
            "key",
        )


class TestSecrets:
    @pytest.mark.parametrize(
        ("secret", "code", "says"),
        [
            (
                gatepass.Secret.env("NOT_SET_ANYWHERE"),
                "secret_missing",
                "variable NOT_SET_ANYWHERE is not set",
            ),
            (gatepass.Secret.file("/nowhere/secret"), "file_unreadable", "file /nowhere/secret"),
            (gatepass.Secret.file(os.devnull), "secret_empty", os.devnull),
            (
                gatepass.Secret.command(["false"]),
                "command_failed",
                "command false gave no secret: it ended with exit",
            ),
            (gatepass.Secret.command(["no-such-program"]), "command_failed", "command no-such-program"),
        ],
        ids=[
            "an unset variable",
            "a missing file",
            "an empty file",
            "a command that fails",
            "a command that is not there",
        ],
    )
    def test_one_that_is_not_there(self, mcp_server, secret, code, says):
        error = refusal(auth_for(mcp_server, by_secret(secret)))
        check(error, ConfigurationError, code, says)
        assert cost(mcp_server)["token"] == 0

    @pytest.mark.parametrize("secret", ["", "two\nlines", "\x00", b"bytes", 7, None])
    def test_one_that_can_not_be_sent(self, secret):
        check(only_error(lambda: by_secret(secret)), ConfigurationError, "secret_invalid", "secret")

    @pytest.mark.parametrize("client_id", ["", "two\nlines", 7, None])
    def test_a_client_id_that_can_not_be_sent(self, client_id):
        error = only_error(lambda: by_secret(client_id=client_id))
        check(error, ConfigurationError, "client_id_invalid", "client_id")


class TestUrls:
    @pytest.mark.parametrize(
        ("resource", "says"),
        [
            ("mcp.example.com/mcp", "does not start with https://"),
            ("", "does not start with https://"),
            ("https://", "has no host"),
            ("https://user:pass@mcp.example.com/mcp", "holds a user name or a password"),
            ("https://mcp.example.com/a/../mcp", "holds a dot segment"),
            ("https://mcp.example.com:99999/mcp", "has a port that does not exist"),
            ("ftp://mcp.example.com/mcp", "does not start with https://"),
            ("https://mcp.example.com/m cp", "holds a space"),
            (None, "is not a string"),
        ],
    )
    def test_a_resource_that_is_no_url(self, resource, says):
        error = only_error(lambda: gatepass.Auth(resource, gatepass.ClientCredentials(by_secret())))
        check(
            error,
            ConfigurationError,
            "resource_invalid",
            f"resource {says}",
            "Give the MCP endpoint's full URL",
        )

    @pytest.mark.parametrize("field", ["issuer", "token_endpoint"])
    def test_an_authorization_server_that_would_see_secrets_in_the_clear(self, mcp_server, field):
        error = only_error(lambda: auth_for(mcp_server, **{field: "http://auth.example.com"}))
        check(error, ConfigurationError, "insecure_url", f"{field} is http://auth.example.com", "Use https")

    @pytest.mark.parametrize("listed", ["http://auth.example.com", "http://127.0.0.1.example.com"])
    def test_one_that_the_resource_names(self, mcp_server, listed):
        mcp_server.trouble = Trouble(paths=("metadata",), replace={"authorization_servers": [listed]})
        error = refusal(auth_for(mcp_server, issuer=None))
        check(error, RemoteError, "insecure_endpoint", "authorization_servers", listed, "https")
        assert error.by == "resource_server"

    @pytest.mark.parametrize("pinned", [True, False])
    def test_a_token_endpoint_that_the_server_names(self, auth_server, mcp_server, pinned):
        auth_server.trouble = Trouble(paths=("metadata",), replace={"token_endpoint": "http://auth.example.com/token"})
        error = refusal(auth_for(mcp_server, **({} if pinned else {"issuer": None})))
        check(error, RemoteError, "insecure_endpoint", "token_endpoint is http://auth.example.com/token")

    def test_a_token_endpoint_elsewhere_is_for_pinned_issuers_only(self, auth_server, mcp_server):
        auth_server.trouble = Trouble(paths=("metadata",), replace={"token_endpoint": f"{mcp_server.origin}/token"})
        error = refusal(auth_for(mcp_server, issuer=None))
        check(error, RemoteError, "endpoint_origin", "token_endpoint", "issuer", "allow_endpoint_origins")
        assert mcp_server.count("/token") == 0


class TestIssuers:
    def test_the_pinned_one_is_not_listed(self, mcp_server):
        error = refusal(auth_for(mcp_server, issuer="https://auth.example.com"))
        listed = mcp_server.authorization_server.issuer
        check(
            error,
            RemoteError,
            "issuer_not_listed",
            "https://auth.example.com",
            listed,
            "Check the configured issuer",
        )

    def test_the_pinned_one_has_a_slash_too_many(self, mcp_server):
        error = refusal(auth_for(mcp_server, issuer=f"{mcp_server.authorization_server.issuer}/"))
        check(error, RemoteError, "issuer_not_listed", "slash by slash")

    def test_the_metadata_is_somebody_elses(self, auth_server, mcp_server):
        auth_server.trouble = Trouble(paths=("metadata",), replace={"issuer": "https://evil.example.com"})
        error = refusal(auth_for(mcp_server))
        check(error, RemoteError, "issuer_mismatch", "https://evil.example.com", auth_server.issuer, "identical")
        assert auth_server.count("token") == 0

    def test_the_resource_lists_none(self, mcp_server):
        mcp_server.trouble = Trouble(paths=("metadata",), without=("authorization_servers",))
        error = refusal(auth_for(mcp_server))
        check(error, RemoteError, "no_authorization_server", "authorization_servers")

    def test_the_metadata_is_for_another_resource(self, mcp_server):
        mcp_server.trouble = Trouble(paths=("metadata",), replace={"resource": "https://bank.example.com/mcp"})
        error = refusal(auth_for(mcp_server))
        check(error, RemoteError, "resource_mismatch", "https://bank.example.com/mcp", mcp_server.url)

    def test_the_challenge_points_elsewhere(self, mcp_server):
        elsewhere = "http://169.254.169.254/metadata"
        challenge = {"WWW-Authenticate": f'Bearer resource_metadata="{elsewhere}"'}
        mcp_server.trouble = Trouble(status=401, headers=challenge)
        with gatepass.AuthorizedClient(auth_for(mcp_server)) as http:
            error = only_error(lambda: http.get("plain/hello"))
        check(error, RemoteError, "resource_metadata_origin", "http://169.254.169.254", "allow_metadata_origins")


PAGE = f"<html><title>{SAID}</title></html>".encode()
HTML = Trouble(paths=("metadata",), body=PAGE, headers={"Content-Type": "text/html"})


class TestMetadata:
    """What stands where a document should be, at the resource and at the authorization server."""

    @pytest.fixture(params=["resource", "server"])
    def host(self, request, mcp_server):
        return mcp_server if request.param == "resource" else mcp_server.authorization_server

    def refused(self, mcp_server, **options):
        error = refusal(auth_for(mcp_server, **options))
        assert cost(mcp_server)["token"] == 0
        return error

    def names(self, error, host):
        assert host.origin.removeprefix("http://") in str(error), str(error)

    def test_a_web_page_at_the_server(self, auth_server, mcp_server):
        auth_server.trouble = HTML
        error = self.refused(mcp_server)
        check(error, RemoteError, "server_metadata_missing", auth_server.issuer, "publishes no metadata; tried")

    def test_a_web_page_at_the_resource(self, mcp_server):
        mcp_server.trouble = HTML
        assert auth_for(mcp_server).token()  # a pinned issuer is enough
        error = refusal(auth_for(mcp_server, issuer=None))
        check(error, ConfigurationError, "issuer_unknown", mcp_server.url, "Name it with issuer=")

    @pytest.mark.parametrize(
        ("body", "says"),
        [
            (f'{{"issuer": "{SAID}'.encode(), "it is not JSON, or breaks off"),
            (b"[]", "expected object"),
            (f'"{SAID}"'.encode(), "expected object"),
            (b'{"issuer": 7, "resource": 7}', "expected str, got int"),
            (b"{" * 100_000, "is broken"),
            (b'{"issuer": "\xff"}', "is broken"),
        ],
        ids=["truncated", "a list", "a string", "a wrong type", "nested without end", "no UTF-8"],
    )
    def test_a_broken_document(self, mcp_server, host, body, says):
        host.trouble = Trouble(paths=("metadata",), body=body)
        error = self.refused(mcp_server)
        assert type(error) is RemoteError
        assert error.code == ("resource_metadata_invalid" if host is mcp_server else "server_metadata_invalid")
        assert says in str(error)
        self.names(error, host)

    def test_a_huge_one(self, mcp_server, host):
        host.trouble = Trouble(paths=("metadata",), body="huge")
        error = self.refused(mcp_server)
        check(error, RemoteError, "response_too_large", "more than 1048576 bytes")
        self.names(error, host)

    def test_a_huge_one_that_was_made_small(self, mcp_server, host):
        import gzip

        bomb = gzip.compress(b" " * 64 * 1024 * 1024)
        host.trouble = Trouble(paths=("metadata",), body=bomb, headers={"Content-Encoding": "gzip"})
        error = self.refused(mcp_server)
        check(error, RemoteError, "response_too_large", "more than 1048576 bytes")

    def test_one_that_breaks_off(self, mcp_server, host):
        host.trouble = Trouble(paths=("metadata",), connection="truncate")
        error = self.refused(mcp_server)
        check(error, UnreachableError, "connection_broken", "broke")
        self.names(error, host)

    @pytest.mark.parametrize("status", [429, 500, 503])
    def test_a_server_in_trouble(self, mcp_server, host, status):
        host.trouble = Trouble(paths=("metadata",), status=status, retry_after=60)
        error = self.refused(mcp_server)
        check(error, RemoteError, "metadata_unavailable", f"status {status}", "Try again later")
        assert (error.retryable, error.status) == (True, status)
        self.names(error, host)

    @pytest.mark.parametrize(
        "trouble",
        [Trouble(paths=("metadata",), connection="hang"), Trouble(paths=("metadata",), drip_s=0.05)],
        ids=["hangs", "drips"],
    )
    def test_one_that_never_comes(self, mcp_server, host, trouble):
        host.trouble = trouble
        error = refusal(auth_for(mcp_server, http=gatepass.TokenHttp(timeout_s=0.3)))
        check(error, UnreachableError, "timeout", "0.3 s")
        self.names(error, host)

    def test_a_callers_patience_ends_before_the_servers(self, mcp_server, host):
        host.trouble = Trouble(paths=("metadata",), connection="hang")
        errors = on_threads(auth_for(mcp_server, deadline_s=0.2).token, 3)
        assert [(type(error), error.code) for error in errors] == [(UnreachableError, "deadline")] * 3


RESPONSES = {
    "no access_token": (Trouble(without=("access_token",)), "access_token is missing"),
    "an empty one": (Trouble(replace={"access_token": ""}), "access_token is missing"),
    "one with a header in it": (Trouble(replace={"access_token": f"{SAID}\r\nX: y"}), "can't stand in a header"),
    "a number": (Trouble(replace={"access_token": 7}), "access_token: expected str"),
    "a huge one": (Trouble(replace={"access_token": SAID * 10_000}), "a token is longer than"),
    "no token_type": (Trouble(without=("token_type",)), "token_type is missing"),
    "an unknown one": (Trouble(replace={"token_type": SAID}), "token_type is not Bearer"),
    "a negative life": (Trouble(replace={"expires_in": -1}), "expires_in is not a number of seconds"),
    "a life in words": (Trouble(replace={"expires_in": SAID}), "expires_in is not a number of seconds"),
    "a true life": (Trouble(replace={"expires_in": True}), "expires_in"),
    "a page": (Trouble(body="html"), "it is not JSON"),
    "half an answer": (Trouble(body=f'{{"access_token": "{SAID}'.encode()), "it is not JSON, or breaks off"),
    "nothing": (Trouble(body=b""), "it is not JSON"),
}


class TestTokenResponses:
    @pytest.mark.parametrize(("trouble", "says"), RESPONSES.values(), ids=RESPONSES)
    def test_one_that_makes_no_sense(self, auth_server, mcp_server, trouble, says):
        auth_server.trouble = trouble
        error = refusal(auth_for(mcp_server))
        check(error, RemoteError, "token_response_invalid", "token response can't be used", says)
        assert error.by == "authorization_server"

    @pytest.mark.parametrize("spelling", ["bearer", "BEARER", "Bearer"])
    def test_bearer_in_any_case_is_none_of_these(self, auth_server, mcp_server, spelling):
        auth_server.trouble = Trouble(replace={"token_type": spelling})
        with gatepass.AuthorizedClient(auth_for(mcp_server)) as http:
            assert http.get("plain/hello").status_code == 200

    def test_a_redirect_is_never_followed(self, auth_server, mcp_server):
        auth_server.trouble = Trouble(status=307, headers={"Location": f"{mcp_server.origin}/token?{SAID}"})
        error = refusal(auth_for(mcp_server))
        check(error, RemoteError, "token_refused", "redirects, which is never followed")
        assert mcp_server.count("/token") == 0

    def test_what_a_server_says_besides_is_not_repeated(self, auth_server, mcp_server):
        body = {
            "error": "invalid_client",
            "error_description": "no\r\nsuch \x1b[31mclient\x00",
            "debug": SAID,
            "trace": [SAID],
        }
        auth_server.trouble = Trouble(status=401, body=body, headers={"X-Debug": SAID})
        error = refusal(auth_for(mcp_server))
        assert error.error_description == "no such [31mclient"
        check(error, RemoteError, "token_refused", "invalid_client")


OK = b"HTTP/1.1 200 OK\r\n"
AGAIN = b"HTTP/1.1 100 Continue\r\n\r\n"
ODD = {
    "trickling header bytes": (dripping(OK + b"X-Padding: ", b"a"), "timeout"),
    "trickling headers": (dripping(OK, b"X-Padding: a\r\n"), "timeout"),
    "interim answers": (dripping(AGAIN, AGAIN), "timeout"),
    "trickling chunks": (dripping(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"), "timeout"),
    "zeros": (dripping(b"", b"\x00"), "connection_broken"),
    "nothing": (saying(b""), "connection_broken"),
    "another protocol": (saying(b"SSH-2.0-OpenSSH_9.6\r\n"), "connection_broken"),
    "half an answer": (saying(OK + b"Content-Length: 100\r\n\r\n{"), "connection_broken"),
    "headers without end": (saying(OK + b"X-Padding: a\r\n" * 50_000 + b"\r\n"), "connection_broken"),
    "a broken encoding": (saying(OK + b"Content-Encoding: gzip\r\n\r\n" + SAID.encode()), "connection_broken"),
}


class TestOddServers:
    """Those that trickle, garble or talk without end, where the token endpoint should be."""

    @pytest.mark.parametrize(("speak", "code"), ODD.values(), ids=ODD)
    def test_they_hold_nobody_up(self, mcp_server, speak, code):
        with speaking(speak) as server:
            where = {"issuer": server.origin, "token_endpoint": f"{server.origin}/token"}
            error = refusal(auth_for(mcp_server, http=gatepass.TokenHttp(timeout_s=0.4), **where))
        check(error, UnreachableError, code, server.origin.removeprefix("http://"))
        assert len(server.requests) == 1


def test_a_server_that_is_not_there(auth_server, mcp_server):
    auth_server.stop()
    error = refusal(auth_for(mcp_server))
    check(error, UnreachableError, "unreachable", auth_server.origin.removeprefix("http://"), "Is it running")


def test_a_name_that_does_not_exist(mcp_server, monkeypatch):
    def unknown(*_args, **_options):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    endpoint = {"issuer": "https://auth.example.com", "token_endpoint": "https://auth.example.com/token"}
    error = refusal(auth_for(mcp_server, **endpoint))
    check(error, UnreachableError, "unreachable", "auth.example.com", "Check the host name")


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        ({"scopes": ["two words"]}, "scope_invalid", "scopes[0]"),
        ({"scopes": ["ok", 7]}, "scope_invalid", "scopes[1]"),
        ({"deadline_s": 0}, "deadline_invalid", "deadline_s"),
        ({"issuer": "auth.example.com"}, "issuer_invalid", "issuer"),
        ({"extra_parameters": {"client_secret": SAID}}, "extra_parameters_invalid", "client_secret"),
        ({"allow_metadata_origins": ["example.com"]}, "url_invalid", "allow_metadata_origins[0]"),
    ],
)
def test_an_option_that_does_not_fit(mcp_server, options, code, says):
    check(only_error(lambda: auth_for(mcp_server, **options)), ConfigurationError, code, says)


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        ({"verify": False}, "verify_invalid", "verify"),
        ({"timeout_s": 0}, "timeout_invalid", "timeout_s"),
        ({"max_body_bytes": 0}, "max_body_bytes_invalid", "max_body_bytes"),
    ],
)
def test_an_option_of_the_token_client_that_does_not_fit(options, code, says):
    check(only_error(lambda: gatepass.TokenHttp(**options)), ConfigurationError, code, says)


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        ({"verify": "/nowhere/ca.pem"}, "tls_invalid", "/nowhere/ca.pem"),
        ({"cert": "/nowhere/client.pem"}, "tls_invalid", "/nowhere/client.pem"),
        ({"proxy": "nonsense"}, "proxy_invalid", "proxy"),
        ({"proxy": f"ftp://user:{SAID}@proxy.example.com"}, "proxy_invalid", "proxy"),
    ],
)
def test_settings_of_the_token_client_that_can_not_be_used(mcp_server, options, code, says):
    secure = {"issuer": "https://127.0.0.1:1", "token_endpoint": "https://127.0.0.1:1/token"}
    error = refusal(auth_for(mcp_server, http=gatepass.TokenHttp(**options), **secure))
    check(error, ConfigurationError, code, says)
