"""Records that live as long as the process: the default store."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NoReturn

from gatepass.mutex import Mutex
from gatepass.stores.base import Entry, Lease, check_name, check_ttl
from gatepass.stores.cell import Cell

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["MemoryStore"]

_BLANK = Cell(version=0, fence=0)


class MemoryStore:
    """A `Store` for one process, safe across its threads. A forked child goes on with a copy of the records.

    Args:
        clock: epoch seconds, by which leases lapse.
    """

    shared = False

    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._cells: dict[str, Cell] = {}
        self._mutex = Mutex()

    def read(self, name: str) -> Entry | None:
        """The record, or None if there is none. Takes no lock."""
        check_name(name)
        return self._cells.get(name, _BLANK).entry

    def write(self, name: str, value: bytes, *, expect: int, fence: int | None = None) -> int | None:
        """Store the record if its version is still `expect`; see `Store.write`."""
        draft = Entry(version=expect, value=value)
        del value  # a traceback that shows locals must not show a token
        cell = self._change(name, lambda cell: cell.written(draft, fence))
        return None if cell is None else cell.version

    def delete(self, name: str, *, expect: int | None = None) -> bool:
        """Remove the record if its version is still `expect`. Whether something was removed."""
        return self._change(name, lambda cell: cell.removed(expect)) is not None

    def acquire(self, name: str, owner: str, ttl_s: float) -> Lease | None:
        """Take the lease of a name for `ttl_s` seconds; None while another owner holds it."""
        check_ttl(ttl_s)
        cell = self._change(name, lambda cell: cell.leased(owner, ttl_s, self._clock()))
        return None if cell is None else cell.lease(name, cell.since)

    def release(self, lease: Lease) -> None:
        """Give a lease back, if it is still the newest."""
        self._change(lease.name, lambda cell: cell.released(lease))

    def holder(self, name: str) -> Lease | None:
        """The lease in force, or None."""
        check_name(name)
        return self._cells.get(name, _BLANK).lease(name, self._clock())

    def _change(self, name: str, step: Callable[[Cell], Cell | None]) -> Cell | None:
        check_name(name)
        with self._mutex.lock:
            cell = step(self._cells.get(name, _BLANK))
            if cell is not None:
                self._cells[name] = cell
            return cell

    def __repr__(self) -> str:
        return f"MemoryStore({len(self._cells)} names)"

    def __reduce__(self) -> NoReturn:
        msg = "A MemoryStore can't be pickled: it holds tokens, and no other process sees it. Use a FileStore to share."
        raise TypeError(msg)
