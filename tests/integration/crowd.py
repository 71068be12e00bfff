"""Many callers at once: on threads, in the tasks of an event loop, or both."""

from __future__ import annotations

import threading

import anyio

PATIENCE_S = 30.0


def on_threads(call, callers):
    """What each caller got, a value or an exception; all of them start at the same moment."""
    outcomes = []
    start = threading.Barrier(callers)

    def one():
        start.wait(PATIENCE_S)
        outcomes.append(outcome_of(call))

    threads = [threading.Thread(target=one) for _ in range(callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    return outcomes


def in_tasks(acall, callers, backend):
    """As `on_threads`, for tasks of one event loop, which runs in the calling thread."""
    outcomes = []

    async def one():
        try:
            outcomes.append(await acall())
        except Exception as error:  # noqa: BLE001 - it is the outcome
            outcomes.append(error)

    async def all_of_them():
        async with anyio.create_task_group() as tasks:
            for _ in range(callers):
                tasks.start_soon(one)

    anyio.run(all_of_them, backend=backend)
    return outcomes


def everywhere(call, acall, callers):
    """As `on_threads`, a third of them on threads, a third on asyncio, a third on trio, in one process."""
    outcomes = []
    share = callers // 3
    ways = (
        lambda: on_threads(call, callers - 2 * share),
        lambda: in_tasks(acall, share, "asyncio"),
        lambda: in_tasks(acall, share, "trio"),
    )
    threads = [threading.Thread(target=lambda way=way: outcomes.extend(way())) for way in ways]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    return outcomes


class Background:
    """A call in a thread of its own, to look at later."""

    def __init__(self, call):
        self._outcome = []
        self._thread = threading.Thread(target=lambda: self._outcome.append(outcome_of(call)), daemon=True)
        self._thread.start()

    @property
    def done(self):
        return bool(self._outcome)

    def outcome(self):
        """What it got, a value or an exception; waits for it."""
        self._thread.join(PATIENCE_S)
        assert self._outcome, "the call never came back"
        return self._outcome[0]


def outcome_of(call):
    try:
        return call()
    except Exception as error:  # noqa: BLE001 - it is the outcome
        return error
