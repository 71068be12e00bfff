"""The official conformance suite's scenarios for client credentials, every check, at both wires."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from conformance.suite import SPEC_VERSIONS, auth_scenarios, play

if TYPE_CHECKING:
    from pathlib import Path

AUTHENTICATED = {
    "auth/client-credentials-basic": "client-credentials-basic-auth",
    "auth/client-credentials-jwt": "client-credentials-jwt-verified",
}


@pytest.mark.parametrize("spec_version", SPEC_VERSIONS)
@pytest.mark.parametrize("scenario", AUTHENTICATED)
def test_every_check_of_the_scenario_passes_and_the_client_really_got_in(
    scenario: str, spec_version: str, tmp_path: Path
) -> None:
    played = play(scenario, spec_version, tmp_path)

    assert played.ids("FAILURE", "WARNING", "SKIPPED") == [], played.log
    assert played.exit_code == 0, played.log
    assert {check.status for check in played.checks} == {"SUCCESS", "INFO"}, "the scenario ran"
    assert {"token-request", AUTHENTICATED[scenario], "valid-bearer-token"} <= set(played.ids("SUCCESS"))
    assert played.answered("path", "/token") == [200], "one token request, and it was granted"
    assert played.answered("mcpMethod", "tools/call") == [200]
    assert bool(played.answered("mcpMethod", "initialize")) == (spec_version == "2025-11-25"), "the wire asked for"


def test_a_scenario_that_needs_another_way_in_fails_and_says_so(tmp_path: Path) -> None:
    played = play("auth/metadata-default", "2025-11-25", tmp_path)

    assert played.exit_code == 1
    assert "auth/metadata-default needs a way in that gatepass does not have yet" in played.log


def test_the_suite_has_the_scenarios_that_are_run_here() -> None:
    assert set(AUTHENTICATED) < set(auth_scenarios())
