"""The authorization endpoint, and what its codes are good for: RFC 6749 §4.1, 7636, 8252, 9207, 9449 §10."""

from __future__ import annotations

import base64
import hashlib
from urllib.parse import parse_qsl, urlsplit

import pytest
from testing.answers import refused

from gatepass.testing import Trouble

REDIRECT_URI = "https://app.example/callback"
VERIFIER = "a-verifier-of-the-forty-three-characters-it-takes"
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()


@pytest.fixture
def auth_server(auth_server):
    auth_server.authorization_endpoint = True
    auth_server.add_client("app", redirect_uris=(REDIRECT_URI,), scopes=("mcp:read", "mcp:write"))
    return auth_server


@pytest.fixture
def visit(http, auth_server, resource):
    """Goes to the authorization endpoint as app; a parameter that is None is left out."""

    def visit(server=auth_server, **wrong):
        right = {
            "client_id": "app",
            "redirect_uri": REDIRECT_URI,
            "response_type": "code",
            "state": "a state",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
            "resource": resource,
        }
        params = {name: value for name, value in {**right, **wrong}.items() if value is not None}
        return http.get(server.endpoint("authorize"), params=params)

    return visit


def answer_of(response):
    assert response.status_code == 302
    assert response.headers["cache-control"] == "no-store"
    return dict(parse_qsl(urlsplit(response.headers["location"]).query, strict_parsing=True))


@pytest.fixture
def code(visit):
    def code(**wrong):
        return answer_of(visit(**wrong))["code"]

    return code


@pytest.fixture
def redeem(ask):
    """Redeems a code as app."""

    def redeem(code, /, **wrong):
        right = {
            "auth": None,
            "client_id": "app",
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": REDIRECT_URI,
            "code_verifier": VERIFIER,
        }
        return ask(**{**right, **wrong})

    return redeem


class TestEndpoint:
    def test_there_is_none_by_default(self, auth_server, visit, redeem):
        auth_server.authorization_endpoint = False
        assert visit().status_code == 404
        refused(redeem("x"), "unsupported_grant_type")

    def test_a_person_comes_back_with_a_code(self, auth_server, visit):
        response = visit()
        assert response.headers["location"].startswith(f"{REDIRECT_URI}?")
        answer = answer_of(response)
        assert answer.keys() == {"code", "state", "iss"}
        assert (answer["state"], answer["iss"]) == ("a state", auth_server.issuer)

    def test_what_the_address_had_in_its_query_stays_as_it_was(self, auth_server, visit):
        uri = f"{REDIRECT_URI}?a=%20b"
        auth_server.add_client("app", redirect_uris=(uri,))
        assert visit(redirect_uri=uri).headers["location"].startswith(f"{uri}&code=")

    def test_it_is_counted_and_remembered(self, auth_server, visit, resource):
        visit(scope="mcp:read")
        assert auth_server.count("authorize") == 1
        (record,) = auth_server.requests
        assert (record.client_id, record.scope, record.resource) == ("app", "mcp:read", resource)
        assert record.redirect_uri == REDIRECT_URI
        assert {"state", "code_challenge"} <= set(record.query)
        assert "a state" not in repr(record)

    def test_it_may_have_trouble(self, auth_server, visit):
        auth_server.trouble = Trouble(paths=("authorize",), status=503)
        assert visit().status_code == 503


class TestMetadata:
    def test_it_says_all_of_it(self, auth_server, metadata):
        document = metadata()
        assert document["authorization_endpoint"] == auth_server.endpoint("authorize")
        assert document["response_types_supported"] == ["code"]
        assert "authorization_code" in document["grant_types_supported"]
        assert document["authorization_response_iss_parameter_supported"] is True
        assert "none" in document["token_endpoint_auth_methods_supported"]

    @pytest.mark.parametrize("methods", [None, ("plain",), ("plain", "S256")])
    def test_what_it_says_of_pkce_is_a_setting(self, auth_server, metadata, methods):
        auth_server.pkce_methods = methods
        assert metadata().get("code_challenge_methods_supported") == (None if methods is None else list(methods))

    def test_it_may_keep_quiet_about_iss(self, auth_server, metadata):
        auth_server.advertise_iss = False
        assert "authorization_response_iss_parameter_supported" not in metadata()


class TestPages:
    """Where the redirect URI is not trusted, nobody is sent there (RFC 6749 §4.1.2.1)."""

    @pytest.mark.parametrize(
        ("wrong", "fault"),
        [
            ({"client_id": None}, "client_id"),
            ({"client_id": "unknown"}, "unknown"),
            ({"client_id": ["app", "app"]}, "repeated"),
            ({"redirect_uri": None}, "redirect_uri"),
            ({"redirect_uri": REDIRECT_URI + "/"}, "registered"),
            ({"redirect_uri": REDIRECT_URI + "?x=1"}, "registered"),
            ({"redirect_uri": "https://app.example:444/callback"}, "registered"),
            ({"redirect_uri": "https://APP.example/callback"}, "registered"),
            ({"redirect_uri": "https://attacker.example/callback"}, "registered"),
            ({"redirect_uri": "http://["}, "registered"),
            ({"state": ["a", "b"]}, "repeated"),
        ],
    )
    def test_an_error_is_shown_on_a_page(self, visit, wrong, fault):
        response = visit(**wrong)
        assert response.status_code == 400
        assert fault in response.text
        assert "location" not in response.headers

    def test_a_query_that_makes_no_sense_is_one(self, http, auth_server):
        assert http.get(auth_server.endpoint("authorize") + "?client_id").status_code == 400


class TestRedirectUris:
    @pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
    @pytest.mark.parametrize("port", ["", ":1", ":49152"])
    def test_on_loopback_any_port_will_do(self, auth_server, visit, host, port):
        auth_server.add_client("app", redirect_uris=(f"http://{host}/callback",))
        assert "code" in answer_of(visit(redirect_uri=f"http://{host}{port}/callback"))

    @pytest.mark.parametrize(
        "uri",
        [
            "http://127.0.0.1:1/other",
            "http://127.0.0.1:1/callback?x=1",
            "http://127.0.0.1:1/callback#x",
            "http://me@127.0.0.1:1/callback",
            "http://[::1]:1/callback",
            "http://localhost:1/callback",
            "https://127.0.0.1:1/callback",
            "http://127.0.0.1:0/callback",
            "http://127.0.0.1:99999/callback",
        ],
    )
    def test_but_nothing_else_may_differ(self, auth_server, visit, uri):
        auth_server.add_client("app", redirect_uris=("http://127.0.0.1:8000/callback",))
        assert visit(redirect_uri=uri).status_code == 400

    def test_elsewhere_the_port_counts(self, auth_server, visit):
        auth_server.add_client("app", redirect_uris=("http://app.example:1/callback",))
        assert visit(redirect_uri="http://app.example:2/callback").status_code == 400

    def test_a_client_without_any_is_sent_nowhere(self, auth_server, visit):
        auth_server.add_client("app")
        assert visit().status_code == 400


class TestErrors:
    @pytest.mark.parametrize(
        ("wrong", "error"),
        [
            ({"response_type": None}, "invalid_request"),
            ({"response_type": "token"}, "unsupported_response_type"),
            ({"response_mode": "fragment"}, "invalid_request"),
            ({"code_challenge": None}, "invalid_request"),
            ({"code_challenge": VERIFIER}, "invalid_request"),
            ({"code_challenge": CHALLENGE + "="}, "invalid_request"),
            ({"code_challenge_method": None}, "invalid_request"),
            ({"code_challenge_method": "plain"}, "invalid_request"),
            ({"scope": "admin"}, "invalid_scope"),
            ({"scope": " mcp:read"}, "invalid_scope"),
            ({"resource": "urn:unknown"}, "invalid_target"),
            ({"resource": "mcp"}, "invalid_target"),
        ],
    )
    def test_they_go_back_with_the_person(self, auth_server, visit, wrong, error):
        response = visit(**wrong)
        answer = answer_of(response)
        assert response.headers["location"].startswith(f"{REDIRECT_URI}?")
        assert (answer["error"], answer["state"], answer["iss"]) == (error, "a state", auth_server.issuer)
        assert "code" not in answer

    def test_a_state_is_needed(self, visit):
        answer = answer_of(visit(state=None))
        assert answer["error"] == "invalid_request"
        assert "state" not in answer

    def test_a_client_that_may_not_use_the_grant_hears_it(self, auth_server, visit):
        auth_server.add_client("app", redirect_uris=(REDIRECT_URI,), grants=("client_credentials",))
        assert answer_of(visit())["error"] == "unauthorized_client"

    def test_a_resource_may_be_required(self, auth_server, visit):
        auth_server.resource = "required"
        assert answer_of(visit(resource=None))["error"] == "invalid_target"

    def test_the_person_may_say_no(self, auth_server, visit):
        auth_server.consent = "no"
        answer = answer_of(visit())
        assert (answer["error"], answer["iss"]) == ("access_denied", auth_server.issuer)


class TestIssuer:
    @pytest.mark.parametrize("consent", ["yes", "no"])
    def test_it_may_be_another(self, auth_server, visit, consent):
        auth_server.iss_in_response, auth_server.consent = "wrong", consent
        assert answer_of(visit())["iss"] != auth_server.issuer

    @pytest.mark.parametrize("consent", ["yes", "no"])
    def test_it_may_be_missing(self, auth_server, visit, consent):
        auth_server.iss_in_response, auth_server.consent = "missing", consent
        assert "iss" not in answer_of(visit())


class TestCodes:
    def test_one_gives_a_token_in_the_name_of_the_person(self, auth_server, code, redeem, resource):
        answer = redeem(code(scope="mcp:read")).json()
        issued = auth_server.verify(answer["access_token"], audience=resource)
        assert (issued.client_id, issued.subject, issued.scopes) == ("app", "alice", ("mcp:read",))
        assert (answer["scope"], answer["token_type"]) == ("mcp:read", "Bearer")

    def test_the_person_is_a_setting(self, auth_server, code, redeem, resource):
        auth_server.person = "bob"
        token = redeem(code()).json()["access_token"]
        assert auth_server.verify(token, audience=resource).subject == "bob"

    def test_a_refresh_token_keeps_the_person(self, auth_server, code, redeem, ask, resource):
        auth_server.refresh_tokens = "rotating"
        token = redeem(code()).json()["refresh_token"]
        answer = ask(auth=None, client_id="app", grant_type="refresh_token", refresh_token=token).json()
        assert auth_server.verify(answer["access_token"], audience=resource).subject == "alice"

    def test_a_confidential_client_redeems_one_too(self, auth_server, code, redeem):
        auth_server.add_client("app", secret="s3cret", redirect_uris=(REDIRECT_URI,))
        assert redeem(code(), auth=("app", "s3cret")).status_code == 200

    @pytest.mark.parametrize(
        ("wrong", "fault"),
        [
            ({"code": "unknown"}, "unknown"),
            ({"redirect_uri": REDIRECT_URI + "/"}, "redirect_uri"),
            ({"code_verifier": VERIFIER + "x"}, "code_verifier"),
            ({"code_verifier": CHALLENGE}, "code_verifier"),
            ({"code_verifier": "short"}, "code_verifier"),
        ],
    )
    def test_what_does_not_fit_is_refused_and_spends_nothing(self, code, redeem, wrong, fault):
        given = code()
        assert fault in refused(redeem(given, **wrong), "invalid_grant")
        assert redeem(given).status_code == 200

    @pytest.mark.parametrize("name", ["code", "redirect_uri", "code_verifier"])
    def test_all_of_it_must_be_there(self, code, redeem, name):
        assert name in refused(redeem(code(), **{name: None}), "invalid_request")

    def test_a_short_verifier_is_refused_even_if_it_fits(self, code, redeem):
        challenge = base64.urlsafe_b64encode(hashlib.sha256(b"short").digest()).rstrip(b"=").decode()
        assert "code_verifier" in refused(
            redeem(code(code_challenge=challenge), code_verifier="short"), "invalid_grant"
        )

    def test_one_of_another_client_is_refused(self, auth_server, code, redeem):
        auth_server.add_client("other", redirect_uris=(REDIRECT_URI,))
        refused(redeem(code(), client_id="other"), "invalid_grant")

    def test_the_second_use_revokes_what_the_first_one_gave(self, auth_server, code, redeem, ask, resource):
        auth_server.refresh_tokens = "issued"
        given = code()
        first = redeem(given).json()
        assert "used before" in refused(redeem(given), "invalid_grant")
        assert not auth_server.verify(first["access_token"], audience=resource)
        refresh = {"grant_type": "refresh_token", "refresh_token": first["refresh_token"]}
        refused(ask(auth=None, client_id="app", **refresh), "invalid_grant")

    def test_one_does_not_live_long(self, auth_server, code, redeem):
        auth_server.code_lifetime_s = 30
        given = code()
        auth_server.trouble = Trouble(clock_offset_s=30)
        assert "expired" in refused(redeem(given), "invalid_grant")

    def test_the_token_is_for_the_resources_that_were_named(self, auth_server, code, redeem, resource):
        auth_server.add_resource("urn:other")
        token = redeem(code(resource=[resource, "urn:other"]), resource="urn:other").json()["access_token"]
        assert auth_server.verify(token, audience="urn:other")
        assert not auth_server.verify(token, audience=resource)

    def test_and_for_no_other(self, auth_server, code, redeem):
        auth_server.add_resource("urn:other")
        refused(redeem(code(), resource="urn:other"), "invalid_target")


class TestDpop:
    @pytest.fixture(autouse=True)
    def _dpop(self, auth_server):
        auth_server.dpop = "optional"

    def test_a_code_may_be_bound_to_a_key(self, code, redeem, proof, proof_key, other_key):
        given = code(dpop_jkt=proof_key.thumbprint())
        assert "another key" in refused(redeem(given), "invalid_grant")
        refused(redeem(given, headers={"DPoP": proof(key=other_key)}), "invalid_grant")
        assert redeem(given, headers={"DPoP": proof()}).json()["token_type"] == "DPoP"

    def test_a_thumbprint_that_is_none_is_refused(self, visit):
        assert answer_of(visit(dpop_jkt="x"))["error"] == "invalid_request"

    def test_a_server_that_does_not_know_it_does_not_look(self, auth_server, code, redeem):
        auth_server.dpop = "off"
        assert redeem(code(dpop_jkt="x")).json()["token_type"] == "Bearer"
