from __future__ import annotations

import logging

import pytest
from identity.stand_ins.aws import Sts
from identity.stand_ins.azure import Azure
from identity.stand_ins.github import GitHub
from identity.stand_ins.google import Google
from identity.stand_ins.kept import Aks, GitLab, Kubelet
from identity.stand_ins.spire import Agent
from identity.stand_ins.tokens import AUDIENCE

from gatepass.errors import ConfigurationError
from gatepass.identity import Ambient, AwsWebIdentity, GitHubActions, GitLabCI, KubernetesToken

MARKS = {
    "GitHub Actions": {"GITHUB_ACTIONS": "true"},
    "GitLab CI": {"GITLAB_CI": "true"},
    "SPIFFE": {"SPIFFE_ENDPOINT_SOCKET": "unix:///run/agent.sock"},
    "Google Cloud": {"K_SERVICE": "bot"},
    "Azure managed identity": {"IDENTITY_ENDPOINT": "http://127.0.0.1"},
    "AWS": {"AWS_LAMBDA_FUNCTION_NAME": "bot"},
}


@pytest.fixture
def log(caplog):
    caplog.set_level(logging.INFO, "gatepass")
    return caplog


@pytest.mark.parametrize("kind", [GitHub, Google, Azure, Sts])
def test_the_platform_that_is_here_is_asked(monkeypatch, kind):
    with kind(monkeypatch) as place:
        ambient = Ambient()
        assert ambient(AUDIENCE) == place.given[-1]
        assert ambient.name == kind.kind.name
        assert isinstance(ambient.found, kind.kind)


def test_an_agent_is_asked(monkeypatch, tmp_path):
    with Agent(monkeypatch, tmp_path) as agent:
        assert Ambient()(AUDIENCE) == agent.given[-1]


def test_a_token_that_lies_ready_is_taken(monkeypatch, tmp_path):
    place = GitLab(monkeypatch, tmp_path)
    assert Ambient()(AUDIENCE) == place.given[-1]
    monkeypatch.delenv("GITLAB_CI")
    place = Kubelet(monkeypatch, tmp_path)
    assert Ambient(place.source())(AUDIENCE) == place.given[-1]


def test_the_nearer_one_comes_first(monkeypatch):
    for name, variables in reversed(MARKS.items()):
        for variable, value in variables.items():
            monkeypatch.setenv(variable, value)
        assert Ambient().name == name


def test_a_machine_that_is_none_of_them_is_recognised_without_a_question(log, reached_for):
    ambient = Ambient()
    assert ambient(AUDIENCE) is None
    assert (ambient.found, ambient.name) == (None, "Ambient")
    assert reached_for == []
    assert log.messages == []


def test_a_token_that_is_good_for_more_than_this_is_left_alone(monkeypatch, tmp_path):
    Aks(monkeypatch, tmp_path)
    assert Ambient().name == "Azure managed identity"


def test_a_platform_that_fails_is_not_replaced_by_the_next(monkeypatch, tmp_path):
    GitLab(monkeypatch, tmp_path)
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    with pytest.raises(ConfigurationError, match="id-token: write"):
        Ambient()(AUDIENCE)


def test_which_one_it_is_is_said_once_a_change(log, monkeypatch, tmp_path):
    ambient = Ambient()
    GitLab(monkeypatch, tmp_path)
    ambient(AUDIENCE)
    ambient(AUDIENCE)
    with GitHub(monkeypatch):
        ambient(AUDIENCE)
        monkeypatch.delenv("GITHUB_ACTIONS")
    ambient(AUDIENCE)
    assert [message.removeprefix("The workload's own JWT comes from ") for message in log.messages] == [
        "GitLab CI.",
        "GitHub Actions.",
        "GitLab CI.",
    ]


def test_a_log_that_fails_costs_no_token(monkeypatch, tmp_path):
    class Full(logging.Handler):
        def handle(self, record):
            raise OSError("no space left")

    place, handler, log = GitLab(monkeypatch, tmp_path), Full(), logging.getLogger("gatepass")
    monkeypatch.setattr(log, "level", logging.INFO)
    log.addHandler(handler)
    try:
        assert Ambient()(AUDIENCE) == place.given[-1]
    finally:
        log.removeHandler(handler)


def test_what_is_looked_for_may_be_chosen(monkeypatch):
    ambient = Ambient(GitLabCI(variable="MCP_TOKEN"), AwsWebIdentity())
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    assert ambient(AUDIENCE) is None
    assert ambient.identity == (
        "ambient",
        "GitLab CI",
        "variable=MCP_TOKEN",
        "AWS",
        "signing_algorithm=ES384",
        "duration_s=300",
    )


def test_it_shows_what_it_looks_for():
    shown = repr(Ambient(GitHubActions(), KubernetesToken("/run/token")))
    assert shown == "Ambient(GitHubActions(timeout_s=10.0), KubernetesToken(path='/run/token', timeout_s=10.0))"


@pytest.mark.parametrize("source", [print, None, Ambient()])
def test_what_is_no_platform_is_refused(source):
    with pytest.raises(ConfigurationError, match="not for a") as caught:
        Ambient(GitHubActions(), source)
    assert caught.value.code == "source_invalid"
