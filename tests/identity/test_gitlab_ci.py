from __future__ import annotations

import pytest
from identity.stand_ins.tokens import AUDIENCE, issued

from gatepass.errors import ConfigurationError
from gatepass.identity import GitLabCI


def test_the_variable_may_have_another_name(monkeypatch):
    token = issued(AUDIENCE)
    monkeypatch.setenv("GITLAB_CI", "true")
    monkeypatch.setenv("MCP_TOKEN", token)
    assert GitLabCI(variable="MCP_TOKEN")(AUDIENCE) == token
    assert GitLabCI(variable="MCP_TOKEN").identity == ("GitLab CI", "variable=MCP_TOKEN")


@pytest.mark.parametrize("value", [None, ""])
def test_a_job_without_the_variable_is_told_what_to_write(monkeypatch, value):
    monkeypatch.setenv("GITLAB_CI", "true")
    if value is not None:
        monkeypatch.setenv("GATEPASS_ID_TOKEN", value)
    with pytest.raises(ConfigurationError) as caught:
        GitLabCI()(AUDIENCE)
    assert caught.value.code == "workload_token_missing"
    assert f"id_tokens: {{GATEPASS_ID_TOKEN: {{aud: {AUDIENCE}}}}}" in str(caught.value)


@pytest.mark.parametrize("variable", ["", None, "A\nB"])
def test_a_variable_has_a_name(variable):
    with pytest.raises(ConfigurationError, match="variable") as caught:
        GitLabCI(variable=variable)
    assert caught.value.code == "variable_invalid"
