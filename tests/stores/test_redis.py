from __future__ import annotations

import copy
import pickle
import re
import subprocess
import sys
import threading
import traceback
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path

import pytest
import redis
import redis.asyncio
import valkey
import valkey.asyncio
from hypothesis import settings
from hypothesis.stateful import initialize, run_state_machine_as_test
from integration.patience import eventually
from redis_servers import fresh_prefix, redis_server
from stores.test_store_machine import StoreMachine

from gatepass.core.secret import Secret
from gatepass.errors import ConfigurationError, StoreError
from gatepass.stores import redis as module
from gatepass.stores.base import Entry, Lease
from gatepass.stores.redis import RedisStore
from gatepass.stores.redis_scripts import COMMANDS, WRITE
from gatepass.testing import ManualClock, StoreContract
from gatepass.testing.store_contract import taken, trace_of, value, written

DAY_S = 86_400
PASSWORD = "open sesame CANARY"
IN_A_URL = PASSWORD.replace(" ", "%20")


@pytest.fixture(scope="module", params=["redis", "valkey"])
def server(request, tmp_path_factory):
    with redis_server(tmp_path_factory.mktemp("server"), request.param) as server:
        yield server


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    """A server that wants a password."""
    folder = tmp_path_factory.mktemp("guarded")
    socket = folder / "socket"
    with redis_server(folder, args=("--requirepass", PASSWORD, "--unixsocket", str(socket))) as server:
        server.socket = socket
        yield server


@pytest.fixture
def client(server):
    """A client of the test's own, to look and to meddle with."""
    with server.client() as client:
        yield client


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def prefix():
    return fresh_prefix()


@pytest.fixture
def store(server, prefix, clock):
    """A store on a clock that the test turns."""
    with RedisStore(server.url, prefix=prefix, clock=clock) as store:
        yield store


@pytest.fixture
def live(server, prefix):
    """A store on the server's own clock."""
    with RedisStore(server.url, prefix=prefix) as store:
        yield store


class TestRedisStore(StoreContract):
    @pytest.fixture
    def store(self, store):
        return store


class TestAClientOfValkeys(StoreContract):
    @pytest.fixture
    def store(self, server, prefix, clock):
        with valkey.Valkey(port=server.port) as client:
            yield RedisStore(client, prefix=prefix, clock=clock)


def test_any_sequence_of_steps_does_what_it_should(server):
    class RedisStoreMachine(StoreMachine):
        @initialize()
        def open(self):
            prefix = fresh_prefix()
            self.sides = [RedisStore(client, prefix=prefix, clock=self.clock) for _ in range(2)]

    with server.client() as client:
        run_state_machine_as_test(
            RedisStoreMachine, settings=settings(max_examples=20, stateful_step_count=25, deadline=None)
        )


class TestTheServersClock:
    def test_a_lease_ends_by_it(self, live, client):
        before = epoch(client)
        lease = taken(live, "token.a", "one", 30)
        assert before + 30 <= lease.until <= epoch(client) + 30
        assert live.holder("token.a") == lease

    def test_a_lease_lapses_by_it(self, live):
        first = taken(live, "token.a", "one", 0.05)
        eventually(lambda: live.holder("token.a") is None, "the lease lapsed")
        assert taken(live, "token.a", "two", 30).fence > first.fence

    def test_versions_and_fences_start_at_it(self, live, client):
        before = epoch(client)
        version = written(live, "token.a", b"x", expect=0)
        fence = taken(live, "token.a", "one", 30).fence
        assert before * 1e6 <= version <= fence <= epoch(client) * 1e6

    def test_a_clock_that_was_set_back_makes_no_lease_endless_and_repeats_no_number(self, store, clock):
        version = written(store, "token.a", b"x", expect=0)
        lease = taken(store, "token.a", "one", 30)
        clock.advance(-60)
        assert store.holder("token.a") == lease
        clock.advance(-0.001)
        assert store.holder("token.a") is None
        assert taken(store, "token.a", "two", 30).fence == lease.fence + 1
        assert written(store, "token.a", b"y", expect=version) == version + 1

    def test_numbers_are_exact_while_they_can_be(self, prefix, server):
        year_2255 = ManualClock(9_007_199_254.0)
        with RedisStore(server.url, prefix=prefix, clock=year_2255) as store:
            versions = [written(store, "token.a", b"x", expect=0)]
            for _ in range(3):
                versions.append(written(store, "token.a", b"x", expect=versions[-1]))
            fences = [taken(store, "token.a", "one", 30).fence for _ in range(4)]
        assert versions == fences == [9_007_199_254_000_000 + step for step in range(4)]

    def test_what_was_lost_does_not_come_back_under_an_old_number(self, store, clock, client, prefix):
        lost = written(store, "token.a", b"x", expect=0)
        lease = taken(store, "token.a", "one", 30)
        client.delete(f"{prefix}:token.a")
        clock.advance(1e-6)
        assert store.write("token.a", b"late", expect=lost) is None
        assert written(store, "token.a", b"y", expect=0) > lost
        assert taken(store, "token.a", "two", 30).fence > lease.fence
        assert store.write("token.a", b"late", expect=0, fence=lease.fence) is None


class TestWhatStandsInTheServer:
    def test_one_hash_a_name(self, store, client, prefix):
        version = written(store, "token.a", b"\0\xff", expect=0)
        assert client.keys(f"{prefix}:*") == [f"{prefix}:token.a".encode()]
        assert client.hgetall(f"{prefix}:token.a") == {b"version": str(version).encode(), b"value": b"\0\xff"}

    def test_a_removed_record_and_a_lease_given_back_leave_only_numbers(self, store, client, prefix):
        written(store, "token.a", b"CANARY", expect=0)
        store.release(taken(store, "token.a", "one", 30))
        store.delete("token.a")
        assert set(client.hgetall(f"{prefix}:token.a")) == {b"version", b"fence"}

    def test_two_prefixes_do_not_touch_each_other(self, store, server):
        written(store, "token.a", b"x", expect=0)
        with RedisStore(server.url, prefix=fresh_prefix()) as other:
            assert other.read("token.a") is None

    def test_a_record_is_kept_from_its_last_write_lease_or_read_on(self, live, client, prefix):
        steps = [
            lambda: written(live, "token.a", b"x", expect=0),
            lambda: live.read("token.a"),
            lambda: taken(live, "token.a", "one", 30),
        ]
        for step in steps:
            step()
            assert 89 * DAY_S < client.ttl(f"{prefix}:token.a") <= 90 * DAY_S
            client.expire(f"{prefix}:token.a", 100)

    def test_what_is_no_record_is_kept_a_day(self, live, client, prefix):
        taken(live, "token.a", "one", DAY_S)
        assert DAY_S - 100 < client.ttl(f"{prefix}:token.a") <= DAY_S
        written(live, "token.a", b"x", expect=0)
        live.delete("token.a")
        assert DAY_S - 100 < client.ttl(f"{prefix}:token.a") <= DAY_S
        live.read("token.a")
        assert client.ttl(f"{prefix}:token.a") <= DAY_S

    def test_how_long_can_be_said(self, server, client, prefix):
        with RedisStore(server.url, prefix=prefix, retention_s=2 * DAY_S) as store:
            written(store, "token.a", b"x", expect=0)
        assert DAY_S < client.ttl(f"{prefix}:token.a") <= 2 * DAY_S

    @pytest.mark.parametrize("retention_s", [0, DAY_S - 1, -DAY_S, float("inf"), float("nan")])
    def test_less_than_a_day_is_refused(self, retention_s):
        shown = refused_at_once("store_retention_invalid", f"redis://:{IN_A_URL}@localhost", retention_s=retention_s)
        assert "retention_s is in seconds, and at least a day (86400)" in shown

    def test_a_server_that_forgot_the_scripts_is_told_them_again(self, store, client):
        version = written(store, "token.a", b"x", expect=0)
        client.script_flush()
        assert store.read("token.a") == Entry(version=version, value=b"x")
        assert written(store, "token.a", b"y", expect=version) > version
        assert client.script_exists(WRITE.sha) == [True]


class TestWhichServersAndClients:
    @pytest.mark.parametrize("where", ["tcp", "unix", "secret", "environment", "file", "client"])
    def test_all_the_ways_to_say_which_lead_there(self, guarded, prefix, tmp_path, monkeypatch, where):
        url = guarded.url.replace("//", f"//:{IN_A_URL}@")
        monkeypatch.setenv("REDIS_URL", url)
        (tmp_path / "url").write_text(f"{url}\n")
        with guarded.client(password=PASSWORD) as client:
            server = {
                "tcp": url,
                "unix": f"unix://{guarded.socket}?password={IN_A_URL}",
                "secret": Secret(url),
                "environment": Secret.env("REDIS_URL"),
                "file": Secret.file(tmp_path / "url"),
                "client": client,
            }[where]
            with RedisStore(server, prefix=prefix) as store:
                assert value(store, "token.a", written(store, "token.a", b"x", expect=0)) == b"x"

    def test_other_processes_see_it(self, store):
        assert store.shared is True

    def test_its_own_connections_are_closed_and_opened_again_when_it_is_used(self, server, client, prefix):
        store = RedisStore(f"{server.url}?client_name={prefix}", prefix=prefix)
        assert connections(client, prefix) == 0
        written(store, "token.a", b"x", expect=0)
        assert connections(client, prefix) == 1
        store.close()
        eventually(lambda: connections(client, prefix) == 0, "the server saw it hang up")
        assert value(store, "token.a") == b"x"
        store.close()

    def test_a_client_of_the_users_stays_open(self, server, client, prefix):
        with server.client(client_name=prefix) as own:
            with RedisStore(own, prefix=prefix) as store:
                written(store, "token.a", b"x", expect=0)
            assert connections(client, prefix) == 1

    def test_making_one_connects_to_nothing(self):
        assert repr(RedisStore("redis://nowhere.invalid")) == "RedisStore(nowhere.invalid:6379 db 0, prefix='gatepass')"

    @pytest.mark.parametrize(
        ("server", "shown"),
        [
            (f"redis://ci:{IN_A_URL}@redis.example.com:6380/2", "redis.example.com:6380 db 2"),
            (f"unix:///run/redis.sock?password={IN_A_URL}", "unix /run/redis.sock db 0"),
            (redis.Redis(password=PASSWORD), "localhost:6379 db 0"),
            (valkey.Valkey(password=PASSWORD), "localhost:6379 db 0"),
            (redis.Sentinel([]).master_for("tokens", password=PASSWORD), "sentinel tokens db 0"),
        ],
    )
    def test_its_repr_says_where_and_never_the_password(self, server, shown):
        assert repr(RedisStore(server, prefix="ours")) == f"RedisStore({shown}, prefix='ours')"

    @pytest.mark.parametrize(
        ("server", "why"),
        [
            (redis.asyncio.Redis(), "Redis is for asyncio"),
            (valkey.asyncio.Valkey(), "Valkey is for asyncio"),
            (redis.Redis(decode_responses=True), "This Redis decodes what it reads"),
            (valkey.Valkey(decode_responses=True), "This Valkey decodes what it reads"),
            ("redis://localhost?decode_responses=true", "This Redis decodes what it reads"),
            (redis.Sentinel([]), "can't use Sentinel"),
            (None, "can't use NoneType"),
            (b"redis://localhost", "can't use bytes"),
        ],
    )
    def test_a_client_that_will_not_do_is_refused_at_once(self, server, why):
        assert why in refused_at_once("store_server_invalid", server)

    @pytest.mark.parametrize(
        "url",
        [
            "",
            "localhost:6379",
            "http://localhost/CANARY",
            "redis://:CANARY/x@localhost",
            "redis://:CANARY@localhost:99999",
            "redis://:CANARY@[::1",
            "redis://:CANARY@localhost?db=x",
            "redis://:CANARY@localhost?no_such_option=1",
        ],
    )
    def test_a_url_that_is_none_is_refused_at_once_and_not_quoted(self, url):
        assert "The URL of the store is none that redis-py takes" in refused_at_once("store_server_invalid", url)

    def test_a_reference_that_leads_nowhere_is_refused_at_once(self, monkeypatch):
        monkeypatch.delenv("REDIS_URL", raising=False)
        assert "REDIS_URL is not set" in refused_at_once("secret_missing", Secret.env("REDIS_URL"))

    def test_without_redis_py_the_text_says_how_to_get_it(self, monkeypatch):
        monkeypatch.setattr(module, "find_spec", lambda name: None if name == "redis" else find_spec(name))
        shown = refused_at_once("extra_missing", f"redis://:{IN_A_URL}@localhost")
        assert "redis is not installed: pip install 'gatepass[redis]'" in shown

    def test_redis_py_is_imported_only_where_it_is_used(self):
        program = (
            "import sys, gatepass.stores.redis as module; print('redis' in sys.modules);"
            "module.RedisStore('redis://localhost'); print('redis' in sys.modules)"
        )
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=20)
        assert done.stdout == "False\nTrue\n"

    @pytest.mark.parametrize("spread", [pickle.dumps, copy.copy, copy.deepcopy])
    def test_it_can_not_be_pickled_or_copied(self, store, spread):
        with pytest.raises(TypeError, match="can't be pickled or copied"):
            spread(store)


class TestWhenTheServerSaysNo:
    @pytest.mark.parametrize("given", ["", ":wrong-CANARY@", "nobody:CANARY@"], ids=["none", "wrong", "unknown user"])
    def test_a_password_that_does_not_fit(self, guarded, given):
        with RedisStore(guarded.url.replace("//", f"//{given}")) as store:
            failed(store, "store_refused", "does not let us in. Check user and password.")

    def test_a_password_that_was_changed_is_read_again(self, guarded, prefix, monkeypatch):
        monkeypatch.setenv("REDIS_URL", guarded.url.replace("//", "//:old@"))
        with RedisStore(Secret.env("REDIS_URL"), prefix=prefix) as store:
            failed(store, "store_refused", "does not let us in")
            monkeypatch.delenv("REDIS_URL")
            failed(store, "store_refused", "does not let us in")
            monkeypatch.setenv("REDIS_URL", guarded.url.replace("//", f"//:{IN_A_URL}@"))
            failed(store, "store_refused", "does not let us in", steps=1)
            assert value(store, "token.a", written(store, "token.a", b"x", expect=0)) == b"x"

    @pytest.mark.parametrize("lacking", COMMANDS)
    def test_the_least_rights_are_enough_and_each_is_needed(self, server, client, prefix, lacking):
        client.script_flush()
        rights = [f"+{command}" for command in COMMANDS]
        client.acl_setuser(prefix, enabled=True, passwords=["+pw"], keys=[f"{prefix}:*"], commands=rights)
        with RedisStore(server.url.replace("//", f"//{prefix}:pw@"), prefix=prefix) as store:
            everything(store)
            client.acl_setuser(prefix, enabled=True, commands=[f"-{lacking}"])
            client.script_flush()
            with pytest.raises(StoreError, match=re.escape(f"{' '.join(rights)} on the keys ~{prefix}:*")) as caught:
                everything(store)
            assert (caught.value.code, caught.value.retryable) == ("store_refused", False)

    def test_the_page_names_those_rights_and_no_others(self):
        page = (Path(__file__).parents[2] / "docs" / "fleet.md").read_text()
        (line,) = re.findall(r"^ACL SETUSER .*$", page, re.MULTILINE)
        assert re.findall(r"\+(\w+)", line) == list(COMMANDS)

    def test_another_database_needs_one_right_more(self, server, client, prefix):
        rights = [f"+{command}" for command in COMMANDS]
        client.acl_setuser(prefix, enabled=True, passwords=["+pw"], keys=[f"{prefix}:*"], commands=rights)
        with RedisStore(server.url.replace("//", f"//{prefix}:pw@").replace("/0", "/1"), prefix=prefix) as store:
            failed(store, "store_refused", "and +select for another database than 0.")
            client.acl_setuser(prefix, enabled=True, commands=["+select"])
            everything(store)

    def test_keys_that_others_own(self, server, client, prefix):
        client.acl_setuser(prefix, enabled=True, passwords=["+pw"], keys=[f"{prefix}:*"], commands=["+@all"])
        with RedisStore(server.url.replace("//", f"//{prefix}:pw@"), prefix="else") as store:
            failed(store, "store_refused", "on the keys ~else:*")

    def test_a_key_that_is_something_else(self, store, client, prefix):
        client.set(f"{prefix}:token.a", "here first")
        failed(store, "store_refused", f"has something else under the prefix '{prefix}'. Give another one.")

    @pytest.mark.parametrize(
        ("setting", "words"),
        [
            ({"maxmemory": 1}, "It is out of memory"),
            ({"min-replicas-to-write": 1}, "Too few replicas follow it"),
        ],
        ids=["out of memory", "too few replicas"],
    )
    def test_a_server_that_takes_no_writes_is_still_read(self, store, client, setting, words):
        version = written(store, "token.a", b"x", expect=0)
        with configured(client, setting):
            with pytest.raises(StoreError, match=words) as caught:
                store.write("token.a", b"y", expect=version)
            assert (caught.value.code, caught.value.retryable) == ("store_failed", True)
            assert store.read("token.a") == Entry(version=version, value=b"x")

    def test_a_replica(self, store, client):
        version = written(store, "token.a", b"x", expect=0)
        client.replicaof("127.0.0.1", 1)
        try:
            with pytest.raises(StoreError, match=r"It is a replica\. Go to the primary") as caught:
                store.write("token.a", b"y", expect=version)
            assert (caught.value.code, caught.value.retryable) == ("store_failed", True)
            with configured(client, {"replica-serve-stale-data": "no"}):
                failed(store, "store_failed", "It is a replica, and has lost its primary.", retryable=True)
        finally:
            client.replicaof("NO", "ONE")

    def test_a_server_that_a_script_keeps_busy(self, store, server, client):
        def run_away():
            with server.client() as other, suppress(redis.ResponseError):
                other.eval("while true do end", 0)

        with configured(client, {"lua-time-limit": 1}):
            thread = threading.Thread(target=run_away)
            thread.start()
            try:
                eventually(lambda: is_busy(client), "the script ran away")
                failed(store, "store_failed", "A script keeps it busy.", retryable=True)
            finally:
                client.script_kill()
                thread.join()
            assert store.read("token.a") is None

    @pytest.mark.parametrize(
        ("error", "code", "retryable", "words"),
        [
            (redis.BusyLoadingError("Redis is loading"), "store_failed", True, "It has just started"),
            (redis.ResponseError("MISCONF Errors writing to disk"), "store_failed", True, "can't write to its disk"),
            (redis.exceptions.TryAgainError("Multiple keys"), "store_failed", True, "is moving this key"),
            (redis.exceptions.ClusterDownError("The cluster is down"), "store_failed", True, "cluster is not whole"),
            (redis.exceptions.RedisClusterException("no node"), "store_unreachable", True, "(RedisClusterException)"),
            (redis.ConnectionError("Connection closed"), "store_unreachable", True, "(ConnectionError)"),
            (redis.ResponseError("unknown CANARY"), "store_failed", False, "failed (ResponseError)."),
            (ValueError("CANARY"), "store_failed", False, "failed (ValueError)."),
        ],
        ids=lambda given: type(given).__name__ if isinstance(given, Exception) else "",
    )
    def test_whatever_else_a_client_raises(self, error, code, retryable, words):
        class Failing(redis.Redis):
            def execute_command(self, *args, **options):
                raise error

        failed(RedisStore(Failing()), code, words, retryable=retryable)


class TestWhenTheServerIsNotThere:
    @pytest.mark.parametrize(
        ("url", "reason"),
        [
            ("redis://:CANARY@127.0.0.1:1", "Connection refused"),
            ("unix:///nowhere?password=CANARY", "No such file or directory"),
        ],
    )
    def test_the_text_says_what_the_system_said(self, url, reason):
        with RedisStore(url) as store:
            failed(store, "store_unreachable", f"can't be reached ({reason}).", retryable=True)

    def test_one_that_does_not_answer_is_waited_for_a_few_seconds(self, guarded):
        with guarded.client(password=PASSWORD) as client:
            client.execute_command("CLIENT", "PAUSE", 60_000)
        try:
            with RedisStore(guarded.url.replace("//", f"//:{IN_A_URL}@") + "?socket_timeout=0.1") as store:
                failed(store, "store_unreachable", "can't be reached (TimeoutError)", retryable=True)
        finally:
            guarded.kill()
            guarded.start()

    def test_time_outs_are_short_and_can_be_set_in_the_url(self):
        def time_outs(store):
            options = store._client.connection_pool.connection_kwargs
            return options["socket_connect_timeout"], options["socket_timeout"]

        assert time_outs(RedisStore("redis://localhost")) == (3.0, 3.0)
        assert time_outs(RedisStore("redis://localhost?socket_timeout=0.5")) == (3.0, 0.5)

    def test_nothing_that_was_sent_shows(self):
        with RedisStore("redis://ci:PASSWORD-CANARY@127.0.0.1:1") as store:
            shown = trace_of(lambda: store.write("token.a", b"VALUE-CANARY", expect=0))
        assert "can't be reached" in shown
        assert "RedisStore(127.0.0.1:1 db 0, prefix='gatepass')" in shown
        assert "CANARY" not in shown


def epoch(client):
    seconds, microseconds = client.time()
    return seconds + microseconds / 1e6


def connections(client, name):
    """How many connections of that name the server has."""
    return [connection["name"] for connection in client.client_list()].count(name)


def is_busy(client):
    try:
        return not client.ping()
    except redis.ResponseError as error:
        return str(error).startswith("BUSY")


@contextmanager
def configured(client, setting):
    """A server with other settings for as long as the block."""
    before = {name: client.config_get(name)[name] for name in setting}
    try:
        for name, given in setting.items():
            client.config_set(name, given)
        yield
    finally:
        for name, given in before.items():
            client.config_set(name, given)


def everything(store):
    """Every script, through every branch that calls something."""
    version = written(store, "token.a", b"x", expect=0)
    assert value(store, "token.a", version) == b"x"
    store.release(taken(store, "token.a", "one", 30))
    assert store.holder("token.a") is None
    assert store.delete("token.a", expect=version)


def failed(store, code, words, *, retryable=False, steps=6):
    """Every step fails with that code and those words, and shows nothing that it should not."""
    every = [
        lambda: store.read("token.a"),
        lambda: store.write("token.a", b"CANARY", expect=0),
        lambda: store.delete("token.a"),
        lambda: store.acquire("token.a", "one", 30),
        lambda: store.release(Lease(name="token.a", owner="one", fence=1, until=0.0)),
        lambda: store.holder("token.a"),
    ]
    for step in every[:steps]:
        with pytest.raises(StoreError) as caught:
            step()
        assert (caught.value.code, caught.value.retryable) == (code, retryable)
        assert words in str(caught.value)
        assert "CANARY" not in shown_of(caught.value, skip=2)


def refused_at_once(code, server, **options):
    """What a traceback shows of the error that the constructor raises: no password."""
    with pytest.raises(ConfigurationError) as caught:
        RedisStore(server, **options)
    assert caught.value.code == code
    shown = shown_of(caught.value, skip=1)
    assert "CANARY" not in shown
    return shown


def shown_of(error, *, skip):
    """The traceback of an error with the locals of all frames, but for those of the test."""
    trace = traceback.TracebackException.from_exception(error, capture_locals=True)
    trace.stack = traceback.StackSummary.from_list(trace.stack[skip:])
    return "".join(trace.format())
