"""The source: the token of one identity at one resource, as its callers see it.

    fresh   -> `ready` holds it; nothing else happens
    stale   -> served, and one flight renews it behind
    else    -> callers join the one flight, each with its own patience

What callers and the flight both change is guarded by the pool's lock, which is held for moments and never while
anything is sent or read. What only the flight changes needs none: there is one at a time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import msgspec

from gatepass.engine.flight import Flight
from gatepass.engine.shelf import Shelf
from gatepass.engine.wake import ThreadWaiter, Waiter, task_waiter
from gatepass.errors import GatepassError, UnreachableError
from gatepass.lifecycle.policy import Held, Policy, State, back_off_s, decide, negative_memory_s

if TYPE_CHECKING:
    from collections.abc import Callable

    from gatepass.core.target import Target
    from gatepass.core.world import Instant
    from gatepass.discovery import Discovery
    from gatepass.engine.pool import Pool
    from gatepass.engine.world import RealWorld
    from gatepass.profiles.base import Profile
    from gatepass.protocol.challenge import ResourceChallenge
    from gatepass.stores.base import Store

__all__ = ["Source"]

AnyWaiter = TypeVar("AnyWaiter", bound=Waiter)


class Source:
    """Makes and keeps the token of one identity. Safe from threads, event loops and forked children.

    Attributes:
        ready: a token to use while its `fresh_until` lies ahead; None sends callers to `get`. Read without a lock.
        challenge: the resource's last challenge, once one is known.
        discovery: what was discovered, once it is known.
        rediscover: what is kept of an earlier discovery is not to be trusted.
    """

    def __init__(
        self, *, profile: Profile, target: Target, store: Store, world: RealWorld, pool: Pool, policy: Policy
    ) -> None:
        self.profile = profile
        self.target = target
        self.world = world
        self.pool = pool
        self.policy = policy
        self.shelf = Shelf(store, target, profile.identity, world)
        self.ready: Held | None = None
        self.challenge: ResourceChallenge | None = None
        self.discovery: Discovery | None = None
        self.rediscover = False
        self.failure: GatepassError | None = None
        self._held: Held | None = None
        self._flight: Flight | None = None
        self._loaded = False
        self._rejected = 0
        self._forced_mono = float("-inf")
        self._failures = 0
        self._failed_alive = False
        self._not_before_mono = float("-inf")
        self._silent_until_mono = float("-inf")

    # What callers do.

    def get(self, patience_s: float) -> Held:
        """A usable token, made if need be; blocks the calling thread.

        Args:
            patience_s: how long to wait for one, in seconds.

        Raises:
            GatepassError: no token could be had; the reason.
        """
        return _made(self._wait(patience_s, bare_ok=False))

    def get_or_bare(self, patience_s: float) -> Held | None:
        """As `get`; but None while nothing says which scopes to ask for, so that a bare request should go first."""
        return self._wait(patience_s, bare_ok=True)

    async def aget(self, patience_s: float) -> Held:
        """As `get`, for a task of asyncio or trio."""
        return _made(await self._await(patience_s, bare_ok=False))

    async def aget_or_bare(self, patience_s: float) -> Held | None:
        """As `get_or_bare`, for a task of asyncio or trio."""
        return await self._await(patience_s, bare_ok=True)

    def _wait(self, patience_s: float, *, bare_ok: bool) -> Held | None:
        joined = self.join(ThreadWaiter, patience_s, bare_ok=bare_ok)
        if joined is None or isinstance(joined, Held):
            return joined
        self.pool.help(lambda: joined.done, patience_s)
        try:
            joined.wait(joined.until - self.world.now().mono)
        finally:
            self.leave(joined)
        return self._result(joined, patience_s)

    async def _await(self, patience_s: float, *, bare_ok: bool) -> Held | None:
        joined = self.join(task_waiter, patience_s, bare_ok=bare_ok)
        if joined is None or isinstance(joined, Held):
            return joined
        self.pool.help(lambda: joined.done, patience_s)
        try:
            await joined.wait(joined.until - self.world.now().mono)
        finally:
            self.leave(joined)
        return self._result(joined, patience_s)

    def join(
        self, make_waiter: Callable[[float, bool], AnyWaiter], patience_s: float, *, bare_ok: bool
    ) -> Held | AnyWaiter | None:
        """A token that can be served now, or a place among those who wait for one; None for a bare request.

        Args:
            make_waiter: makes the waiter, given when its patience ends (monotonic) and `bare_ok`.
            patience_s: how long the caller would wait, in seconds.
            bare_ok: see `get_or_bare`.

        Raises:
            GatepassError: the last failure, when there will be no other attempt within the caller's patience.
        """
        now = self.world.now()
        with self.pool.lock:
            held = self._held
            state = decide(held, now)
            flight = self._live_flight()
            refused = held is not None and held.generation <= self._rejected
            if refused and flight is None and self.failure is None and not self._may_force(now):
                refused = False  # renewed by force just now: what we have is the best there is
            if held is not None and not refused and state is State.FRESH:
                return held
            if held is not None and not refused and state is State.STALE:
                if flight is None and now.mono >= self._not_before_mono:
                    flight = self._flight = Flight(self)
                    flight.wanted = True
                waiter: AnyWaiter | None = None
            else:
                if bare_ok and flight is None and self._loaded and not self.can_ask_first:
                    return None
                delay_s = self._not_before_mono - now.mono if flight is None else 0.0
                if delay_s > patience_s and self.failure is not None and self.failure.retryable:
                    raise self.failure.again()
                if flight is None:
                    flight = self._force(now) if refused and self._may_force(now) else Flight(self)
                    flight.delay_s = delay_s if self.failure is not None and self.failure.retryable else 0.0
                    self._flight = flight
                waiter = make_waiter(now.mono + patience_s, bare_ok)
                flight.wanted = flight.wanted or not bare_ok
                flight.waiters.add(waiter)
        if flight is not None:
            flight.launch()
        return held if waiter is None else waiter

    def challenged(self, challenge: ResourceChallenge | None) -> None:
        """The resource asked for a token: remember what it said, and the scopes of before if it named none."""
        if challenge is None:
            return
        with self.pool.lock:
            if challenge.scope is None and self.challenge is not None:
                challenge = msgspec.structs.replace(challenge, scope=self.challenge.scope)
            self.challenge = challenge

    def reject(self, generation: int) -> bool:
        """The resource refused the token of that generation; whether another one can be had for a replay."""
        now = self.world.now()
        with self.pool.lock:
            held = self._held
            if held is not None and held.generation > generation:
                return True
            self._rejected = max(self._rejected, generation)
            self.ready = None
            flight = self._live_flight()
            if flight is None:
                if not self._may_force(now):
                    return False
                flight = self._force(now)
            flight.wanted = True
        flight.launch()
        return True

    # What a flight reports.

    def retire(self, flight: Flight) -> bool:
        """End a flight that nobody is aboard of; False if somebody has just come."""
        with self.pool.lock:
            if flight.waiters:
                return False
            self._flight = None
            return True

    def remember(self, challenge: ResourceChallenge | None) -> None:
        """A challenge that was kept earlier; one that the resource has just given stands."""
        with self.pool.lock:
            self.challenge = self.challenge or challenge

    def loaded(self, held: Held | None) -> None:
        """The store has been asked; what it had, if that is newer than ours."""
        with self.pool.lock:
            self._loaded = True
            if held is not None:
                self._take(held)

    def usable(self, held: Held, now: Instant) -> bool:
        """Whether that token can be served: alive, and not refused by the resource."""
        return held.generation > self._rejected and decide(held, now) in {State.FRESH, State.STALE}

    @property
    def held(self) -> Held | None:
        """The newest token, whatever its state."""
        return self._held

    @property
    def rejected(self) -> int:
        """The newest generation that the resource refused."""
        return self._rejected

    @property
    def can_ask_first(self) -> bool:
        """Whether it is known what to ask for, so that a token can be fetched before the first request."""
        return self.target.scopes is not None or self.challenge is not None or self._held is not None

    def landed(self, flight: Flight, outcome: Held | GatepassError) -> None:
        """The flight is over: everybody aboard gets its outcome."""
        with self.pool.lock:
            if isinstance(outcome, Held):
                self._take(outcome)
            if self._flight is flight:
                self._flight = None
            waiters, flight.waiters = flight.waiters, set()
        for waiter in waiters:
            waiter.settle(outcome)

    def succeeded(self) -> None:
        """A token was made: forget the failures."""
        self.failure = None
        self._failures = 0
        self._not_before_mono = self._silent_until_mono = float("-inf")

    def failed(self, error: GatepassError, share: float) -> tuple[GatepassError, float]:
        """A mint failed: remember it. The error with the time of the next try, and how long that is away in seconds."""
        now = self.world.now()
        remaining_s = self._remaining_s(now)
        if self._failed_alive and remaining_s <= 0:
            self._failures = 0  # from now on somebody waits: the back-off begins anew
        self._failed_alive = remaining_s > 0
        self._failures += 1
        wait_s = back_off_s(
            self._failures,
            remaining_s=remaining_s,
            retry_after_s=None if error.retry_at is None else error.retry_at - now.wall,
            share=share,
            policy=self.policy,
        )
        self._not_before_mono = now.mono + wait_s
        if error.retryable:
            error = error.with_(retry_at=now.wall + wait_s)
            self._silent_until_mono = float("-inf")
        else:
            self._silent_until_mono = now.mono + negative_memory_s(self._failures, self.policy)
            self.postpone(now)
        self.failure = error
        return error, wait_s

    def postpone(self, now: Instant) -> None:
        """A failure stands: while the token at hand is good, look again only now and then."""
        self._not_before_mono = now.mono + self.policy.back_off_first_s

    def silence(self, now: Instant) -> GatepassError | None:
        """A final failure that still stands: asking again would bring the same answer."""
        return self.failure if self.failure is not None and now.mono < self._silent_until_mono else None

    # How the state moves. The lock is held.

    def _live_flight(self) -> Flight | None:
        """The flight under way; one that a fork left behind in the parent is none."""
        if self._flight is not None and self._flight.epoch != self.pool.epoch:
            self._flight = None
        return self._flight

    def _may_force(self, now: Instant) -> bool:
        return now.mono - self._forced_mono >= self.policy.forced_interval_s

    def _force(self, now: Instant) -> Flight:
        """A renewal because the resource refused: its authorization server may have moved, so look again."""
        self._forced_mono = now.mono
        self.discovery = None
        self.rediscover = True
        self._flight = Flight(self)
        return self._flight

    def _take(self, held: Held) -> None:
        """A newer generation replaces what is held; an older one never does."""
        if self._held is None or held.generation > self._held.generation:
            self._held = held
            self.ready = held if held.generation > self._rejected else None

    def leave(self, waiter: Waiter) -> None:
        with self.pool.lock:
            flight = self._flight
            if flight is not None:
                flight.waiters.discard(waiter)

    def _result(self, waiter: Waiter, patience_s: float) -> Held | None:
        if waiter.done:  # looked at first: the outcome is there before it
            if isinstance(waiter.outcome, GatepassError):
                raise waiter.outcome.again()
            return waiter.outcome
        last = f" The last attempt: {self.failure}" if self.failure is not None else ""
        msg = f"No token within {patience_s:g} s; the request for one goes on.{last}"
        raise UnreachableError(msg, code="deadline", retryable=True, retry_at=self.world.now().wall)

    def _remaining_s(self, now: Instant) -> float:
        held = self._held
        if held is None:
            return 0.0
        return max(0.0, min(held.usable_until.mono - now.mono, held.usable_until.wall - now.wall))


def _made(held: Held | None) -> Held:
    if held is None:
        msg = "gatepass failed unexpectedly: a renewal ended without a token. Please report this."
        raise GatepassError(msg, code="internal")
    return held
