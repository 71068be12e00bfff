"""Clients that register themselves (RFC 7591), and clients that a document describes."""

from __future__ import annotations

import time

import pytest
from testing.answers import refused

from gatepass.testing import Registration

REDIRECT_URI = "https://app.example/callback"
LOOPBACK_URI = "http://127.0.0.1:8000/callback"
WITHOUT = {"token_endpoint_auth_method": "none"}
MACHINE = {"grant_types": ["client_credentials"]}


@pytest.fixture
def auth_server(auth_server):
    auth_server.registration = True
    auth_server.authorization_endpoint = True
    return auth_server


@pytest.fixture
def enrol(http, auth_server):
    """Registers a client; what is None is left out."""

    def enrol(**wrong):
        metadata = {"redirect_uris": [REDIRECT_URI], **wrong}
        document = {name: value for name, value in metadata.items() if value is not None}
        return http.post(auth_server.endpoint("register"), json=document)

    return enrol


class TestEndpoint:
    def test_there_is_none_by_default(self, auth_server, enrol, metadata):
        auth_server.registration = False
        assert enrol().status_code == 404
        assert "registration_endpoint" not in metadata()

    def test_the_metadata_names_it(self, auth_server, metadata):
        assert metadata()["registration_endpoint"] == auth_server.endpoint("register")

    def test_it_is_counted(self, auth_server, enrol):
        enrol()
        enrol(redirect_uris=None)
        assert auth_server.count("register") == 2
        assert auth_server.count("register", status=201) == 1

    def test_what_is_not_said_has_the_defaults_of_the_specification(self, enrol):
        before = int(time.time())
        response = enrol()
        assert response.status_code == 201
        assert response.headers["cache-control"] == "no-store"
        answer = response.json()
        assert answer.pop("client_id")
        assert answer.pop("client_secret")
        assert before <= answer.pop("client_id_issued_at") <= time.time()
        assert answer == {
            "client_secret_expires_at": 0,
            "token_endpoint_auth_method": "client_secret_basic",
            "grant_types": ["authorization_code"],
            "response_types": ["code"],
            "redirect_uris": [REDIRECT_URI],
            "application_type": "web",
        }

    def test_each_client_is_another(self, enrol):
        assert enrol().json()["client_id"] != enrol().json()["client_id"]

    @pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
    def test_a_secret_is_given_for_a_method_that_wants_one_and_is_good_for_no_other(self, enrol, ask, method):
        answer = enrol(**MACHINE, token_endpoint_auth_method=method).json()
        client_id, secret = answer["client_id"], answer["client_secret"]
        basic = ask(auth=(client_id, secret))
        post = ask(auth=None, client_id=client_id, client_secret=secret)
        right, wrong = (basic, post) if method == "client_secret_basic" else (post, basic)
        assert right.status_code == 200
        refused(wrong, "invalid_client", 401)

    def test_a_public_client_gets_no_secret(self, enrol):
        answer = enrol(**WITHOUT).json()
        assert answer["token_endpoint_auth_method"] == "none"
        assert not any("secret" in name for name in answer)

    def test_a_client_with_a_key_uses_it(self, enrol, ask, assertion, key):
        jwks = {"keys": [key.as_dict(private=False)]}
        answer = enrol(**MACHINE, token_endpoint_auth_method="private_key_jwt", jwks=jwks).json()
        assert "client_secret" not in answer
        signed = assertion(iss=answer["client_id"], sub=answer["client_id"])
        form = {
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": signed,
        }
        assert ask(auth=None, **form).status_code == 200

    def test_a_client_has_the_grants_and_scopes_it_asked_for(self, enrol, ask):
        answer = enrol(grant_types=["authorization_code", "client_credentials"], scope="a b").json()
        auth = answer["client_id"], answer["client_secret"]
        assert ask(auth=auth, scope="a").json()["scope"] == "a"
        refused(ask(auth=auth, scope="c"), "invalid_scope")
        refused(ask(auth=(enrol().json()["client_id"], "wrong")), "invalid_client", 401)

    def test_a_machine_needs_no_redirect_uri(self, auth_server, enrol):
        answer = enrol(**MACHINE, redirect_uris=None).json()
        assert (answer["redirect_uris"], answer["response_types"]) == ([], [])
        assert auth_server.registrations[0].redirect_uris == ()


class TestRefusals:
    @pytest.mark.parametrize(
        ("wrong", "error"),
        [
            ({"redirect_uris": None}, "invalid_redirect_uri"),
            ({"redirect_uris": []}, "invalid_redirect_uri"),
            ({"redirect_uris": ["/callback"]}, "invalid_redirect_uri"),
            ({"redirect_uris": [REDIRECT_URI + "#x"]}, "invalid_redirect_uri"),
            ({"redirect_uris": [LOOPBACK_URI]}, "invalid_redirect_uri"),
            ({"redirect_uris": ["http://app.example/"], "application_type": "web"}, "invalid_redirect_uri"),
            ({"redirect_uris": ["https://localhost/"], "application_type": "web"}, "invalid_redirect_uri"),
            ({"redirect_uris": ["http://app.example/"], "application_type": "native"}, "invalid_redirect_uri"),
            ({"application_type": "other"}, "invalid_redirect_uri"),
            ({"redirect_uris": REDIRECT_URI}, "invalid_client_metadata"),
            ({"redirect_uris": [7]}, "invalid_client_metadata"),
            ({"application_type": 7}, "invalid_client_metadata"),
            ({"client_name": 7}, "invalid_client_metadata"),
            ({"grant_types": ["password"]}, "invalid_client_metadata"),
            ({"grant_types": ["client_credentials"], **WITHOUT}, "invalid_client_metadata"),
            ({"response_types": ["token"]}, "invalid_client_metadata"),
            ({"token_endpoint_auth_method": "client_secret_jwt"}, "invalid_client_metadata"),
            ({"token_endpoint_auth_method": "private_key_jwt"}, "invalid_client_metadata"),
            ({"token_endpoint_auth_method": "private_key_jwt", "jwks": {"keys": []}}, "invalid_client_metadata"),
            ({"token_endpoint_auth_method": "private_key_jwt", "jwks": {"keys": [7]}}, "invalid_client_metadata"),
            ({"token_endpoint_auth_method": "private_key_jwt", "jwks": {"keys": [{}]}}, "invalid_client_metadata"),
            ({"scope": "a  b"}, "invalid_client_metadata"),
        ],
    )
    def test_metadata_that_cannot_be_is_refused(self, auth_server, enrol, wrong, error):
        refused(enrol(**wrong), error)
        assert auth_server.registrations == []

    def test_a_scope_that_the_server_does_not_know_is_refused(self, auth_server, enrol):
        auth_server.scopes = ("a",)
        assert enrol(scope="a").status_code == 201
        refused(enrol(scope="a b"), "invalid_client_metadata")

    @pytest.mark.parametrize("body", [b"", b"[]", b"{", b"7"])
    def test_what_is_no_json_object_is_refused(self, http, auth_server, body):
        headers = {"Content-Type": "application/json"}
        response = http.post(auth_server.endpoint("register"), content=body, headers=headers)
        refused(response, "invalid_client_metadata")

    def test_json_under_another_name_is_refused(self, http, auth_server):
        body, headers = f'{{"redirect_uris": ["{REDIRECT_URI}"]}}', {"Content-Type": "text/plain"}
        response = http.post(auth_server.endpoint("register"), content=body, headers=headers)
        refused(response, "invalid_client_metadata")


@pytest.mark.parametrize(
    "uri", [LOOPBACK_URI, "http://[::1]/", "http://localhost:1/", "com.example.app:/cb", REDIRECT_URI]
)
def test_a_native_application_has_redirect_uris_of_its_own(enrol, uri):
    assert enrol(application_type="native", redirect_uris=[uri]).status_code == 201


def test_what_was_asked_for_is_remembered(auth_server, enrol):
    asked = {
        "application_type": "native",
        "redirect_uris": [LOOPBACK_URI],
        "grant_types": ["authorization_code", "refresh_token"],
        "client_name": "an app",
        "scope": "a b",
    }
    answer = enrol(**asked, **WITHOUT).json()
    assert answer["application_type"] == "native"
    assert auth_server.registrations == [
        Registration(
            client_id=answer["client_id"],
            application_type="native",
            redirect_uris=(LOOPBACK_URI,),
            grant_types=("authorization_code", "refresh_token"),
            client_name="an app",
            scope="a b",
            method="none",
        )
    ]


class TestDocuments:
    URL = "https://app.example/client.json"
    DOCUMENT = {"client_id": URL, "redirect_uris": [LOOPBACK_URI], **WITHOUT}  # noqa: RUF012 - nobody changes it

    def test_the_url_of_one_becomes_a_client_id(self, auth_server, http, metadata):
        assert "client_id_metadata_document_supported" not in metadata()
        client = auth_server.add_client_metadata(self.URL, self.DOCUMENT)
        assert (client.client_id, client.redirect_uris) == (self.URL, (LOOPBACK_URI,))
        assert client.public
        assert metadata()["client_id_metadata_document_supported"] is True
        page = http.get(auth_server.endpoint("authorize"), params={"client_id": self.URL, "redirect_uri": LOOPBACK_URI})
        assert page.status_code == 302

    def test_it_may_hold_a_key(self, auth_server, ask, assertion, key):
        document = {
            **self.DOCUMENT,
            "token_endpoint_auth_method": "private_key_jwt",
            "jwks": {"keys": [key.as_dict(private=False)]},
            "grant_types": ["client_credentials"],
        }
        auth_server.add_client_metadata(self.URL, document)
        form = {
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": assertion(iss=self.URL, sub=self.URL),
        }
        assert ask(auth=None, **form).status_code == 200

    @pytest.mark.parametrize(
        ("url", "wrong"),
        [
            (URL, {"client_id": URL + "/"}),
            (URL, {"client_id": None}),
            (URL, {"redirect_uris": []}),
            (URL, {"token_endpoint_auth_method": None}),
            (URL, {"token_endpoint_auth_method": "client_secret_post"}),
            (URL, {"token_endpoint_auth_method": "private_key_jwt"}),
            ("http://app.example/client.json", {}),
            ("https://app.example", {}),
            ("https://app.example/", {}),
            ("https://app.example/client.json#x", {}),
            ("https://me@app.example/client.json", {}),
        ],
    )
    def test_what_is_none_is_not_taken(self, auth_server, metadata, url, wrong):
        with pytest.raises(ValueError, match=r"\w"):
            auth_server.add_client_metadata(url, {**self.DOCUMENT, "client_id": url, **wrong})
        assert "client_id_metadata_document_supported" not in metadata()
