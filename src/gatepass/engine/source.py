"""The source: the token of one identity at one resource, as its callers see it.

    fresh   -> `ready` holds it; nothing else happens
    stale   -> served, and one flight renews it behind
    else    -> callers join the one flight, each with its own patience

What callers and the flight both change is guarded by the pool's lock, which is held for moments and never while
anything is sent or read. What only the flight changes needs none: there is one at a time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn, TypeVar

import msgspec

from gatepass.core.secret import Secret
from gatepass.dpop import proof_key
from gatepass.engine.binding import Binding
from gatepass.engine.flight import Flight
from gatepass.engine.shelf import Shelf
from gatepass.engine.wake import ThreadWaiter, Waiter, task_waiter
from gatepass.engine.wording import is_closed, token_loaded, token_rejected, token_used, waited
from gatepass.engine.work import A_DAY_S, do, do_async
from gatepass.errors import GatepassError, UnreachableError
from gatepass.keys.thumbprint import thumbprint
from gatepass.lifecycle.failures import Failures
from gatepass.lifecycle.hand import Hand, same
from gatepass.lifecycle.policy import Held, Policy, State, asked_for, decide, hold
from gatepass.lifecycle.record import TokenRecord, ttl_at
from gatepass.lifecycle.step_up import StepUps
from gatepass.protocol.scope import Scopes, union
from gatepass.protocol.urls import covers, origin

if TYPE_CHECKING:
    from collections.abc import Callable

    from gatepass.core.target import Target
    from gatepass.core.world import Instant, PrivateKey, Signer
    from gatepass.discovery import Discovery
    from gatepass.engine.pool import Pool
    from gatepass.engine.world import RealWorld
    from gatepass.profiles.base import Profile
    from gatepass.protocol.challenge import ResourceChallenge
    from gatepass.stores.base import Store

__all__ = ["Source"]

AnyWaiter = TypeVar("AnyWaiter", bound=Waiter)
T = TypeVar("T")


class Source:
    """Makes and keeps the token of one identity. Safe from threads, event loops and forked children.

    Attributes:
        ready: a token to use while its `fresh_until` lies ahead; None sends callers to `get`. Read without a lock.
        nonce: the resource's newest DPoP nonce (RFC 9449 §9), once it gave one.
        challenge: the resource's last challenge, once one is known.
        discovery: what was discovered, once it is known.
        failures: what failed since the last token.
        hand: the token at hand, and those that the resource refused.
        binding: what tokens are bound to.
        watched: somebody is told of each use of a token.
        closed: no more tokens are made; the one at hand still serves.
        forced: the access token of the last renewal that a refusal forced.
        behind: somebody else who shares the store renews it just now.
        rediscover: what is kept of an earlier discovery is not to be trusted.
    """

    def __init__(
        self,
        *,
        profile: Profile,
        target: Target,
        store: Store,
        world: RealWorld,
        pool: Pool,
        policy: Policy,
        dpop: PrivateKey | Signer | bool = False,
        watched: bool = False,
    ) -> None:
        self.profile = profile
        self.target = target
        self.world = world
        self.pool = pool
        self.policy = policy
        self.shelf = Shelf(store, target, (*profile.identity, *(("dpop",) if dpop else ())), world)
        world.shelf = self.shelf
        self.binding = Binding(dpop, world, self.shelf)
        self.ready: Held | None = None
        self.nonce: str | None = None
        self.challenge: ResourceChallenge | None = None
        self.discovery: Discovery | None = None
        self.rediscover = False
        self.closed = False
        self.forced: str | None = None
        self.behind = False
        self.watched = watched
        self.failures = Failures(policy)
        self.hand = Hand()
        self._flight: Flight | None = None
        self._farewells: set[Waiter] = set()
        self._loaded = False
        self._forced_mono = float("-inf")
        self._epoch = pool.epoch
        self._step_ups = StepUps(None if target.step_up else target.scopes, policy)

    # What callers do.

    def get(self, patience_s: float, needs: Scopes = (), min_ttl_s: float = 0.0) -> Held:
        """A usable token, made if need be; blocks the calling thread.

        Args:
            patience_s: how long to wait for one, in seconds.
            needs: the scopes that it must have been asked for with.
            min_ttl_s: how long it is to live from now on, in seconds, if the server gives such.

        Raises:
            GatepassError: no token could be had; the reason.
        """
        until = self.world.now().mono + patience_s
        held = _made(self._wait(patience_s, needs=needs))
        if not self._ends_too_soon(held, min_ttl_s):
            return held
        left_s = max(0.0, until - self.world.now().mono)
        return _made(self._wait(left_s, needs=needs, instead_of=held))

    def get_or_bare(self, patience_s: float) -> Held | None:
        """As `get`; but None while nothing says which scopes to ask for, so that a bare request should go first."""
        return self._wait(patience_s, bare_ok=True)

    async def aget(self, patience_s: float, needs: Scopes = (), min_ttl_s: float = 0.0) -> Held:
        """As `get`, for a task of asyncio or trio."""
        until = self.world.now().mono + patience_s
        held = _made(await self._await(patience_s, needs=needs))
        if not self._ends_too_soon(held, min_ttl_s):
            return held
        left_s = max(0.0, until - self.world.now().mono)
        return _made(await self._await(left_s, needs=needs, instead_of=held))

    async def aget_or_bare(self, patience_s: float) -> Held | None:
        """As `get_or_bare`, for a task of asyncio or trio."""
        return await self._await(patience_s, bare_ok=True)

    def do(self, job: Callable[[], T], patience_s: float = A_DAY_S) -> T:
        """What a job on a worker gives; blocks the calling thread. For what must not be done in an event loop.

        Args:
            job: what is to be done; as a rule, it has time-outs of its own.
            patience_s: how long to wait for it, in seconds.

        Raises:
            GatepassError: what the job raised, or it took too long.
        """
        return do(self.pool, origin(self.target.endpoint), job, patience_s)

    async def ado(self, job: Callable[[], T], patience_s: float = A_DAY_S) -> T:
        """As `do`, for a task of asyncio or trio."""
        return await do_async(self.pool, origin(self.target.endpoint), job, patience_s)

    def _wait(
        self, patience_s: float, *, bare_ok: bool = False, needs: Scopes = (), instead_of: Held | None = None
    ) -> Held | None:
        joined = self.join(ThreadWaiter, patience_s, bare_ok=bare_ok, needs=needs, instead_of=instead_of)
        if joined is None or isinstance(joined, Held):
            return joined
        self.pool.help(lambda: joined.done, patience_s)
        try:
            joined.wait(joined.until - self.world.now().mono)
        finally:
            self.leave(joined)
        return self._outcome(joined, patience_s)

    async def _await(
        self, patience_s: float, *, bare_ok: bool = False, needs: Scopes = (), instead_of: Held | None = None
    ) -> Held | None:
        joined = self.join(task_waiter, patience_s, bare_ok=bare_ok, needs=needs, instead_of=instead_of)
        if joined is None or isinstance(joined, Held):
            return joined
        self.pool.help(lambda: joined.done, patience_s)
        try:
            await joined.wait(joined.until - self.world.now().mono)
        finally:
            self.leave(joined)
        return self._outcome(joined, patience_s)

    def join(
        self,
        make_waiter: Callable[[float, bool], AnyWaiter],
        patience_s: float,
        *,
        bare_ok: bool,
        needs: Scopes = (),
        instead_of: Held | None = None,
    ) -> Held | AnyWaiter | None:
        """A token that can be served now, or a place among those who wait for one; None for a bare request.

        Args:
            make_waiter: makes the waiter, given when its patience ends (monotonic) and `bare_ok`.
            patience_s: how long the caller would wait, in seconds.
            bare_ok: see `get_or_bare`.
            needs: see `get`.
            instead_of: a token that serves, but not this caller.

        Raises:
            GatepassError: the last failure, when there will be no other attempt within the caller's patience.
        """
        now = self.world.now()
        with self.pool.lock:
            held = self.held
            fits = held is None or (asked_for(held, needs) and not same(held, instead_of))
            state = decide(held, now) if fits else State.ABSENT
            flight = self._live_flight()
            refused = self._refused
            if refused and flight is None and self.failures.last is None and not self._may_force(now):
                refused = False  # renewed by force just now: what we have is the best there is
            if held is not None and not refused and state is State.FRESH:
                return held
            if held is not None and not refused and state is State.STALE:
                if flight is None and not self.closed and now.mono >= self.failures.not_before_mono:
                    flight = self._flight = Flight(self)
                    flight.wanted = True
                waiter: AnyWaiter | None = None
            else:
                if flight is None and self.closed:
                    raise is_closed()
                if bare_ok and flight is None and self._loaded and not self.can_ask_first:
                    return None
                if flight is None:
                    delay_s, last = self.failures.retry_in_s(now), self.failures.last
                    if last is not None and delay_s > patience_s and not self.shelf.shared:
                        raise last.again()
                    flight = self._force() if refused and self._may_force(now) else Flight(self)
                    flight.delay_s = delay_s
                    self._flight = flight
                waiter = make_waiter(now.mono + patience_s, bare_ok)
                waiter.needs, waiter.instead_of = needs, instead_of
                flight.needs = union(flight.needs, needs)
                flight.instead_of = instead_of or flight.instead_of
                flight.wanted = flight.wanted or not bare_ok
                flight.waiters.add(waiter)
        if flight is not None:
            flight.launch()
        return held if waiter is None else waiter

    def leave(self, waiter: Waiter) -> None:
        """A caller waits no longer."""
        with self.pool.lock:
            flight = self._flight
            if flight is not None:
                flight.waiters.discard(waiter)

    def _outcome(self, waiter: Waiter, patience_s: float) -> Held | None:
        outcome = waiter.outcome if waiter.done else self._too_late(patience_s)  # `done` comes after the outcome
        for_s = self.world.now().mono - (waiter.until - patience_s)
        self.world.notice(waited(for_s, outcome if isinstance(outcome, GatepassError) else None))
        if isinstance(outcome, GatepassError):
            raise outcome.again()
        return outcome

    def _too_late(self, patience_s: float) -> UnreachableError:
        last = f" The last attempt: {self.failures.last}" if self.failures.last is not None else ""
        goes_on = "another process that shares the store asks for it" if self.behind else "the request for one goes on"
        msg = f"No token within {patience_s:g} s; {goes_on}.{last}"
        return UnreachableError(msg, code="deadline", retryable=True, retry_at=self.world.now().wall)

    def challenged(self, challenge: ResourceChallenge | None) -> None:
        """The resource asked for a token: remember what it said, and the scopes of before if it named none."""
        if challenge is None:
            return
        with self.pool.lock:
            if challenge.scope is None and self.challenge is not None:
                challenge = msgspec.structs.replace(challenge, scope=self.challenge.scope)
            self.challenge = challenge

    def reject(self, refused: Held) -> bool:
        """The resource refused that token; whether another one can be had for a replay."""
        now = self.world.now()
        with self.pool.lock:
            held = self.held
            if held is not None and not same(held, refused) and not self._refused:
                return True
            news = self.hand.refuse(refused)
            self.ready = None
            flight = self._live_flight()
            if flight is None and not self.closed and self._may_force(now):
                flight = self._force()
            if flight is not None:
                flight.wanted = flight.awaited = True
        if news:
            self.world.notice(token_rejected(refused, now))
        if flight is not None:
            flight.launch()
        return flight is not None

    def _ends_too_soon(self, held: Held, min_ttl_s: float) -> bool:
        """Whether that token has less life left than is wanted, and another one would have more.

        Where none is usable for so long, one with half of its life ahead is as good as the next.
        """
        ttl_s, lifetime_s = ttl_at(held.record, self.world.now().wall), held.record.lifetime_s
        if min_ttl_s <= 0 or ttl_s is None or lifetime_s is None:
            return False
        longest_s = lifetime_s - min(self.policy.margin_s, self.policy.margin_share * lifetime_s)
        return ttl_s < (min_ttl_s if min_ttl_s <= longest_s else lifetime_s / 2)

    def step_up(self, held: Held, challenge: ResourceChallenge, operation: str) -> Scopes | None:
        """The resource wants more scopes than the token has (RFC 6750 §3.1): those to ask for, or None if it is no use.

        Args:
            held: the token that did not do.
            challenge: what the resource said.
            operation: what was tried there.
        """
        with self.pool.lock:
            latest = self.held or held
            asked = latest.record.requested
            wanted = challenge.scope or ()
            if (
                latest.generation > held.generation
                and set(wanted) <= set(asked)
                and not set(wanted) <= set(held.record.requested)
            ):
                return asked  # another request has stepped up meanwhile
            return self._step_ups.wanted(asked, wanted, operation, self.world.now())

    def stepped_up(self, held: Held, operation: str) -> None:
        """A token with more scopes was had for that operation."""
        with self.pool.lock:
            self._step_ups.brought(operation, held.generation)

    def forget(self) -> Held | None:
        """Forget the token, here; what it was. A renewal under way comes to nothing, as whoever waits for it hears."""
        waiters: set[Waiter] = set()
        with self.pool.lock:
            held, self.ready = self.hand.drop(), None
            flight = self._live_flight()
            self._flight = None
            self._step_ups = StepUps(None if self.target.step_up else self.target.scopes, self.policy)
            self.failures.clear()
            self._forced_mono = float("-inf")
            if flight is not None:
                flight.called_off = True
                waiters, flight.waiters = flight.waiters, set()
        for waiter in waiters:
            waiter.settle(GatepassError("The token was forgotten while it was on its way.", code="forgotten"))
        self._say_farewell()
        return held

    def close(self, patience_s: float) -> None:
        """Make no more tokens, and wait for the one that is on its way; blocks the calling thread.

        Args:
            patience_s: how long to wait, in seconds.
        """
        farewell = self._closing(ThreadWaiter, patience_s)
        if farewell is not None:
            self.pool.help(lambda: farewell.done, patience_s)
            farewell.wait(patience_s)

    async def aclose(self, patience_s: float) -> None:
        """As `close`, for a task of asyncio or trio."""
        farewell = self._closing(task_waiter, patience_s)
        if farewell is not None:
            self.pool.help(lambda: farewell.done, patience_s)
            await farewell.wait(patience_s)

    def _closing(self, make_waiter: Callable[[float, bool], AnyWaiter], patience_s: float) -> AnyWaiter | None:
        """Call off a renewal that only waits for its time; a waiter for the end of one whose answer may be coming."""
        waiters: set[Waiter] = set()
        farewell: AnyWaiter | None = None
        with self.pool.lock:
            self.closed = True
            flight = self._live_flight()
            if flight is not None and flight.busy:
                farewell = make_waiter(self.world.now().mono + patience_s, False)
                self._farewells.add(farewell)
            elif flight is not None:
                self._flight = None
                flight.called_off = True
                waiters, flight.waiters = flight.waiters, set()
        for waiter in waiters:
            waiter.settle(is_closed())
        return farewell

    def _say_farewell(self) -> None:
        """Wake those who wait for the end of the last renewal."""
        farewells: set[Waiter] = set()
        with self.pool.lock:
            if self._flight is None:
                farewells, self._farewells = self._farewells, farewells
        for farewell in farewells:
            farewell.settle(None)

    def used(self, held: Held) -> None:
        """A token goes along with a request. Told to who watches, and else to nobody: it is on the hot path."""
        self.world.notice(token_used(held, self.world.now()))

    def stored(self) -> Held | None:
        """What the store has for this identity; None unless it fits."""
        signer = self.binding.signer()  # first: it tells the shelf the token's name
        record = self.shelf.token()
        if record is not None:
            self.hand.heard_of(record.generation)
        return self.placed(record, signer)

    def placed(self, record: TokenRecord | None, signer: Signer | None) -> Held | None:
        """A stored token on the clocks of this process; None unless it fits."""
        if record is None or self.hand.refuses(record.access_token) or not self._fits(record, signer):
            return None
        key = None if signer is None or record.key_algorithm is None else proof_key(signer, (record.key_algorithm,))
        return hold(record, self.world.now(), self.policy, self.share(), key)

    def _fits(self, record: TokenRecord, signer: Signer | None) -> bool:
        """Whether a stored token is for this resource, from the pinned issuer, and bound to our key if we have one."""
        target = self.target
        return (
            (target.issuer is None or record.issuer == target.issuer)
            and (target.resource is not None or covers(record.resource, target.endpoint))
            and record.key_thumbprint == (None if signer is None else thumbprint(signer.public_jwk))
        )

    def share(self) -> float:
        """A random number from 0 to 1."""
        return int.from_bytes(self.world.random_bytes(4), "big") / 0xFFFF_FFFF

    # What a flight reports.

    def retire(self, flight: Flight) -> bool:
        """End a flight that nobody is aboard of; False if somebody has just come."""
        with self.pool.lock:
            if flight.waiters:
                return False
            if self._flight is flight:
                self._flight = None
        self._say_farewell()
        return True

    def remember(self, challenge: ResourceChallenge | None) -> None:
        """A challenge that was kept earlier; one that the resource has just given stands."""
        with self.pool.lock:
            self.challenge = self.challenge or challenge

    def loaded(self, held: Held | None) -> None:
        """The store has been asked; what it had, if that is better than ours."""
        with self.pool.lock:
            self._loaded = True
            news = held is not None and self.hand.prefers(held, self.world.now())
            if news and held is not None:
                self._hold(held)
            if held is not None and held.record.refresh_token is None and same(held, self.held):
                self.hand.spend(held)  # somebody has taken its refresh token to spend it
        if news and held is not None:
            self.world.notice(token_loaded(held, self.world.now()))

    def refresh_token(self, issuer: str) -> Secret | None:
        """What the next token is to be asked for with at that server, if the last one came with something for it."""
        held, refresh_token = self.held, self.hand.refresh_token
        if held is None or refresh_token is None or held.record.issuer != issuer:
            return None
        if self._epoch != self.pool.epoch and not self.shelf.shared:
            return None  # a forked child has a copy of it, and nothing to agree by with its parent on who spends it
        return Secret(refresh_token)

    def refresh_refused(self) -> None:
        """The refresh token at hand is not to be used again."""
        if self.held is not None:
            self.hand.spend(self.held)

    def scopes_refused(self, scopes: Scopes) -> None:
        """The authorization server does not give these."""
        with self.pool.lock:
            self._step_ups.refused(scopes, self.world.now())

    def remaining_s(self, now: Instant) -> float:
        """What is left of the usable life of the token at hand, in seconds; 0 if there is none."""
        held = self.held
        if held is None:
            return 0.0
        return max(0.0, min(held.usable_until.mono - now.mono, held.usable_until.wall - now.wall))

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """Every secret that a token request depends on."""
        return (*self.profile.secrets, *self.binding.secrets)

    @property
    def held(self) -> Held | None:
        """The token at hand, whatever its state."""
        return self.hand.held

    @property
    def renewing(self) -> bool:
        """Whether a renewal is under way here."""
        with self.pool.lock:
            return self._live_flight() is not None

    @property
    def can_ask_first(self) -> bool:
        """Whether it is known what to ask for, so that a token can be fetched before the first request."""
        return self.target.scopes is not None or self.challenge is not None or self.held is not None

    def landed(self, flight: Flight, outcome: Held | GatepassError, failure: GatepassError | None = None) -> bool:
        """The flight is over: everybody aboard gets its outcome. Whether that was wanted still.

        Args:
            flight: the one that is over.
            outcome: what came of it.
            failure: for those whom the outcome does not suit: why there is none with more scopes, or a longer life.
        """
        with self.pool.lock:
            wanted = not flight.called_off
            if wanted and isinstance(outcome, Held):
                self._hold(outcome)
            if self._flight is flight:
                self._flight = None
            waiters, flight.waiters = flight.waiters, set()
        for waiter in waiters:
            waiter.settle(failure if failure is not None and not waiter.suits(outcome) else outcome)
        self._say_farewell()
        return wanted

    def minting(self, now: Instant) -> bool:
        """A token is about to be asked for; whether the resource forces that, so that the next time has to wait."""
        if self._refused:
            self._forced_mono = now.mono
        return self._refused

    def failed(self, error: GatepassError) -> tuple[GatepassError, float]:
        """A mint failed. The error with the time of the next try, and how long that is away in seconds."""
        now = self.world.now()
        return self.failures.add(error, now, remaining_s=self.remaining_s(now), share=self.share())

    # How the state moves. The lock is held.

    def _live_flight(self) -> Flight | None:
        """The flight under way; one that a fork left behind in the parent is none."""
        if self._flight is not None and self._flight.epoch != self.pool.epoch:
            self._flight = None
        return self._flight

    def _may_force(self, now: Instant) -> bool:
        return now.mono - self._forced_mono >= self.policy.forced_interval_s

    def _force(self) -> Flight:
        """A renewal because the resource refused: its authorization server may have moved, so look again."""
        self.discovery = None
        self.rediscover = True
        self._flight = Flight(self)
        return self._flight

    def _hold(self, held: Held) -> None:
        self.hand.hold(held)
        self._epoch = self.pool.epoch
        self.ready = None if self._refused else held

    @property
    def _refused(self) -> bool:
        """Whether the resource refused the token at hand."""
        return self.held is not None and self.hand.refuses(self.held.record.access_token)

    def __reduce__(self) -> NoReturn:
        msg = "A Source can't be pickled or copied: it holds secrets."
        raise TypeError(msg)


def _made(held: Held | None) -> Held:
    if held is None:
        msg = "gatepass failed unexpectedly: a renewal ended without a token. Please report this."
        raise GatepassError(msg, code="internal")
    return held
