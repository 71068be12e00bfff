"""A lock that a forked child finds open.

At a fork only the forking thread goes on in the child; a lock that another one held would stay closed there for ever.
"""

from __future__ import annotations

import os
import threading
import weakref

__all__ = ["Mutex"]


class Mutex:
    """A lock for what is replaced in one assignment, so that a child that finds it open finds it whole, too."""

    __slots__ = ("__weakref__", "lock")

    def __init__(self) -> None:
        self.lock = threading.Lock()
        _mutexes.add(self)


_mutexes: weakref.WeakSet[Mutex] = weakref.WeakSet()


def _open_all() -> None:
    for mutex in list(_mutexes):
        mutex.lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_open_all)
