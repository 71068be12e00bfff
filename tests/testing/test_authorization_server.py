"""The authorization server: where it describes itself, what its token endpoint takes, and what it gives."""

from __future__ import annotations

import time

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet
from testing.answers import refused

from gatepass.testing import AuthorizationServer, Client

OAUTH = "/.well-known/oauth-authorization-server"
OIDC = "/.well-known/openid-configuration"


def claims_of(http, server, token):
    keys = KeySet.import_key_set(http.get(server.jwks_uri).json())
    decoded = jwt.decode(token, keys, algorithms=["ES256"])
    return decoded.header, decoded.claims


class TestMetadata:
    PLACES = (OAUTH, OIDC, f"{OAUTH}/tenant1", f"{OIDC}/tenant1", f"/tenant1{OAUTH}", f"/tenant1{OIDC}")

    @pytest.mark.parametrize(
        ("path", "form", "served"),
        [
            ("", "oauth", {OAUTH}),
            ("", "oidc", {OIDC}),
            ("", "oidc_inserted", {OIDC}),
            ("", "both", {OAUTH, OIDC}),
            ("", "none", set()),
            ("/", "both", {OAUTH, OIDC}),
            ("/tenant1", "oauth", {f"{OAUTH}/tenant1"}),
            ("/tenant1", "oidc", {f"/tenant1{OIDC}"}),
            ("/tenant1", "oidc_inserted", {f"{OIDC}/tenant1"}),
            ("/tenant1", "both", {f"{OAUTH}/tenant1", f"/tenant1{OIDC}"}),
        ],
    )
    def test_it_stands_in_the_places_of_its_form_and_nowhere_else(self, http, path, form, served):
        with AuthorizationServer(path=path, metadata=form) as server:
            answers = {place: http.get(server.origin + place) for place in self.PLACES}
            assert {place for place, answer in answers.items() if answer.status_code == 200} == served
            assert all(answer.status_code == 404 for place, answer in answers.items() if place not in served)
            assert all(answers[place].json()["issuer"] == server.origin + path for place in served)
            assert server.count("metadata") == len(self.PLACES)

    def test_it_names_endpoints_under_the_issuers_path(self, http):
        with AuthorizationServer(path="/tenant1") as server:
            document = http.get(f"{server.origin}{OAUTH}/tenant1").json()
        assert document["token_endpoint"] == server.token_endpoint == f"{server.origin}/tenant1/token"
        assert document["jwks_uri"] == server.jwks_uri == f"{server.origin}/tenant1/jwks"

    def test_a_server_for_machines_has_no_authorization_endpoint(self, http, auth_server):
        assert "authorization_endpoint" not in http.get(auth_server.origin + OAUTH).json()

    def test_it_names_an_authorization_endpoint_when_asked_for(self, http, auth_server):
        auth_server.authorization_endpoint = True
        document = http.get(auth_server.origin + OAUTH).json()
        assert document["authorization_endpoint"] == f"{auth_server.origin}/authorize"
        assert document["code_challenge_methods_supported"] == ["S256"]

    def test_it_says_what_is_offered(self, http, auth_server):
        auth_server.methods = ("private_key_jwt",)
        auth_server.algorithms = ("ES256",)
        auth_server.scopes = ("mcp:read",)
        document = http.get(auth_server.origin + OAUTH).json()
        assert document["token_endpoint_auth_methods_supported"] == ["private_key_jwt"]
        assert document["token_endpoint_auth_signing_alg_values_supported"] == ["ES256"]
        assert document["scopes_supported"] == ["mcp:read"]
        assert document["grant_types_supported"] == ["client_credentials"]

    def test_it_may_keep_what_is_offered_to_itself(self, http, auth_server):
        auth_server.methods = None
        document = http.get(auth_server.origin + OAUTH).json()
        assert not any("auth" in name or "scopes" in name for name in document)

    def test_no_algorithms_are_named_where_no_client_signs(self, http, auth_server):
        auth_server.methods = ("client_secret_basic",)
        assert "token_endpoint_auth_signing_alg_values_supported" not in http.get(auth_server.origin + OAUTH).json()

    def test_the_oidc_form_has_what_oidc_requires(self, http):
        with AuthorizationServer(metadata="oidc") as server:
            document = http.get(server.origin + OIDC).json()
        assert {"subject_types_supported", "id_token_signing_alg_values_supported"} <= document.keys()


class TestTokenEndpoint:
    def test_a_token_is_given(self, ask):
        response = ask()
        assert response.status_code == 200
        assert response.headers["content-type"] == "application/json"
        assert response.headers["cache-control"] == "no-store"
        assert response.json().keys() == {"access_token", "token_type", "expires_in", "scope"}
        assert response.json()["token_type"] == "Bearer"

    def test_only_post_is_allowed(self, http, auth_server):
        assert http.get(auth_server.token_endpoint).status_code == 405

    def test_another_path_is_not_found(self, http, auth_server):
        assert http.post(auth_server.origin + "/oauth/token").status_code == 404

    def test_json_is_no_form(self, http, auth_server):
        response = http.post(auth_server.token_endpoint, json={"grant_type": "client_credentials"})
        assert "form" in refused(response, "invalid_request")

    @pytest.mark.parametrize("body", [b"grant_type", "grant_type=ü".encode(), b"grant_type=%ff"])
    def test_a_malformed_form_is_refused(self, http, auth_server, body):
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        refused(http.post(auth_server.token_endpoint, content=body, headers=headers), "invalid_request")

    def test_parameters_in_the_query_are_refused(self, http, auth_server):
        url = auth_server.token_endpoint + "?client_id=ci-bot&client_secret=s3cret"
        assert "query" in refused(http.post(url, data={"grant_type": "client_credentials"}), "invalid_request")

    @pytest.mark.parametrize("name", ["grant_type", "scope", "client_id"])
    def test_a_repeated_parameter_is_refused(self, ask, name):
        assert name in refused(ask(**{name: ["a", "b"]}), "invalid_request")

    def test_a_parameter_without_a_value_counts_as_left_out(self, ask):
        assert ask(scope="", client_secret="").status_code == 200

    def test_a_missing_grant_type_is_an_invalid_request(self, ask):
        assert "grant_type" in refused(ask(grant_type=None, scope="mcp:read"), "invalid_request")

    def test_another_grant_type_is_unsupported(self, ask):
        refused(ask(grant_type="password"), "unsupported_grant_type")

    def test_clients_on_their_own_may_be_unwanted(self, http, auth_server, ask, metadata):
        assert metadata()["grant_types_supported"] == ["client_credentials"]
        auth_server.client_credentials = False
        assert metadata()["grant_types_supported"] == []
        refused(ask(), "unsupported_grant_type")

    def test_a_client_may_use_its_own_grants_only(self, auth_server, ask):
        auth_server.add_client("ci-bot", secret="s3cret", grants=("refresh_token",))
        refused(ask(), "unauthorized_client")

    def test_the_client_is_checked_before_the_grant(self, ask):
        refused(ask(auth=("ci-bot", "wrong"), grant_type="password"), "invalid_client", 401)


class TestScopes:
    def test_the_scopes_asked_for_are_granted(self, ask):
        assert ask(scope="mcp:read").json()["scope"] == "mcp:read"

    def test_all_of_the_clients_are_granted_when_none_is_asked_for(self, ask):
        assert ask().json()["scope"] == "mcp:read mcp:write"

    def test_the_default_may_be_smaller(self, auth_server, ask):
        auth_server.add_client("ci-bot", secret="s3cret", scopes=("a", "b"), default_scopes=("a",))
        assert ask().json()["scope"] == "a"
        assert ask(scope="b").json()["scope"] == "b"

    @pytest.mark.parametrize("scope", ["admin", "mcp:read admin"])
    def test_one_that_the_client_may_not_have_is_refused(self, ask, scope):
        refused(ask(scope=scope), "invalid_scope")

    def test_one_that_the_server_does_not_know_is_refused(self, auth_server, ask):
        auth_server.add_client("ci-bot", secret="s3cret")
        auth_server.scopes = ("mcp:read",)
        assert ask(scope="mcp:read").status_code == 200
        refused(ask(scope="mcp:write"), "invalid_scope")

    def test_any_is_granted_where_neither_has_a_list(self, auth_server, ask):
        auth_server.add_client("ci-bot", secret="s3cret")
        assert ask(scope="what ever").json()["scope"] == "what ever"
        assert "scope" not in ask().json()

    @pytest.mark.parametrize("scope", [" mcp:read", "mcp:read  mcp:write", 'a"b', "a\\b", "ä", "a\tb"])
    def test_a_malformed_one_is_refused(self, auth_server, ask, scope):
        auth_server.add_client("ci-bot", secret="s3cret")
        refused(ask(scope=scope), "invalid_scope")

    def test_the_response_may_be_silent_when_the_request_was_granted_as_it_was(self, auth_server, ask):
        auth_server.scope_in_response = "if_different"
        assert "scope" not in ask(scope="mcp:read").json()
        assert ask().json()["scope"] == "mcp:read mcp:write"


class TestResources:
    def test_the_token_is_for_the_resource_that_was_named(self, http, auth_server, ask, resource):
        token = ask(resource=resource).json()["access_token"]
        assert claims_of(http, auth_server, token)[1]["aud"] == resource

    def test_it_may_be_for_several(self, http, auth_server, ask, resource):
        auth_server.add_resource("urn:other")
        token = ask(resource=[resource, "urn:other"]).json()["access_token"]
        assert claims_of(http, auth_server, token)[1]["aud"] == [resource, "urn:other"]

    @pytest.mark.parametrize("unknown", ["https://mcp.example.com/", "https://mcp.example.com/mcp/", "urn:x"])
    def test_an_unknown_one_is_refused(self, ask, unknown):
        refused(ask(resource=unknown), "invalid_target")

    @pytest.mark.parametrize("malformed", ["mcp.example.com", "/mcp", "https://x/#a", "https://x#", "x: y", "urn:"])
    def test_a_malformed_one_is_refused_even_where_any_is_known(self, auth_server, ask, malformed):
        auth_server.resources = None
        auth_server.add_resource("urn:one-more")
        assert ask(resource="https://any.example").status_code == 200
        refused(ask(resource=malformed), "invalid_target")

    def test_a_client_may_use_its_own_only(self, auth_server, ask, resource):
        auth_server.add_client("ci-bot", secret="s3cret", resources=("urn:mine",))
        assert ask(resource="urn:mine").status_code == 200
        refused(ask(resource=resource), "invalid_target")

    def test_one_may_be_required(self, auth_server, ask, resource):
        auth_server.resource = "required"
        refused(ask(), "invalid_target")
        assert ask(resource=resource).status_code == 200

    def test_one_may_be_refused(self, auth_server, ask, resource):
        auth_server.resource = "refused"
        refused(ask(resource=resource), "invalid_request")
        assert ask().status_code == 200

    def test_one_may_be_ignored(self, http, auth_server, ask, resource):
        auth_server.resource = "ignored"
        token = ask(resource=resource).json()["access_token"]
        assert claims_of(http, auth_server, token)[1]["aud"] == auth_server.issuer

    def test_it_may_be_looked_for_in_another_parameter(self, http, auth_server, ask, resource):
        auth_server.resource = "audience"
        for form, audience in (({"audience": resource}, resource), ({"resource": resource}, auth_server.issuer)):
            token = ask(**form).json()["access_token"]
            assert claims_of(http, auth_server, token)[1]["aud"] == audience
        refused(ask(audience="urn:unknown"), "invalid_target")

    def test_without_one_the_token_is_for_the_default(self, http, auth_server, ask, resource):
        assert claims_of(http, auth_server, ask().json()["access_token"])[1]["aud"] == auth_server.issuer
        auth_server.default_resource = resource
        assert claims_of(http, auth_server, ask().json()["access_token"])[1]["aud"] == resource


class TestTokens:
    def test_a_jwt_says_what_rfc_9068_wants(self, http, auth_server, ask, resource):
        before = time.time()
        header, claims = claims_of(http, auth_server, ask(resource=resource, scope="mcp:read").json()["access_token"])
        assert (header["typ"], header["alg"]) == ("at+jwt", "ES256")
        assert claims.keys() == {"iss", "exp", "aud", "sub", "client_id", "iat", "jti", "scope"}
        assert claims["iss"] == auth_server.issuer
        assert claims["sub"] == claims["client_id"] == "ci-bot"
        assert claims["scope"] == "mcp:read"
        assert isinstance(claims["exp"], int)
        assert int(before) <= claims["iat"] <= claims["exp"] - 300 <= time.time() + 1

    def test_each_token_is_another(self, ask):
        assert ask().json()["access_token"] != ask().json()["access_token"]

    def test_an_opaque_token_says_nothing(self, auth_server, ask, resource):
        auth_server.token_format = "opaque"
        token = ask(resource=resource).json()["access_token"]
        assert "." not in token
        assert auth_server.verify(token, audience=resource).client_id == "ci-bot"

    @pytest.mark.parametrize("token_format", ["jwt", "opaque"])
    class TestVerification:
        @pytest.fixture(autouse=True)
        def _format(self, auth_server, token_format):
            auth_server.token_format = token_format

        def test_a_token_stands_for_what_was_granted(self, auth_server, ask, resource):
            token = ask(resource=resource, scope="mcp:read").json()["access_token"]
            issued = auth_server.verify(token, audience=resource)
            assert (issued.client_id, issued.scopes, issued.audience) == ("ci-bot", ("mcp:read",), (resource,))
            assert token not in repr(issued)

        def test_it_ends_to_the_millisecond(self, auth_server, resource):
            before = time.time()
            token = auth_server.issue_token("ci-bot", audience=resource, lifetime_s=2.5)
            end = auth_server.verify(token, audience=resource).expires_at
            assert before + 2.499 <= end <= time.time() + 2.501
            assert auth_server.verify(token, audience=resource, now=end - 0.001) is not None
            assert auth_server.verify(token, audience=resource, now=end) is None

        def test_it_is_for_its_audience_only(self, auth_server, resource):
            token = auth_server.issue_token("ci-bot", audience=resource)
            assert auth_server.verify(token, audience="urn:other") is None

        def test_a_revoked_one_is_no_good(self, auth_server, resource):
            one, two = (auth_server.issue_token("ci-bot", audience=resource) for _ in range(2))
            auth_server.revoke(one)
            assert auth_server.verify(one, audience=resource) is None
            assert auth_server.verify(two, audience=resource) is not None

        def test_all_may_be_revoked_at_once(self, auth_server, resource):
            tokens = [auth_server.issue_token("ci-bot", audience=resource) for _ in range(2)]
            auth_server.revoke_all()
            assert not any(auth_server.verify(token, audience=resource) for token in tokens)
            assert auth_server.verify(auth_server.issue_token("ci-bot", audience=resource), audience=resource)

        def test_one_of_another_server_is_no_good(self, auth_server, resource, token_format):
            other = AuthorizationServer(token_format=token_format)
            assert auth_server.verify(other.issue_token("ci-bot", audience=resource), audience=resource) is None

        @pytest.mark.parametrize("garbage", ["", "abc", "a.b.c"])
        def test_garbage_is_no_good(self, auth_server, resource, garbage):
            assert auth_server.verify(garbage, audience=resource) is None

    @pytest.mark.parametrize("wrong", ["typ", "iss"])
    def test_what_we_signed_for_something_else_is_no_good(self, http, auth_server, resource, wrong):
        header, claims = claims_of(http, auth_server, auth_server.issue_token("ci-bot", audience=resource))
        mint = auth_server._mint
        misfit = jwt.encode(
            {**header, "typ": "JWT"} if wrong == "typ" else header,
            {**claims, "iss": "https://other.example"} if wrong == "iss" else claims,
            mint._key,
            algorithms=["ES256"],
        )
        assert auth_server.verify(misfit, audience=resource) is None

    def test_a_signature_of_somebody_else_is_no_good(self, http, auth_server, resource):
        header, claims = claims_of(http, auth_server, auth_server.issue_token("ci-bot", audience=resource))
        forged = jwt.encode(header, claims, ECKey.generate_key("P-256"), algorithms=["ES256"])
        assert auth_server.verify(forged, audience=resource) is None

    @pytest.mark.parametrize(
        ("said", "lifetime_s", "expires_in"),
        [
            ("integer", 2.5, 2),
            ("integer", 0.5, 0),
            ("number", 2.5, 2.5),
            ("string", 300.0, "300"),
        ],
    )
    def test_the_response_says_how_long_it_lives(self, auth_server, ask, said, lifetime_s, expires_in):
        auth_server.expires_in = said
        auth_server.token_lifetime_s = lifetime_s
        answer = ask().json()["expires_in"]
        assert answer == expires_in
        assert type(answer) is type(expires_in)

    def test_or_does_not_say_it(self, auth_server, ask):
        auth_server.expires_in = "missing"
        assert "expires_in" not in ask().json()


class TestClients:
    def test_a_registration_shows_no_secret(self, auth_server):
        client = auth_server.add_client("ci-bot", secret="s3cret")
        assert isinstance(client, Client)
        assert "s3cret" not in repr(client)

    @pytest.mark.parametrize(
        ("given", "methods"),
        [
            ({"secret": "s"}, ("client_secret_basic", "client_secret_post")),
            ({"public_key": ECKey.generate_key("P-256")}, ("private_key_jwt",)),
            (
                {"secret": "s", "public_key": ECKey.generate_key("P-256")},
                ("client_secret_basic", "client_secret_post", "private_key_jwt"),
            ),
            ({}, ("none",)),
        ],
    )
    def test_it_may_authenticate_with_what_it_has(self, auth_server, given, methods):
        assert auth_server.add_client("ci-bot", **given).methods == methods
