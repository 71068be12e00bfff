"""The store that workers share, with its own clock and its faults, and the link of one process to it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING, Literal, TypeVar

from gatepass.errors import StoreError
from gatepass.lifecycle.record import TokenRecord, decode
from gatepass.stores.base import Entry, Lease
from gatepass.stores.cell import Cell
from gatepass.stores.memory import MemoryStore
from simulation.hub import Hub

if TYPE_CHECKING:
    from simulation.fleet import Process

EPOCH = 1_800_000_000.0
"""What a true wall clock shows at the beginning."""

Outage = Literal["down", "deaf", "mute", "slow"]
"""It refuses; it does nothing and says nothing; it does what it is asked and says nothing; seconds for each step."""

_MEMORY_S = 60.0
_TIMEOUT_S = 3.0
"""How long a client of the store waits for it."""

Answer = TypeVar("Answer")


class StoreServer(MemoryStore):
    """Records, versions and leases, by the real steps (`stores/cell.py`), on one machine with one clock.

    Attributes:
        name: tells one from another.
        fault: what is wrong just now.
        troubled_at: when something last was.
        lost_at: when it last lost what it had acknowledged.
        written_at: when the value of a name last changed.
        offset_s: how far its clock is ahead.
    """

    shared = True  # type: ignore[assignment]

    def __init__(self, name: str, hub: Hub) -> None:
        super().__init__(clock=self.clock)
        self.name = name
        self.fault: Outage | None = None
        self.troubled_at = self.lost_at = float("-inf")
        self.written_at: dict[str, float] = {}
        self.offset_s = 0.0
        self._hub = hub
        self._undo: deque[tuple[float, str, Cell | None]] = deque()

    def clock(self) -> float:
        return EPOCH + self._hub.now + self.offset_s

    def token(self, name: str) -> TokenRecord | None:
        """The token of that name, as it stands there."""
        cell = self._cells.get(name)
        return None if cell is None or cell.value is None else decode(cell.value, TokenRecord)

    def leases(self) -> list[Lease]:
        """Every lease in force."""
        held = (self.holder(name) for name in list(self._cells))
        return [lease for lease in held if lease is not None]

    def fail_over(self, lost_s: float) -> int:
        """A replica takes over that had not seen the last writes and leases; how many steps are lost."""
        since, steps = self._hub.now - lost_s, 0
        while self._undo and self._undo[-1][0] > since:
            _, name, before = self._undo.pop()
            steps += 1
            self.written_at[name] = self._hub.now
            if before is None:
                self._cells.pop(name, None)
            else:
                self._cells[name] = before
        if steps:
            self.lost_at = self._hub.now
        return steps

    def _change(self, name: str, step: Callable[[Cell], Cell | None]) -> Cell | None:
        before = self._cells.get(name)
        after = super()._change(name, step)
        now = self._hub.now
        if after is not None:
            self._undo.append((now, name, before))
            if before is None or before.value != after.value:
                self.written_at[name] = now
        while self._undo and self._undo[0][0] < now - _MEMORY_S:
            self._undo.popleft()
        return after


class Link:
    """A process's way to the store: a `Store` whose every step takes a moment, and may fail.

    Attributes:
        failed_at: when a step last failed.
        lease: what this process holds, as far as it knows ...
        leased_until: ... and when that lapses, by the true clock.
    """

    shared = True

    def __init__(self, server: StoreServer, hub: Hub, dice: Random, process: Process) -> None:
        self.failed_at = float("-inf")
        self.lease: Lease | None = None
        self.leased_until = float("-inf")
        self._server = server
        self._hub = hub
        self._dice = dice
        self._process = process

    def read(self, name: str) -> Entry | None:
        return self._ask(lambda: self._server.read(name))

    def write(self, name: str, value: bytes, *, expect: int, fence: int | None = None) -> int | None:
        def step() -> int | None:
            before = self._server.token(name) if name.startswith("token.") else None
            version = self._server.write(name, value, expect=expect, fence=fence)
            if version is not None and name.startswith("token."):
                self._process.kept(before, decode(value, TokenRecord))
            return version

        return self._ask(step)

    def delete(self, name: str, *, expect: int | None = None) -> bool:
        return self._ask(lambda: self._server.delete(name, expect=expect))

    def acquire(self, name: str, owner: str, ttl_s: float) -> Lease | None:
        def step() -> Lease | None:
            lease = self._server.acquire(name, owner, ttl_s)
            if lease is not None:
                self.lease, self.leased_until = lease, self._hub.now + ttl_s
            return lease

        lease = self._ask(step)
        if lease is not None:
            self._process.leased(self.leased_until)
        return lease

    def release(self, lease: Lease) -> None:
        self.lease = None
        self._ask(lambda: self._server.release(lease))

    def holder(self, name: str) -> Lease | None:
        return self._ask(lambda: self._server.holder(name))

    def _ask(self, step: Callable[[], Answer]) -> Answer:
        """One step. It is taken at the beginning or at the end of the time that it needs, as chance has it."""
        fault = self._server.fault
        if fault is not None:
            return self._ask_in_trouble(step, fault)
        takes_s = self._dice.uniform(0.0002, 0.003)
        if self._dice.random() < 0.5:
            self._hub.sleep(takes_s, self._process)
            return step()
        answer = step()
        self._hub.sleep(takes_s, self._process)
        return answer

    def _ask_in_trouble(self, step: Callable[[], Answer], fault: Outage) -> Answer:
        if fault == "slow":
            self._hub.sleep(self._dice.uniform(0.2, 2.0), self._process)
            answer = step()
            self._hub.sleep(self._dice.uniform(0.0, 0.5), self._process)
            return answer
        if fault == "mute":
            step()
        self._hub.sleep(0.002 if fault == "down" else _TIMEOUT_S, self._process)
        self.failed_at = self._hub.now
        msg = "The store did not answer."
        raise StoreError(msg, code="store_failed", retryable=True)
