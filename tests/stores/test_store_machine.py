"""Any sequence of steps, against the simplest thing that could be right."""

from __future__ import annotations

import shutil
import tempfile

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, rule

from gatepass.stores.base import Lease, Store
from gatepass.stores.file import FileStore
from gatepass.stores.memory import MemoryStore
from gatepass.testing.store_contract import ManualClock

NAMES = st.sampled_from(["token.a", "metadata.a"])
OWNERS = st.sampled_from(["one", "two"])
SIDES = st.integers(0, 1)


class Expected:
    """What is known of one name: every number that was ever given out, and what should stand now."""

    def __init__(self) -> None:
        self.versions = [0]
        self.fences: list[int] = []
        self.value: bytes | None = None
        self.lease: Lease | None = None

    @property
    def version(self) -> int:
        return 0 if self.value is None else self.versions[-1]


class StoreMachine(RuleBasedStateMachine):
    leases: Bundle[Lease] = Bundle("leases")
    sides: list[Store]

    def __init__(self) -> None:
        super().__init__()
        self.clock = ManualClock()
        self.names = {"token.a": Expected(), "metadata.a": Expected()}

    @initialize()
    def open(self) -> None:
        self.sides = [MemoryStore(clock=self.clock)] * 2

    @rule(
        name=NAMES,
        value=st.binary(max_size=8),
        side=SIDES,
        seen=st.sampled_from(["now", "nothing", "before"]),
        fence=st.sampled_from([None, "newest", "oldest"]),
    )
    def write(self, name, value, side, seen, fence):
        known = self.names[name]
        expect = {"now": known.version, "nothing": 0, "before": known.versions[-2:][0]}[seen]
        number = {None: None, "newest": max(known.fences, default=0), "oldest": min(known.fences, default=0)}[fence]
        fenced_out = number is not None and known.fences != [] and number < known.fences[-1]
        if number == 0:
            number = None

        version = self.sides[side].write(name, value, expect=expect, fence=number)

        assert (version is not None) == (expect == known.version and not fenced_out)
        if version is not None:
            assert version > known.versions[-1]
            known.versions.append(version)
            known.value = value

    @rule(name=NAMES, side=SIDES, seen=st.sampled_from(["now", "whatever", "before"]))
    def delete(self, name, side, seen):
        known = self.names[name]
        expect = {"now": known.version, "whatever": None, "before": known.versions[-2:][0]}[seen]
        removed = self.sides[side].delete(name, expect=expect)
        assert removed == (known.value is not None and expect in {None, known.version})
        if removed:
            known.value = None

    @rule(target=leases, name=NAMES, side=SIDES, owner=OWNERS, ttl_s=st.sampled_from([1, 30]))
    def acquire(self, name, side, owner, ttl_s):
        known = self.names[name]
        free = self.in_force(name) is None or known.lease.owner == owner
        lease = self.sides[side].acquire(name, owner, ttl_s)
        assert (lease is not None) == free
        if lease is None:
            return multiple()
        assert lease == Lease(name=name, owner=owner, fence=lease.fence, until=self.clock() + ttl_s)
        assert lease.fence > max(known.fences, default=0)
        known.fences.append(lease.fence)
        known.lease = lease
        return lease

    @rule(lease=leases, side=SIDES)
    def release(self, lease, side):
        known = self.names[lease.name]
        self.sides[side].release(lease)
        if known.lease == lease:
            known.lease = None

    @rule(seconds=st.sampled_from([0.5, 1, 30]))
    def wait(self, seconds):
        self.clock.advance(seconds)

    @invariant()
    def everybody_sees_what_stands(self):
        for name, known in self.names.items():
            for side in self.sides:
                entry = side.read(name)
                assert (entry and entry.value) == known.value
                assert (entry.version if entry else 0) == known.version
                assert side.holder(name) == self.in_force(name)

    def in_force(self, name: str) -> Lease | None:
        lease = self.names[name].lease
        return lease if lease is not None and self.clock() < lease.until else None


class FileStoreMachine(StoreMachine):
    @initialize()
    def open(self) -> None:
        self.directory = tempfile.mkdtemp()
        self.sides = [FileStore(self.directory, clock=self.clock) for _ in range(2)]

    def teardown(self) -> None:
        shutil.rmtree(self.directory)


TestMemoryStoreMachine = StoreMachine.TestCase
TestFileStoreMachine = FileStoreMachine.TestCase
TestFileStoreMachine.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
