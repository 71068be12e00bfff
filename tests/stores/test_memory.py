from __future__ import annotations

import copy
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from gatepass.stores.memory import MemoryStore
from gatepass.testing import ManualClock, StoreContract


class TestMemoryStore(StoreContract):
    @pytest.fixture
    def store(self, clock: ManualClock) -> MemoryStore:
        return MemoryStore(clock=clock)


def test_no_other_process_sees_it():
    assert MemoryStore().shared is False


@pytest.mark.parametrize("spread", [pickle.dumps, copy.copy, copy.deepcopy])
def test_it_can_not_be_pickled_or_copied(spread):
    store = MemoryStore()
    store.write("token.a", b"CANARY", expect=0)
    with pytest.raises(TypeError, match="can't be pickled") as caught:
        spread(store)
    assert "CANARY" not in str(caught.value)


def test_its_repr_counts():
    store = MemoryStore()
    store.write("token.a", b"CANARY", expect=0)
    assert repr(store) == "MemoryStore(1 names)"


def test_a_change_is_made_by_one_thread_at_a_time():
    store = MemoryStore(clock=lambda: locked.append(store._mutex.lock.locked()) or 1000.0)
    locked: list[bool] = []
    store.acquire("token.a", "one", 30)
    assert (locked, store._mutex.lock.locked()) == ([True], False)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system can't fork")
def test_a_child_forked_while_a_thread_was_inside_goes_on_with_the_records():
    worker = Path(__file__).with_name("worker.py")
    done = subprocess.run(
        [sys.executable, worker, "fork_while_locked"], capture_output=True, text=True, timeout=20, check=True
    )
    assert done.stdout == "child 0, parent kept\n"
