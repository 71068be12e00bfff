"""The identity provider of an enterprise: ID tokens in, grants for other servers out (RFC 8693, SEP-990)."""

from __future__ import annotations

import time

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet
from testing.answers import refused

from gatepass.testing import AuthorizationServer, Trouble

TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
ID_JAG = "urn:ietf:params:oauth:token-type:id-jag"
ID_TOKEN = "urn:ietf:params:oauth:token-type:id_token"
SAML2 = "urn:ietf:params:oauth:token-type:saml2"
THERE = "https://auth.example.com"


@pytest.fixture
def id_token(auth_server):
    return auth_server.issue_id_token("alice", "ci-bot")


@pytest.fixture
def exchange(ask, id_token, resource):
    """Exchanges an ID token of alice's; a parameter that is None is left out."""

    def exchange(**wrong):
        right = {
            "grant_type": TOKEN_EXCHANGE,
            "requested_token_type": ID_JAG,
            "subject_token": id_token,
            "subject_token_type": ID_TOKEN,
            "audience": THERE,
            "resource": resource,
            "scope": "mcp:read",
        }
        return ask(**{**right, **wrong})

    return exchange


def claims_of(server, token):
    decoded = jwt.decode(token, KeySet.import_key_set(server.jwks), algorithms=["ES256"])
    return decoded.header, decoded.claims


def test_a_server_that_vouches_for_nobody_does_not_know_the_grant(ask, metadata):
    refused(ask(grant_type=TOKEN_EXCHANGE), "unsupported_grant_type")
    assert TOKEN_EXCHANGE not in metadata()["grant_types_supported"]


def test_the_metadata_lists_it(id_token, metadata):
    assert TOKEN_EXCHANGE in metadata()["grant_types_supported"]
    assert metadata()["identity_chaining_requested_token_types_supported"] == [ID_JAG]


class TestAnswer:
    def test_it_is_a_grant_and_no_access_token(self, exchange):
        response = exchange()
        assert response.headers["cache-control"] == "no-store"
        answer = response.json()
        assert answer.pop("access_token").count(".") == 2
        assert answer == {
            "issued_token_type": ID_JAG,
            "token_type": "N_A",
            "expires_in": 300,
            "scope": "mcp:read",
        }

    def test_the_grant_says_who_for_whom_and_where(self, auth_server, exchange, resource):
        before = int(time.time())
        header, claims = claims_of(auth_server, exchange().json()["access_token"])
        assert header["typ"] == "oauth-id-jag+jwt"
        assert before <= claims.pop("iat") == claims.pop("exp") - 300 <= time.time()
        assert claims.pop("jti")
        assert claims == {
            "iss": auth_server.issuer,
            "sub": "alice",
            "aud": THERE,
            "client_id": "ci-bot",
            "resource": resource,
            "scope": "mcp:read",
        }

    def test_it_is_no_access_token_of_the_identity_provider(self, auth_server, exchange):
        grant = exchange(audience=auth_server.issuer, resource=auth_server.issuer).json()["access_token"]
        assert auth_server.verify(grant, audience=auth_server.issuer) is None

    def test_nor_comes_a_refresh_token_with_it(self, auth_server, exchange):
        auth_server.refresh_tokens = "issued"
        assert "refresh_token" not in exchange().json()

    def test_the_client_may_have_another_name_there(self, auth_server, exchange):
        auth_server.map_client("ci-bot", THERE, "bot-42")
        assert claims_of(auth_server, exchange().json()["access_token"])[1]["client_id"] == "bot-42"
        elsewhere = exchange(audience="https://elsewhere.example").json()["access_token"]
        assert claims_of(auth_server, elsewhere)[1]["client_id"] == "ci-bot"

    def test_how_long_it_lives_is_a_setting(self, auth_server, exchange):
        auth_server.id_jag_lifetime_s = 30
        answer = exchange().json()
        assert answer["expires_in"] == 30
        claims = claims_of(auth_server, answer["access_token"])[1]
        assert claims["exp"] == claims["iat"] + 30

    def test_it_may_be_for_several_resources(self, auth_server, exchange, resource):
        grant = exchange(resource=[resource, "urn:other"]).json()["access_token"]
        assert claims_of(auth_server, grant)[1]["resource"] == [resource, "urn:other"]

    def test_without_a_scope_it_has_none(self, auth_server, exchange):
        auth_server.add_client("ci-bot", secret="s3cret")
        answer = exchange(scope=None).json()
        assert "scope" not in answer
        assert "scope" not in claims_of(auth_server, answer["access_token"])[1]


class TestRequest:
    @pytest.mark.parametrize(
        ("wrong", "error", "fault"),
        [
            ({"requested_token_type": None}, "invalid_request", "requested_token_type"),
            (
                {"requested_token_type": "urn:ietf:params:oauth:token-type:access_token"},
                "invalid_request",
                "requested_token_type",
            ),
            ({"subject_token": None}, "invalid_request", "subject_token"),
            ({"subject_token_type": None}, "invalid_request", "subject_token_type"),
            (
                {"subject_token_type": "urn:ietf:params:oauth:token-type:access_token"},
                "invalid_request",
                "subject_token_type",
            ),
            ({"audience": None}, "invalid_request", "audience"),
            ({"resource": None}, "invalid_request", "resource"),
            ({"resource": "mcp"}, "invalid_target", "resource"),
            ({"scope": "admin"}, "invalid_scope", "scopes"),
            ({"actor_token": "x"}, "invalid_request", "actor_token"),
            ({"actor_token_type": "x"}, "invalid_request", "actor_token"),
            ({"subject_token": "abc"}, "invalid_grant", "JWT"),
        ],
    )
    def test_a_wrong_parameter_is_refused(self, exchange, wrong, error, fault):
        assert fault in refused(exchange(**wrong), error)

    def test_the_authorization_servers_may_be_listed(self, auth_server, exchange):
        auth_server.id_jag_audiences = {THERE}
        assert exchange().status_code == 200
        refused(exchange(audience="https://elsewhere.example"), "invalid_target")

    def test_the_client_authenticates(self, auth_server, exchange):
        refused(exchange(auth=("ci-bot", "wrong")), "invalid_client", 401)
        auth_server.add_client("public")
        refused(exchange(auth=None, client_id="public"), "invalid_client", 401)

    def test_a_client_that_may_not_use_the_grant_is_refused(self, auth_server, exchange):
        auth_server.add_client("ci-bot", secret="s3cret", grants=("client_credentials",))
        refused(exchange(), "unauthorized_client")


class TestSubjectTokens:
    def test_one_for_another_client_is_refused(self, auth_server, exchange):
        theirs = auth_server.issue_id_token("alice", "other")
        assert "aud" in refused(exchange(subject_token=theirs), "invalid_grant")

    def test_one_that_has_ended_is_refused(self, auth_server, exchange):
        old = auth_server.issue_id_token("alice", "ci-bot", lifetime_s=-1)
        assert "expired" in refused(exchange(subject_token=old), "invalid_grant")

    def test_its_end_is_by_the_servers_clock(self, auth_server, exchange):
        auth_server.trouble = Trouble(clock_offset_s=300)
        assert "expired" in refused(exchange(), "invalid_grant")

    def test_one_of_another_identity_provider_is_refused(self, exchange):
        theirs = AuthorizationServer().issue_id_token("alice", "ci-bot")
        refused(exchange(subject_token=theirs), "invalid_grant")

    def test_a_forged_one_is_refused(self, auth_server, id_token, exchange):
        header, claims = claims_of(auth_server, id_token)
        forged = jwt.encode(header, claims, ECKey.generate_key("P-256"), algorithms=["ES256"])
        refused(exchange(subject_token=forged), "invalid_grant")

    def test_one_that_names_another_issuer_is_refused(self, auth_server, id_token, exchange):
        claims = claims_of(auth_server, id_token)[1]
        misfit = auth_server.books.mint.sign({**claims, "iss": "https://other.example"}, typ="JWT")
        assert "not an ID token" in refused(exchange(subject_token=misfit), "invalid_grant")

    def test_an_access_token_is_no_id_token(self, auth_server, exchange):
        token = auth_server.issue_token("ci-bot", audience="ci-bot")
        assert "not an ID token" in refused(exchange(subject_token=token), "invalid_grant")

    def test_a_grant_is_no_id_token(self, exchange):
        grant = exchange(audience="ci-bot").json()["access_token"]
        assert "not an ID token" in refused(exchange(subject_token=grant), "invalid_grant")

    def test_a_saml_assertion_will_do_if_it_is_known(self, auth_server, exchange):
        auth_server.add_saml_assertion("PHNhbWw-", "bob")
        grant = exchange(subject_token="PHNhbWw-", subject_token_type=SAML2).json()["access_token"]
        assert claims_of(auth_server, grant)[1]["sub"] == "bob"
        refused(exchange(subject_token="unknown", subject_token_type=SAML2), "invalid_grant")
        refused(exchange(subject_token="PHNhbWw-"), "invalid_grant")


def test_what_it_gives_is_taken_where_it_is_trusted(auth_server, exchange, ask):
    with AuthorizationServer(resources=("urn:mcp",)) as there:
        there.add_client("bot-42", secret="s3cret", scopes=("mcp:read",))
        there.add_trusted_issuer(auth_server.issuer, auth_server.jwks)
        auth_server.map_client("ci-bot", there.issuer, "bot-42")
        grant = exchange(audience=there.issuer, resource="urn:mcp").json()["access_token"]
        form = {"grant_type": JWT_BEARER, "assertion": grant}
        token = ask(there, auth=("bot-42", "s3cret"), **form).json()["access_token"]
        assert there.verify(token, audience="urn:mcp").subject == "alice"
        refused(ask(there, auth=None, **form), "invalid_client", 401)
