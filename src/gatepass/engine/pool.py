"""The workers: a few daemon threads, started on need and gone when idle, with a queue of timers.

A worker never sleeps. What has to wait (a back-off, somebody else's lease) goes back into the queue with a time on it,
and no host gets more than two workers, so one hanging server delays nobody else. A job that waits for a person steps
aside: another worker may have its place meanwhile.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import math
import os
import threading
import time
import weakref
from collections import Counter, deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

__all__ = ["Pool", "aside", "shared_pool"]

_log = logging.getLogger("gatepass")


class _Place(threading.local):
    """Whose worker this thread is, and which host it is busy with."""

    pool: Pool | None = None
    host = ""


_place = _Place()


@contextmanager
def aside() -> Generator[None]:
    """Wait for as long as a person takes: meanwhile, this worker is none and keeps nobody from the host."""
    pool, host = _place.pool, _place.host
    if pool is None:  # in a thread of the user's, which waits in any case
        yield
        return
    pool.left(host)
    try:
        yield
    finally:
        pool.back(host)


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
        self._ready: dict[str, deque[Callable[[], None]]] = {}
        self._timers: list[tuple[float, int, str, Callable[[], None]]] = []
        self._busy: Counter[str] = Counter()
        self._threads = 0
        self._short_handed = False

    def run(self, host: str, job: Callable[[], None]) -> None:
        """Run a job on a worker, as soon as one may serve that host."""
        with self.lock:
            self._ready.setdefault(host, deque()).append(job)
            self._changed.notify_all()
        self._staff()

    def run_later(self, delay_s: float, host: str, job: Callable[[], None]) -> None:
        """Run a job after a while."""
        with self.lock:
            heapq.heappush(self._timers, (time.monotonic() + delay_s, next(self._order), host, job))
            self._changed.notify_all()
        self._staff()

    def help(self, done: Callable[[], bool], timeout_s: float) -> None:
        """Where no thread can be started, work in the calling one until `done()`; else return at once."""
        limit = time.monotonic() + timeout_s
        while self._short_handed and time.monotonic() < limit:
            with self.lock:
                if done():
                    return
                work = self._take()
                if work is None:
                    self._changed.wait(self._pause(limit))
                    continue
            self._serve(*work)

    def _staff(self) -> None:
        """See to it that there are hands for all that can be done now, and a pair to watch the timers.

        One thread at most is started; it does the same for what it leaves undone.
        """
        with self.lock:
            wanted = self._doable() + bool(self._timers)
            if self._free() >= wanted or self._threads >= self._max_threads:
                return
            self._threads += 1
        try:
            threading.Thread(target=self._work, name="gatepass", daemon=True).start()
        except RuntimeError:  # no thread can be had: whoever waits will `help`
            with self.lock:
                self._threads -= 1
                self._short_handed = self._threads == 0
        else:
            if self._short_handed:
                with self.lock:
                    self._short_handed = False
                    self._changed.notify_all()

    def _work(self) -> None:
        while self._turn():
            pass

    def _turn(self) -> bool:
        """Do one job and keep nothing of it; False when a worker has been idle for so long that it may go."""
        work = self._next()
        if work is None:
            return False
        _place.pool, _place.host = self, work[0]
        try:
            self._serve(*work)
        except BaseException as leaving:  # noqa: BLE001 - a callable of the user's wanted to exit; the worker stays
            _report(leaving)
        finally:
            _place.pool = None
        return True

    def _next(self) -> tuple[str, Callable[[], None]] | None:
        """The next job of a worker, or None when it goes."""
        with self.lock:
            bored_at = time.monotonic() + self._idle_s
            while (work := self._take()) is None:
                bored = time.monotonic() >= bored_at
                if bored and (not self._timers or self._free() > 1):
                    self._threads -= 1
                    return None
                self._changed.wait(self._pause(math.inf if bored else bored_at))
        self._staff()
        return work

    def _serve(self, host: str, job: Callable[[], None]) -> None:
        try:
            job()
        except Exception as bug:  # noqa: BLE001 - a job reports its own failures: this one is ours
            _report(bug)
        finally:
            with self.lock:
                self._done_with(host)

    def left(self, host: str) -> None:
        """A worker that is busy with a host steps aside; see `aside`."""
        with self.lock:
            self._threads -= 1
            self._done_with(host)
        self._staff()

    def back(self, host: str) -> None:
        """It is back, and finishes what it began, even if that makes one worker too many for a moment."""
        with self.lock:
            self._threads += 1
            self._busy[host] += 1

    # The lock is held.

    def _done_with(self, host: str) -> None:
        self._busy[host] -= 1
        if not self._busy[host]:
            del self._busy[host]
        self._changed.notify_all()

    def _take(self) -> tuple[str, Callable[[], None]] | None:
        """The next job whose host has a worker to spare; the hosts take turns."""
        now = time.monotonic()
        while self._timers and self._timers[0][0] <= now:
            _, _, host, job = heapq.heappop(self._timers)
            self._ready.setdefault(host, deque()).append(job)
        for host, jobs in self._ready.items():
            if self._busy[host] < self._per_host:
                self._busy[host] += 1
                del self._ready[host]
                job = jobs.popleft()
                if jobs:
                    self._ready[host] = jobs
                return host, job
        return None

    def _doable(self) -> int:
        """How many jobs could be begun now."""
        return sum(max(0, min(len(jobs), self._per_host - self._busy[host])) for host, jobs in self._ready.items())

    def _free(self) -> int:
        """How many workers have no job; some of them may not have come yet."""
        return self._threads - self._busy.total()

    def _pause(self, limit: float) -> float:
        """How long to wait for something to do, up to a moment."""
        due = self._timers[0][0] if self._timers else limit
        return max(0.0, min(due, limit) - time.monotonic())

    def __reduce__(self) -> NoReturn:
        msg = "A pool of threads can't be pickled."
        raise TypeError(msg)


def _report(bug: BaseException) -> None:
    """Its kind alone: its text and its traceback may hold a secret."""
    _log.error("A job of gatepass failed unexpectedly (%s). Please report this.", type(bug).__name__)


_pools: weakref.WeakSet[Pool] = weakref.WeakSet()

_held: list[Pool] = []
"""The pools whose locks the thread that forks has taken."""


def _before_fork() -> None:
    pools = sorted(_pools, key=id)
    for pool in pools:
        pool.lock.acquire()
    _held[:] = pools


def _after_fork_in_parent() -> None:
    for pool in _held:
        pool.lock.release()


def _after_fork_in_child() -> None:
    for pool in _held:
        pool.epoch += 1
        pool.clear()
        pool.lock.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)

_shared = Pool()


def shared_pool() -> Pool:
    """The pool of this process, shared by every `Auth`."""
    return _shared
