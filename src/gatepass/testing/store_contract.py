"""What every store must do, as tests: subclass `StoreContract` as ``Test...`` and give it a `store`."""

from __future__ import annotations

import threading
import traceback
from functools import partial
from typing import TYPE_CHECKING

import pytest

from gatepass.errors import StoreError
from gatepass.stores.base import Entry, Lease, Store

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ManualClock", "StoreContract"]


class ManualClock:
    """A clock that stands still until it is told."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        """The time, in epoch seconds."""
        return self.now

    def advance(self, seconds: float) -> None:
        """Let time pass; or, for a negative number, set the clock back."""
        self.now += seconds


class StoreContract:
    """The promises of `Store`, one test each.

    Override `store`, giving it `clock`. A store that can't be given a clock overrides `clock`, too, with one whose
    `advance` waits.
    """

    @pytest.fixture
    def clock(self) -> ManualClock:
        """The store's clock."""
        return ManualClock()

    @pytest.fixture
    def store(self, clock: ManualClock) -> Store:
        """An empty store."""
        raise NotImplementedError

    # Records

    def test_it_is_a_store(self, store: Store) -> None:
        assert isinstance(store, Store)
        assert store.shared in {True, False}

    def test_a_name_never_written_has_no_record(self, store: Store) -> None:
        assert store.read("token.a") is None

    @pytest.mark.parametrize("value", [b"", b"{}", b"line\nline\n", bytes(range(256)), b"x" * 300_000])
    def test_what_was_written_is_read_byte_for_byte(self, store: Store, value: bytes) -> None:
        version = store.write("token.a", value, expect=0)
        assert version is not None
        assert version > 0
        assert store.read("token.a") == Entry(version=version, value=value)

    def test_names_do_not_touch_each_other(self, store: Store) -> None:
        for name in ("token.a", "token.a.b", "token.b", "metadata.a", "a"):
            assert store.write(name, name.encode(), expect=0) is not None
        assert [value(store, name) for name in ("token.a", "token.a.b", "a")] == [b"token.a", b"token.a.b", b"a"]

    def test_each_write_has_a_newer_version(self, store: Store) -> None:
        versions = [0]
        for number in range(5):
            versions.append(written(store, "token.a", str(number).encode(), expect=versions[-1]))
        assert versions == sorted(set(versions))

    @pytest.mark.parametrize("stale", [0, -1, +1])
    def test_a_writer_who_saw_another_version_loses(self, store: Store, stale: int) -> None:
        version = written(store, "token.a", b"first", expect=0)
        assert store.write("token.a", b"second", expect=0 if stale == 0 else version + stale) is None
        assert store.read("token.a") == Entry(version=version, value=b"first")

    def test_a_writer_who_expects_a_record_where_none_is_loses(self, store: Store) -> None:
        assert store.write("token.a", b"x", expect=1) is None
        assert store.read("token.a") is None

    # Deletion

    def test_a_deleted_record_is_gone(self, store: Store) -> None:
        version = written(store, "token.a", b"x", expect=0)
        assert store.delete("token.a", expect=version)
        assert store.read("token.a") is None
        assert not store.delete("token.a")

    def test_deleting_without_a_version_removes_what_is_there(self, store: Store) -> None:
        written(store, "token.a", b"x", expect=0)
        assert store.delete("token.a")
        assert store.read("token.a") is None

    def test_deleting_what_another_changed_does_nothing(self, store: Store) -> None:
        first = written(store, "token.a", b"first", expect=0)
        second = written(store, "token.a", b"second", expect=first)
        assert not store.delete("token.a", expect=first)
        assert store.read("token.a") == Entry(version=second, value=b"second")

    def test_deleting_what_never_was_does_nothing(self, store: Store) -> None:
        assert not store.delete("token.a")
        assert not store.delete("token.a", expect=1)

    def test_a_late_writer_does_not_bring_a_deleted_record_back(self, store: Store) -> None:
        version = written(store, "token.a", b"x", expect=0)
        store.delete("token.a")
        assert store.write("token.a", b"late", expect=version) is None
        assert store.read("token.a") is None

    def test_versions_do_not_start_over_after_a_deletion(self, store: Store) -> None:
        first = written(store, "token.a", b"x", expect=0)
        store.delete("token.a")
        second = written(store, "token.a", b"y", expect=0)
        assert second > first
        assert store.write("token.a", b"late", expect=first) is None

    # Leases

    def test_a_lease_says_who_what_and_until_when(self, store: Store, clock: ManualClock) -> None:
        lease = taken(store, "token.a", "one", 30)
        assert (lease.name, lease.owner) == ("token.a", "one")
        assert clock() < lease.until <= clock() + 30
        assert store.holder("token.a") == lease

    def test_nobody_holds_a_name_that_was_never_leased(self, store: Store) -> None:
        assert store.holder("token.a") is None

    def test_a_lease_keeps_others_out(self, store: Store) -> None:
        lease = taken(store, "token.a", "one", 30)
        assert store.acquire("token.a", "two", 30) is None
        assert store.holder("token.a") == lease

    def test_a_lease_is_for_one_name(self, store: Store) -> None:
        taken(store, "token.a", "one", 30)
        assert store.acquire("token.b", "two", 30) is not None

    def test_a_lease_is_not_a_record(self, store: Store) -> None:
        taken(store, "token.a", "one", 30)
        assert store.read("token.a") is None
        assert store.write("token.a", b"x", expect=0) is not None

    def test_a_lapsed_lease_lets_the_next_one_in(self, store: Store, clock: ManualClock) -> None:
        first = taken(store, "token.a", "one", 2)
        clock.advance(2)
        assert store.holder("token.a") is None
        assert taken(store, "token.a", "two", 30).fence > first.fence

    def test_a_lease_holds_until_the_moment_it_lapses(self, store: Store, clock: ManualClock) -> None:
        taken(store, "token.a", "one", 30)
        clock.advance(29.5)
        assert store.acquire("token.a", "two", 30) is None
        assert store.holder("token.a") is not None

    def test_a_released_lease_lets_the_next_one_in(self, store: Store) -> None:
        first = taken(store, "token.a", "one", 30)
        store.release(first)
        assert store.holder("token.a") is None
        assert taken(store, "token.a", "two", 30).fence > first.fence

    def test_releasing_twice_or_late_leaves_the_next_holder_alone(self, store: Store, clock: ManualClock) -> None:
        first = taken(store, "token.a", "one", 2)
        clock.advance(2)
        second = taken(store, "token.a", "two", 30)
        store.release(first)
        store.release(first)
        assert store.holder("token.a") == second

    def test_a_lease_that_its_owner_takes_again_is_a_newer_one(self, store: Store) -> None:
        first = taken(store, "token.a", "one", 30)
        second = taken(store, "token.a", "one", 30)
        assert second.fence > first.fence
        store.release(first)
        assert store.holder("token.a") == second

    def test_writes_and_deletions_leave_the_lease_alone(self, store: Store) -> None:
        lease = taken(store, "token.a", "one", 30)
        written(store, "token.a", b"x", expect=0)
        store.delete("token.a")
        assert store.holder("token.a") == lease

    def test_leases_leave_the_version_alone(self, store: Store) -> None:
        version = written(store, "token.a", b"x", expect=0)
        store.release(taken(store, "token.a", "one", 30))
        assert store.read("token.a") == Entry(version=version, value=b"x")

    # Fences

    def test_the_newest_lease_may_write(self, store: Store) -> None:
        lease = taken(store, "token.a", "one", 30)
        assert store.write("token.a", b"x", expect=0, fence=lease.fence) is not None

    def test_a_lapsed_lease_may_write_while_nobody_took_the_next_one(self, store: Store, clock: ManualClock) -> None:
        lease = taken(store, "token.a", "one", 2)
        clock.advance(2)
        assert store.write("token.a", b"x", expect=0, fence=lease.fence) is not None

    @pytest.mark.parametrize("give_back", [False, True])
    def test_an_older_lease_may_not_write(self, store: Store, clock: ManualClock, give_back: bool) -> None:
        first = taken(store, "token.a", "one", 2)
        clock.advance(2)
        second = taken(store, "token.a", "two", 30)
        if give_back:
            store.release(second)
        assert store.write("token.a", b"late", expect=0, fence=first.fence) is None
        assert store.read("token.a") is None
        assert store.write("token.a", b"mine", expect=0, fence=second.fence) is not None

    def test_fences_do_not_start_over_after_a_deletion(self, store: Store) -> None:
        first = taken(store, "token.a", "one", 30)
        written(store, "token.a", b"x", expect=0)
        store.release(first)
        store.delete("token.a")
        assert taken(store, "token.a", "two", 30).fence > first.fence
        assert store.write("token.a", b"late", expect=0, fence=first.fence) is None

    # Bad input

    @pytest.mark.parametrize(
        "name", ["", ".", "..", ".hidden", "-a", "a/b", "../a", "A", "ä", "a b", "a\n", "a\0", "a:b", "a\\b", "a" * 129]
    )
    def test_a_name_that_is_not_plain_is_refused(self, store: Store, name: str) -> None:
        steps: list[Callable[[], object]] = [
            lambda: store.read(name),
            lambda: store.write(name, b"x", expect=0),
            lambda: store.delete(name),
            lambda: store.acquire(name, "one", 30),
            lambda: store.release(Lease(name=name, owner="one", fence=1, until=0.0)),
            lambda: store.holder(name),
        ]
        for step in steps:
            with pytest.raises(StoreError, match="can't name a record") as caught:
                step()
            assert caught.value.code == "store_name_invalid"

    def test_the_longest_name_works(self, store: Store) -> None:
        name = "token." + "f" * 122
        assert value(store, name, written(store, name, b"x", expect=0)) == b"x"

    @pytest.mark.parametrize("ttl_s", [0, -1.0, float("inf"), float("nan"), 86_401])
    def test_a_lease_that_never_was_or_never_ends_is_refused(self, store: Store, ttl_s: float) -> None:
        with pytest.raises(StoreError, match="A lease lasts") as caught:
            store.acquire("token.a", "one", ttl_s)
        assert caught.value.code == "store_lease_invalid"
        assert store.holder("token.a") is None

    # Threads

    def test_threads_that_count_together_lose_no_step(self, store: Store) -> None:
        def count() -> None:
            done = 0
            while done < 5:
                entry = store.read("counter")
                number = 0 if entry is None else int(entry.value)
                expect = 0 if entry is None else entry.version
                done += store.write("counter", str(number + 1).encode(), expect=expect) is not None

        in_threads([count] * 4)
        assert value(store, "counter") == b"20"

    def test_of_many_threads_one_gets_the_lease(self, store: Store) -> None:
        leases: list[Lease | None] = []

        def take(owner: str) -> None:
            leases.append(store.acquire("token.a", owner, 30))

        in_threads([partial(take, f"owner-{number}") for number in range(8)])
        assert len(leases) == 8
        assert [lease for lease in leases if lease is not None] == [store.holder("token.a")]

    # What must not show

    def test_a_value_shows_in_no_repr(self, store: Store) -> None:
        written(store, "token.a", b"CANARY", expect=0)
        assert "CANARY" not in repr(store) + repr(store.read("token.a"))

    def test_a_refused_write_shows_its_value_to_no_traceback(self, store: Store) -> None:
        shown = trace_of(lambda: store.write("NOT A NAME", b"CANARY", expect=0))
        assert "NOT A NAME" in shown
        assert "CANARY" not in shown


def written(store: Store, name: str, content: bytes, *, expect: int) -> int:
    """Write, and insist on having won."""
    version = store.write(name, content, expect=expect)
    assert version is not None
    return version


def taken(store: Store, name: str, owner: str, ttl_s: float) -> Lease:
    """Take the lease, and insist on having got it."""
    lease = store.acquire(name, owner, ttl_s)
    assert lease is not None
    return lease


def value(store: Store, name: str, version: int | None = None) -> bytes:
    """Read, and insist that there is a record (of that version)."""
    entry = store.read(name)
    assert entry is not None
    assert version in {None, entry.version}
    return entry.value


def trace_of(step: Callable[[], object]) -> str:
    """The traceback of the `StoreError` that `step` raises, showing the locals of all frames but the test's own."""
    with pytest.raises(StoreError) as caught:
        step()
    trace = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    trace.stack = traceback.StackSummary.from_list(trace.stack[2:])
    return "".join(trace.format())


def in_threads(calls: list[Callable[[], object]]) -> None:
    """Run all at once, and raise what the first of them raised."""
    together = threading.Barrier(len(calls))
    failures: list[BaseException] = []

    def run(call: Callable[[], object]) -> None:
        try:
            together.wait(10)
            call()
        except BaseException as failure:  # noqa: BLE001 - raised below, in the test's own thread
            failures.append(failure)

    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
