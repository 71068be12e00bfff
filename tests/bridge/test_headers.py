"""What the HTTP transport says beside a message, in both eras."""

from __future__ import annotations

import json

import pytest

from gatepass.bridge.headers import headers_of, session_headers
from gatepass.bridge.message import read
from gatepass.bridge.session import NO_SESSION, Session
from gatepass.bridge.tools import Tools

VERSION = "2026-07-28"


def message(method, **params):
    return read(json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode())


NAMES = {
    "get_weather": "get_weather",
    "a name": "a name",
    "Hällo": "=?base64?SMOkbGxv?=",
    " padded ": "=?base64?IHBhZGRlZCA=?=",
    "line1\nline2": "=?base64?bGluZTEKbGluZTI=?=",
    "=?base64?literal?=": "=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?=",
    "": "=?base64??=",
}


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_encoded_where_a_header_can_not_carry_it(name):
    assert headers_of(message("tools/call", name=name), VERSION, Tools())["Mcp-Name"] == NAMES[name]


@pytest.mark.parametrize(
    ("given", "named"),
    [
        (message("tools/call", name="a"), "a"),
        (message("prompts/get", name="a"), "a"),
        (message("resources/read", uri="file:///a"), "file:///a"),
        (message("tools/call", name=7), None),
        (message("tools/list", name="a"), None),
        (message("vendor/own", uri="a"), None),
    ],
    ids=lambda given: given if isinstance(given, str | None) else given.method,
)
def test_method_and_version_always_go_along_and_a_name_where_there_is_one(given, named):
    headers = headers_of(given, VERSION, Tools())
    expected = {"MCP-Protocol-Version": VERSION, "Mcp-Method": given.method, "Mcp-Name": named}
    assert headers == {name: value for name, value in expected.items() if value is not None}


def test_what_no_header_can_carry_is_left_out():
    assert headers_of(message("a\nb"), "2026\r\nX: 1", Tools()) == {}


@pytest.mark.parametrize(
    ("session", "headers"),
    [
        (NO_SESSION, {}),
        (Session("s-1", "2025-11-25"), {"Mcp-Session-Id": "s-1", "MCP-Protocol-Version": "2025-11-25"}),
        (Session(None, "2025-06-18"), {"MCP-Protocol-Version": "2025-06-18"}),
    ],
    ids=["none", "named", "unnamed"],
)
def test_a_session_is_named_with_its_version(session, headers):
    assert session_headers(session) == headers


def test_a_session_does_not_show_its_id():
    assert "s-1" not in repr(Session("s-1", "2025-11-25"))


def listing(*tools):
    return read(json.dumps({"jsonrpc": "2.0", "id": 1, "result": {"tools": tools}}).encode())


def test_the_last_listing_of_a_tool_counts():
    tools = Tools()
    region = {"type": "object", "properties": {"region": {"type": "string", "x-mcp-header": "Region"}}}
    tools.learn(listing({"name": "a", "inputSchema": region, "annotations": {"readOnlyHint": True}}))
    tools.learn(listing({"name": "b", "inputSchema": region, "annotations": {"idempotentHint": "yes"}}))
    assert tools.headers("a", {"region": "eu"}) == {"Mcp-Param-Region": "eu"}
    assert (tools.may_repeat("a"), tools.may_repeat("b"), tools.may_repeat(7)) == (True, False, False)
    tools.learn(listing({"name": "a", "inputSchema": {"type": "object"}}))
    assert tools.headers("a", {"region": "eu"}) == {}
    assert not tools.may_repeat("a")


def test_a_listing_that_is_none_teaches_nothing():
    tools = Tools()
    for result in ([], {"tools": 7}, {"tools": [7, {}, {"name": 7}]}):
        tools.learn(read(json.dumps({"jsonrpc": "2.0", "id": 1, "result": result}).encode()))
    assert tools.headers("a", {}) == {}
