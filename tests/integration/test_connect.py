"""An MCP session: what authorization stops is one call, with its reason; the session goes on."""

from __future__ import annotations

import contextlib
import gc
import json
from functools import partial

import anyio
import pytest
from integration.patience import aeventually
from integration.ways_in import auth_for, by_key, by_secret, cost
from mcp import MCPError

import gatepass
from gatepass.testing import Trouble

MODES = ("legacy", "auto", "2026-07-28")
EXTENSION = "io.modelcontextprotocol/oauth-client-credentials"

# Of the SDK's own streams, under trio: they are closed by the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:Async generator 'http:ResourceWarning")

everyhow = pytest.mark.parametrize("mode", MODES)
everywhere = pytest.mark.parametrize("backend", ["asyncio", "trio"])


@pytest.fixture(autouse=True)
def collected(request):
    """What the garbage collector has to say of a test is said there, and not in the middle of another one."""
    yield
    if "trio" in request.node.name:
        gc.collect()


@contextlib.asynccontextmanager
async def settled(mcp_server, mode, **options):
    """A session with a token, whose own requests have all been made: only the user's are to come."""
    async with gatepass.connect(auth_for(mcp_server, **options), mode=mode) as mcp:
        await mcp.list_tools()
        if mode == "legacy":
            stream_is_open = partial(mcp_server.count, "resource", method="GET", status=200)
            await aeventually(stream_is_open, "the stream for the server's own messages was open")
        yield mcp


def text(result):
    return result.content[0].text


async def failure(call):
    """Why a call failed, as the error it was."""
    with pytest.raises(MCPError) as caught:
        await call
    error = gatepass.authorization_error(caught.value)
    assert error is not None
    assert str(error) == caught.value.error.message
    return error


@contextlib.asynccontextmanager
async def expired(auth_server):
    """The token is no good any more, and there will be no other."""
    auth_server.revoke_all()
    auth_server.trouble = Trouble(status=400, body={"error": "unauthorized_client"})
    yield
    auth_server.trouble = None


@everyhow
@everywhere
def test_a_session_gets_in_and_calls_tools(mcp_server, mode, backend):
    async def program():
        async with gatepass.connect(auth_for(mcp_server), mode=mode) as mcp:
            names = sorted(tool.name for tool in (await mcp.list_tools()).tools)
            who = await mcp.call_tool("whoami")
            return names, who.structured_content, text(await mcp.call_tool("echo", {"text": "a"}))

    names, who, echo = anyio.run(program, backend=backend)
    assert (names, echo) == (["add", "echo", "slow", "whoami"], "a")
    assert (who["client_id"], who["scopes"]) == ("ci-bot", ["mcp:read"])
    assert cost(mcp_server)["token"] == 1


@everyhow
def test_a_session_with_a_key_gets_in(auth_server, mcp_server, mode):
    async def program():
        async with gatepass.connect(auth_for(mcp_server, by_key(auth_server)), mode=mode) as mcp:
            return (await mcp.call_tool("whoami")).structured_content["client_id"]

    assert anyio.run(program) == "key-bot"


@everyhow
def test_the_extension_is_advertised_to_the_server(mcp_server, mode, monkeypatch):
    from gatepass.testing import gate

    bodies = []
    original = gate.Gate.__call__

    async def overhear(self, scope, receive, send):
        async def listen():
            message = await receive()
            if scope["type"] == "http" and message.get("body"):
                bodies.append(json.loads(message["body"]))
            return message

        await original(self, scope, listen, send)

    monkeypatch.setattr(gate.Gate, "__call__", overhear)

    async def program():
        async with gatepass.connect(auth_for(mcp_server), mode=mode) as mcp:
            await mcp.call_tool("echo", {"text": "a"})

    anyio.run(program)
    calls = [body for body in bodies if body.get("method") in {"initialize", "tools/call"}]
    told = json.dumps(calls[0] if mode == "legacy" else calls[-1])
    assert f'"{EXTENSION}": {{}}' in told


@everyhow
@everywhere
def test_a_refused_renewal_fails_its_own_call_with_the_reason_and_no_other(auth_server, mcp_server, mode, backend):
    async def program():
        results, under_way = [], anyio.Event()

        async def on_progress(*_):
            under_way.set()

        async with settled(mcp_server, mode) as mcp, anyio.create_task_group() as tasks:

            async def slow():
                result = await mcp.call_tool("slow", {"seconds": 0.5}, progress_callback=on_progress)
                results.append(text(result))

            tasks.start_soon(slow)
            await under_way.wait()
            async with expired(auth_server):
                error = await failure(mcp.call_tool("echo", {"text": "a"}))
            assert results == []
            assert (type(error), error.error, error.by) == (
                gatepass.RemoteError, "unauthorized_client", "authorization_server",
            )  # fmt: skip
            assert "Have this grant allowed" in str(error)
        return results

    assert anyio.run(program, backend=backend) == ["0.5 s later"]


@everyhow
def test_the_next_call_after_a_failure_gets_in(auth_server, mcp_server, mode):
    async def program():
        async with settled(mcp_server, mode, deadline_s=1) as mcp:
            auth_server.revoke_all()
            auth_server.trouble = Trouble(status=503, retry_after=2)
            error = await failure(mcp.call_tool("echo", {"text": "a"}))
            assert (error.code, error.status, error.retryable) == ("token_endpoint_busy", 503, True)
            assert error.retry_at is not None
            auth_server.trouble = None
            return await eventually_calls(mcp)

    assert anyio.run(program) == "b"


async def eventually_calls(mcp):
    """What the tool says, once the waiting is over."""
    said = []

    async def works():
        with contextlib.suppress(MCPError):
            said.append(text(await mcp.call_tool("echo", {"text": "b"})))

    with anyio.fail_after(10):
        while not said:
            await works()
            await anyio.sleep(0.05)
    return said[0]


@everyhow
def test_a_scope_that_is_missing_fails_its_own_call_and_says_which(mcp_server, mode):
    mcp_server.scopes_for = {"add": ("mcp:admin",)}

    async def program():
        async with gatepass.connect(auth_for(mcp_server), mode=mode) as mcp:
            error = await failure(mcp.call_tool("add", {"a": 1, "b": 2}))
            assert text(await mcp.call_tool("echo", {"text": "a"})) == "a"
            return error

    error = anyio.run(program)
    assert (error.code, error.error, error.status, error.by) == (
        "insufficient_scope", "insufficient_scope", 403, "resource_server",
    )  # fmt: skip
    assert "mcp:admin" in str(error)


@everyhow
def test_a_token_that_is_revoked_in_mid_session_is_renewed_and_nobody_notices(auth_server, mcp_server, mode):
    async def program():
        async with settled(mcp_server, mode) as mcp:
            auth_server.revoke_all()
            return text(await mcp.call_tool("echo", {"text": "a"}))

    assert anyio.run(program) == "a"
    assert cost(mcp_server)["token"] == 2


class TestConnecting:
    @everyhow
    def test_a_wrong_secret_raises_the_error_itself(self, mcp_server, mode):
        async def program():
            async with gatepass.connect(auth_for(mcp_server, by_secret("not it")), mode=mode) as mcp:
                await mcp.list_tools()

        if mode == "2026-07-28":  # there is no handshake: the first call is the first that fails
            with pytest.raises(MCPError) as stopped:
                anyio.run(program)
            error = gatepass.authorization_error(stopped.value)
        else:
            with pytest.raises(gatepass.RemoteError) as caught:
                anyio.run(program)
            error = caught.value
        assert (type(error), error.error) == (gatepass.RemoteError, "invalid_client")

    @pytest.mark.parametrize("mode", ["legacy", "auto"])
    @pytest.mark.parametrize(
        ("client", "options", "code"),
        [
            (gatepass.PrivateKeyJwt("bot", gatepass.Secret.file("/nowhere/key.pem")), {}, "key_file_unreadable"),
            (None, {"issuer": "http://127.0.0.1:1"}, "issuer_not_listed"),
        ],
        ids=["a missing key", "another issuer"],
    )
    def test_whatever_stops_it_raises_the_error_itself(self, mcp_server, mode, client, options, code):
        async def program():
            async with gatepass.connect(auth_for(mcp_server, client, **options), mode=mode):
                pytest.fail("nobody gets in")

        with pytest.raises(gatepass.GatepassError) as caught:
            anyio.run(program)
        assert caught.value.code == code

    def test_a_token_that_does_not_come_is_waited_for_once(self, auth_server, mcp_server, caplog):
        """Though the SDK begins anew with another request when its first one fails."""
        auth_server.trouble = Trouble(connection="hang")

        async def program():
            async with gatepass.connect(auth_for(mcp_server, deadline_s=0.2)):
                pytest.fail("nobody gets in")

        with caplog.at_level("DEBUG", "gatepass"), pytest.raises(gatepass.UnreachableError) as caught:
            anyio.run(program)
        assert caught.value.code == "deadline"
        assert caplog.text.count("no token (deadline) came of it") == 1

    @pytest.mark.parametrize("mode", ["legacy", "auto"])
    def test_an_mcp_server_that_is_not_there_raises_the_error_itself(self, mcp_server, mode):
        mcp_server.stop()

        async def program():
            async with gatepass.connect(auth_for(mcp_server), mode=mode):
                pytest.fail("nobody gets in")

        with pytest.raises(gatepass.UnreachableError) as caught:
            anyio.run(program)
        assert caught.value.code == "unreachable"
        assert "127.0.0.1" in str(caught.value)

    @pytest.mark.parametrize("mode", ["legacy", "auto"])
    def test_an_mcp_server_that_refuses_every_token_raises_what_it_said(self, mcp_server, mode):
        mcp_server.reject_all = True

        async def program():
            async with gatepass.connect(auth_for(mcp_server), mode=mode):
                pytest.fail("nobody gets in")

        with pytest.raises(gatepass.RemoteError) as caught:
            anyio.run(program)
        assert (caught.value.code, caught.value.error, caught.value.status) == (
            "refused_by_resource", "invalid_token", 401,
        )  # fmt: skip


class TestTheNetwork:
    @everyhow
    @everywhere
    @pytest.mark.parametrize("how", ["reset", "truncate"])
    def test_a_failure_in_one_call_fails_that_call(self, mcp_server, mode, backend, how):
        async def program():
            async with settled(mcp_server, mode) as mcp:
                before = mcp_server.count("resource", method="POST")
                mcp_server.trouble = Trouble(connection=how)
                with pytest.raises(MCPError) as caught, anyio.fail_after(10):
                    await mcp.call_tool("echo", {"text": "a"})
                assert mcp_server.count("resource", method="POST") == before + 1  # it may have had its effect
                mcp_server.trouble = None
                return caught.value, text(await mcp.call_tool("echo", {"text": "b"}))

        error, after = anyio.run(program, backend=backend)
        assert after == "b"
        if how == "reset":
            assert gatepass.authorization_error(error).code in {"unreachable", "connection_broken"}

    @everyhow
    def test_a_server_that_comes_back_is_used_again(self, mcp_server, mode):
        mcp_server.stateless = True  # a session of the old era would have ended with it
        mcp_server.stop()
        mcp_server.start()

        async def program():
            async with gatepass.connect(auth_for(mcp_server), mode=mode) as mcp:
                await mcp.call_tool("echo", {"text": "a"})
                mcp_server.stop()
                error = await failure(mcp.call_tool("echo", {"text": "a"}))
                mcp_server.start()
                return error, text(await mcp.call_tool("echo", {"text": "b"}))

        error, after = anyio.run(program)
        assert (type(error), error.code, after) == (gatepass.UnreachableError, "unreachable", "b")


class TestRedirects:
    """The SDK follows those within the origin, and sends the Authorization header along."""

    @everyhow
    def test_one_to_a_sibling_is_followed_without_the_token(self, mcp_server, mode):
        async def program():
            async with settled(mcp_server, mode) as mcp:
                mcp_server.trouble = Trouble(status=307, headers={"Location": "/other"})
                with pytest.raises(MCPError):
                    await mcp.call_tool("echo", {"text": "a"})

        anyio.run(program)
        siblings = [each for each in mcp_server.requests if each.path == "/other"]
        assert siblings
        assert {each.header("authorization") for each in siblings} == {None}

    @everyhow
    def test_one_to_another_origin_is_not_followed(self, auth_server, mcp_server, mode):
        async def program():
            async with settled(mcp_server, mode) as mcp:
                mcp_server.trouble = Trouble(status=307, headers={"Location": f"{auth_server.origin}/mcp"})
                with pytest.raises(MCPError):
                    await mcp.call_tool("echo", {"text": "a"})

        anyio.run(program)
        assert auth_server.count("/mcp") == 0


class TestTheBody:
    @everyhow
    @everywhere
    def test_an_exception_comes_out_as_it_is(self, mcp_server, mode, backend):
        mine = LookupError("mine")

        async def program():
            async with gatepass.connect(auth_for(mcp_server), mode=mode) as mcp:
                await mcp.list_tools()
                raise mine

        with pytest.raises(LookupError) as caught:
            anyio.run(program, backend=backend)
        assert caught.value is mine

    @everyhow
    def test_a_failed_call_comes_out_as_it_is(self, auth_server, mcp_server, mode):
        async def program():
            async with settled(mcp_server, mode) as mcp, expired(auth_server):
                await mcp.call_tool("echo", {"text": "a"})

        with pytest.raises(MCPError) as caught:
            anyio.run(program)
        assert gatepass.authorization_error(caught.value).error == "unauthorized_client"

    @everyhow
    @everywhere
    def test_a_group_of_the_users_own_stays_a_group(self, mcp_server, mode, backend):
        async def program():
            async with gatepass.connect(auth_for(mcp_server), mode=mode):
                raise ExceptionGroup("mine", [LookupError("one"), ValueError("two")])

        with pytest.raises(ExceptionGroup, match="mine") as caught:
            anyio.run(program, backend=backend)
        assert [type(error) for error in caught.value.exceptions] == [LookupError, ValueError]

    @everyhow
    @everywhere
    def test_a_session_that_is_cancelled_ends(self, auth_server, mcp_server, mode, backend):
        async def program():
            with anyio.move_on_after(0.3) as scope:
                async with gatepass.connect(auth_for(mcp_server), mode=mode) as mcp:
                    await mcp.call_tool("slow", {"seconds": 30})
            return scope.cancelled_caught

        assert anyio.run(program, backend=backend)

    def test_an_error_of_the_server_is_no_error_of_authorization(self, mcp_server):
        async def program():
            async with gatepass.connect(auth_for(mcp_server)) as mcp:
                with pytest.raises(MCPError) as caught:
                    await mcp.read_resource("no://such")
                return caught.value

        assert gatepass.authorization_error(anyio.run(program)) is None


class TestAServerThatWantsNoToken:
    @everyhow
    def test_it_is_used_without_one(self, open_server, mode):
        auth = gatepass.Auth(open_server, gatepass.ClientCredentials(by_secret()), issuer="http://127.0.0.1:1")

        async def program():
            async with gatepass.connect(auth, mode=mode) as mcp:
                return text(await mcp.call_tool("echo", {"text": "a"}))

        assert anyio.run(program) == "a"


@pytest.fixture
def open_server():
    from gatepass.testing.mcp_app import mcp_app
    from gatepass.testing.serve import LoopbackPort

    port = LoopbackPort()
    port.serve(mcp_app(path="/mcp", stateless=False))
    yield f"{port.origin}/mcp"
    port.stop()
