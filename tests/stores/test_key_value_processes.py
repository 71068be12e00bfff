"""KeyValueStore in real use: under an Auth, in event loops and processes, at their ends, and where the store fails."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
import redis_servers
from integration.forks import in_child, needs_fork
from integration.visitors import httpx2_asyncio, httpx2_sync, httpx2_trio
from integration.ways_in import CLIENT_ID, SCOPES, SECRET, auth_for, cost, hello
from key_value.aio.stores.filetree import FileTreeStore
from key_value.aio.stores.memory import MemoryStore

from gatepass.stores import loop
from gatepass.stores.key_value import KeyValueStore
from gatepass.testing import AuthorizationServer, ProtectedServer, Trouble
from gatepass.testing.store_contract import value, written

WORKER = Path(__file__).with_name("key_value_worker.py")
NOTHING = {"resource metadata": 0, "server metadata": 0, "token": 0}
STRICT = ("-X", "dev", "-W", "error", "-W", "ignore:This process:DeprecationWarning")  # which is said of every fork
PROCESSES = 4
PATIENCE_S = 60.0

forks = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")


@pytest.fixture
def auth_server():
    with AuthorizationServer() as server:
        server.add_client(CLIENT_ID, secret=SECRET, scopes=SCOPES)
        yield server


@pytest.fixture
def mcp_server(auth_server):
    with ProtectedServer(auth_server, scopes=("mcp:read",)) as server:
        yield server


@pytest.fixture(scope="module")
def redis(tmp_path_factory):
    with redis_servers.redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(params=["files", "redis"])
def place(request, tmp_path, redis):
    """Where processes find the same records: a directory, or the URL of a Redis."""
    if request.param == "files":
        return str(tmp_path)
    with redis.client() as client:
        client.flushdb()
    return redis.url


@pytest.fixture
def files(tmp_path):
    """Makes stores over the same directory, and closes them in the end."""
    made = []

    def make():
        made.append(KeyValueStore(partial(FileTreeStore, data_directory=tmp_path), settle_s=0))
        return made[-1]

    yield make
    for store in made:
        store.close()


@contextmanager
def workers(*commands, warn=False):
    """Processes of our own, none of which outlives the test."""
    interpreter = [sys.executable, *(STRICT if warn else ()), WORKER]
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    environment = {**os.environ, "CI_BOT_SECRET": SECRET}
    running = [subprocess.Popen([*interpreter, *each], env=environment, text=True, **pipes) for each in commands]
    try:
        yield running
    finally:
        for process in running:
            process.kill()
            process.communicate()


def said(*command):
    """What a process says, which has nothing to say on stderr, not even a warning."""
    with workers(command, warn=True) as (process,):
        out, err = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, err) == (0, "")
    return out.strip()


def go(running):
    """What each of them says when all are told to go."""
    for process in running:
        process.stdin.write("go\n")
        process.stdin.flush()
    return [process.stdout.readline().strip() for process in running]


class TestOneProcess:
    @pytest.mark.parametrize("visitor", [httpx2_sync, httpx2_asyncio, httpx2_trio])
    def test_one_token_serves_every_kind_of_program_in_one_event_loop_after_the_other(self, mcp_server, files, visitor):
        auth = auth_for(mcp_server, store=files())
        assert [visitor(auth).fetch(hello(mcp_server)).status_code for _ in range(2)] == [200, 200]
        assert cost(mcp_server)["token"] == 1

    @pytest.mark.parametrize("visitor", [httpx2_sync, httpx2_asyncio, httpx2_trio])
    def test_after_a_restart_there_is_no_request_but_the_users_own(self, mcp_server, files, visitor):
        visitor(auth_for(mcp_server, store=files())).fetch(hello(mcp_server))
        mcp_server.reset_counters()
        mcp_server.authorization_server.reset_counters()
        later = auth_for(mcp_server, store=files())
        assert visitor(later).fetch(hello(mcp_server)).status_code == 200
        assert cost(mcp_server) == {"resource": 1, **NOTHING}

    def test_a_store_of_redis_asyncio_that_breaks_in_a_second_loop_is_of_use_in_any(self, redis):
        with workers(["elsewhere", redis.url]) as (process,):
            out, _ = process.communicate(timeout=PATIENCE_S)
        assert out.splitlines() == ["bare: RuntimeError", "ours: fine"]


class TestSeveralProcesses:
    def test_of_those_that_race_one_gets_the_lease(self, place):
        with workers(*[["race", place, f"owner-{number}"] for number in range(PROCESSES)]) as running:
            assert [process.stdout.readline() for process in running] == ["ready\n"] * PROCESSES
            assert sorted(go(running)) == ["no"] * (PROCESSES - 1) + ["yes"]

    def test_one_token_request_is_made_and_each_renewal_is_shared(self, auth_server, mcp_server, place):
        with workers(*[["visit", place, mcp_server.url, auth_server.issuer]] * 2) as running:
            assert [process.stdout.readline() for process in running] == ["ready\n"] * 2
            assert go(running[:1]) == [CLIENT_ID]
            assert go(running) == [CLIENT_ID] * 2
            assert auth_server.count("token") == 1
            auth_server.revoke_all()
            assert go(running) == [CLIENT_ID] * 2
            assert auth_server.count("token") == 2

    def test_those_that_start_with_nothing_share_one_token_request(self, auth_server, mcp_server, place):
        auth_server.trouble = Trouble(delay_s=0.5)
        with workers(*[["visit", place, mcp_server.url, auth_server.issuer]] * 4) as running:
            assert [process.stdout.readline() for process in running] == ["ready\n"] * 4
            assert go(running) == [CLIENT_ID] * 4
        assert auth_server.count("token") == 1


class TestForks:
    @needs_fork
    @forks
    def test_a_child_calls_the_factory_anew_and_shares_the_records(self, tmp_path):
        made = []

        def factory():
            made.append(os.getpid())
            return FileTreeStore(data_directory=tmp_path)

        def child():
            seen = value(store, "token.a")
            written(store, "token.b", b"from the child", expect=0)
            store.close()
            return seen, made == [parent, os.getpid()]

        parent = os.getpid()
        store = KeyValueStore(factory)
        written(store, "token.a", b"from the parent", expect=0)
        assert in_child(child) == (b"from the parent", True)
        assert value(store, "token.b") == b"from the child"
        assert made == [parent]
        store.close()

    @needs_fork
    @forks
    def test_a_child_works_whatever_lock_was_held_at_the_fork(self, files):
        store = files()
        written(store, "token.a", b"kept", expect=0)
        with loop._mutex.lock:
            assert in_child(lambda: value(store, "token.a")) == b"kept"

    @needs_fork
    @pytest.mark.parametrize("what", ["using it", "closing it", "dropping it", "leaving it"])
    def test_a_child_that_ends_disturbs_neither_its_parent_nor_anybody_who_reads_its_output(self, place, what):
        assert said("fork", place, what) == "child 0, parent kept"


class TestTheEndOfAProgram:
    @pytest.mark.parametrize("how", ["idle", "closed"])
    def test_it_is_silent_whether_the_store_was_closed_or_not(self, place, how):
        assert said("leave", place, how) == "done"

    @pytest.mark.parametrize("how", ["within a step", "within the factory", "with the loop blocked"])
    def test_it_comes_at_once_whatever_the_store_is_at(self, how):
        assert said("leave", "nowhere", how) == "done"


class TestAStoreThatFails:
    """It costs sharing, not service."""

    @pytest.mark.parametrize("where", ["factory", "get", "put"])
    @pytest.mark.parametrize("how", ["raises", "hangs", "blocks"])
    def test_tokens_come_all_the_same_with_one_warning(self, mcp_server, caplog, monkeypatch, where, how):
        let_go = threading.Event()

        async def fail(here):
            if here != where:
                return
            if how == "raises":
                raise OSError("CANARY")
            if how == "blocks":
                let_go.wait(PATIENCE_S)
            await asyncio.sleep(PATIENCE_S)

        class Failing(MemoryStore):
            async def get(self, key, *, collection=None):
                await fail("get")
                return await super().get(key, collection=collection)

            async def put(self, key, value, *, collection=None, ttl=None):
                await fail("put")
                await super().put(key, value, collection=collection, ttl=ttl)

        async def factory():
            await fail("factory")
            return Failing()

        monkeypatch.setattr(loop, "_GRACE_S", 0.05)
        auth = auth_for(mcp_server, store=KeyValueStore(factory, settle_s=0, timeout_s=0.05))
        try:
            for visitor in (httpx2_sync, httpx2_asyncio, httpx2_trio):
                assert visitor(auth).fetch(hello(mcp_server)).status_code == 200
        finally:
            let_go.set()
        assert cost(mcp_server)["token"] == 1
        (warning,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
        assert ("OSError" if how == "raises" else "did not answer within 0.05 s") in warning
        assert "Tokens are kept in memory meanwhile." in warning
        assert "CANARY" not in caplog.text
