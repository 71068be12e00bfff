"""Records that are sealed before another store gets them: whoever reads that one, or a copy of it, learns no token.

A sealed record is one line of text, and bytes:

    gatepass-sealed 1 <which key: 8 hex digits>
    <nonce, 12 bytes><ciphertext><tag, 16 bytes>

It is AES-256-GCM (NIST SP 800-38D) with a random nonce. The record's name is authenticated with it, so a record that
was copied to another name does not open there. Nothing is ever written in the clear, and nothing that was is read.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import time
from base64 import urlsafe_b64decode
from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, NoReturn

from gatepass.core.secret import CostlyReference, Secret
from gatepass.core.world import Notice
from gatepass.errors import ConfigurationError, StoreError
from gatepass.mutex import Mutex
from gatepass.references import read
from gatepass.stores.base import Entry, check_name

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gatepass.stores.base import Lease, Store

__all__ = ["EncryptedStore"]

logger = logging.getLogger("gatepass.store")

_FORMAT = b"gatepass-sealed 1 "
_FIRST_LINE = re.compile(re.escape(_FORMAT) + rb"([0-9a-f]{8})\n")
_KEY_ID_LABEL = b"gatepass store key 1\n"
_NONCE_BYTES = 12
_HEX = re.compile(r"[0-9A-Fa-f]{64}")
_BASE64 = re.compile(r"[0-9A-Za-z+/_-]{43}=?")
_REST_S = 60.0
"""How long a command or a keyring is left alone after it was asked, unless it is asked for the first time."""


class EncryptedStore:
    """A `Store` that keeps its records in another one, encrypted. Names, versions, leases and sizes stay visible.

    A key is 32 bytes, as base64, base64url or hex: ``openssl rand -base64 32`` makes one. It is read when it is needed,
    from where its `Secret` says; a variable or a file each time, a command or a keyring once, and again when a record
    wants a key that is not known.

    Args:
        inner: where the records are kept.
        keys: the key, or several of them: the first one seals, each one opens. What another one than the first has
            opened is sealed anew, so that the others can be left out one day.
        clock: monotonic seconds, for how long a command or a keyring is left alone.

    Raises:
        StoreError: from every method that needs a key. ``store_key_missing``: it can't be read where it should be.
            ``store_key_invalid``: what stands there is no key; one that is given literally is looked at at once.
            ``store_key_unknown``: a record was sealed with another key. It is neither read nor replaced.
    """

    def __init__(
        self,
        inner: Store,
        keys: Secret | str | Sequence[Secret | str],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._inner = inner
        self._places = tuple(_Place(secret, clock) for secret in _secrets(keys))
        self._ignored: dict[str, int] = {}
        del keys  # a traceback that shows locals must not show one
        if not self._places:
            msg = "EncryptedStore takes a key or several, as Secret or string: `openssl rand -base64 32` makes one."
            raise StoreError(msg, code="store_key_invalid")
        for place in self._places:
            place.check()

    @property
    def shared(self) -> bool:
        """Whether other processes see the same records."""
        return self._inner.shared

    def read(self, name: str) -> Entry | None:
        """The record, opened; without a value if it is not sealed, or was damaged. None if there is none."""
        first = self._places[0].key()
        entry = self._inner.read(name)
        if entry is None:
            return None
        if not entry.value.startswith(_FORMAT):
            text = (
                f"The record {name} in {self._inner!r} is not encrypted: it is from before encryption was switched on, "
                "or from a program without it. It is not used, and will be replaced."
            )
            return self._ignore(name, entry, Notice(code="store_record_unsealed", text=text, level="warning"))
        start = _FIRST_LINE.match(entry.value)
        key = None if start is None else self._key(name, start[1].decode())
        opened = None if key is None else key.open(name, entry)
        if key is None or opened is None:
            text = f"The record {name} in {self._inner!r} was damaged. It is not used, and will be replaced."
            return self._ignore(name, entry, Notice(code="store_record_corrupt", text=text, level="warning"))
        return opened if key.id == first.id else self._sealed_anew(name, opened, first)

    def write(self, name: str, value: bytes, *, expect: int, fence: int | None = None) -> int | None:
        """Seal and store the record if its version is still `expect`; see `Store.write`."""
        draft = Entry(version=expect, value=value)
        del value  # a traceback that shows locals must not show a token
        check_name(name)
        sealed = self._places[0].key().seal(name, draft)
        if self._ignored.get(name) == expect:  # it may be a token in the clear: have the inner store clear it away
            if not self._inner.delete(name, expect=expect):
                return None
            expect = 0
        return self._inner.write(name, sealed, expect=expect, fence=fence)

    def delete(self, name: str, *, expect: int | None = None) -> bool:
        """Remove the record if its version is still `expect`, whatever it was sealed with."""
        return self._inner.delete(name, expect=expect)

    def acquire(self, name: str, owner: str, ttl_s: float) -> Lease | None:
        """Take the lease of a name for `ttl_s` seconds; None while another owner holds it."""
        return self._inner.acquire(name, owner, ttl_s)

    def release(self, lease: Lease) -> None:
        """Give a lease back, if it is still the newest."""
        self._inner.release(lease)

    def holder(self, name: str) -> Lease | None:
        """The lease in force, or None."""
        return self._inner.holder(name)

    def close(self) -> None:
        """Close the inner store, if it can be closed."""
        close: object = getattr(self._inner, "close", None)
        if callable(close):
            close()

    def __repr__(self) -> str:
        count = len(self._places)
        return f"EncryptedStore({self._inner!r}, {count} {'key' if count == 1 else 'keys'})"

    def __reduce__(self) -> NoReturn:
        msg = "An EncryptedStore can't be pickled: it holds keys. Make one where it is used."
        raise TypeError(msg)

    def _key(self, name: str, wanted: str) -> _Key:
        """The key of that id; looked for once more where they stand if it is not among those that are known."""
        known: list[str] = []
        for anew in (False, True):
            known.clear()
            for place in self._places:
                key = place.key(anew=anew)
                if key.id == wanted:
                    return key
                known.append(key.id)
        msg = (
            f"The record {name} in {self._inner!r} was sealed with the key {wanted}, and what is given is "
            f"{', '.join(known)}. Add that key. If it is lost, remove the record; for a token, forget() does."
        )
        raise StoreError(msg, code="store_key_unknown")

    def _ignore(self, name: str, entry: Entry, notice: Notice) -> Entry:
        """The record without its value, so that it can be replaced; told of once."""
        if self._ignored.get(name) != entry.version:
            self._ignored[name] = entry.version
            logger.warning("%s", notice.text, extra={"gatepass_code": notice.code})
        return Entry(version=entry.version, value=b"")

    def _sealed_anew(self, name: str, opened: Entry, first: _Key) -> Entry:
        """The record, sealed with the first key by now, unless somebody is about to write it or it can't be written."""
        with suppress(StoreError):
            if self._inner.holder(name) is None:
                version = self._inner.write(name, first.seal(name, opened), expect=opened.version)
                if version is not None:
                    return Entry(version=version, value=opened.value)
        return opened


class _Key:
    """32 bytes that seal and open, and the id by which a record names them."""

    __slots__ = ("_cipher", "id")

    def __init__(self, content: bytes) -> None:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # not before a key is needed

        self._cipher = AESGCM(content)
        self.id = hashlib.sha256(_KEY_ID_LABEL + content).hexdigest()[:8]

    def seal(self, name: str, draft: Entry) -> bytes:
        nonce = os.urandom(_NONCE_BYTES)
        ciphertext = self._cipher.encrypt(nonce, draft.value, _FORMAT + name.encode())
        return b"%b%b\n%b%b" % (_FORMAT, self.id.encode(), nonce, ciphertext)

    def open(self, name: str, entry: Entry) -> Entry | None:
        """What was sealed; None if it was damaged, or sealed under another name."""
        from cryptography.exceptions import InvalidTag

        _, _, sealed = entry.value.partition(b"\n")
        nonce, ciphertext = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
        with suppress(InvalidTag, ValueError):  # the latter: it is shorter than a nonce
            return Entry(version=entry.version, value=self._cipher.decrypt(nonce, ciphertext, _FORMAT + name.encode()))
        return None


class _Place:
    """Where a key stands. A command or a keyring is asked once, by one thread, and what it gave is kept."""

    def __init__(self, secret: Secret, clock: Callable[[], float]) -> None:
        self._secret = secret
        self._clock = clock
        self._mutex = Mutex()
        self._kept: _Key | StoreError | None = None
        self._rest_until = float("-inf")

    def check(self) -> None:
        """Look at the key now if it is given literally."""
        if self._secret.reference is None:
            self.key()

    def key(self, *, anew: bool = False) -> _Key:
        """The key.

        Args:
            anew: ask a command or a keyring again, unless that was done just now.

        Raises:
            StoreError: there is none (code ``store_key_missing``), or it is none (code ``store_key_invalid``).
        """
        costly = isinstance(self._secret.reference, CostlyReference)
        found = self._asked(anew=anew) if costly else _look_up(self._secret)
        if isinstance(found, StoreError):
            raise found.again()
        return found

    def _asked(self, *, anew: bool) -> _Key | StoreError:
        kept = self._kept
        if isinstance(kept, _Key) and not anew:
            return kept
        with self._mutex.lock:
            kept = self._kept
            if kept is None or self._clock() >= self._rest_until:
                found = _look_up(self._secret)
                self._rest_until = self._clock() + _REST_S
                if isinstance(found, _Key) or not isinstance(kept, _Key):
                    self._kept = kept = found
            return kept


def _secrets(keys: Secret | str | Iterable[object] | None) -> list[Secret]:
    """Each key as a `Secret`; none at all if one of them can't be a key."""
    several = list(keys) if isinstance(keys, Iterable) and not isinstance(keys, str) else [keys]
    secrets = [Secret.of(key) for key in several if isinstance(key, str | Secret)]
    return secrets if len(secrets) == len(several) else []


def _look_up(secret: Secret) -> _Key | StoreError:
    """The key, read where it stands; or why there is none, without a chain that could show it."""
    try:
        text = secret.reveal() if secret.reference is None else read(secret.reference)
    except ConfigurationError as failure:
        return StoreError(f"The key of the store is not to be had. {failure}", code="store_key_missing")
    content = _decoded(text)
    if content is not None:
        return _Key(content)
    msg = (
        f"The {secret.reference or 'text that was given'} holds no key for a store: 32 bytes as base64 or hex. "
        "`openssl rand -base64 32` makes one."
    )
    return StoreError(msg, code="store_key_invalid")


def _decoded(text: str) -> bytes | None:
    if _HEX.fullmatch(text):
        return bytes.fromhex(text)
    if _BASE64.fullmatch(text):
        return urlsafe_b64decode(text[:43].replace("+", "-").replace("/", "_") + "=")
    return None
