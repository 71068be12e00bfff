"""Assertions of somebody trusted as grants: of a workload's platform, and of an enterprise's identity provider."""

from __future__ import annotations

import secrets
import time

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey
from testing.answers import refused

JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
PLATFORM = "https://platform.example"
WORKLOAD = "spiffe://platform.example/build"


@pytest.fixture(scope="module")
def platform_key():
    return ECKey.generate_key("P-256")


@pytest.fixture
def auth_server(auth_server, platform_key):
    auth_server.add_trusted_issuer(PLATFORM, platform_key)
    return auth_server


@pytest.fixture
def vouch(auth_server, platform_key):
    """An assertion of the platform's, right in everything but what is asked for; None leaves something out."""

    def vouch(*, key=platform_key, typ="JWT", **claims):
        now = int(time.time())
        right = {"iss": PLATFORM, "sub": WORKLOAD, "aud": auth_server.issuer, "exp": now + 60}
        claims = {name: value for name, value in {**right, **claims}.items() if value is not None}
        header = {"alg": "ES256", **({} if typ is None else {"typ": typ})}
        return jwt.encode(header, claims, key, algorithms=["ES256"])

    return vouch


@pytest.fixture
def present(ask):
    """Presents an assertion as a grant, without client authentication unless asked for."""

    def present(assertion, *, auth=None, **form):
        return ask(auth=auth, grant_type=JWT_BEARER, assertion=assertion, **form)

    return present


def test_a_server_that_trusts_nobody_does_not_know_the_grant(auth_server, present, vouch, metadata):
    auth_server.books.trusted_issuers.clear()
    refused(present(vouch(), auth=("ci-bot", "s3cret")), "unsupported_grant_type")
    assert JWT_BEARER not in metadata()["grant_types_supported"]


def test_the_metadata_lists_it(metadata):
    assert JWT_BEARER in metadata()["grant_types_supported"]
    assert metadata()["authorization_grant_profiles_supported"] == ["urn:ietf:params:oauth:grant-profile:id-jag"]


def test_one_must_be_there(present):
    assert "assertion" in refused(present(None), "invalid_request")


class TestWorkloads:
    def test_a_workload_is_the_client_that_its_platform_says_it_is(self, auth_server, present, vouch, resource):
        answer = present(vouch(), resource=resource, scope="any thing").json()
        issued = auth_server.verify(answer["access_token"], audience=resource)
        assert (issued.client_id, issued.subject) == (WORKLOAD, WORKLOAD)
        assert issued.scopes == ("any", "thing")

    def test_one_that_is_on_the_books_has_what_the_books_say(self, auth_server, present, vouch):
        auth_server.add_client(WORKLOAD, scopes=("mcp:read",))
        assert present(vouch()).json()["scope"] == "mcp:read"
        refused(present(vouch(), scope="mcp:write"), "invalid_scope")
        auth_server.add_client(WORKLOAD, grants=())
        refused(present(vouch()), "unauthorized_client")

    def test_one_without_a_client_gets_no_refresh_token(self, auth_server, present, vouch):
        auth_server.refresh_tokens = "issued"
        assert "refresh_token" not in present(vouch()).json()
        assert "refresh_token" in present(vouch(), auth=("ci-bot", "s3cret")).json()

    def test_one_that_authenticates_is_that_client(self, auth_server, present, vouch, resource):
        answer = present(vouch(), auth=("ci-bot", "s3cret"), resource=resource).json()
        issued = auth_server.verify(answer["access_token"], audience=resource)
        assert (issued.client_id, issued.subject) == ("ci-bot", WORKLOAD)

    def test_client_authentication_that_fails_is_not_forgiven(self, present, vouch):
        refused(present(vouch(), auth=("ci-bot", "wrong")), "invalid_client", 401)
        refused(present(vouch(), client_id="ci-bot"), "invalid_client", 401)

    def test_it_may_be_required(self, auth_server, present, vouch):
        auth_server.anonymous_jwt_bearer = False
        refused(present(vouch()), "invalid_client", 401)
        assert present(vouch(), auth=("ci-bot", "s3cret")).status_code == 200

    @pytest.mark.parametrize("grant_type", ["client_credentials", "password"])
    def test_no_other_grant_does_without_a_client(self, ask, grant_type):
        refused(ask(auth=None, grant_type=grant_type), "invalid_client", 401)

    def test_a_client_that_may_not_use_the_grant_is_refused(self, auth_server, present, vouch):
        auth_server.add_client("ci-bot", secret="s3cret", grants=("client_credentials",))
        refused(present(vouch(), auth=("ci-bot", "s3cret")), "unauthorized_client")

    @pytest.mark.parametrize("typ", [None, "JWT", "jwt", "authorization-grant+jwt"])
    def test_the_typ_may_be_either(self, present, vouch, typ):
        assert present(vouch(typ=typ)).status_code == 200

    @pytest.mark.parametrize("typ", ["at+jwt", "client-authentication+jwt", "dpop+jwt"])
    def test_another_typ_is_refused(self, present, vouch, typ):
        assert "typ" in refused(present(vouch(typ=typ)), "invalid_grant")

    def test_the_audience_may_be_a_list(self, auth_server, present, vouch):
        assert present(vouch(aud=["x", auth_server.issuer])).status_code == 200

    @pytest.mark.parametrize(
        ("claims", "fault"),
        [
            ({"iss": "https://other.example"}, "iss"),
            ({"iss": None}, "iss"),
            ({"iss": ["https://platform.example"]}, "iss"),
            ({"sub": None}, "sub"),
            ({"sub": 7}, "sub"),
            ({"aud": None}, "aud"),
            ({"aud": "https://other.example"}, "aud"),
            ({"aud": ["https://other.example"]}, "aud"),
            ({"exp": None}, "exp"),
            ({"exp": int(time.time()) - 1}, "expired"),
            ({"nbf": int(time.time()) + 86_400}, "nbf"),
            ({"iat": int(time.time()) + 86_400}, "iat"),
        ],
    )
    def test_a_wrong_claim_is_refused(self, present, vouch, claims, fault):
        assert fault in refused(present(vouch(**claims)), "invalid_grant")

    def test_the_token_endpoint_is_no_audience(self, auth_server, present, vouch):
        refused(present(vouch(aud=auth_server.token_endpoint)), "invalid_grant")

    def test_another_key_is_refused(self, present, vouch):
        refused(present(vouch(key=ECKey.generate_key("P-256"))), "invalid_grant")

    def test_an_algorithm_that_is_not_allowed_is_refused(self, auth_server, present, vouch):
        auth_server.algorithms = ("RS256",)
        refused(present(vouch()), "invalid_grant")

    @pytest.mark.parametrize("garbage", ["abc", "a.b.c"])
    def test_what_is_not_a_jwt_is_refused(self, present, garbage):
        refused(present(garbage), "invalid_grant")

    def test_the_platform_may_have_several_keys(self, auth_server, present, vouch, platform_key):
        keys = [ECKey.generate_key("P-256"), platform_key]
        for given in (keys, {"keys": [key.as_dict(private=False) for key in keys]}, platform_key.as_pem(private=False)):
            auth_server.add_trusted_issuer(PLATFORM, given)
            assert present(vouch()).status_code == 200


class TestReplay:
    def test_one_is_good_again_and_again(self, present, vouch):
        assertion = vouch(jti="one")
        assert [present(assertion).status_code for _ in range(2)] == [200, 200]

    def test_or_only_once(self, auth_server, present, vouch):
        auth_server.assertion_replay = False
        assert present(vouch(jti="one")).status_code == 200
        assert "used before" in refused(present(vouch(jti="one")), "invalid_grant")
        assert present(vouch(jti="two")).status_code == 200

    @pytest.mark.parametrize("jti", [None, "", 7])
    def test_then_it_needs_a_name(self, auth_server, present, vouch, jti):
        auth_server.assertion_replay = False
        assert "jti" in refused(present(vouch(jti=jti)), "invalid_grant")

    def test_a_failed_one_is_not_used_up(self, auth_server, present, vouch):
        auth_server.assertion_replay = False
        refused(present(vouch(jti="one"), resource="urn:unknown"), "invalid_target")
        assert present(vouch(jti="one")).status_code == 200


class TestIdJag:
    """An identity assertion grant: SEP-990."""

    @pytest.fixture
    def id_jag(self, vouch, resource):
        def id_jag(**claims):
            right = {
                "typ": "oauth-id-jag+jwt",
                "sub": "alice",
                "client_id": "ci-bot",
                "resource": resource,
                "scope": "mcp:read",
                "jti": secrets.token_urlsafe(12),
                "iat": int(time.time()),
            }
            return vouch(**{**right, **claims})

        return id_jag

    @pytest.fixture
    def present(self, present):
        def as_ci_bot(assertion, *, auth=("ci-bot", "s3cret"), **form):
            return present(assertion, auth=auth, **form)

        return as_ci_bot

    def test_it_decides_person_audience_and_scope(self, auth_server, present, id_jag, resource):
        answer = present(id_jag()).json()
        issued = auth_server.verify(answer["access_token"], audience=resource)
        assert (issued.client_id, issued.subject, issued.scopes) == ("ci-bot", "alice", ("mcp:read",))
        assert issued.audience == (resource,)

    def test_without_a_scope_of_its_own_the_request_names_one_or_gets_the_default(self, present, id_jag):
        assert present(id_jag(scope=None), scope="mcp:write").json()["scope"] == "mcp:write"
        assert present(id_jag(scope=None)).json()["scope"] == "mcp:read mcp:write"

    def test_it_may_be_for_several_resources_and_be_narrowed(self, auth_server, present, id_jag, resource):
        auth_server.add_resource("urn:other")
        token = present(id_jag(resource=[resource, "urn:other"]), resource="urn:other").json()["access_token"]
        assert auth_server.verify(token, audience="urn:other").audience == ("urn:other",)
        refused(present(id_jag(), resource="urn:other"), "invalid_target")

    @pytest.mark.parametrize("scope", ["mcp:write", "mcp:read mcp:write"])
    def test_more_than_it_allows_is_refused(self, present, id_jag, scope):
        refused(present(id_jag(), scope=scope), "invalid_scope")

    def test_a_resource_that_is_not_known_is_refused(self, present, id_jag):
        refused(present(id_jag(resource="urn:unknown")), "invalid_target")

    def test_a_scope_that_the_client_may_not_have_is_refused(self, present, id_jag):
        refused(present(id_jag(scope="admin")), "invalid_scope")

    @pytest.mark.parametrize(
        ("claims", "fault"),
        [
            ({"client_id": "other"}, "client_id"),
            ({"client_id": None}, "client_id"),
            ({"resource": None}, "resource"),
            ({"resource": 7}, "resource"),
            ({"scope": ["mcp:read"]}, "scope"),
            ({"jti": None}, "jti"),
            ({"iat": None}, "iat"),
            ({"sub": None}, "sub"),
            ({"aud": "https://other.example"}, "aud"),
            ({"iss": "https://other.example"}, "iss"),
            ({"exp": int(time.time()) - 1}, "expired"),
        ],
    )
    def test_a_wrong_claim_is_refused(self, present, id_jag, claims, fault):
        assert fault in refused(present(id_jag(**claims)), "invalid_grant")

    def test_its_client_authenticates(self, auth_server, present, id_jag):
        refused(present(id_jag(), auth=None), "invalid_client", 401)
        auth_server.add_client("public")
        refused(present(id_jag(client_id="public"), auth=None, client_id="public"), "invalid_client", 401)
