"""Many callers of one Auth: one token request for all of them, whoever leaves, closes or hangs."""

from __future__ import annotations

import asyncio
import gc
from functools import partial

import anyio
import httpx2
import pytest
from integration.crowd import Background, everywhere, in_tasks, on_threads, outcome_of
from integration.odd_servers import dripping, speaking
from integration.patience import aeventually, eventually
from integration.ways_in import CLIENT_ID, SCOPES, SECRET, auth_for, by_secret, cost, held_back, hello

import gatepass
from gatepass.testing import AuthorizationServer, ProtectedServer, Trouble

CROWD = 100
ONE_OF_EACH = {"resource metadata": 1, "server metadata": 1, "token": 1}
WAYS = {
    "asyncio": lambda auth: in_tasks(auth.atoken, CROWD, "asyncio"),
    "trio": lambda auth: in_tasks(auth.atoken, CROWD, "trio"),
    "threads": lambda auth: on_threads(auth.token, CROWD),
    "everywhere": lambda auth: everywhere(auth.token, auth.atoken, CROWD),
}


def slowly(auth_server, delay_s=0.2):
    """Give the crowd time to gather while the token request is under way."""
    auth_server.trouble = Trouble(delay_s=delay_s)


def asked(auth_server):
    return lambda: auth_server.count("token") > 0


class TestColdCallers:
    @pytest.mark.parametrize("way", WAYS)
    def test_a_hundred_share_one_discovery_and_one_token_request(self, auth_server, mcp_server, way):
        slowly(auth_server)
        tokens = WAYS[way](auth_for(mcp_server))
        assert len(tokens) == CROWD
        assert len(set(tokens)) == 1
        assert cost(mcp_server) == {"resource": 0, **ONE_OF_EACH}

    @pytest.mark.parametrize("scopes", [None, ["mcp:read"]], ids=["after a challenge", "with pinned scopes"])
    @pytest.mark.parametrize("way", ["asyncio", "trio", "threads"])
    def test_a_hundred_requests_share_one_discovery_and_one_token_request(self, mcp_server, way, scopes):
        auth = auth_for(mcp_server, scopes=scopes)
        limits = httpx2.Limits(max_connections=CROWD)
        if way == "threads":
            with httpx2.Client(auth=auth, limits=limits, timeout=30) as http:
                responses = on_threads(partial(http.get, hello(mcp_server)), CROWD)
        else:
            responses = []

            async def fetch():
                async with (
                    httpx2.AsyncClient(auth=auth, limits=limits, timeout=30) as http,
                    anyio.create_task_group() as tasks,
                ):

                    async def one():
                        responses.append(await http.get(hello(mcp_server)))

                    for _ in range(CROWD):
                        tasks.start_soon(one)

            anyio.run(fetch, backend=way)
        assert [response.status_code for response in responses] == [200] * CROWD
        paid = cost(mcp_server)
        assert {name: paid[name] for name in ONE_OF_EACH} == ONE_OF_EACH
        bare = mcp_server.rejected
        assert paid["resource"] == CROWD + bare
        assert bare == 0 if scopes else 1 <= bare <= CROWD

    def test_a_hundred_share_one_failure(self, auth_server, mcp_server):
        slowly(auth_server)
        outcomes = everywhere(*both(auth_for(mcp_server, by_secret("not it"))), CROWD)
        assert {(type(outcome), outcome.error) for outcome in outcomes} == {(gatepass.RemoteError, "invalid_client")}
        assert len({id(outcome) for outcome in outcomes}) == CROWD  # an exception of one's own, to raise and to chain
        assert auth_server.count("token") == 1

    def test_identities_do_not_share_a_token(self, auth_server, mcp_server):
        slowly(auth_server)
        auth_server.add_client("other-bot", secret=SECRET, scopes=SCOPES)
        auths = {name: auth_for(mcp_server, by_secret(client_id=name)) for name in (CLIENT_ID, "other-bot")}
        with httpx2.Client() as http:
            fetch = {name: partial(http.get, hello(mcp_server), auth=auth) for name, auth in auths.items()}
            crowds = {name: Background(partial(on_threads, fetch[name], 10)) for name in auths}
            for name, crowd in crowds.items():
                assert [response.json() for response in crowd.outcome()] == [{"hello": name}] * 10
        assert auth_server.count("token") == 2


def both(auth):
    return auth.token, auth.atoken


class TestCallersThatLeave:
    @pytest.mark.parametrize("backend", ["asyncio", "trio"])
    @pytest.mark.parametrize("which", ["the first half", "the second half"])
    def test_cancelling_half_of_them_changes_nothing_for_the_rest(self, auth_server, mcp_server, backend, which):
        auth, tokens, left = auth_for(mcp_server), [], []

        async def one(scope):
            with scope:
                tokens.append(await auth.atoken())
            left.append(scope.cancelled_caught)

        async def crowd(let_go):
            scopes = [anyio.CancelScope() for _ in range(CROWD)]
            async with anyio.create_task_group() as tasks:
                for scope in scopes:
                    tasks.start_soon(one, scope)
                await aeventually(asked(auth_server), "a token was asked for")
                for scope in scopes[: CROWD // 2] if which == "the first half" else scopes[CROWD // 2 :]:
                    scope.cancel()
                await aeventually(lambda: len(left) == CROWD // 2, "half of them had left")
                let_go()

        with held_back(auth_server) as let_go:
            anyio.run(crowd, let_go, backend=backend)
        assert left == [True] * 50 + [False] * 50
        assert len(tokens) == 50
        assert auth_server.count("token") == 1

    @pytest.mark.parametrize("backend", ["asyncio", "trio"])
    def test_when_all_have_left_the_token_still_comes(self, auth_server, mcp_server, backend):
        auth = auth_for(mcp_server)

        async def impatient():
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(auth.atoken)
                await aeventually(asked(auth_server), "a token was asked for")
                tasks.cancel_scope.cancel()

        with held_back(auth_server):
            anyio.run(impatient, backend=backend)
        assert auth.token()
        assert auth_server.count("token") == 1

    def test_a_caller_whose_patience_ends_leaves_the_request_to_those_who_come_later(self, auth_server, mcp_server):
        auth = auth_for(mcp_server, deadline_s=0.1)
        with held_back(auth_server):
            error = outcome_of(auth.token)
            eventually(asked(auth_server), "a token was asked for")
        assert (type(error), error.code, error.retryable) == (gatepass.UnreachableError, "deadline", True)
        assert "No token within 0.1 s; the request for one goes on" in str(error)
        eventually(lambda: isinstance(outcome_of(auth.token), str), "the token came")
        assert auth_server.count("token") == 1

    def test_a_loop_that_closes_in_mid_flight_hurts_nobody(self, auth_server, mcp_server, caplog):
        auth = auth_for(mcp_server)
        loop = asyncio.new_event_loop()
        task = loop.create_task(auth.atoken())
        with held_back(auth_server):
            loop.run_until_complete(aeventually(asked(auth_server), "a token was asked for"))
            loop.close()
        token = auth.token()
        assert in_tasks(auth.atoken, 3, "asyncio") == [token] * 3
        assert auth_server.count("token") == 1
        assert not [record for record in caplog.records if record.name.startswith("gatepass") and record.levelno > 20]
        task._log_destroy_pending = False
        task.get_coro().close()

    def test_a_program_that_ends_its_loop_leaves_no_waiter_behind(self, auth_server, mcp_server):
        auth = auth_for(mcp_server)

        async def failing():
            task = asyncio.create_task(auth.atoken())
            await aeventually(asked(auth_server), "a token was asked for")
            assert not task.done()
            raise LookupError

        with held_back(auth_server), pytest.raises(LookupError):
            asyncio.run(failing())
        assert auth.token()
        assert auth_server.count("token") == 1

    def test_a_client_that_is_closed_in_mid_flight_hurts_nobody(self, auth_server, mcp_server):
        auth = auth_for(mcp_server, scopes=["mcp:read"])

        async def program(let_go):
            async with httpx2.AsyncClient(auth=auth) as http, httpx2.AsyncClient(auth=auth) as other:
                leaving = asyncio.create_task(http.get(hello(mcp_server)))
                staying = asyncio.create_task(other.get(hello(mcp_server)))
                await aeventually(asked(auth_server), "a token was asked for")
                leaving.cancel()
                await asyncio.wait([leaving])
                await http.aclose()
                let_go()
                return await staying

        with held_back(auth_server) as let_go:
            assert asyncio.run(program(let_go)).status_code == 200
        assert auth_server.count("token") == 1


class TestLoops:
    def test_a_second_loop_in_another_thread_works_with_the_same_object(self, auth_server, mcp_server):
        slowly(auth_server)
        auth = auth_for(mcp_server)
        elsewhere = Background(lambda: in_tasks(auth.atoken, 10, "asyncio"))
        here = in_tasks(auth.atoken, 10, "asyncio")
        assert set(elsewhere.outcome()) == set(here)
        assert len(set(here)) == 1
        assert auth_server.count("token") == 1

    def test_one_loop_after_another_works_with_the_same_object(self, auth_server, mcp_server):
        auth = auth_for(mcp_server)
        for backend in ("asyncio", "trio") * 3:
            assert in_tasks(auth.atoken, 2, backend) == [auth.token()] * 2
            auth_server.revoke_all()
        assert auth_server.count("token") == 1

    @pytest.mark.parametrize("backend", ["asyncio", "trio"])
    def test_a_loop_runs_on_while_a_token_is_made(self, auth_server, mcp_server, backend):
        auth_server.trouble = Trouble(connection="hang")
        auth = auth_for(mcp_server, http=gatepass.TokenHttp(timeout_s=30))
        turns = []

        async def program():
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(auth.atoken)
                await aeventually(asked(auth_server), "a token was asked for")
                for turn in range(100):
                    await anyio.lowlevel.checkpoint()
                    turns.append(turn)
                tasks.cancel_scope.cancel()

        anyio.run(program, backend=backend)
        assert len(turns) == 100

    def test_a_waiter_is_forgotten_when_its_call_has_ended(self, mcp_server):
        from gatepass.engine.wake import Waiter

        def waiters():
            gc.collect()
            return {id(thing) for thing in gc.get_objects() if isinstance(thing, Waiter)}

        before = waiters()  # of other tests, which may still be waited for
        auth = auth_for(mcp_server)
        everywhere(*both(auth), 12)
        assert waiters() <= before


class TestAServerThatHangs:
    @pytest.mark.parametrize("where", ["token", "metadata"])
    def test_it_delays_no_other_identity(self, auth_server, mcp_server, where):
        with AuthorizationServer() as hanging, ProtectedServer(hanging) as its_resource:
            hanging.trouble = Trouble(paths=(where,), connection="hang")
            stuck = [Background(auth_for(its_resource, by_secret(client_id=f"bot-{n}")).token) for n in range(5)]
            eventually(lambda: hanging.count(where) == 2, "two workers wait for the server that hangs")
            tokens = everywhere(*both(auth_for(mcp_server)), 30)
            assert (len(tokens), len(set(tokens))) == (30, 1)
            assert not any(call.done for call in stuck)
            assert hanging.count(where) == 2  # no host gets more workers than that
        for call in stuck:
            assert isinstance(call.outcome(), gatepass.UnreachableError)

    def test_one_that_trickles_costs_no_other_identity_its_answer(self, auth_server, mcp_server):
        auth_server.token_lifetime_s = 0
        http = gatepass.TokenHttp(timeout_s=1)
        with speaking(dripping(b"HTTP/1.1 200 OK\r\nX-Padding: ", b"a")) as server:
            where = {"issuer": server.origin, "token_endpoint": f"{server.origin}/token"}
            stuck = Background(auth_for(mcp_server, http=http, deadline_s=1.5, **where).token)
            auth, made = auth_for(mcp_server, http=http, scopes=["mcp:read"]), 0
            while not stuck.done:
                auth.token()
                made += 1
            assert isinstance(stuck.outcome(), gatepass.UnreachableError)
        assert auth_server.count("token") == made  # none was broken off and asked for again

    def test_its_own_callers_hear_in_time(self, auth_server, mcp_server):
        auth_server.trouble = Trouble(connection="hang")
        outcomes = everywhere(*both(auth_for(mcp_server, deadline_s=0.5)), 30)
        assert {(type(outcome), outcome.code) for outcome in outcomes} == {(gatepass.UnreachableError, "deadline")}
