"""Keys as configured, parsed once: again only when the file has changed or the text is another one.

Parsing an RSA key takes fifty times as long as signing with it, so how often it happens decides what a mint costs.
"""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, TypeVar

from gatepass.core.secret import FileReference
from gatepass.core.world import PrivateKey, Signer
from gatepass.errors import ConfigurationError, GatepassError
from gatepass.mutex import Mutex

if TYPE_CHECKING:
    from collections.abc import Callable

    from gatepass.core.secret import Secret

__all__ = ["KeyRing"]

_KEYS_MAX = 64

FileState = tuple[int, ...]
"""What changes when a file is written or replaced."""

K = TypeVar("K")
V = TypeVar("V")


class KeyRing:
    """Holds the signers of private keys, so that each key is parsed once. Threads may use one at the same time.

    A key in a file is read again, with its password, when the file has changed. Any other key is revealed each time and
    parsed when its text is a new one; texts are told apart by a keyed hash, so that the ring holds none of them.
    """

    def __init__(self) -> None:
        self._mutex = Mutex()  # held for a look into the dictionaries, never while a key is read or parsed
        self._hash_key = os.urandom(32)
        self._by_text: dict[bytes, Signer] = {}
        self._by_file: dict[PrivateKey, tuple[FileState, Signer]] = {}

    def signer(self, key: PrivateKey | Signer, reveal: Callable[[Secret], str]) -> Signer:
        """The key, ready to sign; a signer is returned as it is.

        Arguments:
            key: the key as configured.
            reveal: gives a secret in the clear.

        Raises:
            ConfigurationError: its file can't be read (code ``key_file_unreadable``), or see `parse_private_key`.
        """
        if not isinstance(key, PrivateKey):
            return key
        if not isinstance(key.text.reference, FileReference):
            return self._parsed(key, reveal)

        state = _file_state(key.text.reference)  # before reading: a change while we read shows at the next use
        with self._mutex.lock:
            known = self._by_file.get(key)
        if known is not None and known[0] == state:
            return known[1]
        signer = self._parsed(key, reveal)
        with self._mutex.lock:
            _keep(self._by_file, key, (state, signer))
        return signer

    def refresh(self) -> None:
        """Read every file again at its next use, whatever its state says."""
        with self._mutex.lock:
            self._by_file.clear()

    def _parsed(self, key: PrivateKey, reveal: Callable[[Secret], str]) -> Signer:
        try:
            return self._by_its_text(key, reveal)
        except GatepassError as error:
            problem = error.again()
        raise problem  # without the frames that held the text

    def _by_its_text(self, key: PrivateKey, reveal: Callable[[Secret], str]) -> Signer:
        text = reveal(key.text)
        password = None if key.password is None else reveal(key.password)
        name = self._name(text, password)
        with self._mutex.lock:
            known = self._by_text.get(name)
        if known is not None:
            return known
        from gatepass.keys import parse_private_key  # not before there is a key: most clients have none

        signer = parse_private_key(text, password, origin=str(key.text.reference or "key"))
        with self._mutex.lock:
            return _keep(self._by_text, name, signer)

    def _name(self, text: str, password: str | None) -> bytes:
        digest = hashlib.blake2b(key=self._hash_key)
        for part in (text, password or ""):
            data = part.encode("utf-8", "surrogatepass")
            digest.update(len(data).to_bytes(8) + data)
        return digest.digest()

    def __repr__(self) -> str:
        return f"KeyRing({len(self._by_text)} keys)"


def _keep(shelf: dict[K, V], name: K, value: V) -> V:
    """Put it on the shelf, newest last; what has stood longest makes room."""
    shelf.pop(name, None)
    shelf[name] = value
    while len(shelf) > _KEYS_MAX:
        del shelf[next(iter(shelf))]
    return value


def _file_state(reference: FileReference) -> FileState:
    try:
        found = os.stat(reference.path)  # noqa: PTH116 - it stands in each mint, and is twice as quick
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "not a path"
    else:
        return (found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino, found.st_dev)
    msg = f"{reference}: the key file can't be read ({reason}). Check the path, and that this user may read it."
    raise ConfigurationError(msg, code="key_file_unreadable")
