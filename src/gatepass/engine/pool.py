"""The workers: a few daemon threads, started on need and gone when idle, with a queue of timers.

A worker never sleeps. What has to wait (a back-off, somebody else's lease) goes back into the queue with a time on it,
and no host gets more than two workers, so one hanging server delays nobody else.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import os
import threading
import time
import weakref
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Pool", "shared_pool"]

_log = logging.getLogger("gatepass")


@dataclass(frozen=True, slots=True, order=True)
class _Timer:
    due: float
    order: int
    host: str = field(compare=False)
    job: Callable[[], None] = field(compare=False)


class Pool:
    """Runs jobs, at once or later. Safe from any thread; a forked child starts with an empty one.

    Args:
        max_threads: how many workers there may be.
        per_host: how many of them may be busy with one host.
        idle_s: how long a worker without work stays, in seconds.
    """

    def __init__(self, *, max_threads: int = 8, per_host: int = 2, idle_s: float = 10.0) -> None:
        self.lock = threading.Lock()
        """Guards the pool's state and that of everything it serves. Held for moments, never while waiting."""
        self._max_threads = max_threads
        self._per_host = per_host
        self._idle_s = idle_s
        self._order = itertools.count()
        self.epoch = 0
        """Grows in a forked child: a job of an older epoch never ran there."""
        self.clear()
        _pools.add(self)

    def clear(self) -> None:
        """Forget every job and worker; for a child, which has inherited neither. The lock is held."""
        self._changed = threading.Condition(self.lock)
        self._ready: deque[tuple[str, Callable[[], None]]] = deque()
        self._timers: list[_Timer] = []
        self._busy: Counter[str] = Counter()
        self._threads = 0
        self._idle = 0
        self._short_handed = False

    def run(self, host: str, job: Callable[[], None]) -> None:
        """Run a job on a worker, as soon as one may serve that host."""
        with self.lock:
            self._ready.append((host, job))
            self._changed.notify_all()
        self._hire()

    def run_later(self, delay_s: float, host: str, job: Callable[[], None]) -> None:
        """Run a job after a while."""
        with self.lock:
            heapq.heappush(self._timers, _Timer(time.monotonic() + delay_s, next(self._order), host, job))
            self._changed.notify_all()
        self._hire()

    def help(self, done: Callable[[], bool], timeout_s: float) -> None:
        """Where no thread can be started, work in the calling one until `done()`; else return at once."""
        limit = time.monotonic() + timeout_s
        while self._short_handed and not done() and time.monotonic() < limit:
            with self.lock:
                work = self._take()
                if work is None:
                    self._changed.wait(self._patience(limit))
                    continue
            self._serve(*work)

    def _hire(self) -> None:
        with self.lock:
            wanted = len(self._ready) + (1 if self._timers else 0)
            if self._idle >= wanted or self._threads >= self._max_threads:
                return
            self._threads += 1
        try:
            threading.Thread(target=self._work, name="gatepass", daemon=True).start()
        except RuntimeError:  # no thread can be had: whoever waits will `help`
            with self.lock:
                self._threads -= 1
                self._short_handed = self._threads == 0
        else:
            self._short_handed = False

    def _work(self) -> None:
        epoch = self.epoch
        while epoch == self.epoch:
            with self.lock:
                work = self._take()
                if work is None:
                    self._idle += 1
                    notified = self._changed.wait(self._patience(time.monotonic() + self._idle_s))
                    self._idle -= 1
                    if not notified and not self._ready and not self._timers:
                        self._threads -= 1
                        return
                    continue
            try:
                self._serve(*work)
            except BaseException as leaving:  # noqa: BLE001 - a callable of the user's wanted to exit; the worker stays
                _report(leaving)

    def _serve(self, host: str, job: Callable[[], None]) -> None:
        try:
            job()
        except Exception as bug:  # noqa: BLE001 - a job reports its own failures: this one is ours
            _report(bug)
        finally:
            with self.lock:
                self._busy[host] -= 1
                if not self._busy[host]:
                    del self._busy[host]
                self._changed.notify_all()

    def _take(self) -> tuple[str, Callable[[], None]] | None:
        """The next job whose host has a worker to spare. The lock is held."""
        now = time.monotonic()
        while self._timers and self._timers[0].due <= now:
            timer = heapq.heappop(self._timers)
            self._ready.append((timer.host, timer.job))
        for place, (host, _) in enumerate(self._ready):
            if self._busy[host] < self._per_host:
                work = self._ready[place]
                del self._ready[place]
                self._busy[host] += 1
                return work
        return None

    def _patience(self, limit: float) -> float:
        """How long to wait for something to do. The lock is held."""
        due = self._timers[0].due if self._timers else limit
        return max(0.0, min(due, limit) - time.monotonic())

    def __reduce__(self) -> str:
        msg = "A pool of threads can't be pickled."
        raise TypeError(msg)


def _report(bug: BaseException) -> None:
    """Its kind alone: its text and its traceback may hold a secret."""
    _log.error("A job of gatepass failed unexpectedly (%s). Please report this.", type(bug).__name__)


_pools: weakref.WeakSet[Pool] = weakref.WeakSet()


def _before_fork() -> None:
    for pool in sorted(_pools, key=id):
        pool.lock.acquire()


def _after_fork_in_parent() -> None:
    for pool in _pools:
        pool.lock.release()


def _after_fork_in_child() -> None:
    for pool in _pools:
        pool.epoch += 1
        pool.clear()
        pool.lock.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)

_shared = Pool()


def shared_pool() -> Pool:
    """The pool of this process, shared by every `Auth`."""
    return _shared
