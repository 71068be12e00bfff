"""The shelf: the records of one identity in its store.

A store that fails costs sharing, not service: the failure is reported, once until it works again, and memory goes on.
"""

from __future__ import annotations

import hashlib
import os
from functools import partial
from typing import TYPE_CHECKING, TypeVar
from weakref import WeakKeyDictionary

import msgspec

from gatepass.core.world import Notice
from gatepass.discovery import Discovery, KnownServer
from gatepass.errors import StoreError
from gatepass.lifecycle.record import GeneratedKey, Pause, TokenRecord, decode, encode
from gatepass.mutex import Mutex
from gatepass.protocol.challenge import ResourceChallenge
from gatepass.protocol.registration import Registration

if TYPE_CHECKING:
    from collections.abc import Callable

    from gatepass.core.target import Target
    from gatepass.core.world import World
    from gatepass.stores.base import Entry, Lease, Store

__all__ = ["Shelf"]

_REST_S = 10.0
"""How long a store that failed is left alone: as long as a caller waits, so that it costs a caller one failure."""

_HOST = os.uname().nodename if hasattr(os, "uname") else os.environ.get("COMPUTERNAME", "")
"""Tells an operator which machine renews."""

_KINDS: dict[type[object], str] = {Registration: "registration", KnownServer: "server"}
"""What the steps of the protocol keep, and what that is called."""

Record = TypeVar("Record")
Answer = TypeVar("Answer")


_LONG_AGO = float("-inf")


class _Trouble:
    """What is wrong with a store, for all who use it.

    Attributes:
        broken: the step that failed; None since it works again.
        rest_until_mono: until when it is left alone, on the monotonic clock.
    """

    __slots__ = ("broken", "rest_until_mono")

    def __init__(self) -> None:
        self.broken: str | None = None
        self.rest_until_mono = _LONG_AGO


_troubles: WeakKeyDictionary[Store, _Trouble] = WeakKeyDictionary()
_mutex = Mutex()


def _trouble_of(store: Store) -> _Trouble:
    if not store.shared:
        return _Trouble()
    try:
        with _mutex.lock:
            return _troubles.setdefault(store, _Trouble())
    except TypeError:  # a store of the user's that can't be a key
        return _Trouble()


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
            sorted(target.allow_metadata_origins),
            sorted(target.allow_endpoint_origins),
            target.tolerate_issuer_slash,
            *(("allow_legacy_discovery",) if target.allow_legacy_discovery else ()),
        )
        scopes = None if target.scopes is None else sorted(target.scopes)
        what = (
            scopes,
            target.resource,
            target.send_resource,
            target.audience,
            sorted(target.extra),
            *(("step_up",) if target.step_up else ()),
        )
        self._whose = (where, what, identity)
        self._token = f"token.{_digest(*self._whose)}"
        self._discovery = f"metadata.{_digest(where)}"
        self._challenge = f"challenge.{_digest(target.endpoint)}"
        self._key = f"key.{_digest(*self._whose)}"
        self._pause = f"pause.{_digest(*self._whose)}"
        self._versions: dict[str, int] = {}
        self._own: dict[str, object] = {}
        self._made: GeneratedKey | None = None
        self._kept_challenge: ResourceChallenge | None = None
        self._unsaved: TokenRecord | None = None
        self._owner = ""
        self._trouble = _trouble_of(store)

    def bind(self, *thumbprints: str) -> None:
        """The token is bound to a key or a certificate of the user's: one that is bound to another has another name."""
        token = f"token.{_digest(*self._whose, *thumbprints)}"
        if token != self._token:
            self._token = token

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
        kept, unsaved = self._read(self._token, TokenRecord), self._unsaved
        if unsaved is None or self._trouble.broken is not None:
            return kept
        if _overtaken(unsaved, kept) or self._save(unsaved, None):
            self._unsaved = None
        return kept

    def discovery(self) -> Discovery | None:
        """What was discovered earlier, if it is kept."""
        return self._read(self._discovery, Discovery)

    def challenge(self) -> ResourceChallenge | None:
        """The resource's last challenge, if it is kept."""
        self._kept_challenge = self._read(self._challenge, ResourceChallenge)
        return self._kept_challenge

    def keep_token(self, record: TokenRecord, lease: Lease | None) -> None:
        """Keep a token, unless a newer generation is there. If the store fails, it is kept as soon as that works."""
        saved = self._save(record, lease)
        if not saved and record.refresh_token is not None:
            self._trouble.rest_until_mono = _LONG_AGO  # the one in the store is spent: it is worth another try
            saved = self._save(record, lease)
        self._unsaved = None if saved else record

    def _save(self, record: TokenRecord, lease: Lease | None) -> bool:
        """Write a token, or find that nobody needs it; False if the store failed.

        A lease that has lapsed meanwhile is no matter, as long as nobody has a newer token.
        """
        fence = lease.fence if lease else None
        for _ in range(3):
            if self._write(self._token, encode(record), fence=fence):
                return True
            kept = self._read(self._token, TokenRecord)
            if kept is not None and kept.generation >= record.generation:
                return True
            fence = None
        return False

    def withdraw_refresh_token(self, record: TokenRecord, lease: Lease | None) -> bool:
        """Leave a token without its refresh token, which is about to be spent; whether nobody else can find it now."""
        kept = self._read(self._token, TokenRecord)
        if kept is None or kept.refresh_token != record.refresh_token:
            return False  # somebody else has taken it, or it never got there
        without = msgspec.structs.replace(record, refresh_token=None)
        return self._write(self._token, encode(without), fence=lease.fence if lease else None)

    def keep_discovery(self, discovery: Discovery) -> None:
        """Keep what was discovered."""
        self._keep(self._discovery, encode(discovery))

    def keep_challenge(self, challenge: ResourceChallenge) -> None:
        """Keep the resource's challenge, if it is a new one, so that the next process asks for a token first."""
        if challenge != self._kept_challenge and self._keep(self._challenge, encode(challenge)):
            self._kept_challenge = challenge

    def pause(self) -> Pause | None:
        """How long whoever has a token is to leave the authorization server alone, if it failed one who shares it."""
        return self._read(self._pause, Pause)

    def keep_pause(self, pause: Pause) -> None:
        """Let those who share the store know that the authorization server has failed."""
        self._keep(self._pause, encode(pause))

    def drop_token(self) -> None:
        """Forget the token, and the key that was made for it.

        Raises:
            StoreError: it may still be there.
        """
        self._made = self._unsaved = None
        self._trouble.rest_until_mono = _LONG_AGO  # whoever signs out wants to know
        for name in (self._token, self._key):
            self._versions.pop(name, None)
            self._try("write", partial(self._store.delete, name))

    def generated_key(self, make: Callable[[], GeneratedKey]) -> GeneratedKey:
        """The key that was made for this identity's tokens; of several processes that make one, the first wins."""
        kept = self._read(self._key, GeneratedKey)
        if kept is None:
            made = self._made or make()
            kept = made if self._write(self._key, encode(made)) else self._read(self._key, GeneratedKey) or made
        self._made = kept
        return kept

    @property
    def has_key(self) -> bool:
        """Whether a key was made for this identity's tokens."""
        return self._made is not None or self._read(self._key, GeneratedKey) is not None

    def recall(self, kind: type[Record], *name: str) -> Record | None:
        """What a step of the protocol kept under that name; what this process kept serves where the store fails."""
        place = self._place(kind, name)
        kept = self._read(place, kind)
        if kept is not None:
            self._own[place] = kept
            return kept
        own = self._own.get(place)
        return own if self._trouble.broken is not None and isinstance(own, kind) else None

    def keep(self, record: object, *name: str) -> None:
        """Keep what a step of the protocol wants to find again."""
        place = self._place(type(record), name)
        self._own[place] = record
        self._keep(place, encode(record))

    def drop(self, kind: type[object], *name: str) -> None:
        """Forget what was kept under that name."""
        place = self._place(kind, name)
        self._own.pop(place, None)
        self._versions.pop(place, None)
        self._attempt("write", lambda: self._store.delete(place), otherwise=False)

    def _place(self, kind: type[object], name: tuple[str, ...]) -> str:
        return f"{_KINDS[kind]}.{_digest(name)}"

    def lease(self, ttl_s: float, held: Lease | None = None) -> Lease | None:
        """The right to renew, for so many seconds; None while somebody else has it.

        Args:
            ttl_s: from now on.
            held: the lease to go on from, if there is one.

        Raises:
            StoreError: the store can't say.
        """
        process = f"{_HOST}.{os.getpid()}."
        if not self._owner.startswith(process):  # not in a forked child, which is somebody else
            self._owner = f"{process}{self._world.random_bytes(8).hex()}"
        owner = held.owner if held else self._owner  # the same, lest a lease whose answer was lost keeps us out
        return self._try("lease", lambda: self._store.acquire(self._token, owner, ttl_s))

    def give_back(self, lease: Lease) -> None:
        """Let the next one renew."""
        self._attempt("lease", lambda: self._store.release(lease), None)

    def peek(self) -> tuple[TokenRecord | None, Lease | None]:
        """The token that is kept and who may renew it, for somebody who only wants to know.

        Raises:
            StoreError: the store can't say.
        """
        self._trouble.rest_until_mono = _LONG_AGO
        entry = self._try("read", lambda: self._store.read(self._token))
        record = decode(entry.value, TokenRecord) if entry and entry.value else None
        return record, self._try("lease", lambda: self._store.holder(self._token))

    def _read(self, name: str, kind: type[Record]) -> Record | None:
        entry = self._look(name)
        if entry is None or not entry.value:  # there is one that its store could not open, and has told of
            return None
        try:
            return decode(entry.value, kind)
        except StoreError as failure:
            notice = Notice(code=failure.code, text=str(failure), level="warning", once=True)
        self._world.notice(notice)
        return None

    def _look(self, name: str) -> Entry | None:
        entry = self._attempt("read", lambda: self._store.read(name), None)
        self._versions[name] = entry.version if entry else 0
        return entry

    def _keep(self, name: str, value: bytes) -> bool:
        """Store a record in the place of whatever others have stored meanwhile."""
        for _ in range(2):
            if self._write(name, value):
                return True
            self._look(name)
        return False

    def _write(self, name: str, value: bytes, *, fence: int | None = None) -> bool:
        expect = self._versions.get(name)
        if expect is None:
            entry = self._look(name)
            expect = entry.version if entry else 0
        version = self._attempt("write", lambda: self._store.write(name, value, expect=expect, fence=fence), None)
        if version is not None:
            self._versions[name] = version
        return version is not None

    def _attempt(self, step: str, action: Callable[[], Answer], otherwise: Answer) -> Answer:
        try:
            return self._try(step, action)
        except StoreError:
            return otherwise

    def _try(self, step: str, action: Callable[[], Answer]) -> Answer:
        """Ask the store, unless it failed just now: one that hangs is not to hold up each step of a renewal."""
        now = self._world.now()
        trouble = self._trouble
        if now.mono < trouble.rest_until_mono:
            msg = "The store has failed, and is left alone for a moment."
            retry_at = now.wall + trouble.rest_until_mono - now.mono
            raise StoreError(msg, code="store_resting", retry_at=retry_at)
        try:
            answer = action()
        except StoreError as failure:
            error = failure.again()
        except Exception as problem:  # noqa: BLE001 - a store may be anybody's; what it raises must not stop a renewal
            error = StoreError(f"The store failed with {type(problem).__name__}.", code="store_failed")
        else:
            if trouble.broken == step:
                trouble.broken = None
            return answer
        now = self._world.now()
        trouble.rest_until_mono = now.mono + _REST_S
        error = error.with_(retry_at=now.wall + _REST_S)
        if trouble.broken is None:
            text = f"{error} Tokens are kept in memory meanwhile."
            self._world.notice(Notice(code=error.code, text=text, level="warning"))
        trouble.broken = step
        raise error


def _overtaken(unsaved: TokenRecord, kept: TokenRecord | None) -> bool:
    """Whether somebody has kept a newer token: by its number, or by its date, as numbers may have parted."""
    return kept is not None and (kept.generation >= unsaved.generation or kept.obtained_at > unsaved.obtained_at)


def _digest(*parts: object) -> str:
    """A short name for configured inputs; never of a secret."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]
