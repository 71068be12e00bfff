"""What several processes do to one directory, and what is left when one is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest

from gatepass.stores.base import Entry
from gatepass.stores.file import FileStore
from gatepass.testing.store_contract import ManualClock, value, written

WORKER = Path(__file__).with_name("worker.py")
PROCESSES = 8

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")


@contextmanager
def workers(*commands: list[str]):
    """Processes of our own, none of which outlives the test."""
    running = [
        subprocess.Popen([sys.executable, WORKER, *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for command in commands
    ]
    try:
        yield running
    finally:
        for process in running:
            process.kill()
            process.communicate()


def test_processes_that_race_lose_no_step_and_give_the_lease_to_one(tmp_path):
    home = tmp_path / "store"
    with workers(*[["race", str(home), f"owner-{n}", "6"] for n in range(PROCESSES)]) as running:
        for process in running:
            assert process.stdout.readline() == "ready\n"
        for process in running:
            process.stdin.write("go\n")
            process.stdin.flush()
        said = [process.communicate(timeout=60)[0].strip() for process in running]
    assert value(FileStore(home), "counter") == str(6 * PROCESSES).encode()
    assert sorted(said) == ["no"] * (PROCESSES - 1) + ["yes"]
    holder = FileStore(home).holder("token.a")
    assert holder is not None
    assert holder.owner == f"owner-{said.index('yes')}"


def test_processes_killed_while_they_write_leave_a_whole_record_and_no_lock(tmp_path):
    store = FileStore(tmp_path / "store", on_problem=lambda problem: pytest.fail(problem.text))
    newest = 0
    for lines in (1, 7):
        with workers(*[["write_until_killed", str(tmp_path / "store")]] * 4) as running:
            told = [int(running[0].stdout.readline()) for _ in range(lines)]
            for process in running:
                process.kill()
            told += [int(line) for process in running for line in process.stdout if line.endswith("\n")]
        assert {process.returncode for process in running} == {-signal.SIGKILL}

        entry = store.read("token.a")
        assert entry is not None
        assert entry.version >= max(told) > newest
        assert len(told) == len(set(told))
        expected_by_its_writer = int(entry.value[: len(entry.value) // 4000])
        assert entry.value == str(expected_by_its_writer).encode() * 4000
        assert expected_by_its_writer < entry.version
        newest = written(store, "token.a", str(entry.version).encode() * 4000, expect=entry.version)
        assert newest > entry.version


@pytest.mark.parametrize(
    ("step", "stands"),
    [
        ("within the write", b"old"),
        ("before the first sync", b"old"),
        ("before the replacement", b"old"),
        ("before the second sync", b"new" * 1000),
    ],
)
def test_a_process_killed_at_any_step_leaves_the_old_record_or_the_new(tmp_path, step, stands):
    home = tmp_path / "store"
    store = FileStore(home, on_problem=lambda problem: pytest.fail(problem.text), lock_timeout_s=0)
    old = written(store, "token.a", b"old", expect=0)

    with workers(["die_at", str(home), step, str(old)]) as (process,):
        assert process.wait(timeout=20) == -signal.SIGKILL

    left = [path.name for path in home.glob("*.tmp")]
    assert len(left) == (stands == b"old")
    current = old if stands == b"old" else old + 1
    assert store.read("token.a") == Entry(version=current, value=stands)
    assert written(store, "token.a", b"newer", expect=current) > current
    later = ManualClock((home / "token.a.record").stat().st_mtime + 3700)
    written(FileStore(home, clock=later), "token.b", b"", expect=0)
    assert list(home.glob("*.tmp")) == []


@pytest.mark.parametrize(
    ("mode", "said"),
    [(0o500, ["None", "store_not_writable"]), (0o000, ["store_not_readable", "store_not_writable"])],
    ids=["read-only", "closed"],
)
def test_a_user_without_the_right_is_told(mode, said):
    with tempfile.TemporaryDirectory() as directory:  # pytest's own is closed to other users
        if os.geteuid() == 0:
            os.chown(directory, 65534, 65534)
        Path(directory).chmod(mode)
        with workers(["as_nobody", directory]) as (process,):
            out, _ = process.communicate(timeout=20)
        Path(directory).chmod(0o700)
        assert (process.returncode, out.split()) == (0, said)
