"""The hub: a heap of events on a clock that jumps from one to the next, and jobs that sleep in between.

A job is synchronous code of the engine. It runs in a greenlet, so that it can wait for an answer for as long as its
virtual time says, while others act.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable

from greenlet import GreenletExit, getcurrent, greenlet

Action = Callable[[], object]


class Life:
    """Whose an event is. Those of a life that has ended never happen; those of one that hangs wait for its end.

    Attributes:
        dead: it was killed.
        hangs_until: until when nothing of it moves, though it lives.
        asleep: its jobs that wait.
    """

    def __init__(self) -> None:
        self.dead = False
        self.hangs_until = 0.0
        self.asleep: dict[greenlet, None] = {}


class Hub:
    """Virtual time.

    Attributes:
        now: seconds since the beginning.
        stopped: nothing more is to happen.
        events: how many there were.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self.stopped = False
        self.events = 0
        self._main = getcurrent()
        self._heap: list[tuple[float, int, Life, Action]] = []
        self._order = itertools.count()

    def after(self, delay_s: float, life: Life, action: Action) -> None:
        """Let something happen later, if that life lasts so long."""
        heapq.heappush(self._heap, (self.now + delay_s, next(self._order), life, action))

    def start(self, delay_s: float, life: Life, job: Action) -> None:
        """Start a job, which may sleep."""
        self.after(delay_s, life, greenlet(job, self._main).switch)

    def sleep(self, seconds: float, life: Life) -> None:
        """Let the job that calls this go on later. In a life that has ended, nothing goes on."""
        if life.dead:
            raise GreenletExit
        job = getcurrent()
        assert job is not self._main, "only a job can sleep"
        life.asleep[job] = None
        self.after(seconds, life, job.switch)
        self._main.switch()
        life.asleep.pop(job, None)

    def end(self, life: Life) -> None:
        """Kill: what it was about to do is never done."""
        life.dead = True
        asleep, life.asleep = life.asleep, {}
        for job in asleep:
            job.throw(GreenletExit)

    def run(self, until: float) -> None:
        """Let happen what is due until then."""
        heap, pop, push = self._heap, heapq.heappop, heapq.heappush
        events = 0
        while heap and heap[0][0] <= until and not self.stopped:
            when, _, life, action = pop(heap)
            if life.dead:
                continue
            if life.hangs_until > when:
                push(heap, (life.hangs_until, next(self._order), life, action))
                continue
            self.now = when
            events += 1
            action()
        self.events += events
        if not self.stopped:
            self.now = until
