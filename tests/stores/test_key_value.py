from __future__ import annotations

import asyncio
import copy
import gc
import logging
import pickle
import subprocess
import sys
import threading
import time
from contextlib import asynccontextmanager
from functools import partial

import anyio
import pytest
import redis_servers
from cryptography.fernet import Fernet
from hypothesis import settings
from hypothesis.stateful import initialize
from key_value.aio.stores.filetree import FileTreeStore
from key_value.aio.stores.memory import MemoryStore
from key_value.aio.stores.redis import RedisStore
from key_value.aio.wrappers.encryption import FernetEncryptionWrapper
from key_value.aio.wrappers.prefix_collections import PrefixCollectionsWrapper
from key_value.aio.wrappers.prefix_keys import PrefixKeysWrapper
from stores.test_store_machine import StoreMachine

from gatepass.errors import ConfigurationError, GatepassError, StoreError
from gatepass.stores import key_value, loop
from gatepass.stores.base import Entry
from gatepass.stores.key_value import KeyValueStore
from gatepass.testing.store_contract import ManualClock, StoreContract, in_threads, taken, trace_of, value, written

COLLECTION = "gatepass"
PATIENCE_S = 20.0


@pytest.fixture(scope="module")
def redis(tmp_path_factory):
    with redis_servers.redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server


class TestOverPyKeyValue(StoreContract):
    """The contract, over stores and wrappers of py-key-value as they are."""

    @pytest.fixture(params=["memory", "files", "redis", "encrypted", "prefixed"])
    def store(self, request, clock, tmp_path, redis):
        def factory():
            match request.param:
                case "memory":
                    return MemoryStore()
                case "files":
                    return FileTreeStore(data_directory=tmp_path)
                case "redis":
                    return RedisStore(url=redis.url)
                case "encrypted":
                    return FernetEncryptionWrapper(MemoryStore(), fernet=Fernet(Fernet.generate_key()))
                case "prefixed":
                    return PrefixCollectionsWrapper(PrefixKeysWrapper(MemoryStore(), "team"), "app")

        with redis.client() as client:
            client.flushdb()
        store = KeyValueStore(factory, clock=clock, settle_s=0)
        yield store
        store.close()


class KeyValueStoreMachine(StoreMachine):
    @initialize()
    def open(self) -> None:
        inner = MemoryStore()
        self.sides = [KeyValueStore(lambda: inner, clock=self.clock, settle_s=0) for _ in range(2)]

    def teardown(self) -> None:
        for side in self.sides:
            side.close()


TestKeyValueStoreMachine = KeyValueStoreMachine.TestCase
TestKeyValueStoreMachine.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)


@pytest.fixture
def keep():
    """Makes stores, and closes them in the end."""
    made = []

    def make(factory, **options):
        made.append(KeyValueStore(factory, **{"settle_s": 0, **options}))
        return made[-1]

    yield make
    for store in made:
        store.close()


class Watched(MemoryStore):
    """Notes in which loop and thread it was made, asked, entered and left."""

    def __init__(self):
        super().__init__()
        self.seen = []
        self.see("make")

    def see(self, what):
        self.seen.append((what, asyncio.get_running_loop(), threading.current_thread()))

    @property
    def heard(self):
        return [what for what, *_ in self.seen]

    async def get(self, key, *, collection=None):
        self.see("get")
        return await super().get(key, collection=collection)

    async def put(self, key, value, *, collection=None, ttl=None):
        self.see("put")
        await super().put(key, value, collection=collection, ttl=ttl)


class Entered(Watched):
    """One that is an async context manager itself, as the stores with a connection are."""

    async def __aenter__(self):
        self.see("enter")
        return self

    async def __aexit__(self, *_):
        self.see("leave")


class TestTheFactory:
    @pytest.mark.parametrize("kind", ["plain", "class", "asynchronous", "context manager", "awaited context manager"])
    def test_it_may_give_a_store_in_any_way_and_is_called_once_for_all(self, keep, kind):
        made = []

        def plain():
            made.append(Watched())
            return made[-1]

        class Noted(Watched):
            def __init__(self):
                super().__init__()
                made.append(self)

        async def asynchronous():
            await asyncio.sleep(0)
            return plain()

        @asynccontextmanager
        async def context_manager():
            await asyncio.sleep(0)
            yield plain()

        async def awaited_context_manager():
            return context_manager()

        ways = {"class": Noted, **{way.__name__.replace("_", " "): way for way in (plain, asynchronous)}}
        ways |= {way.__name__.replace("_", " "): way for way in (context_manager, awaited_context_manager)}
        store = keep(ways[kind])
        in_threads([partial(store.write, f"token.{number}", b"x", expect=0) for number in range(4)])
        assert value(store, "token.3") == b"x"
        assert len(made) == 1

    def test_it_is_called_when_the_store_is_first_used(self, keep):
        calls = []
        store = keep(lambda: calls.append("made") or MemoryStore())
        assert (repr(store), calls) == ("KeyValueStore(collection='gatepass')", [])
        store.read("token.a")
        assert calls == ["made"]

    @pytest.mark.parametrize("given", [MemoryStore(), None, "redis://here"], ids=lambda given: type(given).__name__)
    def test_what_is_none_is_refused_with_a_word_on_how_to_give_one(self, given):
        with pytest.raises(ConfigurationError) as caught:
            KeyValueStore(given)
        assert caught.value.code == "store_invalid"
        assert f"not a {type(given).__name__}" in str(caught.value)
        assert "KeyValueStore(lambda: RedisStore(url=...))" in str(caught.value)
        assert "redis://here" not in str(caught.value)

    @pytest.mark.parametrize("given", [None, {}, object()], ids=lambda given: type(given).__name__)
    def test_what_it_gives_must_be_a_store(self, keep, given):
        failure = refused(keep(lambda: given).read, "token.a")
        assert str(failure) == (
            f"The factory of KeyValueStore gave a {type(given).__name__}, which is no store of py-key-value-aio."
        )

    def test_one_that_failed_is_called_again(self, keep):
        outcomes = iter([ConnectionError("redis://user:CANARY@host"), MemoryStore()])

        def factory():
            outcome = next(outcomes)
            if isinstance(outcome, Exception):
                raise outcome
            return outcome

        store = keep(factory)
        assert str(refused(store.read, "token.a")).startswith("The factory of the store failed with ConnectionError.")
        assert store.read("token.a") is None

    def test_one_that_takes_its_time_is_not_called_twice(self, keep):
        calls, let_go = [], threading.Event()

        async def factory():
            calls.append("called")
            while not let_go.is_set():  # noqa: ASYNC110 - it is set in another thread
                await asyncio.sleep(0.005)
            return MemoryStore()

        store = keep(factory, timeout_s=0.05)
        assert refused(store.read, "token.a").code == "store_unreachable"
        assert refused(store.read, "token.a").code == "store_unreachable"
        let_go.set()
        store._timeout_s = PATIENCE_S
        assert store.read("token.a") is None
        assert calls == ["called"]

    def test_making_a_store_imports_nothing_of_py_key_value(self):
        program = (
            "import sys, gatepass; assert 'asyncio' not in sys.modules; "
            "from gatepass.stores.key_value import KeyValueStore; KeyValueStore(lambda: None); "
            "assert 'key_value' not in sys.modules"
        )
        subprocess.run([sys.executable, "-c", program], check=True, timeout=PATIENCE_S)


class TestTheLoop:
    def test_all_is_done_in_one_loop_whoever_calls(self, keep):
        stores = [keep(Watched) for _ in range(2)]

        async def use():
            for store in stores:
                store.write("token.a", b"x", expect=0)
                store.read("token.a")

        for backend in ("asyncio", "asyncio", "trio"):
            anyio.run(use, backend=backend)
        in_threads([partial(store.read, "token.a") for store in stores])
        inner = [store._session._ready.result() for store in stores]
        places = {place for each in inner for _, *place in map(tuple, each.seen) for place in [tuple(place)]}
        assert len(places) == 1
        ((_, thread),) = places
        assert (thread.daemon, thread.name) == (True, "gatepass loop")

    def test_a_store_that_looks_for_the_library_it_runs_in_finds_asyncio(self, keep, tmp_path):
        store = keep(lambda: FileTreeStore(data_directory=tmp_path))

        async def use():
            return written(store, "token.a", b"x", expect=0)

        assert anyio.run(use, backend="trio") > 0

    def test_steps_on_a_name_are_taken_one_at_a_time_whichever_store_of_the_process_takes_them(self, keep):
        inside = []

        class Slow(MemoryStore):
            async def get(self, key, *, collection=None):
                inside.append(key)
                assert inside.count(key) == 1
                await asyncio.sleep(0.005)
                return await super().get(key, collection=collection)

            async def put(self, key, value, *, collection=None, ttl=None):
                await super().put(key, value, collection=collection, ttl=ttl)
                await asyncio.sleep(0.005)
                inside.remove(key)

        inner = Slow()
        stores = [keep(lambda: inner) for _ in range(2)]
        in_threads([partial(store.acquire, "token.a", f"owner-{n}", 30) for n, store in enumerate(stores)])
        assert inside == ["token.a"]  # the one that did not get it had nothing to put

    def test_without_a_thread_to_be_had_it_fails_as_a_store_does(self, monkeypatch):
        def no_thread(_):
            msg = "can't start new thread"
            raise RuntimeError(msg)

        monkeypatch.setattr(loop, "_shared", [])
        monkeypatch.setattr(threading.Thread, "start", no_thread)
        failure = refused(KeyValueStore(MemoryStore).read, "token.a")
        assert str(failure) == "No thread can be started for the event loop that the store needs."

    @pytest.mark.parametrize(
        ("how", "told"), [("fails", "OSError"), ("is lost", "Task was destroyed but it is pending!")]
    )
    def test_what_a_task_of_the_stores_left_behind_is_told_without_its_text(self, keep, caplog, how, told):
        class Careless(MemoryStore):
            async def get(self, key, *, collection=None):
                running = asyncio.get_running_loop()
                if how == "fails":
                    running.call_soon(fail, OSError("CANARY"))
                else:
                    running.create_task(self.wait(running))  # noqa: RUF006 - nobody is to hold it
                await asyncio.sleep(0)
                return await super().get(key, collection=collection)

            async def wait(self, running):
                await running.create_future()

        assert keep(Careless).read("token.a") is None
        gc.collect()
        assert [record.getMessage() for record in caplog.records] == [f"A task of a store failed ({told})."]
        assert "CANARY" not in caplog.text


class TestFailures:
    @pytest.mark.parametrize(
        "problem",
        [
            OSError("CANARY"),
            TimeoutError("CANARY"),
            ExceptionGroup("CANARY", [OSError("CANARY")]),
            ConfigurationError("CANARY"),
            SystemExit("CANARY"),
            KeyboardInterrupt("CANARY"),
            asyncio.CancelledError("CANARY"),
        ],
        ids=lambda problem: type(problem).__name__,
    )
    @pytest.mark.parametrize("where", ["factory", "enter", "get", "put", "leave"])
    def test_whatever_is_raised_becomes_an_error_with_its_kind_and_no_more(self, where, problem):
        class Failing(Entered):
            def see(self, what):
                super().see(what)
                if what == {"factory": "make"}.get(where, where):
                    raise problem

        store = KeyValueStore(Failing, settle_s=0)
        if where == "leave":
            store.read("token.a")
            failure, trace = refused(store.close), ""
        else:
            failure = refused(store.write, "token.a", b"x", expect=0)
            trace = trace_of(lambda: store.write("token.a", b"CANARY", expect=0))
            store.close()
        assert (failure.code, failure.retryable) == ("store_failed", True)
        assert f"failed with {type(problem).__name__}." in str(failure)
        assert "CANARY" not in str(failure) + trace

    def test_a_store_that_hangs_is_left_when_its_time_is_over_and_bars_nobody_afterwards(self, keep):
        class Hanging(Watched):
            async def put(self, key, value, *, collection=None, ttl=None):
                if self.heard.count("put") == 0:
                    self.see("put")
                    await asyncio.get_running_loop().create_future()
                await super().put(key, value, collection=collection, ttl=ttl)

        store = keep(Hanging, timeout_s=0.05)
        failure = refused(store.write, "token.a", b"x", expect=0)
        assert (failure.code, failure.retryable) == ("store_unreachable", True)
        assert "within 0.05 s" in str(failure)
        store._timeout_s = PATIENCE_S
        written(store, "token.a", b"y", expect=0)

    def test_a_store_that_blocks_the_loop_is_left_too(self, keep, monkeypatch):
        monkeypatch.setattr(loop, "_GRACE_S", 0.05)
        let_go = threading.Event()

        class Blocking(MemoryStore):
            async def get(self, key, *, collection=None):
                let_go.wait(PATIENCE_S)
                return await super().get(key, collection=collection)

        store, other = keep(Blocking, timeout_s=0.05), keep(MemoryStore, timeout_s=0.05)
        try:
            assert refused(store.read, "token.a").code == "store_unreachable"
            assert refused(other.read, "token.a").code == "store_unreachable"
        finally:
            let_go.set()
        store._timeout_s = other._timeout_s = PATIENCE_S
        assert store.read("token.a") is other.read("token.a") is None

    def test_a_store_that_will_not_be_cancelled_is_left_too(self, keep, monkeypatch):
        monkeypatch.setattr(loop, "_GRACE_S", 0.05)
        let_go = threading.Event()

        class Stubborn(MemoryStore):
            async def get(self, key, *, collection=None):
                while not let_go.is_set():
                    try:
                        await asyncio.sleep(0.005)
                    except asyncio.CancelledError:
                        continue
                return await super().get(key, collection=collection)

        store = keep(Stubborn, timeout_s=0.05)
        try:
            assert refused(store.read, "token.a").code == "store_unreachable"
        finally:
            let_go.set()
        store._timeout_s = PATIENCE_S
        assert store.read("token.a") is None


class TestDamage:
    @pytest.mark.parametrize(
        "damage",
        [
            {},
            {"garbage": True},
            {"version": "CANARY", "fence": 1},
            {"version": 1, "fence": 1, "value": "CANARY%"},
            {"version": 1, "fence": 1, "value": {"CANARY": 1}},
        ],
        ids=str,
    )
    def test_a_damaged_record_is_told_of_once_and_its_name_starts_anew(self, damage):
        async def spoil():
            await inner.put("token.a", damage, collection=COLLECTION)

        def listen(problem):
            heard.append((problem, store.read("token.a")))  # whoever listens may come back here

        inner, heard = MemoryStore(), []
        store = KeyValueStore(lambda: inner, on_problem=listen)
        old = written(store, "token.a", b"x", expect=0)
        asyncio.run(spoil())
        assert store.read("token.a") is store.read("token.a") is None
        ((problem, there),) = heard
        assert (problem.code, problem.level, there) == ("store_record_corrupt", "warning", None)
        assert problem.text == (
            "The record token.a in the collection 'gatepass' was damaged. The store goes on without it."
        )
        assert store.write("token.a", b"late", expect=old) is None
        assert written(store, "token.a", b"y", expect=0) > old
        store.close()

    def test_one_that_py_key_value_can_not_read_is_none_either(self, keep, tmp_path, caplog):
        store = keep(lambda: FileTreeStore(data_directory=tmp_path))
        written(store, "token.a", b"x", expect=0)
        (tmp_path / COLLECTION / "token.a.json").write_text("{half")
        assert store.read("token.a") is None
        (record,) = caplog.records
        assert (record.name, record.levelno) == ("gatepass.store", logging.WARNING)
        assert "token.a" in record.getMessage()
        written(store, "token.a", b"y", expect=0)
        assert len(caplog.records) == 1

    def test_one_that_a_wrapper_has_no_key_for_is_left_to_those_who_have(self, keep):
        inner, keys = MemoryStore(), [Fernet.generate_key(), Fernet.generate_key()]
        ours, theirs = (keep(lambda key=key: FernetEncryptionWrapper(inner, fernet=Fernet(key))) for key in keys)
        version = written(theirs, "token.a", b"x", expect=0)
        assert "failed with DecryptionError." in str(refused(ours.write, "token.a", b"y", expect=0))
        assert value(theirs, "token.a", version) == b"x"


class Raced(MemoryStore):
    """Right after our first write, another process changes some of it."""

    def __init__(self, **rival):
        super().__init__()
        self.rival = rival

    async def put(self, key, value, *, collection=None, ttl=None):
        rival, self.rival = self.rival, {}
        await super().put(key, {**value, **rival}, collection=collection)


class TestSeveralProcesses:
    """What other processes do to the same store, one step at a time."""

    NUMBER = 2_000_000_000_000_000

    def test_who_is_overtaken_on_the_way_to_the_lease_sees_it_and_leaves(self, keep):
        store = keep(lambda: Raced(owner="rival", fence=self.NUMBER), settle_s=0.01)
        assert store.acquire("token.a", "one", 30) is None
        holder = store.holder("token.a")
        assert holder is not None
        assert (holder.owner, holder.fence) == ("rival", self.NUMBER)

    def test_who_does_not_wait_can_not_know(self, keep):
        store = keep(lambda: Raced(owner="rival", fence=self.NUMBER), settle_s=0)
        assert taken(store, "token.a", "one", 30).owner == "one"
        assert store.holder("token.a").owner == "rival"

    def test_a_lease_that_others_leave_alone_is_believed_after_a_while(self, keep):
        store = keep(MemoryStore, settle_s=0.01)
        before = time.time()
        lease = taken(store, "token.a", "one", 30)
        assert lease == store.holder("token.a")
        assert lease.until >= before + 30 + 0.01  # of the time that was asked for, none is lost to the waiting

    def test_while_one_waits_whether_its_lease_holds_others_see_it_already(self, keep):
        settling, seen = threading.Event(), []

        class Slow(MemoryStore):
            async def put(self, key, value, *, collection=None, ttl=None):
                await super().put(key, value, collection=collection, ttl=ttl)
                settling.set()

        def come_second():
            settling.wait(PATIENCE_S)
            seen.append(store.acquire("token.a", "two", 30))

        store = keep(Slow, settle_s=0.3)
        in_threads([partial(store.acquire, "token.a", "one", 30), come_second])
        assert seen == [None]
        assert store.holder("token.a").owner == "one"

    def test_the_lease_may_take_its_time_beyond_that_of_a_step(self, keep):
        store = keep(MemoryStore, settle_s=1.0, timeout_s=0.9)
        assert store.acquire("token.a", "one", 30) is not None

    def test_a_record_that_was_lost_does_not_come_back_under_an_old_number(self, keep):
        async def lose():
            await inner.delete("token.a", collection=COLLECTION)

        inner = MemoryStore()
        store = keep(lambda: inner)
        lease = taken(store, "token.a", "one", 30)
        old = written(store, "token.a", b"x", expect=0)
        asyncio.run(lose())
        assert store.read("token.a") is None
        assert written(store, "token.a", b"y", expect=0) > old
        assert taken(store, "token.a", "two", 30).fence > lease.fence
        assert store.write("token.a", b"late", expect=old, fence=lease.fence) is None

    def test_numbers_follow_the_clock_so_that_two_who_go_on_from_the_same_one_do_not_both_give_out_the_next(self, keep):
        clock = ManualClock()
        store = keep(MemoryStore, clock=clock)
        version, fence = written(store, "token.a", b"x", expect=0), taken(store, "token.a", "one", 30).fence
        clock.advance(5)
        numbers = written(store, "token.a", b"y", expect=version), taken(store, "token.a", "one", 30).fence
        assert numbers == (int(clock() * 1_000_000),) * 2 > (version, fence)

    def test_of_two_that_write_at_once_the_one_that_lost_learns_it_at_its_next_step(self, keep):
        store = keep(lambda: Raced(version=self.NUMBER, value="dGhlaXJz"))
        ours = written(store, "token.a", b"ours", expect=0)
        entry = store.read("token.a")
        assert entry is not None
        assert entry.value == b"theirs"
        assert store.write("token.a", b"ours", expect=ours) is None

    def test_a_process_with_a_copy_of_the_store_finds_the_same_records(self, tmp_path):
        one = KeyValueStore(partial(FileTreeStore, data_directory=tmp_path), collection="ours", settle_s=0, timeout_s=9)
        version = written(one, "token.a", b"CANARY", expect=0)
        pickled = pickle.dumps(one)
        assert b"CANARY" not in pickled
        for other in (pickle.loads(pickled), copy.copy(one), copy.deepcopy(one)):
            assert (other.read("token.a"), other._settle_s, other._timeout_s) == (
                Entry(version=version, value=b"CANARY"),
                0,
                9,
            )
            other.close()
        one.close()


class TestClosing:
    def test_it_leaves_what_the_factory_gave_and_the_next_step_begins_anew(self):
        made = []
        store = KeyValueStore(lambda: made.append(Entered()) or made[-1])
        store.read("token.a")
        store.close()
        store.close()
        assert [each.heard for each in made] == [["make", "enter", "get", "leave"]]
        store.read("token.a")
        store.close()
        assert [each.heard for each in made] == [["make", "enter", "get", "leave"]] * 2

    def test_a_context_manager_is_entered_and_left_by_the_same_task_without_an_exception(self):
        seen = []

        @asynccontextmanager
        async def factory():
            async with anyio.create_task_group():  # insists on it
                yield MemoryStore()
                seen.append("left")

        store = KeyValueStore(factory)
        store.read("token.a")
        store.close()
        assert seen == ["left"]

    def test_of_one_that_was_never_used_does_nothing(self):
        KeyValueStore(lambda: pytest.fail("it was called")).close()

    def test_one_that_never_opened_is_closed(self):
        store = KeyValueStore(lambda: fail(OSError("CANARY")))
        refused(store.read, "token.a")
        store.close()

    def test_what_hangs_at_its_end_is_left(self):
        class Lasting(Entered):
            async def __aexit__(self, *_):
                self.see("leave")
                await asyncio.get_running_loop().create_future()

        store = KeyValueStore(Lasting)
        store.read("token.a")
        store._timeout_s = 0.05
        assert refused(store.close).code == "store_unreachable"
        store.close()


def refused(step, *args, **options):
    """The `StoreError` that a step raises: by itself, without an exception behind it."""
    with pytest.raises(StoreError) as caught:
        step(*args, **options)
    failure = caught.value
    assert isinstance(failure, GatepassError)
    assert (failure.__cause__, failure.__context__) == (None, None)
    return failure


def fail(problem):
    raise problem


def test_a_factory_that_hung_once_is_called_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_value, "_OPENING_S", 0.3)
    calls: list[int] = []

    async def factory() -> MemoryStore:
        calls.append(1)
        if len(calls) == 1:
            await asyncio.Event().wait()
        return MemoryStore()

    store = KeyValueStore(factory, settle_s=0, timeout_s=0.2)
    with pytest.raises(StoreError) as failure:
        store.read("token.a")
    assert failure.value.code == "store_unreachable"
    deadline = time.monotonic() + 10
    while True:
        try:
            assert store.read("token.a") is None
            break
        except StoreError:
            assert time.monotonic() < deadline
    assert len(calls) == 2
    store.close()
