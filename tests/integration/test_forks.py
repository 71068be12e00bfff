"""A forked child goes on with the same Auth: with its token, beside a flight of the parent's, past a held lock."""

from __future__ import annotations

import multiprocessing

import httpx2
import pytest
from integration.crowd import Background, everywhere, in_tasks
from integration.forks import in_child, needs_fork
from integration.patience import eventually
from integration.ways_in import auth_for, by_key, hello

import gatepass
from gatepass.testing import Trouble

pytestmark = [needs_fork, pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")]


def test_a_child_uses_the_token_that_was_held(auth_server, mcp_server):
    auth = auth_for(mcp_server)
    token = auth.token()
    assert in_child(auth.token) == token
    assert in_child(lambda: in_tasks(auth.atoken, 2, "asyncio")) == [token] * 2
    assert auth_server.count("token") == 1


def test_a_child_gets_in(mcp_server):
    def fetch():
        with httpx2.Client(auth=auth) as http:
            return http.get(hello(mcp_server)).json()

    auth = auth_for(mcp_server)
    assert in_child(fetch) == fetch() == in_child(fetch) == {"hello": "ci-bot"}


@pytest.mark.parametrize("kind", ["secret", "key"])
def test_a_child_makes_a_token_of_its_own_where_there_was_none(auth_server, mcp_server, kind):
    auth = auth_for(mcp_server, None if kind == "secret" else by_key(auth_server))
    its_own = in_child(auth.token)
    assert auth.token() != its_own
    assert auth_server.count("token") == 2


def test_a_child_renews_by_itself(auth_server, mcp_server):
    auth = auth_for(mcp_server)
    first = auth.token()

    def rejected_and_renewed():
        with httpx2.Client(auth=auth) as http:
            return http.get(hello(mcp_server)).status_code, auth.token() != first

    auth_server.revoke_all()
    assert in_child(rejected_and_renewed) == (200, True)
    assert auth.token() == first  # the parent has heard nothing of it
    assert auth_server.count("token") == 2


def test_a_flight_in_progress_stays_the_parents_and_the_child_takes_off_itself(auth_server, mcp_server):
    auth_server.trouble = Trouble(delay_s=1, times=1)
    auth = auth_for(mcp_server)
    flying = Background(auth.token)
    eventually(lambda: auth_server.count("token") == 1, "the parent asked for a token")
    its_own = in_child(lambda: everywhere(auth.token, auth.atoken, 12))
    assert len(its_own) == 12
    assert len(set(its_own)) == 1
    assert flying.outcome() == auth.token() != its_own[0]
    assert auth_server.count("token") == 2


def test_with_a_shared_store_a_child_waits_for_the_flight_of_its_parent(auth_server, mcp_server, tmp_path):
    auth_server.trouble = Trouble(delay_s=1, times=1)
    auth = auth_for(mcp_server, store=gatepass.FileStore(tmp_path / "store"))
    flying = Background(auth.token)
    eventually(lambda: auth_server.count("token") == 1, "the parent asked for a token")
    assert in_child(auth.token) == flying.outcome()
    assert auth_server.count("token") == 1


def test_a_child_works_whatever_lock_was_held_at_the_fork(mcp_server):
    from gatepass.mutex import _mutexes

    http = gatepass.TokenHttp()
    auth = auth_for(mcp_server, http=http, deadline_s=3.0)
    held = [mutex.lock for mutex in _mutexes]
    assert len(held) >= 2
    for lock in held:
        lock.acquire()
    try:
        assert "Error" not in in_child(auth.token)
    finally:
        for lock in held:
            lock.release()


def test_a_child_of_a_child_works_too(auth_server, mcp_server):
    auth = auth_for(mcp_server)
    assert in_child(lambda: in_child(auth.token)).count(".") == 2
    assert auth_server.count("token") == 1


def test_the_parent_goes_on_as_if_nothing_had_happened(auth_server, mcp_server):
    auth = auth_for(mcp_server)
    in_child(auth.token)
    tokens = everywhere(auth.token, auth.atoken, 12)
    assert len(set(tokens)) == 1
    assert auth_server.count("token") == 2


def test_processes_of_multiprocessing_work(mcp_server):
    context = multiprocessing.get_context("fork")
    auth, told = auth_for(mcp_server), context.SimpleQueue()
    token = auth.token()
    children = [context.Process(target=_report, args=(auth, told)) for _ in range(3)]
    for child in children:
        child.start()
    assert [told.get() for _ in children] == [token] * 3
    for child in children:
        child.join()
        assert child.exitcode == 0
        child.close()
    told.close()


def _report(auth, told):
    told.put(auth.token())
