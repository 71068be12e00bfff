"""The official client and protected servers of several makes, with the command between them."""

from __future__ import annotations

from functools import partial

import anyio
import pytest
from bridge.gated import Events, Gated, official, other, through_the_proxy
from integration.patience import aeventually
from mcp import MCPError
from mcp_types import CreateMessageResult, ElicitResult, ListRootsResult, Root, TextContent

from gatepass.testing import ProtectedServer, Trouble

WAIT_S = 30.0
MAKES = {"official": official(), "official, in JSON": official(json_response=True), "FastMCP": other}


def text(result):
    return result.content[0].text


async def count(client, name):
    return int(text(await client.call_tool("count", {"name": name})))


async def cancelled(client, server, name):
    """Call a tool, and think better of it."""
    async with anyio.create_task_group() as calls:
        calls.start_soon(client.call_tool, "wait", {"name": name})
        await aeventually(lambda: server.counted[f"{name} begun"], "the call had begun")
        calls.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("make", "mode"),
    [("official", "legacy"), ("official", "auto"), ("official, in JSON", "legacy"), ("FastMCP", "legacy")],
)
def test_a_conversation(make, mode, authority, tmp_path):
    reported = []

    async def report(progress, total, message):
        reported.append(progress)

    async def talk(server):
        async with through_the_proxy(server, tmp_path, mode=mode) as client:
            names = {tool.name for tool in (await client.list_tools()).tools}
            large = text(await client.call_tool("echo", {"text": "ä\n" * 500_000}))
            await client.call_tool("steps", {"number": 3}, progress_callback=report)
            await cancelled(client, server, "a")
            await aeventually(lambda: server.counted["a ended"], "the tool was cancelled")
            async with anyio.create_task_group() as calls:
                for number in range(50):
                    calls.start_soon(count, client, f"side by side {number}")
            failure = await client.call_tool("echo", {"wrong": 1})
            return names, large, failure.is_error, await count(client, "b"), client.protocol_version

    with Gated(authority, MAKES[make]) as server:
        names, large, failed, counted, version = anyio.run(partial(talk, server))
        assert {"count", "echo", "steps", "wait"} <= names
        assert large == "ä\n" * 500_000
        assert failed
        assert counted == 1
        assert [server.counted[f"side by side {number}"] for number in range(50)] == [1] * 50
        assert version == ("2025-11-25" if mode == "legacy" else "2026-07-28")
        assert reported == ([] if "JSON" in make else [1, 2, 3]), "an answer in JSON has no room for progress"
        assert authority.count("token") == 1
        assert server.rejected == 1, "the first request asked for the way in"
        assert server.count(method="DELETE") == (1 if mode == "legacy" else 0)


@pytest.mark.filterwarnings("ignore::mcp.shared.exceptions.MCPDeprecationWarning")
def test_the_server_asks_the_host_in_the_era_of_handshakes(authority, tmp_path):
    async def sample(context, params):
        return CreateMessageResult(role="assistant", content=TextContent(text="yes"), model="m")

    async def elicit(context, params):
        return ElicitResult(action="accept", content={"name": "Ann"})

    async def roots(context):
        return ListRootsResult(roots=[Root(uri="file:///here")])

    changes = []

    async def hear(message):
        changes.append(type(message).__name__)

    async def talk(server):
        options = {"sampling_callback": sample, "elicitation_callback": elicit, "list_roots_callback": roots}
        async with through_the_proxy(server, tmp_path, mode="legacy", message_handler=hear, **options) as client:
            answer = text(await client.call_tool("ask_all"))
            is_open = partial(server.count, "resource", method="GET", status=200)
            await aeventually(is_open, "the stream for the server's own messages was open")
            await client.call_tool("change")
            await aeventually(lambda: "ToolListChangedNotification" in changes, "the host heard of the change")
            return answer

    with Gated(authority, official()) as server:
        assert anyio.run(partial(talk, server)) == "yes Ann file:///here"


def test_a_subscription_of_the_stateless_era(authority, tmp_path):
    async def talk(server):
        async with (
            through_the_proxy(server, tmp_path, mode="2026-07-28") as client,
            client.listen(tools_list_changed=True) as changes,
        ):
            await client.call_tool("change")
            with anyio.fail_after(WAIT_S):
                return type(await anext(aiter(changes))).__name__

    with Gated(authority, official()) as server:
        assert anyio.run(partial(talk, server)) == "ToolsListChanged"


def test_a_stream_that_the_server_closes_is_taken_up_again(authority, tmp_path):
    async def talk(server):
        async with through_the_proxy(server, tmp_path, mode="legacy") as client:
            return text(await client.call_tool("hang_up", {"name": "a"}))

    with Gated(authority, official(event_store=Events(), retry_interval=10)) as server:
        assert anyio.run(partial(talk, server)) == "1"
        assert server.counted["a"] == 1
        resumed = [request for request in server.requests if dict(request.headers).get("last-event-id")]
        assert [request.method for request in resumed] == ["GET"]


@pytest.mark.parametrize("make", ["official", "FastMCP"])
def test_a_restart_between_calls_goes_unnoticed_and_one_in_a_call_is_told_of(make, authority, tmp_path):
    async def talk(server):
        async with through_the_proxy(server, tmp_path, mode="legacy") as client:
            assert await count(client, "a") == 1
            server.restart()
            assert await count(client, "b") == 1
            async with anyio.create_task_group() as calls:

                async def interrupted():
                    with pytest.raises(MCPError) as caught:
                        await client.call_tool("wait", {"name": "c"})
                    return caught.value.error

                async def restart():
                    await aeventually(lambda: server.counted["c begun"], "the call had begun")
                    server.restart()

                calls.start_soon(restart)
                error = await interrupted()
            assert await count(client, "d") == 1
            return error

    with Gated(authority, MAKES[make]) as server:
        error = anyio.run(partial(talk, server))
        assert error.data["code"] == "answer_lost"
        assert "may or may not have done tools/call" in error.message
        assert server.counted["c begun"] == 1


def test_a_token_that_is_revoked_is_replaced_unnoticed(authority, tmp_path):
    async def talk(server):
        async with through_the_proxy(server, tmp_path, mode="2026-07-28") as client:
            assert await count(client, "a") == 1
            authority.revoke_all()
            assert await count(client, "b") == 1

    with Gated(authority, official()) as server:
        anyio.run(partial(talk, server))
        assert authority.count("token") == 2


def test_what_authorization_stops_is_one_call_and_it_says_why(authority, tmp_path):
    async def talk(server):
        async with through_the_proxy(server, tmp_path, mode="legacy") as client:
            await client.call_tool("echo", {"text": "a"})
            server.scopes_for = {"add": ("mcp:admin",)}
            with pytest.raises(MCPError) as refused:
                await client.call_tool("add", {"a": 1, "b": 2})
            server.trouble = Trouble(status=401, times=2)
            with pytest.raises(MCPError) as rejected:
                await client.call_tool("echo", {"text": "a"})
            server.trouble = None
            return refused.value.error, rejected.value.error, text(await client.call_tool("echo", {"text": "b"}))

    with ProtectedServer(authority, scopes=("mcp:read",)) as server:
        refused, rejected, answer = anyio.run(partial(talk, server))
    assert (refused.code, refused.data["code"], refused.data["status"]) == (-32011, "insufficient_scope", 403)
    assert "mcp:admin" in refused.message
    assert (rejected.code, rejected.data["status"]) == (-32011, 401)
    assert answer == "b"


def test_a_wrong_secret_is_the_answer_to_the_first_request(authority, tmp_path):
    async def talk(server):
        async with through_the_proxy(server, tmp_path, mode="legacy"):
            pass

    authority.add_client("ci-bot", secret="another")
    with Gated(authority, official()) as server, pytest.raises(BaseExceptionGroup) as caught:
        anyio.run(partial(talk, server))
    (error,) = leaves(caught.value)
    assert (error.error.code, error.error.data["error"]) == (-32011, "invalid_client")


def leaves(error):
    if isinstance(error, BaseExceptionGroup):
        return [leaf for inner in error.exceptions for leaf in leaves(inner)]
    return [error]
