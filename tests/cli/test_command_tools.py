"""`gatepass tools`: a table for people and for pipes, and JSON."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys

import pytest


@pytest.fixture(scope="module")
def runs(together, mcp_server, closed_server, authority):
    return together(
        table=["tools", mcp_server.url],
        json=["tools", mcp_server.url, "--json"],
        closed=["tools", closed_server.url],
        elsewhere=["tools", f"{authority.issuer}/nothing-here"],
        down=["tools", "http://127.0.0.1:9/mcp"],
    )


class TestTools:
    def test_a_pipe_gets_a_line_a_tool_with_aligned_columns(self, runs):
        run = runs["table"]
        assert (run.code, run.err) == (0, "")
        head, *rows = run.out.splitlines()
        assert head.startswith("TOOL ")
        assert [row.split()[0] for row in rows] == ["echo", "add", "whoami", "slow"]
        assert rows[1].index("Adds two numbers.") == head.index("WHAT IT DOES")
        assert rows[1].index("a: integer, b: integer") == head.index("ARGUMENTS")

    def test_json_is_what_the_server_says(self, runs):
        run = runs["json"]
        tools = {tool["name"]: tool for tool in json.loads(run.out)}
        assert tools["add"]["inputSchema"]["properties"]["a"]["type"] == "integer"
        assert (run.code, run.err) == (0, "")

    def test_a_server_that_lets_nobody_in_has_refused(self, runs):
        run = runs["closed"]
        assert (run.code, run.out) == (5, "")
        assert "401 invalid_token" in run.err
        assert run.err.count("\n") == 1

    def test_a_url_without_an_mcp_server_is_refused_with_a_hint(self, runs):
        run = runs["elsewhere"]
        assert (run.code, run.out) == (5, "")
        assert "Check that the URL is the one of the MCP endpoint" in run.err

    def test_a_server_that_is_down_is_unreachable(self, runs):
        run = runs["down"]
        assert (run.code, run.out) == (6, "")
        assert "127.0.0.1:9 can't be reached" in run.err

    def test_a_terminal_of_80_columns_is_not_exceeded_and_no_color_is_respected(self, url, environment):
        shown = on_a_terminal(["tools", url], {**environment, "TERM": "xterm-256color", "NO_COLOR": "1"})
        assert "a: integer, b: integer" in shown
        assert "\x1b[3" not in shown, "a colour"
        assert max(len(re.sub(r"\x1b\[[0-9;]*m", "", line)) for line in shown.splitlines()) <= 80


def on_a_terminal(arguments, environment) -> str:
    """What a person sees who runs the command."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "gatepass", *arguments], env=environment, stdin=theirs, stdout=theirs, stderr=theirs
    ) as process:
        os.close(theirs)
        shown = b""
        while True:
            try:
                piece = os.read(ours, 65536)
            except OSError:  # Linux says so when the other end is closed
                break
            if not piece:
                break
            shown += piece
        os.close(ours)
    assert process.returncode == 0
    return shown.decode()
