"""`gatepass headers`: a JSON object of headers, for hosts that ask a program for it."""

from __future__ import annotations

import json

import pytest
from cli.conftest import SECRET, ci_bot
from joserfc import jws

from gatepass.testing import AuthorizationServer, ProtectedServer


class TestHeaders:
    def test_they_are_an_object_of_strings_that_gets_a_request_in(self, gatepass, url, authority):
        run = gatepass("headers", url)
        assert (run.code, run.err) == (0, "")
        headers = json.loads(run.out)
        assert list(headers) == ["Authorization"]
        kind, _, token = headers["Authorization"].partition(" ")
        assert kind == "Bearer"
        assert authority.verify(token, audience=url)

    def test_a_url_outside_of_the_server_gets_none(self, gatepass, url):
        run = gatepass("headers", url, "--url", "https://elsewhere.example/mcp", "-q")
        assert (run.code, run.out) == (2, "")
        assert run.err == f"gatepass: --url lies outside of {url}: the token does not go there.\n"

    @pytest.mark.parametrize("given", [(), ("--method", "GET", "--url")])
    def test_a_token_that_is_bound_comes_with_a_proof_for_that_request(self, gatepass, tmp_path, given):
        with AuthorizationServer(dpop="required") as authority:
            authority.add_client("ci-bot", secret=SECRET)
            with ProtectedServer(authority) as server:
                where = f"{server.url}/sub"
                options = (*given, where) if given else ()
                run = gatepass("headers", server.url, "--dpop", *options, **ci_bot(tmp_path, authority))
        headers = json.loads(run.out)
        assert headers["Authorization"].startswith("DPoP ")
        proof = json.loads(jws.extract_compact(headers["DPoP"].encode()).payload)
        assert (proof["htm"], proof["htu"]) == (("GET", where) if given else ("POST", server.url))
