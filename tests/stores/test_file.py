from __future__ import annotations

import errno
import hashlib
import logging
import os
import pickle
import stat
import subprocess
import sys
import time
from itertools import count
from pathlib import Path

import filelock
import platformdirs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepass.errors import StoreError
from gatepass.stores.base import Entry
from gatepass.stores.cell import Cell
from gatepass.stores.file import FileStore, _decode, _encode
from gatepass.testing.store_contract import ManualClock, StoreContract, taken, trace_of, value, written

RECORD = "token.a.record"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "store"


class TestFileStore(StoreContract):
    @pytest.fixture
    def store(self, home: Path, clock: ManualClock) -> FileStore:
        return FileStore(home, clock=clock)


class TestTwoFileStoresInOneDirectory:
    def test_each_sees_what_the_other_did(self, home):
        one, two = FileStore(home), FileStore(home)
        version = written(one, "token.a", b"x", expect=0)
        assert value(two, "token.a", version) == b"x"
        lease = taken(two, "token.a", "two", 30)
        assert one.holder("token.a") == lease
        assert one.acquire("token.a", "one", 30) is None

    def test_a_pickled_store_sees_the_same_records_and_carries_none(self, home):
        one = FileStore(home)
        written(one, "token.a", b"CANARY", expect=0)
        pickled = pickle.dumps(one)
        assert b"CANARY" not in pickled
        assert value(pickle.loads(pickled), "token.a") == b"CANARY"


class TestWhereItStands:
    def test_other_processes_see_it(self, home):
        assert FileStore(home).shared is True

    def test_making_a_store_touches_nothing_and_imports_nothing_dear(self, home):
        FileStore(home)
        assert not home.exists()
        program = (
            "import sys, gatepass.stores.file as file; file.FileStore(); file.FileStore('/nowhere');"
            "print([name for name in ('filelock', 'platformdirs') if name in sys.modules])"
        )
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=20)
        assert done.stdout == "[]\n"

    def test_reading_makes_no_directory(self, home):
        assert FileStore(home).read("token.a") is None
        assert FileStore(home).holder("token.a") is None
        assert not home.exists()

    def test_by_default_it_stands_where_the_system_keeps_state(self, tmp_path, monkeypatch):
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
        store = FileStore()
        written(store, "token.a", b"x", expect=0)
        assert store.directory == platformdirs.user_state_path("gatepass")
        assert (store.directory / RECORD).exists()

    def test_a_tilde_means_the_home_directory(self, tmp_path, monkeypatch):
        monkeypatch.setenv("HOME", str(tmp_path))
        assert FileStore("~/tokens").directory == tmp_path / "tokens"

    def test_a_home_directory_that_is_not_there_is_an_error(self):
        with pytest.raises(StoreError, match="no home directory") as caught:
            FileStore("~nobody-has-this-name/tokens")
        assert caught.value.code == "store_not_writable"

    def test_a_user_without_a_home_directory_is_told_at_the_first_use(self, monkeypatch):
        monkeypatch.setattr(platformdirs, "user_state_path", lambda name: Path("~nobody-has-this-name") / name)
        store = FileStore()
        assert repr(store) == "FileStore(no directory)"
        refused(store, "store_not_writable", "Give FileStore a full path")

    def test_a_relative_directory_does_not_move_with_the_process(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        store = FileStore("tokens")
        monkeypatch.chdir("/")
        assert store.directory == tmp_path / "tokens"

    def test_its_repr_is_its_directory(self, home):
        assert repr(FileStore(home)) == f"FileStore({str(home)!r})"


class TestPermissions:
    @pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
    def test_only_the_owner_may_look_whatever_the_umask(self, home, umask):
        before = os.umask(umask)
        try:
            written(FileStore(home), "token.a", b"x", expect=0)
        finally:
            os.umask(before)
        assert stat.S_IMODE(home.stat().st_mode) == 0o700
        assert {path.name: stat.S_IMODE(path.stat().st_mode) for path in home.iterdir()} == {
            RECORD: 0o600,
            "token.a.lock": 0o600,
        }

    @pytest.mark.parametrize("mode", [0o770, 0o707, 0o777, 0o1777])
    def test_a_directory_that_others_can_write_is_refused(self, home, mode):
        home.mkdir()
        home.chmod(mode)
        refused(FileStore(home), "store_insecure", f"{home} can be written by other users. Run `chmod go-w {home}`")
        assert list(home.iterdir()) == []

    @pytest.mark.parametrize("mode", [0o640, 0o604, 0o602])
    def test_a_record_that_is_open_to_others_is_refused(self, home, mode):
        store = FileStore(home)
        written(store, "token.a", b"x", expect=0)
        (home / RECORD).chmod(mode)
        refused(store, "store_insecure", f"{home / RECORD} is open to other users. Run `chmod 600 {home / RECORD}`")

    @pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give a file away")
    @pytest.mark.parametrize("what", ["", RECORD])
    def test_what_belongs_to_somebody_else_is_refused(self, home, what):
        store = FileStore(home)
        written(store, "token.a", b"x", expect=0)
        os.chown(home / what, 65534, 65534)
        refused(store, "store_insecure", f"{home / what} belongs to user 65534, and this process runs as 0")

    def test_a_link_is_not_followed(self, home, tmp_path):
        other = FileStore(tmp_path / "other")
        written(other, "token.a", b"x", expect=0)
        home.mkdir(mode=0o700)
        (home / RECORD).symlink_to(other.directory / RECORD)
        refused(FileStore(home), "store_insecure", f"{home / RECORD} is a symbolic link")
        assert value(other, "token.a") == b"x"

    @pytest.mark.parametrize("make", [Path.mkdir, lambda path: os.mkfifo(path, 0o600)], ids=["directory", "pipe"])
    def test_what_is_not_a_file_is_refused_and_not_waited_for(self, home, make):
        home.mkdir(mode=0o700)
        make(home / RECORD)
        refused(FileStore(home), "store_insecure", f"{home / RECORD} is not a regular file")

    def test_refusing_leaks_no_descriptor(self, home):
        store = FileStore(home)
        (home / RECORD).mkdir(parents=True)
        home.chmod(0o700)
        before = free_descriptor()
        for _ in range(3):
            refused(store, "store_insecure", "is not a regular file")
        assert free_descriptor() == before


class TestWhenTheSystemSaysNo:
    def test_a_directory_that_is_a_file_is_an_error(self, home):
        home.write_text("here first")
        store = FileStore(home)
        with pytest.raises(StoreError, match="can't be read") as caught:
            store.read("token.a")
        assert caught.value.code == "store_not_readable"
        with pytest.raises(StoreError, match=r"can't be written \(.*\). Let this user write it") as caught:
            store.write("token.a", b"x", expect=0)
        assert caught.value.code == "store_not_writable"
        assert str(home) in str(caught.value)

    def test_a_directory_below_a_file_is_an_error(self, home):
        home.write_text("here first")
        with pytest.raises(StoreError) as caught:
            FileStore(home / "below").write("token.a", b"x", expect=0)
        assert caught.value.code == "store_not_writable"

    @pytest.mark.parametrize(
        ("number", "code", "retryable"),
        [
            (errno.ENOSPC, "store_full", True),
            (errno.EROFS, "store_not_writable", False),
            (errno.EIO, "store_failed", True),
        ],
    )
    @pytest.mark.parametrize("step", ["write", "fsync"])
    def test_a_failed_write_says_why_and_leaves_the_old_record(self, home, monkeypatch, step, number, code, retryable):
        store = FileStore(home)
        version = written(store, "token.a", b"old", expect=0)
        with monkeypatch.context() as patch:
            patch.setattr(os, step, raising(number))
            with pytest.raises(StoreError) as caught:
                store.write("token.a", b"new", expect=version)
        assert (caught.value.code, caught.value.retryable) == (code, retryable)
        assert str(home) in str(caught.value)
        assert store.read("token.a") == Entry(version=version, value=b"old")
        assert sorted(path.name for path in home.iterdir()) == ["token.a.lock", RECORD]

    @pytest.mark.parametrize("step", ["open", "fstat"])
    def test_a_failed_read_says_why(self, home, monkeypatch, step):
        store = FileStore(home)
        written(store, "token.a", b"x", expect=0)
        with monkeypatch.context() as patch:
            patch.setattr(os, step, raising(errno.EIO))
            with pytest.raises(StoreError, match="failed to read") as caught:
                store.read("token.a")
        assert caught.value.code == "store_failed"

    def test_a_file_system_that_can_not_sync_directories_is_put_up_with(self, home, monkeypatch):
        store = FileStore(home)
        monkeypatch.setattr(os, "fsync", raising_for_directories(errno.EINVAL))
        assert value(store, "token.a", written(store, "token.a", b"x", expect=0)) == b"x"

    def test_a_directory_that_fails_to_sync_is_an_error(self, home, monkeypatch):
        store = FileStore(home)
        monkeypatch.setattr(os, "fsync", raising_for_directories(errno.EIO))
        with pytest.raises(StoreError, match="failed to write") as caught:
            store.write("token.a", b"x", expect=0)
        assert caught.value.code == "store_failed"

    def test_a_write_that_the_system_takes_in_pieces_is_whole(self, home, monkeypatch):
        real = os.write
        monkeypatch.setattr(os, "write", lambda descriptor, content: real(descriptor, content[:7]))
        store = FileStore(home)
        assert value(store, "token.a", written(store, "token.a", b"y" * 100, expect=0)) == b"y" * 100

    def test_a_directory_removed_under_way_is_made_again_as_private_as_before(self, home):
        store = FileStore(home)
        first = written(store, "token.a", b"x", expect=0)
        for path in home.iterdir():
            path.unlink()
        home.rmdir()
        assert store.read("token.a") is None
        assert written(store, "token.a", b"y", expect=0) > first
        assert stat.S_IMODE(home.stat().st_mode) == 0o700

    def test_a_traceback_that_shows_locals_shows_no_value(self, home, monkeypatch):
        store = FileStore(home)
        version = written(store, "token.a", b"CANARY", expect=0)
        monkeypatch.setattr(os, "fsync", raising(errno.EIO))
        monkeypatch.setattr(Path, "replace", raising(errno.EIO))
        shown = [trace_of(lambda: store.write("token.a", b"NEW-CANARY", expect=version))]
        monkeypatch.setattr(os, "write", raising(errno.EIO))
        shown += [trace_of(lambda: store.write("token.a", b"NEW-CANARY", expect=version))]
        (home / RECORD).write_bytes((home / RECORD).read_bytes() + b" damaged")
        shown += [trace_of(lambda: store.read("token.a")), trace_of(lambda: store.delete("token.a"))]
        for text in shown:
            assert "in _explained" in text
            assert "OSError" in text
            assert "CANARY" not in text


class TestLock:
    def test_a_change_waits_only_so_long_and_a_read_not_at_all(self, home):
        store = FileStore(home, lock_timeout_s=0)
        version = written(store, "token.a", b"x", expect=0)
        with filelock.FileLock(home / "token.a.lock"):
            assert value(store, "token.a", version) == b"x"
            assert store.holder("token.a") is None
            assert written(store, "token.b", b"x", expect=0)
            with pytest.raises(StoreError, match=r"Another process has held .*token\.a\.lock for 0 s") as caught:
                store.write("token.a", b"y", expect=version)
        assert (caught.value.code, caught.value.retryable) == ("store_locked", True)
        assert store.write("token.a", b"y", expect=version)

    @pytest.mark.skipif(sys.platform == "win32", reason="there it can't be renamed away from under its holder")
    def test_its_file_is_never_replaced(self, home):
        store = FileStore(home)
        version = written(store, "token.a", b"x", expect=0)
        first = (home / "token.a.lock").stat().st_ino
        store.release(taken(store, "token.a", "one", 30))
        written(store, "token.a", b"y", expect=version)
        store.delete("token.a")
        assert (home / "token.a.lock").stat().st_ino == first

    def test_leases_lapse_by_a_clock_that_was_set_back(self, home):
        clock = ManualClock()
        store = FileStore(home, clock=clock)
        taken(store, "token.a", "one", 30)
        clock.advance(-50)
        assert store.acquire("token.a", "two", 30) is None
        clock.advance(-3600)
        assert store.holder("token.a") is None
        assert store.acquire("token.a", "two", 30) is not None


class TestDamage:
    @pytest.mark.parametrize(
        "damage",
        [
            lambda content: b"",
            lambda content: content[:10],
            lambda content: content[:-1],
            lambda content: content + b"x",
            lambda content: b"\0" * len(content),
            lambda content: content.replace(b"gatepass-record 1", b"gatepass-record 2"),
            lambda content: content.replace(b'"fence":', b'"fense":'),
            lambda content: b'{"access_token": "of another program"}\n',
        ],
        ids=["empty", "cut", "last byte", "longer", "zeros", "version", "header", "foreign"],
    )
    @pytest.mark.parametrize("change", [False, True], ids=["found by a read", "found by a change"])
    def test_a_damaged_record_is_set_aside_and_reported(self, home, damage, change):
        problems = []
        store = FileStore(home, clock=ticking(1_800_000_000), on_problem=problems.append)
        first = written(store, "token.a", b"precious", expect=0)
        damaged = damage((home / RECORD).read_bytes())
        (home / RECORD).write_bytes(damaged)

        second = written(store, "token.a", b"new", expect=0) if change else None

        assert store.read("token.a") == (Entry(version=second, value=b"new") if second else None)
        (aside,) = home.glob("*.corrupt-*")
        assert aside.name.startswith("token.a.corrupt-18000000")
        assert aside.read_bytes() == damaged
        assert stat.S_IMODE(aside.stat().st_mode) == 0o600
        (problem,) = problems
        assert (problem.code, problem.level) == ("store_record_corrupt", "warning")
        assert str(home / RECORD) in problem.text
        assert aside.name in problem.text
        assert "precious" not in problem.text
        assert (second or written(store, "token.a", b"new", expect=0)) > first

    def test_a_header_that_does_not_fit_its_checksum_s_claim_is_damage(self):
        whole = _encode(Cell(version=1, fence=1, value=b"x"))
        for wrong in (b'"size":2', b'"size":null', b'"size":"1"'):
            body = whole.split(b"\n", 1)[1].replace(b'"size":1', wrong)
            assert _decode(memoryview(checksummed(body))) is None

    def test_nothing_that_was_set_aside_is_overwritten(self, home):
        store = FileStore(home, clock=ManualClock(), on_problem=lambda _: None)
        for content in (b"one", b"two", b"three"):
            written(store, "token.a", content, expect=0)
            (home / RECORD).write_bytes(content)
            assert store.read("token.a") is None
        assert sorted(path.read_bytes() for path in home.glob("*.corrupt-*")) == [b"one", b"three", b"two"]

    def test_by_default_a_log_line_tells_of_it(self, home, caplog):
        store = FileStore(home)
        written(store, "token.a", b"CANARY", expect=0)
        (home / RECORD).write_bytes(b"CANARY")
        with caplog.at_level(logging.DEBUG):
            assert store.read("token.a") is None
        (line,) = [record for record in caplog.records if record.name == "gatepass.store"]
        assert (line.levelname, "was damaged" in line.message) == ("WARNING", True)
        assert "CANARY" not in caplog.text

    def test_whoever_is_told_may_use_the_store(self, home):
        store = FileStore(home, lock_timeout_s=0, on_problem=lambda _: told.append(store.delete("token.a")))
        told: list[bool] = []
        written(store, "token.a", b"x", expect=0)
        (home / RECORD).write_bytes(b"")
        assert store.read("token.a") is None
        assert told == [False]

    def test_no_late_writer_gets_past_a_damaged_record(self, home):
        store = FileStore(home, clock=ticking(1_800_000_000), on_problem=lambda _: None)
        lease = taken(store, "token.a", "one", 30)
        first = written(
            store,
            "token.a",
            b"x",
            expect=0,
        )
        (home / RECORD).write_bytes(b"")
        assert store.write("token.a", b"late", expect=first) is None
        assert taken(store, "token.a", "two", 30).fence > lease.fence
        assert store.write("token.a", b"late", expect=0, fence=lease.fence) is None

    @given(
        cell=st.builds(
            Cell,
            version=st.integers(0, 2**60),
            fence=st.integers(0, 2**60),
            value=st.none() | st.binary(),
            owner=st.none() | st.text(st.characters(exclude_categories=["Cs"])),
            since=st.floats(0, 2e10),
            until=st.floats(0, 2e10),
        ),
        spoil=st.data(),
    )
    def test_a_cell_comes_back_as_it_was_and_never_after_a_changed_byte(self, cell, spoil):
        content = _encode(cell)
        assert _decode(memoryview(content)) == cell
        place = spoil.draw(st.integers(0, len(content) - 1))
        byte = spoil.draw(st.integers(0, 255).filter(lambda byte: byte != content[place]))
        assert _decode(memoryview(content[:place] + bytes([byte]) + content[place + 1 :])) is None
        assert _decode(memoryview(content[:place])) is None


class TestLeftOvers:
    LEFT = "token.b.0123456789abcdef.tmp"

    def test_what_killed_processes_left_is_removed_after_an_hour(self, home):
        clock = ManualClock()
        ages = {
            self.LEFT: 3601,
            "token.c.0123456789abcdef.tmp": 3599,
            "token.d.tmp": 3601,
            "else's.0123456789abcdef.tmp": 3601,
        }
        for name, age in ages.items():
            leave(home / name, clock() - age)
        written(FileStore(home, clock=clock), "token.a", b"x", expect=0)
        assert {path.name for path in home.glob("*.tmp")} == {*ages} - {self.LEFT}

    def test_what_a_living_process_is_writing_is_left_alone_whatever_the_clocks_say(self, home):
        leave(home / self.LEFT, 0)
        with filelock.FileLock(home / "token.b.lock"):
            written(FileStore(home), "token.a", b"x", expect=0)
        assert (home / self.LEFT).exists()


class TestForgetting:
    LEFT = ("token.a.0123456789abcdef.tmp", "token.a.corrupt-1800000000")
    ELSE = ("token.a.b.0123456789abcdef.tmp", "token.b.corrupt-1800000000", "token.a.tmp", "token.a.corrupt-x")

    @pytest.mark.parametrize("present", [True, False], ids=["with its record", "without one"])
    def test_what_is_left_of_a_record_goes_with_it(self, home, present):
        store = FileStore(home)
        if present:
            written(store, "token.a", b"x", expect=0)
        for name in (*self.LEFT, *self.ELSE):
            leave(home / name, time.time())
        assert store.delete("token.a") is present
        assert {path.name for path in home.iterdir()} >= {*self.ELSE}
        assert not {path.name for path in home.iterdir()} & {*self.LEFT}

    def test_a_delete_that_comes_too_late_removes_nothing(self, home):
        store = FileStore(home)
        version = written(store, "token.a", b"x", expect=0)
        leave(home / self.LEFT[0], time.time())
        assert not store.delete("token.a", expect=version + 1)
        assert (home / self.LEFT[0]).exists()


def leave(path: Path, modified: float) -> None:
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.touch()
    os.utime(path, (modified, modified))


def refused(store: FileStore, code: str, words: str) -> None:
    """Every way in is refused with that code and those words."""
    for step in (
        lambda: store.read("token.a"),
        lambda: store.holder("token.a"),
        lambda: store.write("token.a", b"new", expect=0),
        lambda: store.delete("token.a"),
        lambda: store.acquire("token.a", "one", 30),
    ):
        with pytest.raises(StoreError) as caught:
            step()
        assert caught.value.code == code
        assert words in str(caught.value)


def raising(number: int):
    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    return fail


def raising_for_directories(number: int):
    real = os.fsync
    fail = raising(number)
    return lambda descriptor: (fail if stat.S_ISDIR(os.fstat(descriptor).st_mode) else real)(descriptor)


def ticking(start: int):
    """A clock that goes on a little with every look."""
    ticks = count()
    return lambda: start + next(ticks) / 100


def free_descriptor() -> int:
    descriptor = os.open(os.devnull, os.O_RDONLY)
    os.close(descriptor)
    return descriptor


def checksummed(body: bytes) -> bytes:
    return b"gatepass-record 1 " + hashlib.sha256(body).hexdigest().encode() + b"\n" + body
