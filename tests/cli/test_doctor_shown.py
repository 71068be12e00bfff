"""What may be shown of an exchange, and what is made of a way that does not lead to a server."""

from __future__ import annotations

import socket
import ssl
import threading
from typing import get_args

import msgspec
import pytest
from wire import Wire

from gatepass.cli.doctor.causes import network
from gatepass.cli.doctor.exchanges import answer, claims_of, exchange, token_fields
from gatepass.cli.doctor.overhear import Heard, Mask
from gatepass.cli.doctor.reach import Certificate, Flaw, FlawId, Reached, reach
from gatepass.core.http import HttpRequest, HttpResponse
from gatepass.core.world import Instant
from gatepass.errors import UnreachableError
from gatepass.protocol.jwt import base64url

NOW = Instant(wall=1_700_000_000.0, mono=5.0)
LATER = Instant(wall=1_700_000_001.0, mono=6.0)
JSON = (("Content-Type", "application/json"),)


def jwt(claims):
    parts = ({"alg": "ES256", "kid": "k1"}, claims)
    return ".".join([*(base64url(msgspec.json.encode(part)) for part in parts), "c2ln"])


class TestAnAnswer:
    @pytest.mark.parametrize(
        ("body", "fields"),
        [
            (b'{"issuer":"https://a","other":1}', (("issuer", "https://a"),)),
            (b'{"scopes_supported":["a","b"]}', (("scopes_supported", "a, b"),)),
            (b'{"scopes_supported":[]}', (("scopes_supported", "(none)"),)),
            (b'{"scopes_supported":null,"issuer":{"a":1}}', (("issuer", "..."), ("scopes_supported", "null"))),
            (b'{"dpop_bound_access_tokens_required":true}', (("dpop_bound_access_tokens_required", "true"),)),
            (b'{"error":"no","error_description":"a\\u001b[31m b\\nc"}', None),
            (b'{"access_token":"abc","expires_in":1}', (("access_token", "*** (3 characters)"), ("expires_in", "1"))),
            (b"[1]", ()),
            (b"\xff", ()),
            (b"<html><title>A &amp; B</title>", (("body", 'a web page, titled "A & B"'),)),
            (b"<!DOCTYPE html>", (("body", "a web page"),)),
        ],
    )  # fmt: skip
    def test_is_shown_by_the_members_that_matter(self, body, fields):
        shown = answer(HttpResponse(status=200, headers=JSON, body=body)).fields
        if fields is None:
            assert shown == (("error", "no"), ("error_description", "a\ufffd[31m b c"))
        else:
            assert shown == fields

    def test_is_cut_where_it_is_long(self):
        body = msgspec.json.encode({"scopes_supported": [f"scope-{n}" for n in range(40)], "issuer": "x" * 900})
        fields = dict(answer(HttpResponse(status=200, headers=JSON, body=body)).fields)
        assert fields["scopes_supported"].endswith("scope-11, ...")
        assert len(fields["issuer"]) == 300

    def test_that_took_its_time_says_so(self):
        heard = Heard(
            request=HttpRequest(method="GET", url="https://a/b?secret=1"),
            response=HttpResponse(status=299),
            error=None,
            sent=NOW,
            received=LATER,
        )
        shown = exchange(heard, to="mcp_server")
        assert (shown.asked.text, shown.answered.text) == ("GET https://a/b", "299, after 1000 ms")

    def test_that_never_came_says_why(self):
        error = UnreachableError("a gave no answer.", code="timeout")
        request = HttpRequest(method="GET", url="https://a")
        shown = exchange(Heard(request=request, response=None, error=error, sent=NOW, received=NOW), to="mcp_server")
        assert (shown.answered.text, shown.answered.short, shown.verdict) == (
            "no answer: a gave no answer.",
            "timeout",
            "failed",
        )


class TestARequest:
    def test_is_shown_without_its_secrets(self):
        form = f"grant_type=x&client_secret=canary&custom=canary&client_assertion={jwt({'iss': 'me', 'exp': 1})}"
        headers = (
            ("Content-Type", "application/x-www-form-urlencoded"),
            ("Authorization", "Basic canary"),
            ("DPoP", "canary"),
            ("X-Other", "canary"),
        )
        request = HttpRequest(
            method="POST", url="https://user:canary@a/t?q=canary", headers=headers, body=form.encode()
        )
        heard = Heard(request=request, response=HttpResponse(status=200), error=None, sent=NOW, received=NOW)
        shown = exchange(heard, to="authorization_server", about="x")
        assert "canary" not in str(shown)
        assert shown.asked.text == "POST https://a/t (x)"
        assert shown.asked.fields == (
            ("Authorization", "Basic ***"),
            ("DPoP", "a proof ***"),
            ("grant_type", "x"),
            ("client_secret", "***"),
            ("custom", "***"),
            ("client_assertion", "a JWT: iss me, alg ES256, kid k1"),
        )

    def test_with_an_assertion_that_is_none_shows_nothing_of_it(self):
        headers = (("Content-Type", "application/x-www-form-urlencoded"),)
        request = HttpRequest(method="POST", url="https://a/t", headers=headers, body=b"assertion=canary.canary.canary")
        heard = Heard(request=request, response=HttpResponse(status=200), error=None, sent=NOW, received=NOW)
        assert exchange(heard, to="authorization_server").asked.fields == (("assertion", "***"),)


class TestAToken:
    def test_is_shown_by_what_it_says_and_by_its_length(self):
        token = jwt(
            {"iss": "https://a", "aud": ["b", "c"], "exp": 1_700_000_000, "iat": 1e40, "nbf": "x", "email": "e"}
        )
        assert token_fields("Bearer", token) == (
            ("access token", f"Bearer, a JWT of {len(token)} characters"),
            ("iss", "https://a"),
            ("aud", "b, c"),
            ("exp", "2023-11-14 22:13:20 UTC"),
            ("iat", "not a date"),
            ("nbf", "x"),
        )

    def test_that_is_opaque_says_nothing(self):
        assert claims_of("opaque") is None
        assert token_fields("DPoP", "opaque") == (("access token", "DPoP, opaque of 6 characters"),)


class TestAMask:
    @pytest.mark.parametrize("spelling", ["a+b c/%", "a%2Bb%20c%2F%25", "a%2Bb+c%2F%25"])
    def test_hides_a_secret_in_each_spelling(self, spelling):
        mask = Mask()
        mask.add("a+b c/%")
        assert mask.text(f"<{spelling}>") == "<***>"

    def test_reaches_every_text_of_a_value(self):
        mask = Mask()
        mask.add("canary")
        reached = Reached(
            host="canary", port=1, addresses=("canary", "b"), flaw=Flaw(id="tls_failed", stage="tls", said="canary")
        )
        assert "canary" not in str(mask.value(reached))

    def test_leaves_alone_what_is_too_short_to_be_a_secret(self):
        mask = Mask()
        mask.add("a")
        assert mask.text("a banana") == "a banana"


class TestAWayThatDoesNotLeadThere:
    @pytest.mark.parametrize("flaw", get_args(FlawId))
    @pytest.mark.parametrize("with_certificate", [True, False])
    def test_has_a_cause_and_a_fix(self, flaw, with_certificate):
        certificate = Certificate(
            subject="CN=a", issuer="CN=b", names=("*.a.example", "a.example"), not_before=0.0, not_after=1.0
        )
        there = Reached(
            host="x.example",
            port=443,
            proxy="http://p:3128",
            certificate=certificate if with_certificate else None,
            flaw=Flaw(id=flaw, stage="tls", said="so"),
        )
        trouble = network.unreached(there, "https://x.example/mcp")
        assert trouble.id == flaw
        assert "x.example" in trouble.cause
        assert trouble.cause.endswith(".")
        assert trouble.fix.text
        if flaw == "certificate_name" and with_certificate:
            assert trouble.fix.options == {"url": "https://a.example/mcp"}

    def test_that_is_not_encrypted_is_doubted(self):
        there = Reached(host="mcp.example.com", port=80, addresses=("192.0.2.1",))
        assert [trouble.id for trouble in network.doubts(there, "http://mcp.example.com/mcp")] == ["cleartext"]
        assert network.doubts(there, "https://mcp.example.com/mcp") == []

    def test_is_left_when_tls_is_never_spoken(self, tls_context):
        with Wire(lambda visit: visit.over.wait(60)) as server:
            there = reach(f"https://{server.where}", trust=tls_context, proxy=None, timeout_s=0.2)
        assert (there.flaw.id, there.flaw.said) == ("tls_failed", "nothing came within 0.2 s")

    def test_is_left_when_nobody_answers(self, tls_context):
        with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
            waiting = [socket.socket() for _ in range(4)]
            try:
                for each in waiting:
                    each.setblocking(False)
                    each.connect_ex(full.getsockname())
                url = f"https://127.0.0.1:{full.getsockname()[1]}"
                there = reach(url, trust=tls_context, proxy=None, timeout_s=0.2)
            finally:
                for each in waiting:
                    each.close()
        assert there.flaw.id == "connection_timeout"

    def test_is_left_when_the_connection_is_closed_in_the_midst_of_tls(self, tls_context):
        with socket.create_server(("127.0.0.1", 0)) as server:

            def hang_up():
                line, _ = server.accept()
                line.recv(1)
                line.close()

            other = threading.Thread(target=hang_up)
            other.start()
            there = reach(f"https://127.0.0.1:{server.getsockname()[1]}", trust=tls_context, proxy=None, timeout_s=10.0)
            other.join()
        assert there.flaw.id == "tls_failed"

    def test_a_host_that_is_none_is_unknown(self, tls_context):
        there = reach(f"https://{'a' * 70}.example/", trust=tls_context, proxy=None, timeout_s=1.0)
        assert there.flaw.id == "host_unknown"


@pytest.fixture
def tls_context():
    return ssl.create_default_context()
