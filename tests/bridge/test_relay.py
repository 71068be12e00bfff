"""The relay in a jar: what it passes on, what it sends again, and what it never does twice."""

from __future__ import annotations

from functools import wraps

import anyio
import httpx2
import pytest
from bridge.jar import STATELESS, Server, answered, event, relaying, response, stream

from gatepass.bridge import conversation, exchange, patience, relay

REFUSED = httpx2.ConnectError("Connection refused")
BROKEN = httpx2.ReadError("")
CALL = {"name": "pay", "arguments": {"amount": 1}}


@pytest.fixture(autouse=True)
def in_a_hurry(monkeypatch):
    """The pauses, not the order of things."""
    monkeypatch.setattr(patience, "_FIRST_PAUSE_S", 0.001)
    monkeypatch.setattr(exchange, "_PAUSE_S", 0.001)
    monkeypatch.setattr(relay, "_GRACE_S", 0.1)


def in_a_loop(test):
    @wraps(test)
    def run(*arguments, **named):
        anyio.run(lambda: test(*arguments, **named), backend="asyncio")

    return run


def said(text):
    """A reaction: answers with this text."""
    return lambda message: answered(message, text)


# What passes


@in_a_loop
async def test_a_message_passes_as_it_is_and_so_does_its_answer():
    server = Server()
    odd = (
        b'{"params": {"b":1.50, "a":12345678901234567890123, "t":"\\u00e9 \xc3\xa9"}, "id":"x", "method":"a/b", "x":[]}'
    )
    answer = b'{"id":"x","result":{"n":1.500,"t":"\\u2028"},"jsonrpc":"2.0","more":null}'
    server.when("a/b", lambda _: httpx2.Response(200, content=answer, headers={"Content-Type": "application/json"}))
    async with relaying(server) as host:
        await host.write(odd)
        await host.answer("x")
    assert server.bodies == [odd]
    assert host.heard_lines == [answer]


@in_a_loop
async def test_an_answer_on_several_lines_comes_on_one_and_says_the_same():
    server = Server()
    server.when(
        "a",
        lambda _: httpx2.Response(
            200, content=b'{\r\n "jsonrpc": "2.0",\n "id": 1,\n "result": {"n": 1.50, "t": "a\\nb"}\n}',
            headers={"Content-Type": "application/json; charset=utf-8"},
        ),
        lambda _: stream(b'data: {"jsonrpc": "2.0",\ndata: "id": 2, "result": {}}\n\n'),
    )  # fmt: skip
    async with relaying(server) as host:
        await host.call(1, "a")
        await host.call(2, "a")
    assert host.heard_lines == [
        b'{"jsonrpc":"2.0","id":1,"result":{"n":1.50,"t":"a\\nb"}}',
        b'{"jsonrpc":"2.0","id":2,"result":{}}',
    ]


@in_a_loop
async def test_a_stream_is_passed_on_as_it_comes():
    server, go_on = Server(), anyio.Event()
    note = {"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progress": 1}}
    server.when("a", lambda message: stream(event(note), b": ping\n\n", go_on, event(response(message, {}))))
    async with relaying(server) as host:
        await host.ask(1, "a")
        assert await host.hears(lambda message: "method" in message) == note
        assert len(host.heard) == 1
        go_on.set()
        await host.answer(1)


@in_a_loop
async def test_messages_are_on_their_way_side_by_side():
    server, go_on = Server(), anyio.Event()

    async def slow(message):
        await go_on.wait()

    for what in ("slow", "notifications/progress", "notifications/cancelled", "response"):
        server.when(what, slow)
    asks = {"jsonrpc": "2.0", "id": 7, "method": "roots/list"}
    server.when("asks", lambda message: stream(event(asks), event(response(message, "done"))))
    async with relaying(server) as host:
        await host.ask(1, "slow")
        await host.call(2, "asks")
        await host.notify("notifications/progress", {"progressToken": 1})
        await host.notify("notifications/cancelled", {"requestId": 99})
        await host.reply(7, {"roots": []})
        await host.call(3, "quick")
        assert sorted(server.methods()) == [
            "asks", "notifications/cancelled", "notifications/progress", "quick", "response", "slow"
        ]  # fmt: skip
        go_on.set()
        await host.answer(1)


@in_a_loop
async def test_what_the_host_says_after_the_handshake_waits_for_its_answer():
    server = Server()
    async with relaying(server) as host:
        await host.ask("open", "initialize", {"protocolVersion": "2025-11-25"})
        await host.notify("notifications/initialized")
        await host.ask(1, "tools/list")
        await host.answer(1)
    told = [(session, message["method"]) for session, message in server.got]
    assert told == [
        (None, "initialize"),
        ("session-1", "notifications/initialized"),
        ("session-1", "tools/list"),
    ]
    assert [headers.get("mcp-protocol-version") for headers in map(server.headers, server.methods())] == [
        None,
        "2025-11-25",
        "2025-11-25",
    ]


@in_a_loop
async def test_the_server_asks_the_host_in_a_stream_and_the_answer_goes_to_the_session_that_asked():
    server, answer = Server(), anyio.Event()
    asks = {"jsonrpc": "2.0", "id": 7, "method": "sampling/createMessage", "params": {}}
    server.when("tools/call", lambda message: stream(event(asks), answer, event(response(message, "done"))))
    server.when("response", lambda _: answer.set())
    async with relaying(server) as host:
        await host.opens()
        await host.ask(1, "tools/call", CALL)
        assert await host.hears(lambda message: message.get("method") == "sampling/createMessage") == asks
        await host.reply(7, {"text": "a"})
        assert (await host.answer(1))["result"] == "done"
        await host.reply(7, {"text": "again"})  # nobody asked
        await host.call(2, "ping")
    assert [(session, message["result"]) for session, message in server.got if "result" in message] == [
        ("session-1", {"text": "a"})
    ]


@in_a_loop
async def test_answers_pass_while_as_many_requests_as_can_be_wait_for_them(monkeypatch):
    monkeypatch.setattr(relay, "_AT_ONCE", 1)
    server, answer = Server(), anyio.Event()
    asks = {"jsonrpc": "2.0", "id": 7, "method": "roots/list"}
    server.when("tools/call", lambda message: stream(event(asks), answer, event(response(message, "done"))))
    server.when("response", lambda _: answer.set())
    async with relaying(server) as host:
        await host.ask(1, "tools/call", CALL)
        await host.ask(2, "ping")
        await host.hears(lambda message: "method" in message)
        await host.reply(7, {"roots": []})
        assert (await host.answer(1))["result"] == "done"
        await host.answer(2)
    assert server.methods() == ["tools/call", "response", "ping"]


WRONG = {
    "no JSON": (b"{", None, -32700),
    "a batch": (b'[{"jsonrpc":"2.0","id":1,"method":"ping"}]', None, -32600),
    "neither one nor the other": (b'{"jsonrpc":"2.0","id":1}', None, -32600),
    "an id that is none": (b'{"jsonrpc":"2.0","id":1.5,"method":"ping"}', None, -32600),
}


@pytest.mark.parametrize("line", WRONG)
@in_a_loop
async def test_what_is_no_message_is_refused_here(line):
    server = Server()
    text, number, code = WRONG[line]
    async with relaying(server) as host:
        await host.write(text)
        assert (await host.answer(number))["error"]["code"] == code
    assert server.requests == []


@in_a_loop
async def test_an_id_that_is_in_use_and_one_request_too_many_are_refused(monkeypatch):
    monkeypatch.setattr(relay, "_UNANSWERED", 2)
    server, go_on = Server(), anyio.Event()
    server.when("slow", *[lambda _: go_on.wait()] * 2)
    async with relaying(server) as host:
        await host.ask(1, "slow")
        await host.ask(1, "again")
        assert (await host.answer(1))["error"]["code"] == -32600
        await host.ask("1", "slow")
        await host.ask(3, "more")
        assert (await host.answer(3))["error"]["code"] == -32603
        go_on.set()
        assert (await host.answer("1"))["result"] == {"did": "slow"}
    assert server.methods() == ["slow", "slow"]


# Cancellation


@in_a_loop
async def test_in_the_stateless_era_to_cancel_is_to_hang_up():
    server, hung_up = Server(), anyio.Event()

    async def for_ever(message):
        try:
            await anyio.sleep_forever()
        finally:
            hung_up.set()

    server.when("tools/call", for_ever)
    async with relaying(server) as host:
        await host.ask(1, "tools/call", {**CALL, **STATELESS})
        await server.until(lambda: server.count("tools/call") == 1)
        await host.notify("notifications/cancelled", {"requestId": 1})
        with anyio.fail_after(10):
            await hung_up.wait()
        await host.call(2, "ping", STATELESS)
    assert server.methods() == ["tools/call", "ping"]
    assert [message["id"] for message in host.heard] == [2]


@in_a_loop
async def test_in_the_era_of_handshakes_the_server_is_told_and_nothing_is_said_of_the_call_any_more():
    server, go_on = Server(), anyio.Event()
    server.when("tools/call", lambda message: stream(go_on, event(response(message, "too late"))))
    async with relaying(server) as host:
        await host.opens()
        await host.ask(1, "tools/call", CALL)
        await server.until(lambda: server.count("tools/call") == 1)
        await host.notify("notifications/cancelled", {"requestId": 1})
        await server.until(lambda: server.count("notifications/cancelled") == 1)
        go_on.set()
        await host.call(2, "ping")
    assert [message["id"] for message in host.heard] == [2]


# A session that is lost


LOSSES = {
    "404": lambda _: httpx2.Response(404, text="Not Found"),
    "404 with an error of nobody's": lambda _: httpx2.Response(
        404, json={"jsonrpc": "2.0", "id": None, "error": {"code": -32600, "message": "Session not found"}}
    ),
    "400, as older servers have it": lambda _: httpx2.Response(
        400, json={"jsonrpc": "2.0", "id": None, "error": {"code": -32000, "message": "No valid session ID provided"}}
    ),
}


@pytest.mark.parametrize("loss", LOSSES)
@in_a_loop
async def test_a_lost_session_is_opened_again_as_it_was_and_the_host_does_not_notice(loss):
    server = Server()
    async with relaying(server) as host:
        await host.opens(clientInfo={"name": "a host"})
        await host.call(1, "logging/setLevel", {"level": "debug"})
        await host.call(2, "resources/subscribe", {"uri": "a:1"})
        await host.call(3, "resources/subscribe", {"uri": "a:2"})
        await host.call(4, "resources/unsubscribe", {"uri": "a:1"})
        server.forget()
        server.when("tools/call", LOSSES[loss])
        assert (await host.call(5, "tools/call", CALL))["result"] == {"did": "tools/call"}
    lost = server.methods().index("tools/call")
    again = [(session, message["method"], message["params"]) for session, message in server.got[lost + 1 :]]
    assert again == [
        (None, "initialize", {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "a host"}}),
        ("session-2", "notifications/initialized", {}),
        ("session-2", "logging/setLevel", {"level": "debug"}),
        ("session-2", "resources/subscribe", {"uri": "a:2"}),
        ("session-2", "tools/call", CALL),
    ]
    assert [message["id"] for message in host.heard] == [1, 2, 3, 4, 5]


PROBLEMS = {
    "of the call, with its id": lambda message: httpx2.Response(
        400, json={"jsonrpc": "2.0", "id": message["id"], "error": {"code": -32602, "message": "No such session."}}
    ),
    "of the call, in a body of its own": lambda _: httpx2.Response(400, json={"detail": "The checkout session ended."}),
    "in a text": lambda _: httpx2.Response(400, text="The session is full."),
}


@pytest.mark.parametrize("problem", PROBLEMS)
@in_a_loop
async def test_a_400_that_only_speaks_of_a_session_is_the_outcome_of_the_call(problem):
    server = Server()
    server.when("tools/call", PROBLEMS[problem])
    async with relaying(server) as host:
        await host.opens()
        assert "error" in await host.call(1, "tools/call", CALL)
    assert server.count("tools/call") == 1
    assert server.opened == 1


@in_a_loop
async def test_all_who_find_the_session_lost_share_the_next_one():
    server = Server()
    async with relaying(server) as host:
        await host.opens()
        server.forget()
        for number in range(20):
            await host.ask(number, "tools/call", CALL)
        for number in range(20):
            assert "result" in await host.answer(number)
    assert server.opened == 2
    done = [message["id"] for session, message in server.got if session == "session-2" and "id" in message]
    assert sorted(done) == list(range(20))


@in_a_loop
async def test_a_call_that_was_in_flight_is_not_repeated_in_the_next_session():
    server, dies = Server(), anyio.Event()
    server.when("tools/call", lambda _: stream(b": ping\n\n", dies, BROKEN))
    async with relaying(server) as host:
        await host.opens()
        await host.ask(1, "tools/call", CALL)
        await server.until(lambda: server.count("tools/call") == 1)
        server.forget()
        assert "result" in await host.call(2, "tools/list")
        dies.set()
        error = (await host.answer(1))["error"]
    assert (error["code"], error["data"]["code"]) == (-32012, "answer_lost")
    assert "may or may not have done tools/call" in error["message"]
    assert server.count("tools/call") == 1


@in_a_loop
async def test_a_server_that_comes_back_late_is_waited_for():
    server = Server()
    async with relaying(server) as host:
        await host.opens()
        server.forget()
        server.when("tools/call", REFUSED, REFUSED)
        server.when("initialize", REFUSED, BROKEN, lambda _: httpx2.Response(503))
        server.when("notifications/initialized", BROKEN)
        assert "result" in await host.call(1, "tools/call", CALL)
    assert [
        message["id"] for session, message in server.got if session == f"session-{server.opened}" and "id" in message
    ] == [1]


@in_a_loop
async def test_a_server_that_forgets_every_session_is_not_asked_for_ever():
    server = Server()
    async with relaying(server) as host:
        await host.opens()
        server.when("tools/call", *[lambda _: server.forget()] * 10)
        error = (await host.call(1, "tools/call", CALL))["error"]
    assert error["data"]["code"] == "session_lost"
    assert server.count("tools/call") == 4


@in_a_loop
async def test_the_next_session_is_asked_for_at_the_version_that_the_host_was_told():
    server = Server()
    async with relaying(server) as host:
        await host.opens(protocolVersion="2099-01-01")
        server.forget()
        await host.call(1, "ping")
        assert [
            message["params"]["protocolVersion"] for _, message in server.got if message["method"] == "initialize"
        ] == [
            "2099-01-01",
            "2025-11-25",
        ]
        server.forget()
        server.version = "2025-06-18"
        error = (await host.call(2, "ping"))["error"]
    assert error["data"]["code"] == "session_lost"
    assert "connect to it anew" in error["message"]


@in_a_loop
async def test_what_the_lost_session_had_asked_is_taken_back_and_its_answer_goes_nowhere():
    server = Server()
    asks = {"jsonrpc": "2.0", "id": 7, "method": "elicitation/create"}
    ends = anyio.Event()
    server.when("tools/call", lambda _: stream(event(asks), ends))
    async with relaying(server) as host:
        await host.opens()
        await host.ask(1, "tools/call", CALL)
        await host.hears(lambda message: message.get("method") == "elicitation/create")
        server.forget()
        await host.call(2, "ping")
        taken_back = await host.hears(lambda message: message.get("method") == "notifications/cancelled")
        await host.reply(7, {"action": "accept"})
        await host.call(3, "ping")
        ends.set()
    assert taken_back["params"]["requestId"] == 7
    assert server.count("response") == 0


@in_a_loop
async def test_a_notification_that_finds_the_session_lost_goes_to_the_next_unless_it_is_about_the_old():
    server = Server()
    async with relaying(server) as host:
        await host.opens()
        server.forget()
        await host.notify("notifications/progress", {"progressToken": 1})
        await host.notify("notifications/roots/list_changed")
        await host.call(1, "ping")
    assert [message["method"] for session, message in server.got if session == "session-2"] == [
        "notifications/initialized",
        "notifications/roots/list_changed",
        "ping",
    ]


# An answer that is lost, and a server that can't be reached


@pytest.mark.parametrize(
    ("method", "params", "times"),
    [
        ("tools/list", {}, 2),
        ("resources/read", {"uri": "a:1"}, 2),
        ("tools/call", {"name": "look"}, 2),
        ("tools/call", {"name": "set"}, 2),
        ("tools/call", {"name": "pay"}, 1),
        ("tools/call", {"name": "unheard of"}, 1),
        ("vendor/own", {}, 1),
    ],
)
@in_a_loop
async def test_a_request_whose_answer_is_lost_is_repeated_only_if_that_does_no_harm(method, params, times):
    server = Server()
    tools = [
        {"name": "look", "annotations": {"readOnlyHint": True}},
        {"name": "set", "annotations": {"idempotentHint": True}},
        {"name": "pay", "annotations": {"readOnlyHint": False, "destructiveHint": True}},
        {"name": None},
        "no tool",
    ]
    async with relaying(server) as host:
        server.when("tools/list", lambda message: answered(message, {"tools": tools}))
        await host.call(1, "tools/list", STATELESS)
        server.when(method, BROKEN)
        answer = await host.call(2, method, {**params, **STATELESS})
    assert server.methods()[1:] == [method] * times
    assert ("error" in answer) == (times == 1)


@in_a_loop
async def test_what_did_not_leave_is_sent_again_whatever_it_is():
    server = Server()
    async with relaying(server) as host:
        await host.call(1, "ping")
        server.when("tools/call", REFUSED, httpx2.ConnectTimeout(""), httpx2.PoolTimeout(""))
        assert (await host.call(2, "tools/call", CALL))["result"] == {"did": "tools/call"}
    assert server.count("tools/call") == 4


@in_a_loop
async def test_patience_ends(monkeypatch):
    monkeypatch.setattr(conversation, "PATIENCE_S", 0.01)
    server = Server()
    async with relaying(server) as host:
        await host.call(1, "ping")
        server.when("tools/call", *[REFUSED] * 100)
        error = (await host.call(2, "tools/call", CALL))["error"]
    assert (error["code"], error["data"]["code"]) == (-32012, "unreachable")
    assert "may or may not" not in error["message"]


@in_a_loop
async def test_a_server_that_never_answered_is_not_waited_for():
    server = Server()
    server.when("initialize", REFUSED)
    async with relaying(server) as host:
        error = (await host.call(1, "initialize", {"protocolVersion": "2025-11-25"}))["error"]
    assert error["data"]["code"] == "unreachable"
    assert server.methods() == ["initialize"]


@in_a_loop
async def test_the_stream_of_a_subscription_that_breaks_is_the_hosts_to_open_again():
    server = Server()
    server.when("subscriptions/listen", lambda _: stream(b": ping\n\n", BROKEN))
    async with relaying(server) as host:
        error = (await host.call(1, "subscriptions/listen", STATELESS))["error"]
    assert error["data"]["code"] == "connection_broken"
    assert server.count("subscriptions/listen") == 1


# Streams that are taken up again


@in_a_loop
async def test_a_broken_stream_is_taken_up_where_it_broke_off_and_the_call_is_not_repeated():
    server = Server()
    note = {"jsonrpc": "2.0", "method": "notifications/message", "params": {"data": "a"}}
    server.when("tools/call", lambda _: stream(b"retry: 1\n", event(None, number="5"), event(note, number="6"), BROKEN))
    resumed = [
        REFUSED,
        httpx2.Response(502),
        lambda _: stream(event(note, number="7")),
        lambda _: stream(event(response({"id": 1}, "done"), number="8")),
    ]
    async with relaying(server) as host:
        await host.opens()
        await server.until(lambda: "GET" in [request.method for request in server.requests])
        server.when("GET", *resumed)
        assert (await host.call(1, "tools/call", CALL))["result"] == "done"
    gets = [request.headers.get("last-event-id") for request in server.requests if request.method == "GET"]
    assert gets == [None, "6", "6", "6", "7"]
    assert server.count("tools/call") == 1
    assert len([message for message in host.heard if message.get("method") == "notifications/message"]) == 2


@pytest.mark.parametrize("refusal", [httpx2.Response(404), httpx2.Response(405), httpx2.Response(400)])
@in_a_loop
async def test_where_a_stream_can_not_be_taken_up_the_answer_is_lost(refusal):
    server = Server()
    server.when("GET", httpx2.Response(405), refusal)
    server.when("tools/call", lambda _: stream(b"retry: 1\n", event(None, number="5")))
    async with relaying(server) as host:
        await host.opens()
        await server.until(lambda: "GET" in [request.method for request in server.requests])
        error = (await host.call(1, "tools/call", CALL))["error"]
    assert error["data"]["code"] == "answer_lost"
    assert server.count("tools/call") == 1


@in_a_loop
async def test_what_the_server_says_of_its_own_accord_is_heard_and_its_stream_is_kept_open():
    server = Server()
    note = {"jsonrpc": "2.0", "method": "notifications/tools/list_changed"}
    server.when(
        "GET",
        httpx2.Response(409),
        REFUSED,
        lambda _: stream(b"retry: 1\n", event(note, number="a-1"), BROKEN),
        lambda _: stream(b"data: no message\n\n", event(note, number="a-2"), anyio.Event()),
    )
    async with relaying(server) as host:
        await host.opens()
        await host.hears_times(2, "notifications/tools/list_changed")
    gets = [request.headers for request in server.requests if request.method == "GET"]
    assert [headers.get("last-event-id") for headers in gets] == [None, None, None, "a-1"]
    assert {headers["mcp-session-id"] for headers in gets} == {"session-1"}
    assert {headers["mcp-protocol-version"] for headers in gets} == {"2025-11-25"}


@in_a_loop
async def test_a_session_that_is_found_lost_between_calls_is_opened_again_and_listened_to():
    server = Server()
    note = {"jsonrpc": "2.0", "method": "notifications/tools/list_changed"}
    server.when("GET", lambda _: server.forget() or httpx2.Response(404), lambda _: stream(event(note), anyio.Event()))
    async with relaying(server) as host:
        await host.opens()
        await host.hears(lambda message: message.get("method") == "notifications/tools/list_changed")
    gets = [request.headers["mcp-session-id"] for request in server.requests if request.method == "GET"]
    assert gets == ["session-1", "session-2"]


@in_a_loop
async def test_a_host_that_opens_again_has_a_session_of_its_own():
    server = Server()
    server.when("GET", *[lambda _: stream(anyio.Event())] * 2)
    async with relaying(server) as host:
        await host.opens()
        await host.opens()
    assert [session for session, message in server.got if message["method"] == "ping"] == ["session-1", "session-2"]


# What is answered in the server's place


def of_nobody(code=-32600):
    return {"jsonrpc": "2.0", "id": None, "error": {"code": code, "message": "no"}}


ANSWERS = {
    "an error at a status of its own": (
        lambda message: httpx2.Response(404, json={**of_nobody(-32601), "id": message["id"]}),
        (-32601, "no", None),
    ),
    "an error of nobody's": (lambda _: httpx2.Response(400, json=of_nobody(-32022)), (-32022, "no", None)),
    "an error of nobody's and a 200": (lambda _: httpx2.Response(200, json=of_nobody()), (-32600, "no", None)),
    "the same in a stream": (lambda _: stream(event(of_nobody())), (-32600, "no", None)),
    "no endpoint": (lambda _: httpx2.Response(404, text="Not Found"), (-32601, "answered 404 to", "mcp_status")),
    "a status": (lambda _: httpx2.Response(500, json={"detail": "no"}), (-32603, "answered 500 to", "mcp_status")),
    "a page": (lambda _: httpx2.Response(200, html="<p>"), (-32603, "with text/html", "mcp_answer_invalid")),
    "nothing": (lambda _: httpx2.Response(202), (-32603, "with 202 and no message", "mcp_answer_invalid")),
    "half of it": (
        lambda _: httpx2.Response(200, content=b'{"id', headers={"Content-Type": "application/json"}),
        (-32603, "no JSON-RPC message", "mcp_answer_invalid"),
    ),
    "somebody else's answer": (lambda _: answered({"id": 99}, {}), (-32603, "no response to it", "mcp_answer_invalid")),
    "a redirect elsewhere": (
        lambda _: httpx2.Response(307, headers={"Location": "https://elsewhere.example/"}),
        (-32603, "answered 307 to", "mcp_status"),
    ),
    "a gateway": (lambda _: httpx2.Response(502), (-32012, "may or may not have done", "answer_lost")),
    "a refusal": (
        lambda _: httpx2.Response(
            403, headers={"WWW-Authenticate": 'Bearer error="insufficient_scope", scope="mcp:pay"'}
        ),
        (-32011, "asks for the scopes mcp:pay", "insufficient_scope"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("answer", ANSWERS)
@in_a_loop
async def test_a_call_that_is_not_answered_by_a_response_is_answered_by_an_error(answer):
    server = Server()
    reaction, (code, text, name) = ANSWERS[answer]
    server.when("tools/call", reaction)
    async with relaying(server) as host:
        error = (await host.call(1, "tools/call", {**CALL, **STATELESS}))["error"]
    assert error["code"] == code
    assert text in error["message"]
    assert error.get("data", {}).get("code") == name
    assert server.count("tools/call") == 1


@in_a_loop
async def test_an_answer_that_is_larger_than_anybody_means_is_none(monkeypatch):
    monkeypatch.setattr(exchange, "_MAX_MESSAGE_BYTES", 100)
    server = Server()
    server.when("a", lambda message: answered(message, "x" * 100), lambda message: stream(event("x" * 200)))
    async with relaying(server) as host:
        assert (await host.call(1, "a"))["error"]["data"]["code"] == "mcp_answer_invalid"
        assert (await host.call(2, "a"))["error"]["data"]["code"] == "answer_lost"


@in_a_loop
async def test_a_server_that_answers_a_get_with_something_else_has_no_stream():
    server = Server()
    server.when("GET", httpx2.Response(200, json={}))
    async with relaying(server) as host:
        await host.opens()
        await server.until(lambda: "GET" in [request.method for request in server.requests])
        await host.call(1, "ping")
    assert [request.method for request in server.requests].count("GET") == 1


@in_a_loop
async def test_a_redirect_within_the_resource_is_followed():
    server = Server()
    server.when("tools/call", httpx2.Response(307, headers={"Location": "/mcp/"}))
    async with relaying(server) as host:
        assert "result" in await host.call(1, "tools/call", CALL)
    assert [str(request.url) for request in server.requests] == ["http://127.0.0.1:9/mcp", "http://127.0.0.1:9/mcp/"]


@in_a_loop
async def test_what_has_no_answer_and_is_not_taken_is_a_line_in_the_log(caplog):
    server = Server()
    server.when("notifications/odd", httpx2.Response(400), BROKEN)
    async with relaying(server) as host:
        await host.notify("notifications/odd")
        await host.notify("notifications/odd")
        await host.call(1, "ping")
    assert [record.getMessage().partition(".")[0] for record in caplog.records] == [
        "The MCP server has not taken notifications/odd"
    ] * 2
    assert server.count("notifications/odd") == 2


@in_a_loop
async def test_a_server_that_gives_no_sign_holds_up_what_comes_next_no_longer_than_patience(monkeypatch, caplog):
    monkeypatch.setattr(relay, "PATIENCE_S", 0.01)
    server = Server()
    server.when("notifications/initialized", lambda _: anyio.sleep_forever())
    async with relaying(server) as host:
        await host.notify("notifications/initialized")
        await host.call(1, "ping")
    assert "has not taken notifications/initialized. It gave no sign." in caplog.text


# The stateless era


@in_a_loop
async def test_headers_repeat_what_stands_in_a_message():
    server = Server()
    schema = {"type": "object", "properties": {"region": {"type": "string", "x-mcp-header": "Region"}}}
    invalid = {"type": "object", "properties": {"region": {"type": "number", "x-mcp-header": "Region"}}}
    tools = [{"name": "query", "inputSchema": schema}, {"name": "odd", "inputSchema": invalid}]
    server.when("tools/list", lambda message: answered(message, {"tools": tools}))
    async with relaying(server) as host:
        await host.call(1, "tools/list", STATELESS)
        await host.call(2, "tools/call", {"name": "query", "arguments": {"region": "Ünited"}, **STATELESS})
        queried = server.headers("tools/call")
        await host.call(3, "tools/call", {"name": "odd", "arguments": {"region": "a"}, **STATELESS})
        await host.call(4, "tools/call", {"name": "query", "arguments": "none", **STATELESS})
    assert queried["mcp-protocol-version"] == "2026-07-28"
    assert queried["mcp-method"] == "tools/call"
    assert queried["mcp-name"] == "query"
    assert queried["mcp-param-region"] == "=?base64?w5xuaXRlZA==?="
    assert "mcp-session-id" not in queried
    assert not any("mcp-param-region" in request.headers for request in server.requests[2:])


def mismatch(message):
    error = {"code": -32020, "message": "Header mismatch"}
    return httpx2.Response(400, json={"jsonrpc": "2.0", "id": message["id"], "error": error})


@in_a_loop
async def test_a_call_that_lacks_headers_is_made_again_when_the_tools_were_listed():
    server = Server()
    schema = {"type": "object", "properties": {"region": {"type": "string", "x-mcp-header": "Region"}}}
    server.when("tools/call", mismatch)
    server.when(
        "tools/list",
        lambda message: answered(message, {"tools": [{"name": "a"}], "nextCursor": "2"}),
        lambda message: answered(message, {"tools": [{"name": "query", "inputSchema": schema}]}),
    )
    call = {"name": "query", "arguments": {"region": "eu"}, **STATELESS}
    async with relaying(server) as host:
        assert (await host.call(1, "tools/call", call))["result"] == {"did": "tools/call"}
    assert server.methods() == ["tools/call", "tools/list", "tools/list", "tools/call"]
    assert server.headers("tools/call")["mcp-param-region"] == "eu"
    assert [message["id"] for message in host.heard] == [1]


@pytest.mark.parametrize("listing", [{"tools": []}, None])
@in_a_loop
async def test_a_call_whose_headers_stay_the_same_is_not_made_again(listing):
    server = Server()
    server.when("tools/call", mismatch)
    server.when("tools/list", lambda message: answered(message, listing) if listing else httpx2.Response(500))
    async with relaying(server) as host:
        assert (await host.call(1, "tools/call", {**CALL, **STATELESS}))["error"]["code"] == -32020
    assert server.methods() == ["tools/call", "tools/list"]


@in_a_loop
async def test_a_notification_goes_at_the_version_of_the_requests_before_it():
    server = Server()
    async with relaying(server) as host:
        await host.call(1, "server/discover", STATELESS)
        await host.notify("notifications/own")
        await host.call(2, "ping", STATELESS)
    assert server.headers("notifications/own")["mcp-protocol-version"] == "2026-07-28"
    assert server.headers("notifications/own")["mcp-method"] == "notifications/own"


# The end


@in_a_loop
async def test_at_the_end_what_is_in_flight_gets_its_answer_and_the_session_is_ended():
    server, go_on = Server(), anyio.Event()
    server.when("slow", lambda _: go_on.wait())
    async with relaying(server) as host:
        await host.opens()
        await host.ask(1, "slow")
        await server.until(lambda: server.count("slow") == 1)
        host.leave()
        go_on.set()
        assert "result" in await host.answer(1)
    (ended,) = (request for request in server.requests if request.method == "DELETE")
    assert (ended.headers["mcp-session-id"], ended.headers["mcp-protocol-version"]) == ("session-1", "2025-11-25")


@in_a_loop
async def test_at_the_end_whatever_was_said_is_answered_however_many_and_slow(monkeypatch):
    monkeypatch.setattr(relay, "_AT_ONCE", 1)
    monkeypatch.setattr(relay, "_GRACE_S", 0)
    server, go_on = Server(), anyio.Event()
    server.when("initialize", lambda _: go_on.wait())
    async with relaying(server) as host:
        await host.ask(0, "initialize", {"protocolVersion": "2025-11-25"})
        for number in range(1, 100):
            await host.ask(number, "tools/call", CALL)
        host.leave()
        await server.until(lambda: server.count("initialize") == 1)
        await anyio.wait_all_tasks_blocked()
        go_on.set()
    assert [message["id"] for message in host.heard if "result" in message] == list(range(100))


async def left_unanswered(server, *methods):
    """The errors that a host has heard which asked for these and left, and how the relay ended."""
    try:
        async with relaying(server) as host:
            for number, method in enumerate(methods, 1):
                await host.ask(number, method)
    except BaseExceptionGroup as group:
        (lost,) = group.exceptions
    return [(message["id"], message["error"]["data"]["code"]) for message in host.heard], lost


@in_a_loop
async def test_at_the_end_a_call_without_an_answer_is_given_up_and_that_is_said(monkeypatch):
    monkeypatch.setattr(relay, "_LAST_ANSWER_S", 0.01)
    monkeypatch.setattr(relay, "_AT_ONCE", 1)
    server = Server()
    server.when("tools/call", lambda _: anyio.sleep_forever())
    errors, lost = await left_unanswered(server, "tools/call", "tools/list")
    assert sorted(errors) == [(1, "answer_lost"), (2, "answer_lost")]
    assert (lost.code, server.methods()) == ("answer_lost", ["tools/call"])
    assert "at the end: 2." in str(lost)


@in_a_loop
async def test_at_the_end_what_waits_behind_a_handshake_without_an_answer_is_given_up_unsent(monkeypatch):
    monkeypatch.setattr(relay, "_LAST_ANSWER_S", 0.01)
    server = Server()
    server.when("initialize", lambda _: anyio.sleep_forever())
    errors, _ = await left_unanswered(server, "initialize", "tools/call")
    assert errors == [(1, "answer_lost"), (2, "answer_lost")]
    assert server.methods() == ["initialize"]


@in_a_loop
async def test_at_the_end_nothing_is_waited_for_that_does_not_end_by_itself(monkeypatch):
    monkeypatch.setattr(relay, "_GRACE_S", 0.01)
    monkeypatch.setattr(relay, "_FAREWELL_S", 0.01)
    server = Server()
    for what in ("DELETE", "subscriptions/listen", "notifications/progress"):
        server.when(what, lambda _: anyio.sleep_forever())
    with anyio.fail_after(10):
        async with relaying(server) as host:
            await host.opens()
            await host.ask(1, "subscriptions/listen")
            await host.notify("notifications/progress")
            await server.until(lambda: server.count("notifications/progress") == 1)
    assert host.heard == []
