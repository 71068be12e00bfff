"""Where no thread can be started, a token is made in the thread that wants it."""

from __future__ import annotations

import threading
from functools import partial

import httpx2
import pytest
from integration.crowd import in_tasks
from integration.patience import eventually
from integration.ways_in import auth_for, cost, hello

from gatepass.engine import pool as pool_module
from gatepass.engine.pool import Pool
from gatepass.testing import Trouble

ONE_OF_EACH = {"resource": 0, "resource metadata": 1, "server metadata": 1, "token": 1}


@pytest.fixture(autouse=True)
def no_thread_of_ours_can_start(monkeypatch, auth_server, mcp_server):
    """The servers run by now, and the tests may still start threads; gatepass may not."""
    start = threading.Thread.start

    def refuse(thread):
        if thread.name == "gatepass":
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    monkeypatch.setattr(pool_module, "_shared", Pool())


def test_a_synchronous_caller_makes_it(mcp_server):
    auth = auth_for(mcp_server)
    assert auth.token() == auth.token()
    assert cost(mcp_server) == ONE_OF_EACH


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_an_asynchronous_caller_makes_it(mcp_server, backend):
    assert len(set(in_tasks(auth_for(mcp_server).atoken, 20, backend))) == 1
    assert cost(mcp_server) == ONE_OF_EACH


def test_one_of_many_threads_makes_it_and_the_others_are_woken(auth_server, mcp_server):
    auth_server.trouble = Trouble(delay_s=0.2)
    auth = auth_for(mcp_server)
    tokens = []
    callers = [threading.Thread(target=lambda: tokens.append(auth.token())) for _ in range(10)]
    for caller in callers:
        caller.start()
    eventually(tokens.__len__, "one of them had its token")
    for caller in callers:
        caller.join(3.0)  # far less than a caller's patience
    assert len(tokens) == 10
    assert len(set(tokens)) == 1
    assert cost(mcp_server) == ONE_OF_EACH


def test_a_stale_token_is_served_and_renewed_by_whoever_needs_one(auth_server, mcp_server):
    auth_server.trouble = Trouble(replace={"refresh_in": 0}, times=1)
    auth = auth_for(mcp_server)
    first = auth.token()
    assert auth.token() == first  # stale, and nobody is there to renew it behind
    auth_server.revoke_all()
    with httpx2.Client(auth=auth) as http:
        assert http.get(hello(mcp_server)).status_code == 200
    assert auth.token() != first


def test_requests_get_in(mcp_server):
    auth = auth_for(mcp_server)
    with httpx2.Client(auth=auth) as http:
        assert http.get(hello(mcp_server)).status_code == 200

    async def fetch():
        async with httpx2.AsyncClient(auth=auth) as http:
            return (await http.get(hello(mcp_server))).status_code

    assert in_tasks(fetch, 3, "asyncio") == [200] * 3
    assert cost(mcp_server)["token"] == 1


def test_back_off_is_waited_for(auth_server, mcp_server):
    auth_server.trouble = Trouble(status=503, times=1)
    assert auth_for(mcp_server).token()
    assert auth_server.count("token") == 2


def test_threads_that_can_be_started_again_take_over(monkeypatch, auth_server, mcp_server):
    auth = auth_for(mcp_server)
    first = auth.token()
    monkeypatch.undo()
    auth_server.revoke_all()
    with httpx2.Client(auth=auth) as http:
        assert http.get(hello(mcp_server)).status_code == 200
    assert in_tasks(partial(auth.atoken), 3, "asyncio") == [auth.token()] * 3
    assert auth.token() != first
