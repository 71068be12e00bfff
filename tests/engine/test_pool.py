"""The workers: how many there are, who waits for whom, and what a fork, an exit or a lack of threads does to them."""

from __future__ import annotations

import asyncio
import os
import pickle
import threading
import time
from collections import Counter
from collections.abc import Callable

import pytest
from scripts import succeeds

from gatepass.engine.pool import Pool, aside, shared_pool

PATIENCE_S = 30.0
"""For what happens at once, unless it is broken."""

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")


class Crowd:
    """Jobs that wait at a gate, and how many of them were there at once."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.inside: Counter[str] = Counter()
        self.peaks: Counter[str] = Counter()
        self.threads: set[threading.Thread] = set()
        self._lock = threading.Lock()
        self._came = threading.Semaphore(0)
        self._left = threading.Semaphore(0)

    def job(self, host: str) -> Callable[[], None]:
        def job() -> None:
            with self._lock:
                self.inside[host] += 1
                self.threads.add(threading.current_thread())
                self.peaks[host] = max(self.peaks[host], self.inside[host])
                self.peaks["all"] = max(self.peaks["all"], self.inside.total())
            self._came.release()
            assert self.gate.wait(PATIENCE_S)
            with self._lock:
                self.inside[host] -= 1
            self._left.release()

        return job

    def await_came(self, number: int) -> None:
        for _ in range(number):
            assert self._came.acquire(timeout=PATIENCE_S)

    def await_left(self, number: int) -> None:
        for _ in range(number):
            assert self._left.acquire(timeout=PATIENCE_S)


def ran(pool: Pool, host: str) -> threading.Thread:
    """Run a job to its end, and say on which thread it was."""
    done = threading.Event()
    seen: list[threading.Thread] = []

    def job() -> None:
        seen.append(threading.current_thread())
        done.set()

    pool.run(host, job)
    assert done.wait(PATIENCE_S)
    return seen[0]


def settle(pool: Pool) -> None:
    """Wait until no job is under way."""
    with pool.lock:
        assert pool._changed.wait_for(lambda: not pool._busy, PATIENCE_S)


def refuse_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)


# How many, and who waits for whom.


def test_there_are_at_most_eight_workers_and_two_for_a_host() -> None:
    pool, crowd = Pool(idle_s=0.01), Crowd()
    for host in "abcdefghij" * 3:
        pool.run(host, crowd.job(host))
    crowd.await_came(8)
    crowd.gate.set()
    crowd.await_left(30)
    assert crowd.peaks.pop("all") == 8
    assert max(crowd.peaks.values()) <= 2
    assert len(crowd.peaks) == 10


def test_the_third_job_of_a_hanging_host_waits_while_others_go_on() -> None:
    pool, hanging, others = Pool(idle_s=0.01), Crowd(), Crowd()
    for _ in range(3):
        pool.run("hangs", hanging.job("hangs"))
    hanging.await_came(2)
    others.gate.set()
    for host in "abcdef":
        pool.run(host, others.job(host))
    others.await_left(6)
    assert hanging.peaks["hangs"] == 2
    hanging.gate.set()
    hanging.await_left(3)
    assert hanging.peaks["hangs"] == 2


def test_jobs_that_step_aside_keep_nobody_from_their_host_and_finish_what_they_began() -> None:
    pool, people, others, finished = Pool(idle_s=0.01), Crowd(), Crowd(), threading.Semaphore(0)

    def waits_for_a_person(job: Callable[[], None]) -> Callable[[], None]:
        def waits() -> None:
            with aside():
                job()
            finished.release()

        return waits

    for _ in range(20):
        pool.run("a", waits_for_a_person(people.job("a")))
    people.await_came(20)
    for host in "abcd" * 3:
        pool.run(host, others.job(host))
    others.await_came(8)
    assert others.peaks.pop("all") == 8
    assert max(others.peaks.values()) == 2
    people.gate.set()
    others.gate.set()
    for _ in range(20):
        assert finished.acquire(timeout=PATIENCE_S)
    others.await_left(12)
    settle(pool)
    assert ran(pool, "a")
    with pool.lock:
        assert pool._threads >= 1
        assert pool._busy.total() <= 1


def test_a_job_may_fail_while_it_is_aside() -> None:
    pool = Pool(idle_s=0.01)

    def fails() -> None:
        with aside():
            raise RuntimeError("nobody came")

    pool.run("a", fails)
    assert ran(pool, "a")
    settle(pool)


def test_who_is_no_worker_steps_aside_for_nobody() -> None:
    with aside():
        assert ran(shared_pool(), "a")


def test_hosts_take_turns_however_much_one_of_them_asks_for() -> None:
    pool, order = Pool(max_threads=1, idle_s=0.01), list[str]()
    crowd, done = Crowd(), threading.Event()
    pool.run("first", crowd.job("first"))
    crowd.await_came(1)
    for host in ("much",) * 50 + ("little",):
        pool.run(host, lambda host=host: order.append(host))  # type: ignore[misc]
    pool.run("little", done.set)
    crowd.gate.set()
    assert done.wait(PATIENCE_S)
    assert order[:2] == ["much", "little"]


def test_jobs_of_a_busy_host_call_for_no_more_workers() -> None:
    pool, crowd = Pool(idle_s=0.01), Crowd()
    for _ in range(50):
        pool.run("a", crowd.job("a"))
    assert pool._threads == 2
    crowd.await_came(2)
    assert pool._threads == 2
    crowd.gate.set()
    crowd.await_left(50)
    assert len(crowd.threads) == 2


def test_a_free_worker_is_used_again() -> None:
    pool = Pool()
    threads = set[threading.Thread]()
    for host in "abcdef":
        threads.add(ran(pool, host))
        settle(pool)
    assert len(threads) == 1
    assert threads.pop().daemon


def test_however_many_timers_there_are_one_worker_watches_them() -> None:
    pool = Pool(idle_s=0.01)
    for host in "abcdef":
        pool.run_later(3600, host, lambda: None)
    assert pool._threads == 1
    send_home(pool)


def test_five_thousand_jobs_from_eight_threads_run_once_each() -> None:
    pool, runs, lock, done = Pool(idle_s=0.001), Counter[int](), threading.Lock(), threading.Event()

    def job(number: int) -> None:
        with lock:
            runs[number] += 1
            if runs.total() == 5000:
                done.set()

    def pump(first: int) -> None:
        for number in range(first, 5000, 8):
            if number % 3:
                pool.run(f"host {number % 7}", lambda number=number: job(number))  # type: ignore[misc]
            else:
                pool.run_later(0.0, f"host {number % 7}", lambda number=number: job(number))  # type: ignore[misc]

    pumps = [threading.Thread(target=pump, args=(first,)) for first in range(8)]
    for thread in pumps:
        thread.start()
    assert done.wait(PATIENCE_S)
    for thread in pumps:
        thread.join(PATIENCE_S)
    settle(pool)
    assert len(runs) == 5000
    assert set(runs.values()) == {1}


# Timers.


def test_timers_run_in_the_order_of_their_times_and_never_early(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    pool, runs = Pool(per_host=1, idle_s=0.01), list[float]()
    for delay_s in (6.0, 2.0, 4.0, 1.0, 5.0, 3.0, 7.0):
        pool.run_later(delay_s, "a", lambda delay_s=delay_s: runs.append(delay_s))  # type: ignore[misc]
    for passed_s, due in ((0.999, []), (3.0, [1.0, 2.0, 3.0]), (6.5, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0])):
        now = 1000.0 + passed_s
        for _ in range(2):  # the first has what is due put in the queue, the second stands behind it
            done = threading.Event()
            pool.run("a", done.set)
            assert done.wait(PATIENCE_S)
        assert runs == due


def test_timers_of_the_same_moment_run_in_the_order_in_which_they_came(monkeypatch: pytest.MonkeyPatch) -> None:
    pool, order, done = Pool(per_host=1, idle_s=0.01), list[int](), threading.Event()
    monkeypatch.setattr(time, "monotonic", lambda: 1000.0)
    for number in range(20):
        pool.run_later(0.0, "a", lambda number=number: order.append(number))  # type: ignore[misc]
    pool.run_later(0.0, "a", done.set)
    assert done.wait(PATIENCE_S)
    assert order == list(range(20))


def test_timers_that_fall_due_together_are_done_at_the_same_time() -> None:
    pool, meeting, done = Pool(idle_s=0.01), threading.Barrier(6), threading.Semaphore(0)

    def job() -> None:
        meeting.wait(PATIENCE_S)
        done.release()

    for host in "abcdef":
        pool.run_later(0.01, host, job)
    for _ in range(6):
        assert done.acquire(timeout=PATIENCE_S)


def test_a_timer_that_hangs_delays_no_later_timer_of_another_host() -> None:
    pool, crowd, done = Pool(idle_s=0.01), Crowd(), threading.Event()
    pool.run_later(0.01, "hangs", crowd.job("hangs"))
    pool.run_later(0.02, "other", done.set)
    assert done.wait(PATIENCE_S)
    crowd.gate.set()
    crowd.await_left(1)


def test_an_earlier_timer_that_comes_later_is_not_slept_through() -> None:
    pool, done = Pool(idle_s=3600), threading.Event()
    pool.run_later(3600, "a", lambda: None)
    pool.run_later(0.01, "b", done.set)
    assert done.wait(PATIENCE_S)
    assert pool._threads <= 2


# Coming and going.


def send_home(pool: Pool) -> None:
    """Take the timers away, so that nobody has a reason to stay."""
    with pool.lock:
        pool._timers.clear()
        pool._changed.notify_all()


def test_idle_workers_go_and_come_back() -> None:
    pool = Pool(idle_s=0.001)
    first = ran(pool, "a")
    first.join(PATIENCE_S)
    assert not first.is_alive()
    assert pool._threads == 0
    second = ran(pool, "a")
    assert second is not first
    second.join(PATIENCE_S)
    assert pool._threads == 0


def test_one_worker_stays_for_a_timer_and_the_others_go() -> None:
    pool, crowd, done = Pool(max_threads=4, idle_s=0.001), Crowd(), threading.Event()
    for host in "abcd":
        pool.run(host, crowd.job(host))
    crowd.await_came(4)
    pool.run_later(3600, "later", done.set)
    crowd.gate.set()
    crowd.await_left(4)
    while sum(thread.is_alive() for thread in crowd.threads) > 1:
        for thread in crowd.threads:
            thread.join(0.01)
    assert pool._threads == 1
    with pool.lock:
        pool._timers[0] = (0.0, *pool._timers[0][1:])
        pool._changed.notify_all()
    assert done.wait(PATIENCE_S)
    for thread in crowd.threads:
        thread.join(PATIENCE_S)
    assert pool._threads == 0


@pytest.mark.parametrize(
    "problem",
    [ValueError("canary"), SystemExit("canary"), KeyboardInterrupt("canary"), asyncio.CancelledError("canary")],
)
def test_a_job_that_raises_ends_nothing_and_tells_no_text(
    problem: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    pool = Pool(max_threads=1)

    def job() -> None:
        raise problem

    before = ran(pool, "a")
    pool.run("a", job)
    pool.run("a", job)
    assert ran(pool, "a") is before
    settle(pool)
    assert (
        caplog.messages
        == [f"A job of gatepass failed unexpectedly ({type(problem).__name__}). Please report this."] * 2
    )
    assert "canary" not in caplog.text


def test_what_a_job_held_is_let_go_with_it() -> None:
    import weakref

    class Thing:
        def job(self) -> None:
            pass

    pool, thing = Pool(), Thing()
    gone = threading.Event()
    weakref.finalize(thing, gone.set)
    pool.run("a", thing.job)
    settle(pool)
    del thing
    assert gone.wait(PATIENCE_S)


def test_a_pool_is_not_pickled() -> None:
    with pytest.raises(TypeError, match="can't be pickled"):
        pickle.dumps(Pool())


def test_there_is_one_pool_for_all() -> None:
    assert shared_pool() is shared_pool()


# Without threads.


def test_where_no_thread_can_start_the_caller_does_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    pool, done = Pool(), threading.Event()
    refuse_threads(monkeypatch)
    seen = []
    pool.run("a", lambda: seen.append(threading.current_thread()))
    pool.run_later(0.01, "a", done.set)
    pool.run_later(3600, "a", lambda: seen.append(threading.current_thread()))
    pool.help(done.is_set, PATIENCE_S)
    assert done.is_set()
    assert seen == [threading.current_thread()]


def test_helping_ends_with_the_callers_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    pool, runs = Pool(), list[int]()
    refuse_threads(monkeypatch)
    pool.run_later(3600, "a", lambda: runs.append(1))
    pool.help(lambda: False, 0.01)
    assert runs == []


def test_where_there_are_workers_nobody_helps() -> None:
    pool, crowd = Pool(idle_s=0.01), Crowd()
    pool.run("a", crowd.job("a"))
    pool.help(lambda: False, 3600)
    crowd.gate.set()
    crowd.await_left(1)
    assert threading.current_thread() not in crowd.threads


def test_all_who_help_go_when_what_they_wait_for_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    pool, crowd, done, about = Pool(), Crowd(), threading.Event(), threading.Semaphore(0)
    start = threading.Event()

    def helper() -> None:
        about.release()
        assert start.wait(PATIENCE_S)
        pool.help(done.is_set, 3600)

    helpers = [threading.Thread(target=helper, daemon=True) for _ in range(5)]
    for thread in helpers:
        thread.start()
    refuse_threads(monkeypatch)
    work = crowd.job("a")

    def job() -> None:
        work()
        done.set()

    pool.run("a", job)
    start.set()
    crowd.await_came(1)
    crowd.gate.set()
    for thread in helpers:
        thread.join(PATIENCE_S)
    assert not any(thread.is_alive() for thread in helpers)


def test_once_threads_can_be_had_again_the_helper_is_released(monkeypatch: pytest.MonkeyPatch) -> None:
    pool, crowd = Pool(idle_s=0.01), Crowd()
    helper = threading.Thread(target=pool.help, args=(lambda: False, 3600), daemon=True)
    with monkeypatch.context() as patch:
        refuse_threads(patch)
        pool.run_later(3600, "a", lambda: None)
    helper.start()
    crowd.gate.set()
    pool.run("b", crowd.job("b"))
    crowd.await_left(1)
    helper.join(PATIENCE_S)
    assert not helper.is_alive()
    send_home(pool)


def test_ctrl_c_in_a_helper_is_the_callers_and_the_host_is_free_again(monkeypatch: pytest.MonkeyPatch) -> None:
    pool, done = Pool(per_host=1), threading.Event()
    refuse_threads(monkeypatch)

    def job() -> None:
        raise KeyboardInterrupt

    pool.run("a", job)
    pool.run("a", done.set)
    with pytest.raises(KeyboardInterrupt):
        pool.help(done.is_set, PATIENCE_S)
    pool.help(done.is_set, PATIENCE_S)
    assert done.is_set()


# Forks and the end.


@needs_fork
def test_a_forked_child_starts_empty_and_works_and_the_parent_goes_on() -> None:
    succeeds("""
        import os, threading
        from gatepass.engine.pool import Pool

        pool, gate, begun, ended, ghost = Pool(per_host=1), threading.Event(), threading.Event(), threading.Event(), []
        pool.run("a", lambda: (begun.set(), gate.wait(30), ended.set()))
        pool.run("a", lambda: ghost.append(os.getpid()))
        pool.run_later(3600, "a", lambda: None)
        assert begun.wait(30)
        parent, epoch = os.getpid(), pool.epoch
        child = os.fork()
        if not child:
            assert (pool.epoch, pool._threads, pool._timers, pool._busy.total()) == (epoch + 1, 0, [], 0)
            done = threading.Event()
            pool.run("a", done.set)
            os._exit(0 if done.wait(30) and parent not in ghost else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert (pool.epoch, len(pool._timers)) == (epoch, 1)
        gate.set()
        assert ended.wait(30)
        print("ok")
    """)


@needs_fork
def test_a_fork_waits_for_a_lock_that_another_thread_holds() -> None:
    succeeds("""
        import os, threading
        from gatepass.engine.pool import Pool

        pool, held, forking = Pool(), threading.Event(), threading.Event()
        os.register_at_fork(before=forking.set)  # runs first, since it was registered last

        def hold():
            with pool.lock:
                held.set()
                assert forking.wait(30)

        holder = threading.Thread(target=hold)
        holder.start()
        assert held.wait(30)
        child = os.fork()
        done = threading.Event()
        pool.run("a", done.set)
        if not child:
            os._exit(0 if done.wait(30) else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert done.wait(30)
        holder.join()
        print("ok")
    """)


@needs_fork
def test_forks_in_the_midst_of_work_lose_no_job_of_the_parent() -> None:
    succeeds("""
        import os, threading
        from gatepass.engine.pool import Pool

        pool, lock, runs, all_done = Pool(idle_s=0.001), threading.Lock(), [], threading.Event()

        def job(number):
            with lock:
                runs.append(number)
                if len(runs) == 4000:
                    all_done.set()

        def pump(first):
            for number in range(first, 4000, 4):
                pool.run(f"host {number % 5}", lambda: job(number))

        pumps = [threading.Thread(target=pump, args=(first,)) for first in range(4)]
        for each in pumps:
            each.start()
        for _ in range(10):
            child = os.fork()
            if not child:
                done = threading.Event()
                pool.run("a", done.set)
                os._exit(0 if done.wait(30) else 1)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert all_done.wait(30)
        print("ok")
    """)


@needs_fork
def test_a_pool_that_goes_during_a_fork_or_comes_is_no_trouble() -> None:
    succeeds("""
        import os
        from gatepass.engine.pool import Pool

        made = []
        os.register_at_fork(after_in_parent=lambda: made.append(Pool()), after_in_child=lambda: made.append(Pool()))
        os.register_at_fork(before=lambda: made.clear())
        for _ in range(3):
            child = os.fork()
            if not child:
                os._exit(0)
            os.waitpid(child, 0)
        print("ok")
    """)


def test_the_end_of_the_program_waits_for_no_job_and_says_nothing() -> None:
    succeeds("""
        import threading
        from gatepass.engine.pool import shared_pool

        begun = threading.Event()
        shared_pool().run("a", lambda: (begun.set(), threading.Event().wait()))
        shared_pool().run_later(3600, "b", lambda: None)
        assert begun.wait(30)
        print("ok")
    """)
