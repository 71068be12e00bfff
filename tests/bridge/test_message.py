"""What a relay reads of a message, and what it leaves as it is."""

from __future__ import annotations

import json

import pytest

from gatepass.bridge.message import (
    INVALID_REQUEST,
    PARSE_ERROR,
    NotAMessageError,
    answered_to,
    error_line,
    notification_line,
    read,
)

MODERN = '{"io.modelcontextprotocol/protocolVersion": "2026-07-28"}'

KINDS = {
    '{"jsonrpc": "2.0", "id": 1, "method": "a"}': ("request", 1),
    '{"jsonrpc": "2.0", "id": "1", "method": "a", "params": []}': ("request", "1"),
    '{"jsonrpc": "2.0", "id": 12345678901234567890123, "method": "a"}': ("request", 12345678901234567890123),
    '{"jsonrpc": "2.0", "method": "a"}': ("notification", None),
    '{"jsonrpc": "2.0", "id": null, "method": "a"}': ("notification", None),
    '{"jsonrpc": "2.0", "id": 1, "result": {}}': ("result", 1),
    '{"jsonrpc": "2.0", "id": 1, "result": null}': ("result", 1),
    '{"jsonrpc": "2.0", "id": 1, "error": {"code": 1, "message": ""}}': ("error", 1),
    '{"jsonrpc": "2.0", "id": null, "error": {"code": 1, "message": ""}}': ("error", None),
    '{"jsonrpc": "2.0", "error": {"code": 1, "message": ""}}': ("error", None),
}


@pytest.mark.parametrize("text", KINDS)
def test_a_message_is_one_of_four(text):
    message = read(text.encode())
    is_answer = "error" if message.is_error else "result"
    is_call = "request" if message.is_request else "notification"
    assert (is_answer if message.is_response else is_call, message.id) == KINDS[text]
    assert message.line == text.encode()


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (b"", PARSE_ERROR),
        (b"{", PARSE_ERROR),
        (b"\xff", PARSE_ERROR),
        (b'{"method": "\xff"}', PARSE_ERROR),
        (b'{"method": "a", "params": {"b": "\xff"}}', PARSE_ERROR),
        (b'{"method": "a", "params": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", PARSE_ERROR),
        (b"1", INVALID_REQUEST),
        (b"[]", INVALID_REQUEST),
        (b'[{"jsonrpc": "2.0", "method": "a"}]', INVALID_REQUEST),
        (b'{"jsonrpc": "2.0", "id": 1}', INVALID_REQUEST),
        (b'{"jsonrpc": "2.0", "id": 1.5, "method": "a"}', INVALID_REQUEST),
        (b'{"jsonrpc": "2.0", "id": true, "method": "a"}', INVALID_REQUEST),
        (b'{"jsonrpc": "2.0", "id": 1, "method": 2}', INVALID_REQUEST),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_is_none_is_told_apart(text, code):
    with pytest.raises(NotAMessageError) as caught:
        read(text)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("params", "version"),
    [
        (f'{{"_meta": {MODERN}}}', "2026-07-28"),
        ('{"_meta": {"progressToken": 1}}', None),
        ('{"_meta": {"io.modelcontextprotocol/protocolVersion": 7}}', None),
        ('{"_meta": 1}', None),
        ("[]", None),
        ("null", None),
    ],
)
def test_a_request_of_the_stateless_era_carries_its_version(params, version):
    assert read(f'{{"jsonrpc": "2.0", "id": 1, "method": "a", "params": {params}}}'.encode()).version == version
    assert read(b'{"jsonrpc": "2.0", "id": 1, "method": "a"}').version is None


def test_line_breaks_between_its_parts_go_and_nothing_else():
    text = '{\r\n  "id": 1,\n "jsonrpc": "2.0", "result": {"n": 1.50, "t": "a\\nb \\u00e9 ä\u2028"}\n}'
    line = '{"id":1,"jsonrpc":"2.0","result":{"n":1.50,"t":"a\\nb \\u00e9 ä\u2028"}}'
    assert read(text.encode()).line == line.encode()


def test_a_response_can_be_given_the_id_that_it_lacks():
    response = answered_to("x", read(b'{"jsonrpc": "2.0", "id": null, "error": {"code": 1, "message": "m"}}'))
    assert json.loads(response.line) == {"jsonrpc": "2.0", "id": "x", "error": {"code": 1, "message": "m"}}


def test_a_parameter_can_be_set():
    message = read(b'{"jsonrpc": "2.0", "id": 1, "method": "a", "params": {"b": 1, "c": 2}}').with_param("b", 3)
    assert (message.param("b"), message.param("c"), message.method, message.id) == (3, 2, "a", 1)


def test_messages_of_our_own():
    assert json.loads(error_line(None, 1, "m")) == {
        "jsonrpc": "2.0",
        "id": None,
        "error": {"code": 1, "message": "m"},
    }
    assert json.loads(error_line("x", 1, "m", {"a": 2}))["error"]["data"] == {"a": 2}
    assert json.loads(notification_line("n", {"a": 1})) == {"jsonrpc": "2.0", "method": "n", "params": {"a": 1}}


def test_what_stands_elsewhere_is_not_there():
    message = read(b'{"jsonrpc": "2.0", "id": 1, "method": "a", "params": {"b": {"c": 1}}}')
    assert (message.param("b", "c"), message.param("b", "d"), message.param("b", "c", "d")) == (1, None, None)
    assert (message.outcome("b"), read(b'{"method": "a"}').param("b")) == (None, None)


def test_a_message_does_not_show_what_it_says():
    assert "secret" not in repr(read(b'{"jsonrpc": "2.0", "id": 1, "method": "a", "params": {"b": "secret"}}'))
