"""What stands under one name, and the steps it can take. Pure: a store adds only where it is kept and who waits."""

from __future__ import annotations

import msgspec

from gatepass.core.value import Value
from gatepass.stores.base import Entry, Lease

__all__ = ["Cell"]

_CLOCK_TOLERANCE_S = 60.0


class Cell(Value, frozen=True, kw_only=True):
    """One name's record, version and lease. Every step returns the next cell, or None if it may not be taken.

    A removed record leaves its cell behind without a value, so that versions and fences never start over.
    """

    hidden = ("value",)

    version: int
    fence: int
    value: bytes | None = None
    owner: str | None = None
    since: float = 0.0
    until: float = 0.0

    @property
    def entry(self) -> Entry | None:
        """The record, if there is one."""
        return None if self.value is None else Entry(version=self.version, value=self.value)

    def lease(self, name: str, now: float) -> Lease | None:
        """The lease in force at `now`. One from the future is void, or a clock set back would make it endless."""
        if self.owner is None or not self.since - _CLOCK_TOLERANCE_S <= now < self.until:
            return None
        return Lease(name=name, owner=self.owner, fence=self.fence, until=self.until)

    def written(self, draft: Entry, fence: int | None) -> Cell | None:
        """With a new value, if the version is still the draft's and no lease is newer than `fence`."""
        if draft.version != self._current or (fence is not None and fence < self.fence):
            return None
        return msgspec.structs.replace(self, version=self.version + 1, value=draft.value)

    def removed(self, expect: int | None) -> Cell | None:
        """Without its value, if there is one and its version is `expect` (None: whatever it is)."""
        if self.value is None or (expect is not None and expect != self.version):
            return None
        return msgspec.structs.replace(self, version=self.version + 1, value=None)

    def leased(self, owner: str, ttl_s: float, now: float) -> Cell | None:
        """With a lease for `owner`, unless another one's is in force."""
        current = self.lease("", now)
        if current is not None and current.owner != owner:
            return None
        return msgspec.structs.replace(self, fence=self.fence + 1, owner=owner, since=now, until=now + ttl_s)

    def released(self, lease: Lease) -> Cell | None:
        """Without its lease, if it is still that one."""
        if self.owner != lease.owner or self.fence != lease.fence:
            return None
        return msgspec.structs.replace(self, owner=None, since=0.0, until=0.0)

    @property
    def _current(self) -> int:
        return 0 if self.value is None else self.version
