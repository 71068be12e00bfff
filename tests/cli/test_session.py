"""What an MCP server says, as errors of gatepass's own tree; and every page of its tools."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest
from mcp.shared.exceptions import MCPError
from mcp_types import CONNECTION_CLOSED, INVALID_PARAMS, METHOD_NOT_FOUND, REQUEST_TIMEOUT, ListToolsResult, Tool

from gatepass.cli.exits import exit_of
from gatepass.cli.session import all_tools, session
from gatepass.errors import GatepassError, RemoteError
from gatepass.integrations.mcp import failure_data


class Door:
    """An `Access` whose client is given."""

    def __init__(self, client=None):
        self.client = client

    @asynccontextmanager
    async def connect(self, *_):
        yield self.client


def reason(error) -> GatepassError:
    """What becomes of an error in a conversation."""

    async def talk():
        async with session(Door()):
            raise error

    with pytest.raises(GatepassError) as caught:
        asyncio.run(talk())
    return caught.value


class TestAnError:
    @pytest.mark.parametrize(
        ("code", "exit_code", "says"),
        [
            (INVALID_PARAMS, 5, "The MCP server answered with an error: no such luck (-32602)."),
            (METHOD_NOT_FOUND, 5, "Check that the URL is the one of the MCP endpoint."),
            (REQUEST_TIMEOUT, 6, "The MCP server did not answer: no such luck."),
            (CONNECTION_CLOSED, 6, "The MCP server did not answer: no such luck."),
        ],
    )
    def test_it_has_the_exit_code_of_its_kind(self, code, exit_code, says):
        error = reason(MCPError(code, "no such luck."))
        assert exit_of(error) == exit_code
        assert says in str(error)

    def test_one_of_authorization_is_what_it_was(self):
        refusal = RemoteError("refused", code="token_refused", by="authorization_server")
        error = reason(MCPError(-32011, "refused", failure_data(refusal)))
        assert isinstance(error, RemoteError)
        assert (error.code, exit_of(error)) == ("token_refused", 4)

    def test_the_servers_words_are_cleaned_and_bounded(self):
        text = str(reason(MCPError(INVALID_PARAMS, "a\x1b]0;title\x07\nb" + "c" * 1000)))
        assert "\x1b" not in text
        assert "\n" not in text
        assert len(text) < 400

    def test_an_answer_that_is_none_is_not_quoted(self):
        from pydantic import ValidationError

        with pytest.raises(ValidationError) as caught:
            Tool.model_validate({"name": ["canary"]})
        error = reason(caught.value)
        assert exit_of(error) == 5
        assert "canary" not in str(error)


class Pages:
    """A server with a tool a page."""

    def __init__(self, count):
        self.count = count

    async def list_tools(self, *, cursor="0"):
        number = int(cursor)
        tool = Tool(name=f"tool{number}", input_schema={"type": "object"})
        return ListToolsResult(tools=[tool], next_cursor=str(number + 1) if number + 1 < self.count else None)


class TestAllTools:
    def test_they_come_page_by_page(self):
        assert [tool.name for tool in asyncio.run(all_tools(Pages(3)))] == ["tool0", "tool1", "tool2"]

    def test_a_list_without_an_end_is_given_up(self):
        with pytest.raises(RemoteError, match="did not end"):
            asyncio.run(all_tools(Pages(10**9)))
