"""Work that is done on a worker for somebody who waits: its outcome, its failure, or that it took too long."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio

from gatepass.engine.pool import Pool
from gatepass.engine.work import do, do_async
from gatepass.errors import ConfigurationError, GatepassError, UnreachableError

CANARY = "c4n4ry"
HOST = "https://mcp.example.com"


@pytest.fixture
def pool() -> Pool:
    return Pool(idle_s=0.01)


def by_thread(pool: Pool, job: Callable[[], Any], patience_s: float = 30.0) -> Any:
    return do(pool, HOST, job, patience_s)


def by_asyncio(pool: Pool, job: Callable[[], Any], patience_s: float = 30.0) -> Any:
    return asyncio.run(do_async(pool, HOST, job, patience_s))


def by_trio(pool: Pool, job: Callable[[], Any], patience_s: float = 30.0) -> Any:
    async def program() -> Any:
        return await do_async(pool, HOST, job, patience_s)

    return trio.run(program)


everybody = pytest.mark.parametrize("by", [by_thread, by_asyncio, by_trio])
By = Callable[..., Any]


@everybody
def test_what_is_done_is_done_on_a_worker_and_its_outcome_is_the_callers(pool: Pool, by: By) -> None:
    here = threading.get_ident()
    assert by(pool, threading.get_ident) != here
    assert by(pool, lambda: None) is None


@everybody
def test_an_error_of_ours_is_the_callers_without_the_frames_of_the_worker(pool: Pool, by: By) -> None:
    error = ConfigurationError("No.", code="signer_failed")

    def fails() -> None:
        raise error

    with pytest.raises(ConfigurationError) as failure:
        by(pool, fails)
    assert failure.value.code == "signer_failed"
    assert failure.value is not error
    assert "fails" not in [entry.name for entry in failure.traceback]


@everybody
def test_a_bug_is_told_by_its_kind(pool: Pool, by: By) -> None:
    def fails() -> None:
        raise KeyError(CANARY)

    with pytest.raises(GatepassError) as failure:
        by(pool, fails)
    assert (failure.value.code, "KeyError" in str(failure.value)) == ("internal", True)
    assert CANARY not in str(failure.value)
    assert failure.value.__context__ is None


@everybody
@pytest.mark.parametrize("leaving", [SystemExit(CANARY), KeyboardInterrupt()], ids=repr)
def test_who_wants_to_leave_leaves_nobody_waiting(
    pool: Pool, by: By, leaving: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    def leaves() -> None:
        raise leaving

    with pytest.raises(GatepassError) as failure:
        by(pool, leaves)
    assert failure.value.code == "internal"
    assert by(pool, lambda: "goes on") == "goes on"
    assert CANARY not in caplog.text


@everybody
def test_a_job_that_hangs_is_not_waited_for_without_end(pool: Pool, by: By) -> None:
    gate, over = threading.Event(), threading.Event()

    def hangs() -> None:
        gate.wait(30)
        over.set()

    with pytest.raises(UnreachableError, match=r"No answer within 0\.05 s") as failure:
        by(pool, hangs, 0.05)
    assert (failure.value.code, failure.value.retryable) == ("deadline", True)
    gate.set()
    assert over.wait(30)


def test_a_task_that_is_cancelled_leaves_the_job_to_its_end(pool: Pool) -> None:
    gate, begun, over = threading.Event(), threading.Event(), threading.Event()

    def hangs() -> None:
        begun.set()
        gate.wait(30)
        over.set()

    async def program() -> None:
        task = asyncio.ensure_future(do_async(pool, HOST, hangs, 30.0))
        await asyncio.to_thread(begun.wait, 30)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(program())
    gate.set()
    assert over.wait(30)


@everybody
def test_where_no_thread_can_be_had_it_is_done_by_who_waits(by: By, monkeypatch: pytest.MonkeyPatch) -> None:
    def start(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    assert by(Pool(), threading.get_ident) == threading.get_ident()


def test_four_at_a_time_are_done_and_none_takes_a_worker_of_the_hosts_tokens(pool: Pool) -> None:
    together, token, gate = threading.Barrier(5), threading.Event(), threading.Event()

    def signs() -> None:
        together.wait(30)
        gate.wait(30)

    async def program() -> None:
        work = [asyncio.ensure_future(do_async(pool, HOST, signs, 30.0)) for _ in range(4)]
        await asyncio.to_thread(together.wait, 30)  # all four have begun
        pool.run(HOST, token.set)
        assert await asyncio.to_thread(token.wait, 30)
        gate.set()
        await asyncio.gather(*work)

    asyncio.run(program())


def test_many_at_once_each_get_their_own(pool: Pool) -> None:
    async def program() -> list[int]:
        jobs: list[Awaitable[int]] = [do_async(pool, HOST, lambda n=n: n * n, 30.0) for n in range(100)]  # type: ignore[misc]
        return await asyncio.gather(*jobs)

    assert asyncio.run(program()) == [n * n for n in range(100)]
