"""Refresh tokens: who gets one, what it is good for, and what becomes of one that is used twice."""

from __future__ import annotations

import pytest
from testing.answers import refused

from gatepass.testing import AuthorizationServer

OTHER = "urn:other"


@pytest.fixture(params=["issued", "rotating"])
def policy(request, auth_server):
    auth_server.refresh_tokens = request.param
    return request.param


@pytest.fixture
def rotating(auth_server):
    auth_server.refresh_tokens = "rotating"


@pytest.fixture
def refresh(ask):
    """Asks for another token."""

    def refresh(token, **form):
        return ask(grant_type="refresh_token", refresh_token=token, **form)

    return refresh


def test_none_is_issued_by_default(ask, refresh):
    assert "refresh_token" not in ask().json()
    refused(refresh("x"), "unsupported_grant_type")


def test_one_comes_with_every_token(policy, ask):
    assert ask().json()["refresh_token"]


def test_the_metadata_lists_the_grant(policy, metadata):
    assert "refresh_token" in metadata()["grant_types_supported"]


def test_a_client_that_may_not_use_it_gets_none(policy, auth_server, ask, refresh):
    auth_server.add_client("ci-bot", secret="s3cret", grants=("client_credentials",))
    assert "refresh_token" not in ask().json()
    refused(refresh("x"), "unauthorized_client")


def test_it_gives_another_token_for_the_same(policy, auth_server, ask, refresh, resource):
    first = ask(scope="mcp:read", resource=resource).json()
    second = refresh(first["refresh_token"]).json()
    assert second["access_token"] != first["access_token"]
    issued = auth_server.verify(second["access_token"], audience=resource)
    assert (issued.client_id, issued.scopes, issued.audience) == ("ci-bot", ("mcp:read",), (resource,))


def test_one_that_does_not_rotate_is_used_again_and_again(auth_server, ask, refresh):
    auth_server.refresh_tokens = "issued"
    token = ask().json()["refresh_token"]
    answers = [refresh(token).json() for _ in range(3)]
    assert not any("refresh_token" in answer for answer in answers)
    assert auth_server.reuses == 0


def test_one_that_rotates_is_replaced_at_each_use(rotating, ask, refresh):
    tokens = [ask().json()["refresh_token"]]
    for _ in range(3):
        tokens.append(refresh(tokens[-1]).json()["refresh_token"])
    assert len(set(tokens)) == 4


def test_using_a_spent_one_revokes_the_whole_family(rotating, auth_server, ask, refresh, resource):
    first = ask(resource=resource).json()
    second = refresh(first["refresh_token"]).json()
    assert "used before" in refused(refresh(first["refresh_token"]), "invalid_grant")
    assert auth_server.reuses == 1
    refused(refresh(second["refresh_token"]), "invalid_grant")
    assert not any(auth_server.verify(each["access_token"], audience=resource) for each in (first, second))


def test_another_family_is_left_alone(rotating, auth_server, ask, refresh, resource):
    other = ask(resource=resource).json()
    spent = ask().json()["refresh_token"]
    refresh(spent)
    refresh(spent)
    assert auth_server.verify(other["access_token"], audience=resource)
    assert refresh(other["refresh_token"]).status_code == 200


class TestScopes:
    def test_it_may_ask_for_less(self, policy, ask, refresh):
        token = ask(scope="mcp:read mcp:write").json()["refresh_token"]
        assert refresh(token, scope="mcp:read").json()["scope"] == "mcp:read"

    def test_what_is_asked_for_once_is_not_lost_for_the_next_time(self, policy, ask, refresh):
        token = ask(scope="mcp:read mcp:write").json()["refresh_token"]
        token = refresh(token, scope="mcp:read").json().get("refresh_token", token)
        assert refresh(token).json()["scope"] == "mcp:read mcp:write"

    @pytest.mark.parametrize("scope", ["mcp:write", "mcp:read mcp:write", "admin", " mcp:read"])
    def test_it_never_gets_more_and_is_not_spent_by_asking(self, policy, auth_server, ask, refresh, scope):
        token = ask(scope="mcp:read").json()["refresh_token"]
        refused(refresh(token, scope=scope), "invalid_scope")
        assert refresh(token).status_code == 200


class TestResources:
    @pytest.fixture
    def token(self, policy, auth_server, ask, resource):
        auth_server.add_resource(OTHER)
        return ask(resource=[resource, OTHER]).json()["refresh_token"]

    def test_it_may_name_one_of_them(self, auth_server, token, refresh, resource):
        narrow = refresh(token, resource=OTHER).json()["access_token"]
        assert auth_server.verify(narrow, audience=OTHER)
        assert not auth_server.verify(narrow, audience=resource)

    def test_it_never_gets_another(self, auth_server, token, refresh):
        auth_server.add_resource("urn:third")
        refused(refresh(token, resource="urn:third"), "invalid_target")

    def test_one_may_be_required_here_too(self, auth_server, token, refresh):
        auth_server.resource = "required"
        refused(refresh(token), "invalid_target")
        assert refresh(token, resource=OTHER).status_code == 200

    def test_one_may_be_refused_here_too(self, auth_server, token, refresh):
        auth_server.resource = "refused"
        refused(refresh(token, resource=OTHER), "invalid_request")


class TestWhose:
    def test_an_unknown_one_is_refused(self, policy, refresh):
        refused(refresh("unknown"), "invalid_grant")

    def test_one_must_be_there(self, policy, ask):
        assert "refresh_token" in refused(ask(grant_type="refresh_token"), "invalid_request")

    def test_one_of_another_client_is_refused_and_still_good_for_its_own(self, policy, auth_server, ask, refresh):
        token = ask().json()["refresh_token"]
        auth_server.add_client("other", secret="s3cret")
        refused(refresh(token, auth=("other", "s3cret")), "invalid_grant")
        assert refresh(token).status_code == 200

    def test_its_client_authenticates(self, policy, ask, refresh):
        token = ask().json()["refresh_token"]
        refused(refresh(token, auth=("ci-bot", "wrong")), "invalid_client", 401)

    def test_one_of_another_server_is_refused(self, policy, ask, refresh):
        with AuthorizationServer(refresh_tokens="issued") as other:
            other.add_client("ci-bot", secret="s3cret")
            token = ask(other).json()["refresh_token"]
        refused(refresh(token), "invalid_grant")

    def test_it_shows_itself_in_no_repr(self, policy, auth_server, ask):
        token = ask().json()["refresh_token"]
        assert token not in repr(auth_server.books.refresh_tokens.find(token))


class TestBinding:
    """RFC 9449 §5: the refresh token of a public client is bound to the key, that of another is not."""

    @pytest.fixture(autouse=True)
    def _dpop(self, auth_server, policy):
        auth_server.dpop = "optional"
        auth_server.add_client("public", grants=("client_credentials", "refresh_token"))

    @pytest.mark.parametrize("shown", ["nothing", "another key"])
    def test_a_public_client_needs_its_key(self, ask, refresh, proof, other_key, shown):
        public = {"auth": None, "client_id": "public"}
        token = ask(**public, headers={"DPoP": proof()}).json()["refresh_token"]
        headers = {} if shown == "nothing" else {"DPoP": proof(key=other_key)}
        assert "another key" in refused(refresh(token, **public, headers=headers), "invalid_grant")
        assert refresh(token, **public, headers={"DPoP": proof()}).json()["token_type"] == "DPoP"

    def test_a_client_that_authenticates_may_change_it(self, ask, refresh, proof, other_key):
        token = ask(headers={"DPoP": proof()}).json()["refresh_token"]
        assert refresh(token, headers={"DPoP": proof(key=other_key)}).json()["token_type"] == "DPoP"
