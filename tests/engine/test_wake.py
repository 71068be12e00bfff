"""Callers that wait: each is woken by itself, in its own thread, loop or run, and is no trouble to the others."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio
import trio.testing

from gatepass.engine.wake import AsyncioWaiter, ThreadWaiter, TrioWaiter, Waiter, task_waiter
from gatepass.errors import UnreachableError

PATIENCE_S = 30.0
LONG_S = 3600.0
OUTCOME = UnreachableError("No answer.")

Program = Callable[[], Awaitable[Any]]


def in_asyncio(program: Program) -> Any:
    return asyncio.run(program())  # type: ignore[arg-type]


def in_trio(program: Program) -> Any:
    return trio.run(program)


async def turn() -> None:
    """Let the others run, in either library."""
    if task_waiter(0.0, False).__class__ is TrioWaiter:
        await trio.lowlevel.checkpoint()
    else:
        await asyncio.sleep(0)


both = pytest.mark.parametrize("run", [in_asyncio, in_trio])


def later(step: Callable[[], object]) -> threading.Thread:
    """Do something in another thread."""
    thread = threading.Thread(target=step)
    thread.start()
    return thread


# Threads.


def test_a_thread_is_woken_from_another_thread() -> None:
    waiter = ThreadWaiter(0.0, False)
    thread = later(lambda: waiter.settle(OUTCOME))
    waiter.wait(LONG_S)
    assert (waiter.done, waiter.outcome) == (True, OUTCOME)
    thread.join()


@pytest.mark.parametrize("patience_s", [0.01, 0.0, -1.0])
def test_a_thread_waits_no_longer_than_its_patience(patience_s: float) -> None:
    waiter = ThreadWaiter(0.0, False)
    waiter.wait(patience_s)
    assert (waiter.done, waiter.outcome) == (False, None)


def test_nothing_is_an_outcome_too() -> None:
    waiter = ThreadWaiter(0.0, True)
    waiter.settle(None)
    waiter.wait(LONG_S)
    assert (waiter.done, waiter.outcome, waiter.bare_ok) == (True, None, True)


def test_whoever_sees_that_it_is_done_sees_the_outcome() -> None:
    seen: list[object] = []

    class Watched(Waiter):
        __slots__ = ()

        def __setattr__(self, name: str, value: object) -> None:
            super().__setattr__(name, value)
            if name == "done" and value:
                seen.append(self.outcome)

        def _wake(self) -> None:
            pass

    Watched(0.0, False).settle(OUTCOME)
    assert seen == [OUTCOME]


# Tasks.


@both
def test_a_task_is_woken_from_another_thread(run: Callable[[Program], Any]) -> None:
    async def program() -> object:
        waiter = task_waiter(0.0, False)
        thread = later(lambda: waiter.settle(OUTCOME))
        await waiter.wait(LONG_S)
        thread.join()
        return waiter.outcome

    assert run(program) is OUTCOME


@both
def test_a_task_that_was_woken_before_it_waits_goes_on_at_once(run: Callable[[Program], Any]) -> None:
    async def program() -> bool:
        waiter = task_waiter(0.0, False)
        waiter.settle(OUTCOME)
        waiter.settle(OUTCOME)
        await waiter.wait(LONG_S)
        return waiter.done

    assert run(program)


@both
@pytest.mark.parametrize("patience_s", [0.01, 0.0, -1.0])
def test_a_task_waits_no_longer_than_its_patience(run: Callable[[Program], Any], patience_s: float) -> None:
    async def program() -> None:
        waiter = task_waiter(0.0, False)
        await waiter.wait(patience_s)
        assert not waiter.done
        waiter.settle(OUTCOME)  # too late, and no harm
        await turn()
        assert waiter.done

    run(program)


@both
def test_a_loop_that_has_closed_is_no_trouble(run: Callable[[Program], Any], caplog: pytest.LogCaptureFixture) -> None:
    async def program() -> Waiter:
        return task_waiter(0.0, False)

    waiter = run(program)
    waiter.settle(OUTCOME)
    assert waiter.done
    assert caplog.records == []


def test_a_cancelled_asyncio_task_leaves_the_others_waiting() -> None:
    async def program() -> list[object]:
        waiters = [AsyncioWaiter(0.0, False) for _ in range(10)]
        tasks = [asyncio.create_task(waiter.wait(LONG_S)) for waiter in waiters]
        await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        await asyncio.sleep(0)
        assert [task.done() for task in tasks] == [True, False] * 5
        thread = later(lambda: [waiter.settle(OUTCOME) for waiter in waiters])
        ends = await asyncio.gather(*tasks, return_exceptions=True)
        thread.join()
        return [type(end) for end in ends]

    assert asyncio.run(program()) == [asyncio.CancelledError, type(None)] * 5


def test_a_cancelled_trio_task_leaves_the_others_waiting() -> None:
    async def program() -> list[str]:
        waiters = [TrioWaiter(0.0, False) for _ in range(10)]
        ends = [""] * 10

        async def wait(number: int, scope: trio.CancelScope) -> None:
            with scope:
                await waiters[number].wait(LONG_S)
            ends[number] = "cancelled" if scope.cancelled_caught else "woken"

        async with trio.open_nursery() as nursery:
            scopes = [trio.CancelScope() for _ in range(10)]
            for number, scope in enumerate(scopes):
                nursery.start_soon(wait, number, scope)
            await trio.testing.wait_all_tasks_blocked()
            for scope in scopes[::2]:
                scope.cancel()
            await trio.testing.wait_all_tasks_blocked()
            thread = later(lambda: [waiter.settle(OUTCOME) for waiter in waiters])
        thread.join()
        return ends

    assert trio.run(program) == ["cancelled", "woken"] * 5


@both
def test_a_cancellation_from_without_is_not_taken_for_a_time_out(run: Callable[[Program], Any]) -> None:
    async def in_asyncio_task() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(task_waiter(0.0, False).wait(LONG_S), 0.01)

    async def in_trio_task() -> None:
        with trio.move_on_after(0.01) as scope:
            await task_waiter(0.0, False).wait(LONG_S)
        assert scope.cancelled_caught

    run(in_asyncio_task if run is in_asyncio else in_trio_task)


def test_loops_and_runs_in_several_threads_are_woken_at_once() -> None:
    waiters: list[Waiter] = []
    all_wait, ends = threading.Barrier(7), list[str]()

    async def program() -> None:
        waiter = task_waiter(0.0, False)
        waiters.append(waiter)
        all_wait.wait(PATIENCE_S)
        await waiter.wait(LONG_S)
        ends.append(type(waiter).__name__)

    def wait() -> None:
        waiter = ThreadWaiter(0.0, False)
        waiters.append(waiter)
        all_wait.wait(PATIENCE_S)
        waiter.wait(LONG_S)
        ends.append(type(waiter).__name__)

    threads = [later(step) for step in (lambda: in_asyncio(program), lambda: in_trio(program), wait) * 2]
    all_wait.wait(PATIENCE_S)
    for waiter in waiters:
        waiter.settle(OUTCOME)
    for thread in threads:
        thread.join(PATIENCE_S)
    assert sorted(ends) == ["AsyncioWaiter"] * 2 + ["ThreadWaiter"] * 2 + ["TrioWaiter"] * 2


@both
def test_a_waiter_is_forgotten_with_its_caller(run: Callable[[Program], Any]) -> None:
    async def program() -> None:
        waiter = task_waiter(0.0, False)
        name = id(waiter)
        waiter.settle(OUTCOME)
        await waiter.wait(LONG_S)
        await turn()
        del waiter
        gc.collect()
        assert not any(id(thing) == name and isinstance(thing, Waiter) for thing in gc.get_objects())

    run(program)


# Which library runs.


def test_outside_of_any_loop_there_is_no_waiter_for_a_task() -> None:
    with pytest.raises(RuntimeError, match="no running event loop"):
        task_waiter(0.0, False)


def test_asyncio_as_the_host_of_trio_is_told_from_its_guest() -> None:
    async def program() -> tuple[type, type]:
        loop, guest_waited, guest_is_over = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()
        release = trio.Event()
        kinds: list[type] = []

        async def guest() -> None:
            waiter = task_waiter(0.0, False)
            kinds.append(type(waiter))
            waiter.settle(OUTCOME)
            await waiter.wait(LONG_S)
            guest_waited.set()
            await release.wait()

        trio.lowlevel.start_guest_run(
            guest, run_sync_soon_threadsafe=loop.call_soon_threadsafe, done_callback=lambda _: guest_is_over.set()
        )
        await guest_waited.wait()
        waiter = task_waiter(0.0, False)
        waiter.settle(OUTCOME)
        await waiter.wait(LONG_S)
        release.set()
        await guest_is_over.wait()
        return kinds[0], type(waiter)

    assert asyncio.run(program()) == (TrioWaiter, AsyncioWaiter)


def test_a_trio_that_is_being_imported_elsewhere_is_no_trouble(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys
    import types

    monkeypatch.setitem(sys.modules, "trio", types.ModuleType("trio"))

    async def program() -> type:
        return type(task_waiter(0.0, False))

    assert asyncio.run(program()) is AsyncioWaiter


# A loop that can't be woken.


def test_a_loop_that_can_not_be_woken_costs_only_its_own_caller(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Waiter):
        __slots__ = ()

        def _wake(self) -> None:
            raise OSError("canary")

    waiters = [Broken(0.0, False), ThreadWaiter(0.0, False)]
    for waiter in waiters:
        waiter.settle(OUTCOME)
    assert [waiter.outcome for waiter in waiters] == [OUTCOME, OUTCOME]
    assert caplog.messages == ["A caller of gatepass could not be woken (OSError)."]
    assert "canary" not in caplog.text


def test_a_waiter_that_is_not_woken_still_finds_its_outcome_when_its_patience_ends() -> None:
    class Deaf(ThreadWaiter):
        __slots__ = ()

        def _wake(self) -> None:
            raise OSError

    waiter = Deaf(time.monotonic(), False)
    waiter.settle(OUTCOME)
    waiter.wait(0.01)
    assert waiter.outcome is OUTCOME
