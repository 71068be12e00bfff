"""`gatepass call`: arguments as the tool wants them, results where a script finds them."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import pytest


@pytest.fixture(scope="module")
def runs(together, mcp_server):
    url = mcp_server.url
    return together(
        add=["call", url, "add", "a=2", "b:=3"],
        failing=["call", url, "slow", "seconds=-1", "--json"],
        unknown=["call", url, "ad", "a=1"],
        unfit=["call", url, "add", "a=1", "b=two"],
    )


def hear_ctrl_c():
    """What runs in the background of a shell is started deaf to it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class TestCall:
    def test_arguments_are_typed_by_the_tool_and_the_text_is_printed(self, runs):
        run = runs["add"]
        assert (run.code, run.out, run.err) == (0, "5\n", "")

    def test_a_tool_that_fails_ends_with_1_and_its_text_on_stderr(self, runs):
        run = runs["failing"]
        assert run.code == 1
        assert run.err.startswith("gatepass: Error executing tool slow")

    def test_json_is_the_whole_result(self, runs):
        result = json.loads(runs["failing"].out)
        assert result["isError"] is True
        assert result["content"][0]["type"] == "text"

    def test_a_tool_that_is_not_there_is_the_servers_refusal(self, runs):
        run = runs["unknown"]
        assert (run.code, run.out) == (5, "")
        assert "Did you mean add?" in run.err

    def test_a_value_that_does_not_fit_is_a_matter_of_usage(self, runs):
        run = runs["unfit"]
        assert (run.code, run.out) == (2, "")
        assert "b is declared as integer" in run.err

    def test_ctrl_c_ends_a_call_cleanly(self, url, environment, mcp_server):
        command = [sys.executable, "-m", "gatepass", "call", url, "slow", "seconds=60"]
        with subprocess.Popen(
            command,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            preexec_fn=hear_ctrl_c,  # noqa: PLW1509 - it takes no lock
        ) as process:
            # A 401, the handshake, the list of tools and the call: then it waits.
            mcp_server.wait_for("resource", count=4, timeout_s=30)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=30)
        assert (process.returncode, out, err) == (130, b"", b"gatepass: interrupted.\n")
