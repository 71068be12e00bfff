"""Records in a directory: they outlive the process, and every process of one user on one machine shares them.

One file a name, ``NAME.record``, whose first two lines are text:

    gatepass-record 1 <SHA-256 of all that follows this line, in hex>
    {"version":…,"fence":…,"size":…,"owner":…,"since":…,"until":…}
    <the value: `size` bytes, as they were given>

``size`` is null once the record was removed; ``owner`` is null without a lease. The file is replaced whole, so a
reader needs no lock: it sees the state before a change or after it, and a process that is killed leaves a temporary
file, never half a record. Whoever changes a record holds ``NAME.lock`` meanwhile, which is never removed: a second one
under the same name would let two in at once. What turns out damaged becomes ``NAME.corrupt-EPOCH`` and its name starts
anew. Versions and fences start at the clock, in microseconds, so that a record that was lost or set aside can't come
back under a number that was given out before.
"""

from __future__ import annotations

import errno
import hashlib
import io
import logging
import os
import re
import stat
import time
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from gatepass.core.world import Notice
from gatepass.errors import StoreError
from gatepass.stores.base import Entry, Lease, check_name, check_ttl
from gatepass.stores.cell import Cell

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from filelock import BaseFileLock

__all__ = ["FileStore"]

logger = logging.getLogger("gatepass.store")

_MAGIC = b"gatepass-record 1 "
_SAFE_FLAGS = sum(getattr(os, flag, 0) for flag in ("O_NOFOLLOW", "O_CLOEXEC", "O_BINARY"))
_READ_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | _SAFE_FLAGS
_CREATE_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _SAFE_FLAGS
_TEMPORARY = re.compile(r"(?P<name>[a-z0-9][a-z0-9._-]*)\.[0-9a-f]{16}\.tmp")
_SET_ASIDE = re.compile(r"(?P<name>[a-z0-9][a-z0-9._-]*)\.corrupt-[0-9]+")
_TEMPORARY_MAX_AGE_S = 3600.0
_LOCK_POLL_S = 0.01


class FileStore:
    """A `Store` in a directory of the user's own, shared by all processes that name the same one.

    Nothing is touched before the first read or write. The values stand in the files as they are: mode 0600 in a
    directory of mode 0700 is what protects them.

    Args:
        directory: where; made if it is not there. By default ``gatepass`` under the user's state directory
            (``~/.local/state`` on Linux).
        clock: epoch seconds, by which leases lapse.
        on_problem: told about a record that was damaged and set aside; by default the logger ``gatepass.store`` is.
        lock_timeout_s: how long a change waits for another process that is changing the same record.

    Raises:
        StoreError: from every method, with one of these codes. ``store_insecure``: a directory or file belongs to
            somebody else, or is open to others, or is a link. ``store_not_readable``, ``store_not_writable``,
            ``store_full``, ``store_failed``: the system said no. ``store_locked``: another process did not finish
            in time; retryable.
    """

    shared = True

    def __init__(
        self,
        directory: str | os.PathLike[str] | None = None,
        *,
        clock: Callable[[], float] = time.time,
        on_problem: Callable[[Notice], None] | None = None,
        lock_timeout_s: float = 5.0,
    ) -> None:
        if directory is not None:
            self.directory = _absolute(Path(directory))
        self.on_problem = on_problem or _log
        self._clock = clock
        self._lock_timeout_s = lock_timeout_s
        self._swept = False

    @cached_property
    def directory(self) -> Path:
        """Where the records stand."""
        import platformdirs

        return _absolute(platformdirs.user_state_path("gatepass"))

    def read(self, name: str) -> Entry | None:
        """The record, or None if there is none. Takes no lock."""
        return self._cell(name).entry

    def write(self, name: str, value: bytes, *, expect: int, fence: int | None = None) -> int | None:
        """Store the record if its version is still `expect`; see `Store.write`."""
        draft = Entry(version=expect, value=value)
        del value  # a traceback that shows locals must not show a token
        cell = self._change(name, lambda cell: cell.written(draft, fence))
        return None if cell is None else cell.version

    def delete(self, name: str, *, expect: int | None = None) -> bool:
        """Remove the record if its version is still `expect`. Whether something was removed.

        What damage and killed processes left of it goes too: a token that is to be forgotten may stand there.
        """
        removed = self._change(name, lambda cell: cell.removed(expect)) is not None
        if removed or expect is None:
            self._clear(name)
        return removed

    def acquire(self, name: str, owner: str, ttl_s: float) -> Lease | None:
        """Take the lease of a name for `ttl_s` seconds; None while another owner holds it."""
        check_ttl(ttl_s)
        cell = self._change(name, lambda cell: cell.leased(owner, ttl_s, self._clock()))
        return None if cell is None else cell.lease(name, cell.since)

    def release(self, lease: Lease) -> None:
        """Give a lease back, if it is still the newest."""
        self._change(lease.name, lambda cell: cell.released(lease))

    def holder(self, name: str) -> Lease | None:
        """The lease in force, or None. Takes no lock."""
        return self._cell(name).lease(name, self._clock())

    def __repr__(self) -> str:
        with suppress(StoreError):
            return f"FileStore({str(self.directory)!r})"
        return "FileStore(no directory)"

    def __reduce__(self) -> tuple[type[FileStore], tuple[str]]:
        return type(self), (str(self.directory),)

    # The two ways in: look, and change

    def _cell(self, name: str) -> Cell:
        check_name(name)
        with self._explained("read"):
            if not self._directory_exists():
                return self._blank()
            cell = self._load(name)
        if cell is None:
            with self._explained("write"), self._locked(name) as cell:
                pass
        return cell

    def _change(self, name: str, step: Callable[[Cell], Cell | None]) -> Cell | None:
        check_name(name)
        with self._explained("write"):
            self._make_directory()
            self._sweep()
            with self._locked(name) as before:
                after = step(before)
                if after is not None:
                    self._save(name, after)
                return after

    # Files

    def _load(self, name: str) -> Cell | None:
        """What stands in the file, blank without one; None if it is damaged."""
        path = self._path(name, "record")
        try:
            descriptor = os.open(path, _READ_FLAGS)
        except FileNotFoundError:
            return self._blank()
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise _insecure(path, "is a symbolic link", "Remove it") from None
            raise
        try:
            _check_file(path, os.fstat(descriptor))
            with io.FileIO(descriptor, closefd=False) as file:
                return _decode(memoryview(file.readall()))
        finally:
            os.close(descriptor)

    def _save(self, name: str, cell: Cell) -> None:
        temporary = self._path(name, f"{os.urandom(8).hex()}.tmp")
        descriptor = os.open(temporary, _CREATE_FLAGS, 0o600)
        try:
            try:
                _write_all(descriptor, memoryview(_encode(cell)))
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            temporary.replace(self._path(name, "record"))
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        self._sync_directory()

    def _set_aside(self, name: str) -> Notice:
        path = self._path(name, "record")
        stamp = int(self._clock())
        while (aside := self._path(name, f"corrupt-{stamp}")).exists():
            stamp += 1
        path.replace(aside)
        text = f"The record {path} was damaged. It is kept as {aside.name}, and the store goes on without it."
        return Notice(code="store_record_corrupt", text=text, level="warning")

    def _blank(self) -> Cell:
        start = int(self._clock() * 1_000_000)
        return Cell(version=start, fence=start)

    def _path(self, name: str, kind: str) -> Path:
        return self.directory / f"{name}.{kind}"

    # The lock

    @contextmanager
    def _locked(self, name: str) -> Generator[Cell]:
        """The cell, with nobody else changing it; blank if it turned out damaged and was set aside."""
        lock = self._lock(name, timeout_s=self._lock_timeout_s)
        try:
            lock.acquire()
        except TimeoutError:
            msg = (
                f"Another process has held {lock.lock_file} for {self._lock_timeout_s:g} s. "
                "See whether one hangs; nothing needs to be removed."
            )
            raise StoreError(msg, code="store_locked", retryable=True) from None
        # Told after the lock is free: whoever listens may come back here.
        problem: Notice | None = None
        try:
            cell = self._load(name)
            if cell is None:
                problem, cell = self._set_aside(name), self._blank()
            yield cell
        finally:
            lock.release()
            if problem is not None:
                self.on_problem(problem)

    def _lock(self, name: str, *, timeout_s: float) -> BaseFileLock:
        import filelock

        path = self._path(name, "lock")
        return filelock.FileLock(path, timeout=timeout_s, mode=0o600, poll_interval=_LOCK_POLL_S)

    # The directory

    def _directory_exists(self) -> bool:
        try:
            status = self.directory.stat()
        except FileNotFoundError:
            return False
        _check_directory(self.directory, status)
        return True

    def _make_directory(self) -> None:
        if not self._directory_exists():
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            _check_directory(self.directory, self.directory.stat())

    def _sync_directory(self) -> None:
        if not hasattr(os, "O_DIRECTORY"):
            return  # Windows can't open one, and needs not
        descriptor = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        except OSError as error:
            if error.errno != errno.EINVAL:  # a file system that does not know how
                raise
        finally:
            os.close(descriptor)

    def _sweep(self) -> None:
        """Remove what killed processes left behind, once in the life of a store.

        A temporary file whose lock is free has no writer, whatever its age; the hour only saves the trying.
        """
        if self._swept:
            return
        self._swept = True
        oldest = self._clock() - _TEMPORARY_MAX_AGE_S
        for path in self.directory.iterdir():
            left = _TEMPORARY.fullmatch(path.name)
            if left is None:
                continue
            with suppress(OSError):
                if path.lstat().st_mtime < oldest:
                    with self._lock(left["name"], timeout_s=0):
                        path.unlink()

    def _clear(self, name: str) -> None:
        """Remove what is left of a record. Its lock is held: none of it is being written."""
        with self._explained("write"), self._locked(name):
            for path in self.directory.iterdir():
                left = _TEMPORARY.fullmatch(path.name) or _SET_ASIDE.fullmatch(path.name)
                if left is not None and left["name"] == name:
                    path.unlink(missing_ok=True)

    @contextmanager
    def _explained(self, doing: str) -> Generator[None]:
        try:
            yield
        except OSError as error:
            raise _explain(error, doing, self.directory) from error


class _Header(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    version: int
    fence: int
    size: int | None
    owner: str | None
    since: float
    until: float


_decode_header = msgspec.json.Decoder(_Header).decode


def _encode(cell: Cell) -> bytes:
    header = _Header(
        version=cell.version,
        fence=cell.fence,
        size=None if cell.value is None else len(cell.value),
        owner=cell.owner,
        since=cell.since,
        until=cell.until,
    )
    body = b"%b\n%b" % (msgspec.json.encode(header), cell.value or b"")
    return b"%b%b\n%b" % (_MAGIC, hashlib.sha256(body).hexdigest().encode(), body)


def _decode(content: memoryview) -> Cell | None:
    # No exception for a damaged record: its traceback would hold the content.
    start = len(_MAGIC) + 65  # 64 digits and a line break
    first_line = content[:start].tobytes()
    body = content[start:]
    if first_line != b"%b%b\n" % (_MAGIC, hashlib.sha256(body).hexdigest().encode()):
        return None
    line, _, value = body.tobytes().partition(b"\n")
    try:
        header = _decode_header(line)
    except msgspec.DecodeError:
        return None
    if len(value) != (header.size or 0):
        return None
    return Cell(
        version=header.version,
        fence=header.fence,
        value=None if header.size is None else value,
        owner=header.owner,
        since=header.since,
        until=header.until,
    )


def _write_all(descriptor: int, content: memoryview) -> None:
    while content:
        content = content[os.write(descriptor, content) :]


def _absolute(directory: Path) -> Path:
    try:
        return directory.expanduser().absolute()
    except RuntimeError:
        reason = "this user has no home directory"
    except OSError as problem:
        reason = f"the current folder can't be used ({problem.strerror})"
    msg = f"{directory} can't be resolved, because {reason}. Give FileStore a full path."
    raise StoreError(msg, code="store_not_writable")


def _check_directory(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISDIR(status.st_mode):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
    _check_owner(path, status)
    if hasattr(os, "geteuid") and status.st_mode & 0o022:
        raise _insecure(path, "can be written by other users", f"Run `chmod go-w {path}`")


def _check_file(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise _insecure(path, "is not a regular file", "Remove it")
    _check_owner(path, status)
    if hasattr(os, "geteuid") and status.st_mode & 0o077:
        raise _insecure(path, "is open to other users", f"Run `chmod 600 {path}` and have its tokens revoked")


def _check_owner(path: Path, status: os.stat_result) -> None:
    if hasattr(os, "geteuid") and status.st_uid != os.geteuid():
        wrong = f"belongs to user {status.st_uid}, and this process runs as {os.geteuid()}"
        raise _insecure(path, wrong, "Change its owner")


def _insecure(path: Path, wrong: str, remedy: str) -> StoreError:
    return StoreError(f"{path} {wrong}. {remedy}, or give FileStore another directory.", code="store_insecure")


_FULL = {errno.ENOSPC, errno.EDQUOT} if hasattr(errno, "EDQUOT") else {errno.ENOSPC}
_DENIED = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST}


def _explain(error: OSError, doing: str, directory: Path) -> StoreError:
    reason = error.strerror or type(error).__name__
    if error.errno in _FULL:
        return StoreError(f"No room to write in {directory} ({reason}). Make some.", code="store_full", retryable=True)
    if error.errno in _DENIED and doing == "read":
        msg = f"The store {directory} can't be read ({reason}). Let this user read it, or give FileStore another one."
        return StoreError(msg, code="store_not_readable")
    if error.errno in _DENIED:
        msg = (
            f"The store {directory} can't be written ({reason}). Let this user write it, or give FileStore another one."
        )
        return StoreError(msg, code="store_not_writable")
    return StoreError(f"The store {directory} failed to {doing} ({reason}).", code="store_failed", retryable=True)


def _log(problem: Notice) -> None:
    logger.warning("%s", problem.text)
