"""The resource wants more scopes than the token has (RFC 6750 §3.1; MCP, "Step-Up Authorization Flow")."""

from __future__ import annotations

import asyncio

import httpx2
import pytest
from integration.patience import eventually
from integration.people import Person
from integration.ways_in import auth_for, hello
from mcp import MCPError

import gatepass
from gatepass.testing import AuthorizationServer, ProtectedServer

ECHO = "/mcp/plain/echo"


@pytest.fixture
def mcp_server(auth_server):
    needs = {ECHO: ("mcp:write",), "add": ("mcp:write",), "slow": ("mcp:admin",)}
    with ProtectedServer(auth_server, scopes=("mcp:read",), scopes_for=needs) as server:
        yield server


def scopes_asked(auth_server):
    return [record.scope for record in auth_server.requests if record.path == "/token"]


def echo(http, mcp_server):
    return http.post(mcp_server.origin + ECHO, content=b"hello")


def test_a_token_with_the_union_is_obtained_and_the_request_sent_again(mcp_server, auth_server):
    with httpx2.Client(auth=auth_for(mcp_server)) as http:
        assert http.get(hello(mcp_server)).status_code == 200
        answer = echo(http, mcp_server)
        assert (answer.status_code, answer.content) == (200, b"hello")
        assert http.get(hello(mcp_server)).status_code == 200
    assert scopes_asked(auth_server) == ["mcp:read", "mcp:read mcp:write"]


def test_renewals_ask_for_the_same_from_then_on_also_after_a_restart(mcp_server, auth_server, tmp_path):
    with httpx2.Client(auth=auth_for(mcp_server, store=gatepass.FileStore(tmp_path / "store"))) as http:
        assert echo(http, mcp_server).status_code == 200
    auth_server.revoke_all()
    with httpx2.Client(auth=auth_for(mcp_server, store=gatepass.FileStore(tmp_path / "store"))) as http:
        assert echo(http, mcp_server).status_code == 200
    assert scopes_asked(auth_server)[1:] == ["mcp:read mcp:write"] * 2
    assert mcp_server.count("resource", status=403) == 1


def test_what_is_pinned_is_a_ceiling(mcp_server, auth_server):
    with httpx2.Client(auth=auth_for(mcp_server, scopes=["mcp:read"])) as http:
        assert echo(http, mcp_server).status_code == 403
    assert scopes_asked(auth_server) == ["mcp:read"]


def test_unless_one_says_otherwise(mcp_server, auth_server):
    with httpx2.Client(auth=auth_for(mcp_server, scopes=["mcp:read"], step_up=True)) as http:
        assert echo(http, mcp_server).status_code == 200


def test_what_the_authorization_server_does_not_give_is_asked_for_once_and_the_403_is_the_callers(
    mcp_server, auth_server, caplog
):
    auth_server.add_client("ci-bot", secret="s3cret", scopes=("mcp:read",))
    with httpx2.Client(auth=auth_for(mcp_server)) as http:
        for _ in range(3):
            assert echo(http, mcp_server).status_code == 403
            assert http.get(hello(mcp_server)).status_code == 200
    assert scopes_asked(auth_server) == ["mcp:read", "mcp:read mcp:write"]
    assert "mcp:write, which can't be had" in caplog.text


def test_a_server_that_wants_ever_new_scopes_is_followed_twice_for_one_operation(mcp_server, auth_server, monkeypatch):
    auth_server.add_client("ci-bot", secret="s3cret")
    wanted = iter(f"scope-{number}" for number in range(100))
    monkeypatch.setattr(mcp_server, "scopes_needed", lambda path, tool: ("mcp:read", next(wanted)))
    with httpx2.Client(auth=auth_for(mcp_server)) as http:
        assert http.get(hello(mcp_server)).status_code == 403
        assert auth_server.count("token") == 3
        assert http.get(hello(mcp_server)).status_code == 403
    assert auth_server.count("token") == 3


def test_a_body_that_can_be_sent_only_once_is_not_sent_again(mcp_server, auth_server):
    def body():
        yield b"hello"

    with httpx2.Client(auth=auth_for(mcp_server)) as http:
        assert http.get(hello(mcp_server)).status_code == 200
        assert http.post(mcp_server.origin + ECHO, content=body()).status_code == 403
    assert auth_server.count("token") == 1


def test_many_that_want_the_same_make_one_token(mcp_server, auth_server):
    async def visit():
        async with httpx2.AsyncClient(auth=auth_for(mcp_server)) as http:
            await http.get(hello(mcp_server))
            both = [http.post(mcp_server.origin + ECHO, content=b"x") for _ in range(20)]
            return await asyncio.gather(*both, *(http.get(hello(mcp_server)) for _ in range(20)))

    assert {answer.status_code for answer in asyncio.run(visit())} == {200}
    assert auth_server.count("token") == 2


def test_each_tool_of_an_mcp_server_is_an_operation_of_its_own(mcp_server, auth_server):
    auth_server.add_client("ci-bot", secret="s3cret", scopes=("mcp:read", "mcp:write"))

    async def visit():
        async with gatepass.connect(auth_for(mcp_server)) as mcp:
            added = await mcp.call_tool("add", {"a": 1, "b": 2})
            with pytest.raises(MCPError) as refused:
                await mcp.call_tool("slow", {"seconds": 0})
            again = await mcp.call_tool("add", {"a": 1, "b": 2})
            return added, gatepass.authorization_error(refused.value), again

    added, reason, again = asyncio.run(visit())
    assert added.structured_content == again.structured_content == {"result": 3}
    assert (reason.code, reason.status) == ("insufficient_scope", 403)


def test_a_person_is_asked_for_more_and_the_refresh_token_is_not_used_for_it(tmp_path):
    person = Person()
    with (
        AuthorizationServer(authorization_endpoint=True, registration=True, refresh_tokens="rotating") as auth_server,
        ProtectedServer(auth_server, scopes=("mcp:read",), scopes_for={ECHO: ("mcp:write",)}) as mcp_server,
    ):
        auth_server.token_lifetime_s = 1.0
        auth = gatepass.Auth(mcp_server.url, gatepass.AuthorizationCode(ask=person), issuer=auth_server.issuer)
        with httpx2.Client(auth=auth) as http:
            assert http.get(hello(mcp_server)).status_code == 200
            assert echo(http, mcp_server).status_code == 200
            assert person.saw("scope") == ["mcp:read", "mcp:read mcp:write"]
            tokens = {auth.token()}
            eventually(lambda: tokens.add(auth.token()) or len(tokens) > 2, "two renewals")
            assert echo(http, mcp_server).status_code == 200
        assert person.asked == 2
