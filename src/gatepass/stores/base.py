"""What a store promises: small records by name, each with a version and a lease. It knows nothing of tokens."""

from __future__ import annotations

import re
from typing import Protocol, runtime_checkable

from gatepass.core.value import Value
from gatepass.errors import StoreError

__all__ = ["Entry", "Lease", "Store", "check_name", "check_ttl"]

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,127}")
_MAX_TTL_S = 86_400.0


class Entry(Value, frozen=True, kw_only=True):
    """A record as it was read.

    Attributes:
        version: grows with every change of this name and never goes back, not even across a deletion.
        value: the record, which may hold a token; empty if the store could not open it, so that it is to be replaced.
    """

    hidden = ("value",)

    version: int
    value: bytes


class Lease(Value, frozen=True, kw_only=True):
    """The right to renew one record for a while.

    Attributes:
        name: the record.
        owner: who holds it.
        fence: grows with every lease of this name; a write that carries an older one is refused.
        until: when it lapses, in epoch seconds of the store's clock.
    """

    name: str
    owner: str
    fence: int
    until: float


@runtime_checkable
class Store(Protocol):
    """A place for small records.

    It is synchronous and called from several threads at once, and several processes if it is `shared`. Every method
    is one atomic step and waits a few seconds at most. Each may raise a `StoreError`, and nothing else; a name is 1
    to 128 characters of ``a-z 0-9 . _ -``, the first a letter or digit (else code ``store_name_invalid``).
    """

    @property
    def shared(self) -> bool:
        """Whether other processes see the same records, so that a lease saves work."""
        ...

    def read(self, name: str) -> Entry | None:
        """The record, or None if there is none."""
        ...

    def write(self, name: str, value: bytes, *, expect: int, fence: int | None = None) -> int | None:
        """Compare and set: store the record only if its version is still `expect` (0: there is none).

        Args:
            name: the record.
            value: its new content.
            expect: the version that the writer has seen.
            fence: the writer's lease. The write loses if a newer lease was given out since, even if that one
                has lapsed or was released.

        Returns:
            The new version, or None if another writer was first.
        """
        ...

    def delete(self, name: str, *, expect: int | None = None) -> bool:
        """Remove the record, if its version is still `expect` (None: whatever it is). Whether something was removed."""
        ...

    def acquire(self, name: str, owner: str, ttl_s: float) -> Lease | None:
        """Take the lease of a name for `ttl_s` seconds, whether or not there is a record.

        An owner who holds it already gets a new lease with a newer fence, and the earlier one is spent.

        Returns:
            The lease, or None while another owner holds it.
        """
        ...

    def release(self, lease: Lease) -> None:
        """Give a lease back. Nothing happens if it has lapsed or was followed by a newer one."""
        ...

    def holder(self, name: str) -> Lease | None:
        """The lease in force, or None."""
        ...


def check_name(name: str) -> None:
    """Refuse a name that could mean something to a file system or a server.

    Raises:
        StoreError: code ``store_name_invalid``.
    """
    if _NAME.fullmatch(name) is None:
        msg = f"{name[:140]!r} can't name a record: use 1 to 128 of a-z 0-9 . _ -, the first a letter or digit."
        raise StoreError(msg, code="store_name_invalid")


def check_ttl(ttl_s: float) -> None:
    """Refuse a lease that never was or never ends.

    Raises:
        StoreError: code ``store_lease_invalid``.
    """
    if not 0 < ttl_s <= _MAX_TTL_S:
        msg = f"A lease lasts more than 0 and at most {_MAX_TTL_S:.0f} seconds, not {ttl_s}."
        raise StoreError(msg, code="store_lease_invalid")
