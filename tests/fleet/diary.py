"""What a process lived through, in a file that outlives it: a line an event, each written in one go."""

from __future__ import annotations

import json
import os
import time


class Diary:
    """The diary of this process.

    Args:
        path: the file; what stands there already stays.
    """

    def __init__(self, path):
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def note(self, what, **more):
        """Write down an event. Whatever kills the process afterwards, it is there."""
        os.write(self._file, json.dumps({"what": what, "at": time.time(), **more}).encode() + b"\n")


def read(path):
    """The events in a diary, in their order. A line that its writer did not live to end is none."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines(keepends=True) if line.endswith("\n")]


class Witness:
    """A store that writes down which generations of a token pass through it, and who asks for its lease.

    Args:
        store: the store that does the work.
        diary: the diary of this process.
        sign: what the leases of this process are signed with.
    """

    def __init__(self, store, diary, sign):
        self._store = store
        self._diary = diary
        self._sign = f"{sign}:"
        self._seen = 0

    @property
    def shared(self):
        return self._store.shared

    def read(self, name):
        entry = self._store.read(name)
        if entry is not None and is_token(name):
            generation = generation_of(entry.value)
            if generation != self._seen:
                self._diary.note("read", name=name, generation=generation)
                self._seen = generation
        return entry

    def write(self, name, value, *, expect, fence=None):
        if not is_token(name):
            return self._store.write(name, value, expect=expect, fence=fence)
        version = self._store.write(name, value, expect=expect, fence=fence)
        self._diary.note("lost" if version is None else "wrote", name=name, generation=generation_of(value))
        return version

    def delete(self, name, *, expect=None):
        return self._store.delete(name, expect=expect)

    def acquire(self, name, owner, ttl_s):
        owner = owner if owner.startswith(self._sign) else self._sign + owner
        self._diary.note("asks for the lease")
        lease = self._store.acquire(name, owner, ttl_s)
        self._diary.note("is refused the lease" if lease is None else "has the lease")
        return lease

    def release(self, lease):
        self._store.release(lease)
        self._diary.note("gave the lease back")

    def holder(self, name):
        return self._store.holder(name)


def signed_by(lease):
    """Whose lease it is."""
    return int(lease.owner.partition(":")[0])


def is_token(name):
    return name.startswith("token.")


def generation_of(value):
    return json.loads(value)["generation"]
