"""Getting in: what the Rust SDK's own test has, over real sockets, with secrets and with keys, and what is refused."""

from __future__ import annotations

import time

import httpx2
import key_material
import pytest
from integration.ways_in import CLIENT_ID, SECRET, auth_for, by_key, by_secret, cost, hello
from joserfc import jwt
from joserfc.jwk import ECKey

import gatepass
from gatepass.testing import AuthorizationServer, ProtectedServer, Trouble

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")


def enter(mcp_server, auth):
    with httpx2.Client(auth=auth) as http:
        return http.get(hello(mcp_server))


def refusal(auth):
    with pytest.raises(gatepass.RemoteError) as caught:
        auth.token()
    return caught.value


class TestWithASecret:
    @pytest.mark.parametrize("method", ["auto", "client_secret_basic", "client_secret_post"])
    def test_the_right_one_gives_a_token_that_the_resource_accepts(self, auth_server, mcp_server, method):
        response = enter(mcp_server, auth_for(mcp_server, by_secret(method=method)))
        assert response.json() == {"hello": CLIENT_ID}
        assert auth_server.requests[-1].resource == mcp_server.url

    @pytest.mark.parametrize(
        "secret", ["a:b", "100%", "a+b c", "sl/ash=&?", "Grüße, 世界", "%20", " leading", "~*'()!"]
    )
    @pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
    def test_any_character_arrives_as_it_was_issued(self, auth_server, mcp_server, method, secret):
        client_id = "tenant:7/ci bot+ü"
        auth_server.add_client(client_id, secret=secret, scopes=("mcp:read",))
        assert enter(mcp_server, auth_for(mcp_server, by_secret(secret, client_id, method=method))).status_code == 200

    def test_a_wrong_one_is_refused_with_the_servers_code(self, auth_server, mcp_server):
        error = refusal(auth_for(mcp_server, by_secret("not it")))
        assert (error.code, error.error, error.status, error.by) == (
            "token_refused", "invalid_client", 401, "authorization_server",
        )  # fmt: skip
        assert error.error_description == "the client secret is wrong"
        assert not error.retryable
        assert auth_server.count("token") == 1

    def test_an_unknown_client_is_refused_with_the_servers_code(self, mcp_server):
        error = refusal(auth_for(mcp_server, by_secret(client_id="nobody")))
        assert (error.error, error.error_description) == ("invalid_client", "the client is unknown")

    def test_a_refusal_leaves_an_http_client_as_it_is(self, mcp_server):
        with pytest.raises(gatepass.RemoteError) as caught:
            enter(mcp_server, auth_for(mcp_server, by_secret("not it")))
        assert caught.value.error == "invalid_client"

    def test_a_scope_that_the_client_may_not_have_is_refused_with_the_servers_code(self, mcp_server):
        assert refusal(auth_for(mcp_server, scopes=["root"])).error == "invalid_scope"

    def test_a_resource_that_the_server_does_not_know_is_refused_with_the_servers_code(self, auth_server, mcp_server):
        auth_server.resources = frozenset()
        assert refusal(auth_for(mcp_server)).error == "invalid_target"

    def test_a_method_that_is_not_offered_sends_nothing(self, auth_server, mcp_server):
        auth_server.methods = ("private_key_jwt",)
        with pytest.raises(gatepass.ConfigurationError, match="It offers private_key_jwt") as caught:
            auth_for(mcp_server).token()
        assert caught.value.code == "method_not_offered"
        assert auth_server.count("token") == 0


class TestWithAKey:
    @pytest.mark.parametrize("algorithm", ALGORITHMS)
    def test_each_algorithm_gives_a_token_that_the_resource_accepts(self, auth_server, mcp_server, algorithm):
        response = enter(
            mcp_server, auth_for(mcp_server, by_key(auth_server, key_material.KIND_OF[algorithm], algorithm=algorithm))
        )
        assert response.json() == {"hello": "key-bot"}

    def test_each_request_brings_an_assertion_of_its_own(self, auth_server, mcp_server):
        client = by_key(auth_server)  # the server refuses a jti that it has seen
        for _ in range(3):
            assert auth_for(mcp_server, client).token()
        assert auth_server.count("token", status=200) == 3

    def test_another_key_than_the_registered_one_is_refused(self, auth_server, mcp_server):
        by_key(auth_server)
        other = gatepass.PrivateKeyJwt("key-bot", key_material.pem("P-256", number=1))
        error = refusal(auth_for(mcp_server, other))
        assert (error.error, error.status) == ("invalid_client", 401)
        assert "signature" in error.error_description

    def test_another_audience_is_refused(self, auth_server, mcp_server):
        error = refusal(auth_for(mcp_server, by_key(auth_server, audience="https://elsewhere.example.com")))
        assert error.error == "invalid_client"
        assert "aud" in error.error_description

    def test_the_token_endpoint_as_audience_is_for_lenient_servers(self, auth_server, mcp_server):
        client = by_key(auth_server, audience="token_endpoint")
        assert refusal(auth_for(mcp_server, client)).error == "invalid_client"
        auth_server.audience = "lenient"
        assert auth_for(mcp_server, client).token()

    @pytest.mark.parametrize(("ahead_s", "side"), [(3600, "ahead of"), (-3600, "behind")])
    def test_where_clocks_differ_the_error_says_so(self, auth_server, mcp_server, ahead_s, side):
        auth_server.trouble = Trouble(clock_offset_s=ahead_s)
        error = refusal(auth_for(mcp_server, by_key(auth_server)))
        assert error.error == "invalid_client"
        assert f"s {side} this machine's" in str(error)

    def test_a_replayed_assertion_is_refused(self, auth_server, mcp_server):
        by_key(auth_server)
        assertion = ready_made(auth_server)
        assert auth_for(mcp_server, assertion).token()
        error = refusal(auth_for(mcp_server, assertion))
        assert error.error == "invalid_client"
        assert "jti was used before" in error.error_description

    def test_an_algorithm_that_is_not_offered_sends_nothing(self, auth_server, mcp_server):
        auth_server.algorithms = ("PS256", "EdDSA")
        with pytest.raises(gatepass.ConfigurationError, match="It accepts PS256, EdDSA") as caught:
            auth_for(mcp_server, by_key(auth_server)).token()
        assert caught.value.code == "alg_not_offered"
        assert auth_server.count("token") == 0

    def test_of_the_keys_algorithms_one_that_is_offered_is_taken(self, auth_server, mcp_server):
        auth_server.algorithms = ("ES256", "PS384")
        assert auth_for(mcp_server, by_key(auth_server, "RSA")).token()


def ready_made(auth_server, **claims):
    """An assertion as a workload would bring it, for the key of `by_key`."""
    now = int(time.time())
    right = {"iss": "key-bot", "sub": "key-bot", "aud": auth_server.issuer, "iat": now, "exp": now + 60, "jti": "1"}
    key = ECKey.import_key(key_material.pem("P-256"))
    return gatepass.ClientAssertion("key-bot", jwt.encode({"alg": "ES256"}, {**right, **claims}, key))


class TestWithAnAssertion:
    def test_one_that_was_made_elsewhere_gets_in(self, auth_server, mcp_server):
        by_key(auth_server)
        assert enter(mcp_server, auth_for(mcp_server, ready_made(auth_server))).json() == {"hello": "key-bot"}

    def test_an_expired_one_sends_nothing(self, auth_server, mcp_server):
        by_key(auth_server)
        with pytest.raises(gatepass.ConfigurationError) as caught:
            auth_for(mcp_server, ready_made(auth_server, exp=1)).token()
        assert caught.value.code == "assertion_expired"
        assert auth_server.count("token") == 0


class TestTheWay:
    @pytest.mark.parametrize("form", ["oauth", "oidc", "oidc_inserted", "both"])
    @pytest.mark.parametrize("path", ["", "/tenant/1", "/"])
    def test_metadata_is_found_in_every_place_that_it_may_have(self, form, path):
        with AuthorizationServer(path=path, metadata=form) as auth_server, ProtectedServer(auth_server) as mcp_server:
            auth_server.add_client(CLIENT_ID, secret=SECRET)
            for issuer in (auth_server.issuer, None):
                assert enter(mcp_server, auth_for(mcp_server, issuer=issuer)).status_code == 200

    @pytest.mark.parametrize("place", ["path", "root"])
    @pytest.mark.parametrize("challenge", [("resource_metadata",), (), None], ids=["a pointer", "bare", "no header"])
    @pytest.mark.parametrize("scopes", [None, ["mcp:read"]], ids=["unpinned", "pinned"])
    def test_the_resource_is_found_out_about_whatever_its_challenge_says(self, auth_server, place, challenge, scopes):
        with ProtectedServer(auth_server, metadata=place, challenge=challenge) as mcp_server:
            assert enter(mcp_server, auth_for(mcp_server, scopes=scopes)).status_code == 200

    def test_without_resource_metadata_a_pinned_issuer_is_enough(self, auth_server):
        with ProtectedServer(auth_server, metadata="none") as mcp_server:
            assert enter(mcp_server, auth_for(mcp_server)).status_code == 200
            with pytest.raises(gatepass.ConfigurationError) as caught:
                enter(mcp_server, auth_for(mcp_server, issuer=None))
        assert caught.value.code == "issuer_unknown"

    def test_with_pinned_scopes_the_token_comes_first(self, mcp_server):
        assert enter(mcp_server, auth_for(mcp_server, scopes=["mcp:read"])).status_code == 200
        assert cost(mcp_server) == {"resource": 1, "resource metadata": 1, "server metadata": 1, "token": 1}

    def test_without_them_the_challenge_says_which(self, auth_server, mcp_server):
        assert enter(mcp_server, auth_for(mcp_server)).status_code == 200
        assert cost(mcp_server) == {"resource": 2, "resource metadata": 1, "server metadata": 1, "token": 1}
        assert auth_server.requests[-1].scope == "mcp:read"

    def test_with_issuer_and_token_endpoint_configured_nothing_is_discovered(self, auth_server, mcp_server):
        auth = auth_for(mcp_server, token_endpoint=auth_server.token_endpoint, scopes=["mcp:read"])
        assert enter(mcp_server, auth).status_code == 200
        assert cost(mcp_server) == {"resource": 1, "resource metadata": 0, "server metadata": 0, "token": 1}

    def test_an_issuer_that_is_not_pinned_is_warned_of_once(self, mcp_server, caplog):
        auth = auth_for(mcp_server, issuer=None)
        for _ in range(3):
            enter(mcp_server, auth)
            mcp_server.authorization_server.revoke_all()
        said = [record for record in caplog.records if "Pin it with issuer=" in record.message]
        assert [record.levelname for record in said] == ["WARNING"]

    def test_a_server_that_wants_no_token_is_sent_none(self, mcp_server):
        def open_to_all(request):
            return httpx2.Response(200, json={"authorization": request.headers.get("Authorization")})

        with httpx2.Client(auth=auth_for(mcp_server), transport=httpx2.MockTransport(open_to_all)) as http:
            assert http.get(mcp_server.url).json() == {"authorization": None}
        assert cost(mcp_server)["token"] == 0
