"""What many processes do to one Redis, and what becomes of tokens when one of them, or Redis itself, is killed."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest
from integration.forks import in_child, needs_fork
from integration.patience import eventually
from integration.ways_in import CLIENT_ID, SCOPES, SECRET, auth_for, hello
from redis_servers import fresh_prefix, redis_server
from stores.redis_worker import add_one

from gatepass.engine import shelf
from gatepass.errors import StoreError
from gatepass.stores.redis import RedisStore
from gatepass.testing import AuthorizationServer, ProtectedServer, Trouble
from gatepass.testing.store_contract import taken, value, written

WORKER = Path(__file__).with_name("redis_worker.py")
PROCESSES = 8

pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")


@pytest.fixture(params=["redis", "valkey"])
def server(request, tmp_path):
    with redis_server(tmp_path / "server", request.param) as server:
        yield server


@pytest.fixture
def prefix():
    return fresh_prefix()


@pytest.fixture
def store(server, prefix):
    with RedisStore(server.url, prefix=prefix) as store:
        yield store


@pytest.fixture
def auth_server():
    with AuthorizationServer() as server:
        server.add_client(CLIENT_ID, secret=SECRET, scopes=SCOPES)
        yield server


@pytest.fixture
def mcp_server(auth_server):
    with ProtectedServer(auth_server, scopes=("mcp:read",)) as server:
        yield server


@contextmanager
def workers(*commands):
    """Processes of our own, none of which outlives the test."""
    environment = {**os.environ, "CI_BOT_SECRET": SECRET}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    running = [
        subprocess.Popen([sys.executable, WORKER, *map(str, command)], text=True, env=environment, **pipes)
        for command in commands
    ]
    try:
        yield running
    finally:
        for process in running:
            process.kill()
            process.communicate()


def go(running):
    """Let all begin at once, once all are ready."""
    for process in running:
        assert process.stdout.readline() == "ready\n"
    for process in running:
        process.stdin.write("go\n")
        process.stdin.flush()


class TestProcesses:
    def test_those_that_race_lose_no_step_and_give_the_lease_to_one(self, server, store, prefix):
        with workers(*[("race", server.url, prefix, f"owner-{n}", 25) for n in range(PROCESSES)]) as running:
            go(running)
            said = [process.communicate(timeout=60)[0].strip() for process in running]
        assert value(store, "counter") == str(25 * PROCESSES).encode()
        assert sorted(said) == ["no"] * (PROCESSES - 1) + ["yes"]
        holder = store.holder("token.a")
        assert holder is not None
        assert holder.owner == f"owner-{said.index('yes')}"

    def test_one_killed_with_the_lease_holds_nobody_up_for_long_and_can_not_write_any_more(self, server, store, prefix):
        with workers(("hold", server.url, prefix, 3.0)) as (process,):
            fence = int(process.stdout.readline())
            process.kill()
        lease = store.holder("token.a")
        assert lease is not None
        assert (lease.owner, lease.fence) == ("the dead one", fence)
        assert store.acquire("token.a", "heir", 30) is None
        eventually(lambda: store.acquire("token.a", "heir", 30), "the lease lapsed")
        assert store.write("token.a", b"from the grave", expect=0, fence=fence) is None

    def test_those_killed_while_they_write_leave_a_whole_record(self, server, store, prefix):
        with workers(*[("write_until_killed", server.url, prefix)] * 4) as running:
            told = [int(running[0].stdout.readline()) for _ in range(10)]
            for process in running:
                process.kill()
            told += [int(line) for process in running for line in process.stdout if line.endswith("\n")]
        assert {process.returncode for process in running} == {-signal.SIGKILL}
        entry = store.read("token.a")
        assert entry is not None
        assert entry.version >= max(told)
        assert len(told) == len(set(told))
        expected_by_its_writer = int(entry.value[: len(entry.value) // 4000])
        assert entry.value == str(expected_by_its_writer).encode() * 4000
        assert expected_by_its_writer < entry.version


@needs_fork
class TestForks:
    def test_a_child_and_its_parent_go_on_with_a_connection_each(self, store):
        written(store, "counter", b"0", expect=0)
        processes = [multiprocessing.get_context("fork").Process(target=count, args=(store, 50)) for _ in range(2)]
        for process in processes:
            process.start()
        count(store, 50)
        for process in processes:
            process.join(30)
            assert process.exitcode == 0
            process.close()
        assert value(store, "counter") == b"150"

    def test_a_child_that_closes_the_store_leaves_the_parents_connection_alone(self, store):
        version = written(store, "token.a", b"x", expect=0)

        def close():
            store.close()
            return value(store, "token.a")

        assert in_child(close) == b"x"
        assert value(store, "token.a", version) == b"x"


def count(store, steps):
    for _ in range(steps):
        add_one(store)


class TestAFleet:
    def test_a_thousand_that_start_at_once_make_one_token_request(self, server, prefix, auth_server, mcp_server):
        auth_server.trouble = Trouble(delay_s=0.5, times=1)
        issuer = auth_server.issuer
        with workers(*[("herd", server.url, prefix, mcp_server.url, issuer, 250)] * 4) as running:
            go(running)
            told = {process.communicate(timeout=60)[0].strip() for process in running}
        assert len(told) == 1
        assert " " not in told.pop()
        assert auth_server.count("token") == 1

    def test_a_token_is_found_by_the_next_one_and_renewed_for_all(self, server, prefix, auth_server, mcp_server):
        with RedisStore(server.url, prefix=prefix) as one, RedisStore(server.url, prefix=prefix) as other:
            first, second = auth_for(mcp_server, store=one), auth_for(mcp_server, store=other)
            token = first.token()
            assert second.token() == token
            auth_server.revoke_all()
            assert greeted(mcp_server, first) == greeted(mcp_server, second) == CLIENT_ID
            assert first.token() == second.token() != token
        assert auth_server.count("token") == 2


class TestAServerThatIsKilled:
    def test_is_missed_and_what_it_had_is_had_anew_under_newer_numbers(self, server, store):
        version = written(store, "token.a", b"x", expect=0)
        fence = taken(store, "token.a", "one", 30).fence
        server.kill()
        with pytest.raises(StoreError, match="can't be reached") as caught:
            store.read("token.a")
        assert (caught.value.code, caught.value.retryable) == ("store_unreachable", True)
        server.start()
        assert store.read("token.a") is None
        assert store.write("token.a", b"late", expect=version) is None
        assert written(store, "token.a", b"y", expect=0) > version
        assert taken(store, "token.a", "two", 30).fence > fence

    def test_costs_sharing_and_not_service_and_sharing_goes_on_when_it_is_back(
        self, server, prefix, auth_server, mcp_server, monkeypatch, caplog
    ):
        monkeypatch.setattr(shelf, "_REST_S", 0.0)
        caplog.set_level(logging.WARNING, "gatepass")
        with RedisStore(server.url, prefix=prefix) as one, RedisStore(server.url, prefix=prefix) as other:
            first, second = auth_for(mcp_server, store=one), auth_for(mcp_server, store=other)
            server.kill()
            assert first.token() != second.token()
            assert greeted(mcp_server, first) == greeted(mcp_server, second) == CLIENT_ID
            assert "can't be reached (Connection refused)" in caplog.text
            assert "Tokens are kept in memory meanwhile." in caplog.text

            server.start()
            auth_server.revoke_all()
            auth_server.reset_counters()
            assert greeted(mcp_server, first) == greeted(mcp_server, second) == CLIENT_ID
            assert first.token() == second.token()
        assert auth_server.count("token") == 1


def greeted(mcp_server, auth):
    """Whom the resource greets."""
    with httpx2.Client(auth=auth) as http:
        return http.get(hello(mcp_server)).raise_for_status().json()["hello"]
