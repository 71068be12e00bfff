"""The official conformance suite's scenarios about authorization, every one, every check, at every version."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from conformance.suite import BEFORE, SPEC_VERSIONS, play, plays

if TYPE_CHECKING:
    from pathlib import Path

BOTH = SPEC_VERSIONS
NEW = SPEC_VERSIONS[1:]
SIGNED_IN = "pkce-verifier-matches-challenge"

SCENARIOS: dict[str, tuple[tuple[str, ...], str, bool]] = {
    # the suite "extensions"
    "client-credentials-basic": (BOTH, "client-credentials-basic-auth", True),
    "client-credentials-jwt": (BOTH, "client-credentials-jwt-verified", True),
    "dpop": (BOTH, "sep-1932-client-fresh-proof", True),
    "dpop-nonce": (BOTH, "sep-1932-client-rs-nonce", True),
    "enterprise-managed-authorization": (BOTH, "complete-flow-jwt-bearer", True),
    "wif-jwt-bearer": (BOTH, "wif-assertion-verified", True),
    # the suite "auth"
    "basic-cimd": (BOTH, "cimd-client-id-used", True),
    "metadata-default": (BOTH, SIGNED_IN, True),
    "metadata-var1": (BOTH, SIGNED_IN, True),
    "metadata-var2": (BOTH, SIGNED_IN, True),
    "metadata-var3": (BOTH, SIGNED_IN, True),
    "pre-registration": (BOTH, "pre-registration-auth", True),
    "scope-from-scopes-supported": (BOTH, "scope-from-scopes-supported", True),
    "scope-from-www-authenticate": (BOTH, "scope-from-www-authenticate", True),
    "scope-omitted-when-undefined": (BOTH, "scope-omitted-when-undefined", True),
    "scope-retry-limit": (BOTH, "scope-retry-limit", False),
    "scope-step-up": (BOTH, "scope-step-up-escalation", True),
    "token-endpoint-auth-basic": (BOTH, "token-endpoint-auth-method", True),
    "token-endpoint-auth-none": (BOTH, "token-endpoint-auth-method", True),
    "token-endpoint-auth-post": (BOTH, "token-endpoint-auth-method", True),
    # the suite "draft"
    "authorization-server-migration": (NEW, "sep-2352-reregister-on-as-change", True),
    "iss-normalized": (NEW, "sep-2468-client-no-normalization", False),
    "iss-not-advertised": (NEW, "sep-2468-client-proceed-no-iss", True),
    "iss-supported": (NEW, "sep-2468-client-compare-iss-supported", True),
    "iss-supported-missing": (NEW, "sep-2468-client-reject-missing-iss", False),
    "iss-unexpected": (NEW, "sep-2468-client-compare-iss-unadvertised", False),
    "iss-wrong-issuer": (NEW, "sep-2468-client-compare-iss-supported", False),
    "metadata-issuer-mismatch": (NEW, "sep-2468-client-validate-metadata-issuer", False),
    "offline-access-not-supported": (NEW, "sep-2207-offline-access-not-requested", True),
    "offline-access-scope": (NEW, "sep-2207-offline-access-requested", True),
    "resource-mismatch": (NEW, "resource-mismatch-rejected", False),
    # the suite "backcompat"
    "2025-03-26-oauth-endpoint-fallback": ((BEFORE,), "token-request", True),
    "2025-03-26-oauth-metadata-backcompat": ((BEFORE,), SIGNED_IN, True),
}
"""Each scenario, its versions, the check that it is about, and whether a client that does right gets in."""

PLAYS = [(scenario, version) for scenario, (versions, _, _) in SCENARIOS.items() for version in versions]


def test_every_scenario_of_the_suite_is_played_here_at_each_of_its_versions() -> None:
    assert sorted(plays()) == sorted((f"auth/{scenario}", version) for scenario, version in PLAYS)
    assert len(PLAYS) == 53


@pytest.mark.parametrize(("scenario", "version"), PLAYS)
def test_every_check_passes_and_the_client_gets_in_where_it_should(scenario: str, version: str, tmp_path: Path) -> None:
    _, subject, gets_in = SCENARIOS[scenario]
    played = play(f"auth/{scenario}", version, tmp_path)

    assert played.ids("FAILURE", "WARNING", "SKIPPED") == [], played.log
    assert played.exit_code == 0, played.log
    assert played.clean
    assert subject in played.ids("SUCCESS"), "what the scenario is about was checked"
    assert (played.answered("mcpMethod", "tools/call")[-1:] == [200]) == gets_in
    if gets_in:
        assert bool(played.answered("mcpMethod", "initialize")) == (version != NEW[0]), "on the wire that was asked for"


@pytest.mark.parametrize("version", SPEC_VERSIONS)
@pytest.mark.parametrize("scenario", ["client-credentials-basic", "client-credentials-jwt", "wif-jwt-bearer"])
def test_one_token_request_is_enough_where_nobody_signs_in(scenario: str, version: str, tmp_path: Path) -> None:
    assert play(f"auth/{scenario}", version, tmp_path).answered("path", "/token") == [200]
