from __future__ import annotations

import pytest
from identity.stand_ins.github import GitHub
from identity.stand_ins.tokens import AUDIENCE
from wire import Wire, response, says

from gatepass.errors import ConfigurationError, UnreachableError
from gatepass.identity import GitHubActions


@pytest.fixture
def github(monkeypatch):
    with GitHub(monkeypatch) as github:
        yield github


@pytest.mark.parametrize("variable", ["ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN"])
def test_a_job_without_the_permission_is_told_of_it(github, monkeypatch, variable):
    monkeypatch.delenv(variable)
    with pytest.raises(ConfigurationError, match="id-token: write") as caught:
        GitHubActions()(AUDIENCE)
    assert caught.value.code == "workload_token_refused"


def test_a_request_token_that_is_not_accepted_is_a_refusal(github, monkeypatch):
    monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "of another job")
    with pytest.raises(ConfigurationError, match="status 401") as caught:
        GitHubActions()(AUDIENCE)
    assert (caught.value.code, caught.value.status) == ("workload_token_refused", 401)


def test_the_request_token_does_not_follow_a_redirect(github):
    with Wire(says(response(b"{}"))) as elsewhere:
        github.say(response(b"", b"Location: " + elsewhere.url.encode(), status=b"302 Found"))
        with pytest.raises(ConfigurationError, match="status 302"):
            GitHubActions()(AUDIENCE)
        assert elsewhere.visits == []


@pytest.mark.parametrize("place", ["not a place", "ftp://example.com", "http://127.0.0.1:1/\n"])
def test_a_place_that_is_none_is_an_error_of_ours(github, monkeypatch, place):
    monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_URL", place)
    with pytest.raises((ConfigurationError, UnreachableError), match="GitHub Actions"):
        GitHubActions()(AUDIENCE)


def test_it_is_recognised_by_its_variable(github, monkeypatch):
    assert GitHubActions().here()
    monkeypatch.delenv("GITHUB_ACTIONS")
    assert GitHubActions()(AUDIENCE) is None
