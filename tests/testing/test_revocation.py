"""Tokens given back by their client (RFC 7009)."""

from __future__ import annotations

import pytest
from testing.answers import refused


@pytest.fixture
def auth_server(auth_server):
    auth_server.revocation = True
    auth_server.refresh_tokens = "rotating"
    return auth_server


@pytest.fixture
def give_back(http, auth_server):
    def give_back(token, *, auth=("ci-bot", "s3cret"), **form):
        data = {"token": token, **form} if token is not None else form
        return http.post(auth_server.endpoint("revoke"), data=data, auth=auth)

    return give_back


def test_there_is_no_such_endpoint_by_default(auth_server, give_back, metadata):
    auth_server.revocation = False
    assert give_back("x").status_code == 404
    assert "revocation_endpoint" not in metadata()


def test_the_metadata_names_it(auth_server, metadata):
    assert metadata()["revocation_endpoint"] == auth_server.endpoint("revoke")


@pytest.mark.parametrize("token_format", ["jwt", "opaque"])
@pytest.mark.parametrize("hint", [{}, {"token_type_hint": "access_token"}, {"token_type_hint": "refresh_token"}])
def test_an_access_token_is_good_no_longer_but_its_refresh_token_is(
    auth_server, ask, give_back, resource, token_format, hint
):
    auth_server.token_format = token_format
    answer = ask(resource=resource).json()
    response = give_back(answer["access_token"], **hint)
    assert (response.status_code, response.content) == (200, b"")
    assert auth_server.verify(answer["access_token"], audience=resource) is None
    assert ask(grant_type="refresh_token", refresh_token=answer["refresh_token"]).status_code == 200


def test_a_refresh_token_takes_its_family_with_it(auth_server, ask, give_back, resource):
    first, other = ask(resource=resource).json(), ask(resource=resource).json()
    second = ask(grant_type="refresh_token", refresh_token=first["refresh_token"]).json()
    assert give_back(second["refresh_token"]).status_code == 200
    refused(ask(grant_type="refresh_token", refresh_token=second["refresh_token"]), "invalid_grant")
    assert not any(auth_server.verify(each["access_token"], audience=resource) for each in (first, second))
    assert auth_server.verify(other["access_token"], audience=resource)
    assert auth_server.reuses == 0


def test_an_unknown_token_is_no_error(auth_server, give_back):
    assert give_back("unknown").status_code == 200
    assert auth_server.count("revoke", status=200) == 1


def test_a_token_of_another_client_is_refused_and_stays_good(auth_server, ask, give_back, resource):
    answer = ask(resource=resource).json()
    auth_server.add_client("other", secret="s3cret")
    for token in (answer["access_token"], answer["refresh_token"]):
        refused(give_back(token, auth=("other", "s3cret")), "invalid_grant")
    assert auth_server.verify(answer["access_token"], audience=resource)
    assert ask(grant_type="refresh_token", refresh_token=answer["refresh_token"]).status_code == 200


def test_the_client_authenticates(give_back):
    refused(give_back("x", auth=("ci-bot", "wrong")), "invalid_client", 401)
    refused(give_back("x", auth=None), "invalid_client", 401)


def test_a_public_client_names_itself(auth_server, ask, give_back, resource):
    auth_server.add_client("public", grants=("client_credentials",))
    token = ask(auth=None, client_id="public", resource=resource).json()["access_token"]
    assert give_back(token, auth=None, client_id="public").status_code == 200
    assert auth_server.verify(token, audience=resource) is None


def test_a_token_must_be_there(give_back):
    assert "token" in refused(give_back(None, token_type_hint="access_token"), "invalid_request")


def test_json_is_no_form(http, auth_server):
    refused(http.post(auth_server.endpoint("revoke"), json={"token": "x"}), "invalid_request")
