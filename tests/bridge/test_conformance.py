"""The core scenarios for clients of the official conformance suite, with the command between client and server."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from conformance import suite

HOST = Path(__file__).with_name("conformance_host.py")
OLD, NEW = suite.SPEC_VERSIONS

PLAYS = {
    ("initialize", OLD): "mcp-client-initialization",
    ("tools_call", OLD): "tool-add-numbers",
    ("tools_call", NEW): "tool-add-numbers",
    ("elicitation-sep1034-client-defaults", OLD): "client-elicitation-sep1034-string-default",
    ("sse-retry", OLD): "client-sse-last-event-id",
    ("request-metadata", NEW): "sep-2575-client-retry-supported-version",
    ("sep-2322-client-request-state", NEW): "sep-2322-client-request-state-echoed",
    ("http-standard-headers", NEW): "sep-2243-client-includes-standard-headers",
    ("http-custom-headers", NEW): "sep-2243-client-base64-unsafe",
    ("http-invalid-tool-headers", NEW): "sep-2243-client-reject-invalid-tool",
    ("json-schema-2020-12-preservation", OLD): "json-schema-2020-12-client-$defs-preserved",
    ("json-schema-2020-12-preservation", NEW): "json-schema-2020-12-client-$defs-preserved",
}
"""Each scenario and version, and the check that it is about."""

NOT_OF_THIS_ERA = {"initialize request", "notifications/initialized request"}


@pytest.fixture(scope="module")
def plays(tmp_path_factory):
    """All of them, two at a time."""
    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(2) as pool:
        patch.setattr(suite, "CLIENT", HOST)
        coming = {play: pool.submit(suite.play, *play, tmp_path_factory.mktemp("results")) for play in PLAYS}
        return {play: each.result() for play, each in coming.items()}


@pytest.mark.parametrize(("scenario", "version"), PLAYS)
def test_every_check_passes(scenario, version, plays):
    played = plays[scenario, version]
    assert played.ids("FAILURE", "WARNING") == [], played.log
    skipped = [check.description for check in played.checks if check.status == "SKIPPED"]
    assert all(any(text.endswith(other) for other in NOT_OF_THIS_ERA) for text in skipped), played.log
    assert PLAYS[scenario, version] in played.ids("SUCCESS"), "what the scenario is about was checked"
    assert played.exit_code == 0, played.log
