"""The loopback endpoint: whom it refuses, what it passes on, and that key and token stay on their sides."""

from __future__ import annotations

import asyncio
import socket
import threading
from functools import partial

import anyio
import httpx2
import pytest
from bridge.gated import Gated, official
from bridge.looped_back import KEY, looped_back
from integration.patience import aeventually, eventually
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client
from starlette.applications import Starlette
from starlette.responses import JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from gatepass.bridge import loopback
from gatepass.testing import Trouble

WAIT_S = 10.0


class Endpoint:
    """What stands behind the gate: it tells what it was sent, and streams when it is told to."""

    def __init__(self):
        self.go_on = threading.Event()
        self.hung_up = threading.Event()
        self.seen = []
        self.answer = None

    def make(self, _counted):
        routes = [
            Route("/mcp", self._answer, methods=["GET", "POST", "DELETE"]),
            Route("/mcp/", self._mirror, methods=["POST"]),
        ]
        return Starlette(routes=routes)

    async def _answer(self, request):
        match self.answer:
            case "stream":
                return StreamingResponse(self._events(), media_type="text/event-stream")
            case "wait":
                await self._until_hung_up(request)
                return Response()
            case Response() as answer:
                return answer
            case _:
                return await self._mirror(request)

    async def _mirror(self, request):
        self.seen.append(request)
        body = await request.body()
        headers = [
            ("X-Own", "a"),
            ("X-Own", "b"),
            ("Set-Cookie", "session=1"),
            ("WWW-Authenticate", "Bearer"),
            ("Connection", "X-Hop"),
            ("X-Hop", "1"),
            ("Keep-Alive", "timeout=5"),
            ("Mcp-Session-Id", "s-1"),
        ]
        response = JSONResponse({"headers": request.headers.items(), "body": body.decode(), "method": request.method})
        for name, value in headers:
            response.headers.append(name, value)
        return response

    async def _events(self):
        try:
            yield "data: 1\n\n"
            await aeventually(self.go_on.is_set, "the stream was told to go on")
            yield "data: 2\n\n"
        except asyncio.CancelledError:
            self.hung_up.set()
            raise

    async def _until_hung_up(self, request):
        while (await request.receive())["type"] != "http.disconnect":
            pass
        self.hung_up.set()


@pytest.fixture
def endpoint():
    return Endpoint()


@pytest.fixture
def server(authority, endpoint):
    with Gated(authority, endpoint.make) as server:
        yield server


@pytest.fixture
def url(server, authority):
    with looped_back(server.url, authority) as url:
        yield url


@pytest.fixture
def caller():
    with httpx2.Client(headers={"Authorization": f"Bearer {KEY}"}, timeout=WAIT_S, trust_env=False) as caller:
        yield caller


REFUSED = {
    "no key": ({"Authorization": ""}, 401),
    "another key": ({"Authorization": "Bearer of-somebody-elses"}, 401),
    "a key that is no ASCII": ({"Authorization": "Bearer clé"}, 401),
    "the key in another scheme": ({"Authorization": f"Basic {KEY}"}, 401),
    "a name that leads here": ({"Host": "rebound.example:PORT"}, 421),
    "a port that is not this one": ({"Host": "127.0.0.1:1"}, 421),
    "localhost": ({"Host": "localhost:PORT"}, 200),
    "a page of another site": ({"Origin": "https://elsewhere.example"}, 403),
    "a page of a site that sounds like this one": ({"Origin": "http://localhost.example"}, 403),
    "a page of nowhere": ({"Origin": "null"}, 403),
    "a page of this machine": ({"Origin": "http://localhost:6274"}, 200),
}


@pytest.mark.parametrize("who", REFUSED)
def test_only_callers_on_this_machine_that_have_the_key_get_in(who, url, server, caller):
    headers, status = REFUSED[who]
    port = url.split(":")[2].removesuffix("/mcp")
    given = {name: value.replace("PORT", port).encode() for name, value in headers.items()}
    response = caller.post(url, headers=given, json={})
    assert response.status_code == status
    assert server.count("resource") == (1 if status == 200 else 0)
    assert ("WWW-Authenticate" in response.headers) == (status == 401)
    assert KEY not in response.text or status == 200


HOSTS = [
    ("127.0.0.1:80", "127.0.0.1", 401),
    ("127.0.0.1:80", "127.0.0.1:80", 401),
    ("127.0.0.1:80", "localhost", 401),
    ("127.0.0.1:80", "127.0.0.1:8900", 421),
    ("[::1]:80", "[::1]", 401),
    ("[0:0:0:0:0:0:0:1]:8917", "[0:0:0:0:0:0:0:1]:8917", 401),
    ("[0:0:0:0:0:0:0:1]:8917", "[::1]:8917", 401),
    ("[::1]:8917", "[0:0:0:0:0:0:0:1]:8917", 401),
    ("127.0.0.1:8900", "127.0.0.1", 421),
    ("127.0.0.1:8900", "LOCALHOST:8900", 401),
    ("127.0.0.1:8900", "127.0.0.1:8900/path", 421),
    ("127.0.0.1:8900", "user@127.0.0.1:8900", 421),
    ("127.0.0.1:8900", "127.0.0.1:port", 421),
    ("127.0.0.1:8900", "", 421),
]


@pytest.mark.parametrize(("address", "host", "status"), HOSTS)
def test_a_host_header_names_the_port_however_it_writes_it(address, host, status):
    async def ask():
        app = loopback.Loopback(None, KEY, address=address)
        async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://here") as caller:
            return await caller.post("/mcp", headers={"Host": host}, json={})

    assert anyio.run(ask).status_code == status


def test_two_authorization_headers_are_one_too_many(url, caller):
    headers = [("Authorization", f"Bearer {KEY}"), ("Authorization", "Bearer other")]
    assert caller.send(httpx2.Request("POST", url, headers=headers, content=b"{}")).status_code == 401


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("PUT", "/mcp", 405),
        ("OPTIONS", "/mcp", 405),
        ("POST", "/mcp/", 404),
        ("GET", "/.well-known/oauth-protected-resource/mcp", 404),
        ("GET", "/mcp/plain/hello", 404),
    ],
)
def test_nothing_is_here_but_the_mcp_endpoint(method, path, status, url, server, caller):
    assert caller.request(method, url.removesuffix("/mcp") + path).status_code == status
    assert server.requests == []


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_headers_pass_but_for_those_of_one_side(method, url, server, endpoint, caller):
    sent = {
        "Mcp-Session-Id": "s-1",
        "MCP-Protocol-Version": "2026-07-28",
        "Mcp-Param-Region": "=?base64?w4Q=?=",
        "Last-Event-ID": "7",
        "Accept": "application/json, text/event-stream",
        "User-Agent": "own/1",
        "X-Twice": "1",
        "Origin": "http://127.0.0.1:1",
        "Cookie": "local=1",
        "DPoP": "own",
        "Connection": "keep-alive, X-Local",
        "X-Local": "1",
        "TE": "trailers",
        "Proxy-Authorization": "Basic bG9jYWw=",
    }
    response = caller.request(method, url, headers=sent, content=b'{"a": 1}' if method == "POST" else None)
    came = response.json()
    headers = {name.lower(): value for name, value in came["headers"]}
    assert came["method"] == method
    assert came["body"] == ('{"a": 1}' if method == "POST" else "")
    for name in list(sent)[:7]:
        assert headers[name.lower()] == sent[name]
    assert headers["host"] == f"127.0.0.1:{server.port}"
    assert headers["authorization"].startswith("Bearer eyJ")
    assert not {"origin", "cookie", "dpop", "x-local", "te", "proxy-authorization"} & headers.keys()
    assert KEY not in str(came)

    assert response.headers.get_list("X-Own") == ["a", "b"]
    assert response.headers["Mcp-Session-Id"] == "s-1"
    assert not {"set-cookie", "www-authenticate", "x-hop", "keep-alive"} & response.headers.keys()


def test_a_stream_is_passed_on_as_it_comes(url, endpoint, caller):
    endpoint.answer = "stream"
    with caller.stream("GET", url) as response:
        pieces = response.iter_text()
        assert next(pieces) == "data: 1\n\n"
        endpoint.go_on.set()
        assert "".join(pieces) == "data: 2\n\n"


@pytest.mark.parametrize("answer", ["stream", "wait"])
def test_a_caller_that_hangs_up_is_noticed_at_the_other_end(answer, url, server, endpoint):
    endpoint.answer = answer
    with socket.create_connection(("127.0.0.1", int(url.split(":")[2].removesuffix("/mcp")))) as line:
        host = url.removeprefix("http://").removesuffix("/mcp")
        head = f"POST /mcp HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {KEY}\r\nContent-Length: 2\r\n\r\n{{}}"
        line.sendall(head.encode())
        server.wait_for("resource", count=1)
    assert endpoint.hung_up.wait(WAIT_S)


def test_a_stream_that_breaks_off_there_breaks_off_here(url, server, endpoint, caller):
    endpoint.answer = "stream"
    with caller.stream("GET", url) as response:
        pieces = response.iter_text()
        next(pieces)
        server.stop()
        with pytest.raises(httpx2.RemoteProtocolError):
            next(pieces)


def test_a_token_that_is_refused_is_replaced_and_the_message_sent_once_more(url, authority, server, caller):
    caller.post(url, json={"a": 1})
    authority.revoke_all()
    assert caller.post(url, json={"a": 1}).json()["body"] == '{"a":1}'
    assert server.rejected == 1
    assert authority.count("token") == 2


CALL = {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {}}


@pytest.mark.parametrize(
    ("trouble", "code", "name"),
    [
        ("refused", -32011, "refused_by_resource"),
        ("no token", -32011, "token_refused"),
        ("unreachable", -32012, "unreachable"),
        ("broken", -32012, "answer_lost"),
        ("led away", -32603, "mcp_status"),
    ],
)
def test_what_fails_on_the_way_is_the_error_of_the_call(trouble, code, name, url, authority, server, endpoint, caller):
    match trouble:
        case "refused":
            server.reject_all = True
        case "no token":
            authority.trouble = Trouble(status=400, body={"error": "unauthorized_client"})
        case "unreachable":
            caller.post(url, json={})
            server.stop()
        case "broken":
            server.trouble = Trouble(connection="reset")
        case _:
            endpoint.answer = RedirectResponse("https://elsewhere.example/mcp")
    response = caller.post(url, json=CALL)
    assert response.status_code == 200
    assert (response.json()["id"], response.json()["error"]["code"]) == (7, code)
    assert response.json()["error"]["data"]["code"] == name
    assert "Location" not in response.headers

    if trouble == "broken":
        assert "may or may not have done tools/call" in response.json()["error"]["message"]
        lost = caller.post(url, json={**CALL, "method": "tools/list"})
        assert lost.json()["error"]["data"]["code"] == "connection_broken"
    for other in (caller.get(url), caller.post(url, json={**CALL, "id": None}), caller.post(url, content=b"{")):
        assert other.status_code == 502
        assert other.json()["error"]["code"] == code


def test_a_redirect_within_the_resource_is_followed(url, server, endpoint, caller):
    endpoint.answer = RedirectResponse("/mcp/")
    assert caller.post(url, json={"a": 1}).json()["body"] == '{"a":1}'
    assert [request.path for request in server.requests if server.is_resource(request.path)] == ["/mcp", "/mcp/"]


def test_statuses_of_the_server_are_the_callers(url, endpoint, caller):
    endpoint.answer = JSONResponse({"jsonrpc": "2.0", "id": None, "error": {"code": 1, "message": ""}}, 404)
    response = caller.post(url, json=CALL)
    assert (response.status_code, response.json()["error"]["code"]) == (404, 1)


def test_a_message_that_is_too_large_is_refused(url, server, caller, monkeypatch):
    monkeypatch.setattr(loopback, "_MAX_BODY_BYTES", 10)
    assert caller.post(url, content=b"1234567890").status_code == 200
    assert caller.post(url, content=b"12345678901").status_code == 413
    assert server.count("resource") == 1


def test_at_the_end_open_streams_are_cut_and_nothing_is_left(authority, server, endpoint, caller):
    endpoint.answer = "stream"
    with looped_back(server.url, authority) as url, caller.stream("GET", url) as response:
        next(response.iter_raw())
    with pytest.raises(httpx2.ConnectError):
        caller.get(url)
    eventually(endpoint.hung_up.is_set, "the stream there was closed, too")


@pytest.mark.parametrize("mode", ["legacy", "2026-07-28"])
def test_the_official_client_has_its_conversation_through_it(mode, authority):
    reported = []

    async def report(progress, total, message):
        reported.append(progress)

    async def talk(url):
        headers = {"Authorization": f"Bearer {KEY}"}
        async with (
            httpx2.AsyncClient(headers=headers, timeout=WAIT_S, trust_env=False) as http,
            Client(streamable_http_client(url, http_client=http), mode=mode) as client,
        ):
            await client.list_tools()
            await client.call_tool("steps", {"number": 3}, progress_callback=report)
            large = "ä" * 200_000
            assert (await client.call_tool("echo", {"text": large})).content[0].text == large
            async with anyio.create_task_group() as calls:
                for number in range(20):
                    calls.start_soon(client.call_tool, "count", {"name": str(number)})

    with Gated(authority, official()) as server, looped_back(server.url, authority) as url:
        anyio.run(partial(talk, url))
        assert server.counted == dict.fromkeys(map(str, range(20)), 1)
    assert reported == [1, 2, 3]
