"""Before the first request, after the last one, and what an operator sees between them."""

from __future__ import annotations

import anyio
import httpx2
import pytest
from ageing import grow_older
from integration.crowd import Background
from integration.patience import aeventually, eventually
from integration.ways_in import auth_for, cost, held_back, hello

import gatepass
from gatepass.testing import AuthorizationServer, ProtectedServer, Trouble

BACKENDS = pytest.mark.parametrize("backend", ["asyncio", "trio"])


@pytest.fixture
def rotating():
    """An MCP server whose authorization server rotates refresh tokens."""
    with AuthorizationServer(refresh_tokens="rotating") as auth_server:
        auth_server.add_client("ci-bot", secret="s3cret", scopes=("mcp:read",))
        with ProtectedServer(auth_server, scopes=("mcp:read",)) as mcp_server:
            yield mcp_server


# The beginning.


def test_a_program_that_is_warm_waits_for_no_token(mcp_server):
    auth = auth_for(mcp_server)
    auth.warm()
    before = cost(mcp_server)
    assert before["token"] == 1
    with httpx2.Client(auth=auth) as http:
        assert http.get(hello(mcp_server)).status_code == 200
    assert cost(mcp_server) == {**before, "resource": before["resource"] + 1}


@BACKENDS
def test_a_task_is_warm_in_the_same_way(mcp_server, backend):
    auth = auth_for(mcp_server)
    anyio.run(auth.awarm, backend=backend)
    assert auth.status().state == "fresh"


def test_a_token_that_would_end_too_soon_is_renewed_first_and_no_other(auth_server, mcp_server, tmp_path):
    store = gatepass.FileStore(tmp_path / "store")
    first = auth_for(mcp_server, store=store).token()
    grow_older(store, 100)  # of the 300 seconds that it lives
    auth = auth_for(mcp_server, store=store)
    auth.warm(min_ttl_s=150)
    assert auth.token() == first
    auth.warm(min_ttl_s=250)
    second = auth.token()
    assert second != first
    assert auth_server.count("token") == 2
    auth.warm(min_ttl_s=86_400)  # no token of this server lives so long, and this one is young
    assert auth.token() == second
    auth.close()
    auth.warm(min_ttl_s=86_400)


def test_where_it_can_not_be_renewed_that_is_said_and_it_goes_on_serving(auth_server, mcp_server, tmp_path):
    store = gatepass.FileStore(tmp_path / "store")
    first = auth_for(mcp_server, store=store).token()
    grow_older(store, 100)
    auth = auth_for(mcp_server, store=store)
    auth_server.trouble = Trouble(status=400, body={"error": "unauthorized_client"})
    with pytest.raises(gatepass.RemoteError):
        auth.warm(min_ttl_s=250)
    assert auth.token() == first
    assert auth.status().state == "fresh"


@BACKENDS
def test_a_task_has_a_token_renewed_that_would_end_too_soon(mcp_server, backend, tmp_path):
    store = gatepass.FileStore(tmp_path / "store")
    first = auth_for(mcp_server, store=store).token()
    grow_older(store, 100)
    auth = auth_for(mcp_server, store=store)
    anyio.run(auth.awarm, 250, backend=backend)
    assert auth.token() != first


def test_a_program_that_can_not_get_warm_hears_why(auth_server, mcp_server):
    auth_server.trouble = Trouble(status=401, body={"error": "invalid_client"})
    with pytest.raises(gatepass.RemoteError) as failure:
        auth_for(mcp_server).warm()
    assert failure.value.error == "invalid_client"


def test_who_waits_in_vain_for_another_process_is_told_so(mcp_server, tmp_path):
    store = gatepass.FileStore(tmp_path / "store")
    auth = auth_for(mcp_server, store=store, deadline_s=0.5)
    assert store.acquire(auth._source.shelf.names[0], "somebody", 30.0)
    with pytest.raises(gatepass.UnreachableError, match="another process that shares the store asks for it"):
        auth.warm()


# The end.


def test_at_the_end_a_rotated_refresh_token_still_reaches_the_store(rotating, tmp_path):
    store = gatepass.FileStore(tmp_path / "store")
    auth_server = rotating.authorization_server
    auth = auth_for(rotating, store=store, scopes=["mcp:read"])
    first = auth.token()
    assert auth.rejected(first)
    eventually(lambda: auth.token() != first, "the token was renewed")
    with held_back(auth_server) as let_go:
        newest = auth_for(rotating, store=store, scopes=["mcp:read"])
        assert newest.rejected(newest.token())
        eventually(lambda: auth_server.count("token") == 3, "the renewal is on its way")
        end = Background(newest.close)
        assert not end.done
        let_go()
        assert end.outcome() is None
    after_the_restart = auth_for(rotating, store=store, scopes=["mcp:read"])
    assert after_the_restart.rejected(after_the_restart.token())
    eventually(lambda: after_the_restart.status().generation == 4, "the next refresh token was good")
    assert auth_server.reuses == 0


def test_an_end_waits_no_longer_than_it_is_told(mcp_server):
    auth = auth_for(mcp_server)
    with held_back(mcp_server.authorization_server):
        waiting = Background(auth.token)
        eventually(lambda: mcp_server.authorization_server.count("token") == 1, "the request is on its way")
        auth.close(timeout_s=0.05)
        assert not waiting.done
    assert isinstance(waiting.outcome(), str)


@BACKENDS
def test_an_end_in_a_task_does_not_stop_its_loop(mcp_server, backend):
    ticks = []

    async def tick():
        while len(ticks) < 3:
            ticks.append(None)
            await anyio.sleep(0.001)
        let_go()

    async def program():
        async with auth_for(mcp_server) as auth, anyio.create_task_group() as tasks:
            tasks.start_soon(auth.atoken)
            await aeventually(lambda: mcp_server.authorization_server.count("token") == 1, "the request is on its way")
            tasks.start_soon(tick)
            await auth.aclose()
            assert len(ticks) == 3
            assert auth.status().state == "fresh"

    with held_back(mcp_server.authorization_server) as let_go:
        anyio.run(program, backend=backend)


def test_after_the_end_what_is_at_hand_serves_and_nothing_new_is_made(auth_server, mcp_server):
    auth_server.token_lifetime_s = 2
    with auth_for(mcp_server) as auth:
        auth.warm()
    with httpx2.Client(auth=auth) as http:
        assert http.get(hello(mcp_server)).status_code == 200
        eventually(lambda: auth.status().state == "expired", "the token has expired")
        with pytest.raises(gatepass.GatepassError, match="was closed") as failure:
            http.get(hello(mcp_server))
    assert failure.value.code == "closed"
    assert cost(mcp_server)["token"] == 1


@pytest.mark.parametrize("wrong", [0, -1, float("inf"), float("nan"), 86_401, "10", None])
def test_an_end_that_takes_no_time_or_for_ever_is_refused(mcp_server, wrong):
    with pytest.raises(gatepass.ConfigurationError, match="timeout_s") as failure:
        auth_for(mcp_server).close(timeout_s=wrong)
    assert failure.value.code == "timeout_invalid"


# Between them.


def test_an_operator_sees_the_same_in_a_thread_and_in_a_task(mcp_server, tmp_path):
    auth = auth_for(mcp_server, store=gatepass.FileStore(tmp_path / "store"), scopes=["mcp:read"])
    auth.warm()
    seen = auth.status()
    assert seen == anyio.run(auth.astatus)
    assert (seen.state, seen.generation, seen.scopes, seen.lease) == ("fresh", 1, ("mcp:read",), None)
    assert seen.issuer == mcp_server.authorization_server.issuer
    assert 0 < seen.renew_at - seen.obtained_at < seen.expires_at - seen.obtained_at


def test_an_operator_in_another_process_sees_who_renews(mcp_server, tmp_path):
    store = gatepass.FileStore(tmp_path / "store")
    auth, onlooker = auth_for(mcp_server, store=store), auth_for(mcp_server, store=store)
    with held_back(mcp_server.authorization_server) as let_go:
        waiting = Background(auth.token)
        eventually(lambda: mcp_server.authorization_server.count("token") == 1, "the request is on its way")
        during = onlooker.status()
        let_go()
        assert isinstance(waiting.outcome(), str)
    assert (during.state, during.renewing) == ("absent", False)
    assert during.lease is not None
    assert (onlooker.status().state, onlooker.status().lease) == ("fresh", None)


def test_whoever_watches_sees_the_whole_way(mcp_server):
    events = []
    auth = auth_for(mcp_server, scopes=["mcp:read"], on_event=events.append)
    with httpx2.Client(auth=auth) as http:
        http.get(hello(mcp_server))
    assert [event.code for event in events] == [
        "answered", "answered", "answered", "token_obtained", "waited", "token_used",
    ]  # fmt: skip
    assert {event.resource for event in events} == {mcp_server.url}
    assert len({event.identity for event in events}) == 1
    assert "s3cret" not in repr(events)
