"""`gatepass tools`: a table for people and for pipes, and JSON."""

from __future__ import annotations

import json

import pytest
from cli.terminal import COLOUR, ESCAPE, left_on_screen, on_a_terminal, widest


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
        assert run.err.count("\n") == 2
        assert "`gatepass doctor`" in run.err.splitlines()[1]

    def test_a_url_without_an_mcp_server_is_refused_with_a_hint(self, runs):
        run = runs["elsewhere"]
        assert (run.code, run.out) == (5, "")
        assert "Check that the URL is the one of the MCP endpoint" in run.err

    def test_a_server_that_is_down_is_unreachable(self, runs):
        run = runs["down"]
        assert (run.code, run.out) == (6, "")
        assert "127.0.0.1:9 can't be reached" in run.err


@pytest.mark.parametrize("columns", [80, 120])
class TestOnATerminal:
    def test_the_table_fits_with_its_columns_aligned_and_coloured(self, url, environment, columns):
        shown = on_a_terminal(["tools", url], environment, columns=columns)
        assert COLOUR.search(shown)
        assert_aligned(left_on_screen(shown))
        assert widest(left_on_screen(shown)) <= columns

    def test_no_color_takes_the_colours_out(self, url, environment, columns):
        shown = on_a_terminal(["tools", url], {**environment, "NO_COLOR": "1"}, columns=columns)
        assert COLOUR.search(shown) is None
        assert_aligned(left_on_screen(shown))

    def test_a_dumb_terminal_gets_text_alone(self, url, environment, columns):
        shown = on_a_terminal(["tools", url], environment, columns=columns, term="dumb")
        assert ESCAPE.search(shown) is None
        assert_aligned(shown)
        assert widest(shown) <= columns


def assert_aligned(table):
    """Each tool is on a line of its own, with what it does and its arguments below their heads."""
    head, *rows = [line for line in table.splitlines() if line.strip()]
    (add,) = [row for row in rows if row.split()[0] == "add"]
    assert add.index("Adds two numbers.") == head.index("what it does")
    assert add.index("a: integer, b: integer") == head.index("arguments")
