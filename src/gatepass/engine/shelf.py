"""The shelf: the records of one identity in its store.

A store that fails costs sharing, not service: the failure is reported, once until it works again, and memory goes on.
"""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, TypeVar

from gatepass.core.world import Notice
from gatepass.discovery import Discovery
from gatepass.errors import StoreError
from gatepass.lifecycle.record import TokenRecord, decode, encode
from gatepass.protocol.challenge import ResourceChallenge

if TYPE_CHECKING:
    from collections.abc import Callable

    from gatepass.core.target import Target
    from gatepass.core.world import World
    from gatepass.stores.base import Lease, Store

__all__ = ["Shelf"]

_LEASE_S = 5.0
"""Longer than a renewal takes, shorter than a caller's patience: a holder that died delays nobody past its deadline."""

Record = TypeVar("Record", TokenRecord, Discovery, ResourceChallenge)
Answer = TypeVar("Answer")


class Shelf:
    """Reads and writes records by kind, and takes the lease for a renewal.

    Args:
        store: where the records are.
        target: the resource: metadata and challenge are shared by all who ask for the same.
        identity: who asks, as a part of the token's name.
        world: hears of trouble.
    """

    def __init__(self, store: Store, target: Target, identity: tuple[str, ...], world: World) -> None:
        self._store = store
        self._world = world
        where = (
            target.endpoint,
            target.issuer,
            target.token_endpoint,
            target.allow_metadata_origins,
            target.allow_endpoint_origins,
            target.tolerate_issuer_slash,
        )
        what = (target.scopes, target.resource, target.send_resource, target.audience, target.extra)
        self._token = f"token.{_digest(where, what, identity)}"
        self._discovery = f"metadata.{_digest(where)}"
        self._challenge = f"challenge.{_digest(target.endpoint)}"
        self._versions: dict[str, int] = {}
        self._kept_challenge: ResourceChallenge | None = None
        self._broken = False

    @property
    def names(self) -> tuple[str, str, str]:
        """What the records of token, discovery and challenge are called."""
        return (self._token, self._discovery, self._challenge)

    @property
    def shared(self) -> bool:
        """Whether somebody else may see this store, so that a lease saves work."""
        return self._store.shared

    def token(self) -> TokenRecord | None:
        """The token that is kept, if there is one."""
        return self._read(self._token, TokenRecord)

    def discovery(self) -> Discovery | None:
        """What was discovered earlier, if it is kept."""
        return self._read(self._discovery, Discovery)

    def challenge(self) -> ResourceChallenge | None:
        """The resource's last challenge, if it is kept."""
        self._kept_challenge = self._read(self._challenge, ResourceChallenge)
        return self._kept_challenge

    def keep_token(self, record: TokenRecord, lease: Lease | None) -> None:
        """Keep a token, unless a newer generation is there or a newer lease was given out."""
        for _ in range(2):
            if self._write(self._token, encode(record), lease.fence if lease else None):
                return
            newer = self.token()
            if newer is not None and newer.generation >= record.generation:
                return

    def keep_discovery(self, discovery: Discovery) -> None:
        """Keep what was discovered."""
        self._write(self._discovery, encode(discovery), None)

    def keep_challenge(self, challenge: ResourceChallenge) -> None:
        """Keep the resource's challenge, if it is a new one, so that the next process asks for a token first."""
        if challenge != self._kept_challenge and self._write(self._challenge, encode(challenge), None):
            self._kept_challenge = challenge

    def lease(self) -> Lease | None:
        """The right to renew; None while somebody else has it.

        Raises:
            StoreError: the store can't say; go on without.
        """
        owner = f"{os.getpid()}.{self._world.random_bytes(8).hex()}"
        return self._try(lambda: self._store.acquire(self._token, owner, _LEASE_S))

    def give_back(self, lease: Lease) -> None:
        """Let the next one renew."""
        self._attempt(lambda: self._store.release(lease), None)

    def _read(self, name: str, kind: type[Record]) -> Record | None:
        entry = self._attempt(lambda: self._store.read(name), None)
        if entry is None:
            self._versions[name] = 0
            return None
        self._versions[name] = entry.version
        return self._attempt(lambda: decode(entry.value, kind), None)

    def _write(self, name: str, value: bytes, fence: int | None) -> bool:
        if name not in self._versions:
            entry = self._attempt(lambda: self._store.read(name), None)
            self._versions[name] = entry.version if entry else 0
        expect = self._versions[name]
        version = self._attempt(lambda: self._store.write(name, value, expect=expect, fence=fence), None)
        if version is not None:
            self._versions[name] = version
        return version is not None

    def _attempt(self, action: Callable[[], Answer], otherwise: Answer) -> Answer:
        try:
            answer = self._try(action)
        except StoreError as failure:
            self._report(failure)
            return otherwise
        self._broken = False
        return answer

    def _try(self, action: Callable[[], Answer]) -> Answer:
        try:
            return action()
        except StoreError:
            raise
        except Exception as problem:  # noqa: BLE001 - a store may be anybody's; what it raises must not stop a renewal
            kind = type(problem).__name__
        msg = f"The store failed with {kind}."
        raise StoreError(msg, code="store_failed")

    def _report(self, failure: StoreError) -> None:
        if not self._broken:
            self._broken = True
            text = f"{failure} Tokens are kept in memory meanwhile."
            self._world.notice(Notice(code=failure.code, text=text, level="warning"))


def _digest(*parts: object) -> str:
    """A short name for configured inputs; never of a secret."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]
