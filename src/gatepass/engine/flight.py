"""The flight: one renewal of one token, from the moment somebody wants it until everybody aboard has the outcome.

    load what others kept -> (has it just failed?) -> take the lease -> discover -> mint -> keep it -> land

It belongs to the engine, not to a caller: cancelling a caller changes nothing. It runs on a worker, and where it has to
wait it goes back into the queue.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from gatepass.core.world import Notice
from gatepass.discovery import discover
from gatepass.dpop import proof_key
from gatepass.engine.sign_out import revoked
from gatepass.engine.wording import (
    attempt_failed,
    bug_of_ours,
    is_closed,
    lease_busy,
    lease_taken,
    still_known,
    still_usable,
    there_is_none,
    token_obtained,
    without_steps,
)
from gatepass.errors import ConfigurationError, GatepassError, RemoteError, SignInRequiredError, StoreError
from gatepass.lifecycle.hand import same
from gatepass.lifecycle.policy import Held, State, asked_for, decide, hold, pause_s, still_paused_s
from gatepass.lifecycle.record import Pause, TokenRecord
from gatepass.profiles.base import Known
from gatepass.profiles.obtain import obtain, renew, scopes_wanted
from gatepass.protocol.scope import union
from gatepass.protocol.urls import origin, shown

if TYPE_CHECKING:
    from gatepass.core.world import Instant
    from gatepass.discovery import Discovery
    from gatepass.dpop import ProofKey
    from gatepass.engine.source import Source
    from gatepass.engine.wake import Waiter
    from gatepass.profiles.base import Obtained
    from gatepass.protocol.scope import Scopes
    from gatepass.stores.base import Lease

__all__ = ["Flight"]

_LEASE_POLL_S = (0.050, 0.250)
_PROMPT_S = 1.0
"""A lease that has been had for longer is taken again before a token is asked for: discovery may have outlasted it."""
_LOOK_AGAIN_S = 1.0
"""While a failure is waited out: how far apart the looks into a shared store are."""
_LEASE_S = 5.0
"""Longer than a renewal takes, shorter than a caller's patience: a holder that died delays nobody past its deadline."""
_MAKE_DO_S = 60.0
"""How long metadata that has expired, and can't be read again, stays in use until that is tried once more."""
_REQUESTS_OF_A_RENEWAL = 3
"""The request, once more with a nonce, once more where the endpoint has moved to."""


class Flight:
    """One renewal. Its fields are guarded by the pool's lock until it is launched.

    Attributes:
        waiters: who waits for the outcome.
        wanted: somebody needs a token, not just a look into the store.
        awaited: somebody waits for the outcome, so that a person may be asked.
        needs: the scopes that the token must be asked for with, beyond the usual ones.
        instead_of: a token that serves, but not somebody aboard, who needs one that lives longer.
        called_off: the token was forgotten meanwhile, or its `Auth` closed; what comes is for nobody.
        busy: how many workers are at it: one, or none while it waits for its time.
        delay_s: when to take off, in seconds from the launch.
        epoch: the pool's epoch at its start.
    """

    __slots__ = (
        "_attempts",
        "_began",
        "_launched",
        "_lease",
        "_leased_mono",
        "_modest",
        "_not_before_mono",
        "_reread",
        "_source",
        "_unleased",
        "awaited",
        "busy",
        "called_off",
        "delay_s",
        "epoch",
        "instead_of",
        "needs",
        "waiters",
        "wanted",
    )

    def __init__(self, source: Source) -> None:
        self._source = source
        self._attempts = 0
        self._began: Instant | None = None
        self._launched = False
        self._modest = False
        self._not_before_mono = float("-inf")
        self._reread = False
        self._unleased = False
        self._lease: Lease | None = None
        self._leased_mono = float("-inf")
        self.waiters: set[Waiter] = set()
        self.wanted = False
        self.awaited = False
        self.needs: tuple[str, ...] = ()
        self.instead_of: Held | None = None
        self.called_off = False
        self.busy = 0
        self.delay_s = 0.0
        self.epoch = source.pool.epoch

    def launch(self) -> None:
        """Hand the flight to the pool, the first time it is called."""
        with self._source.pool.lock:
            if self._launched:
                return
            self._launched = True
        self._not_before_mono = self._source.world.now().mono + self.delay_s
        self._again_in(0 if self._source.shelf.shared else self.delay_s)

    def _again_in(self, delay_s: float) -> None:
        source = self._source
        known = source.discovery
        server = (known.server.token_endpoint if known else None) or source.target.issuer or source.target.endpoint
        if delay_s > 0 and source.closed:
            self._land(is_closed())
        elif delay_s > 0:
            source.pool.run_later(delay_s, origin(server), self._run)
        else:
            source.pool.run(origin(server), self._run)

    def _run(self) -> None:
        """One stretch on a worker. Whatever happens, somebody hears of it, and nobody sees this stack's locals."""
        with self._source.pool.lock:
            if self.called_off:
                return
            self.busy += 1
        try:
            failure = self._try()
            if failure is not None:
                self._give_back()
                self._fail(failure)
        except BaseException as leaving:  # a bug, or Ctrl-C in a thread that mints for want of workers
            self._source.landed(self, bug_of_ours(leaving))  # leave nobody behind; the lease lapses in its time
            raise
        finally:
            with self._source.pool.lock:
                self.busy -= 1

    def _try(self) -> GatepassError | None:
        """Advance; what stopped it, without the frames that may hold a secret."""
        try:
            self._advance()
        except GatepassError as failure:
            error = failure.again()
            failure.with_traceback(None)
        except Exception as bug:  # noqa: BLE001 - told to every waiter as an error of ours
            error = bug_of_ours(bug)
        else:
            return None
        return error

    def _advance(self) -> None:
        source = self._source
        now = source.world.now()
        self._load()
        if self._serve(now):
            return
        while not self._stay():
            if source.retire(self):
                return
        if self._too_early(now):
            return
        standing = source.failures.standing(now)
        if standing is not None and not source.world.changed(source.secrets):
            source.failures.postpone(now)
            self._land(standing)
            return
        if self._paused(now):
            return
        if self._take_lease(now):
            self._mint()

    def _load(self) -> None:
        """What this identity, here or elsewhere, kept earlier."""
        source, shelf = self._source, self._source.shelf
        if source.challenge is None:
            source.remember(shelf.challenge())
        if source.discovery is None and not source.rediscover:
            source.discovery = shelf.discovery()
        source.loaded(source.stored())

    def _serve(self, now: Instant) -> bool:
        """Give the token at hand, if it will do, to whoever waits; whether it is fresh, so that all is done."""
        source, held = self._source, self._serving(now)
        if held is None:
            return False
        if decide(held, now) is State.FRESH:
            self._land(held)
            return True
        with source.pool.lock:
            waiters, self.waiters = self.waiters, set()
            self.wanted = True
        for waiter in waiters:
            waiter.settle(held)
        return False

    def _serving(self, now: Instant) -> Held | None:
        """The token at hand, if it will do for all aboard."""
        held = self._source.held
        if held is None or not self._source.hand.usable(held, now) or same(held, self.instead_of):
            return None
        return held if asked_for(held, self.needs) else None

    def _stay(self) -> bool:
        """Let those go who would rather send a bare request first; whether anybody wants a token made."""
        source = self._source
        with source.pool.lock:
            leaving = {waiter for waiter in self.waiters if waiter.bare_ok and not source.can_ask_first}
            self.waiters -= leaving
            self.wanted = self.wanted or bool(self.waiters)
        for waiter in leaving:
            waiter.settle(None)
        return self.wanted

    def _too_early(self, now: Instant) -> bool:
        """Whether a failure is still waited out. Others who share the store may have a token before that."""
        source, wait_s = self._source, self._not_before_mono - now.mono
        if wait_s <= 0:
            return False
        with source.pool.lock:
            hopeless = {waiter for waiter in self.waiters if waiter.until < self._not_before_mono}
            self.waiters -= hopeless
        for waiter in hopeless:
            waiter.settle(source.failures.last)
        if not source.retire(self):
            self._again_in(min(wait_s, _LOOK_AGAIN_S) if source.shelf.shared else wait_s)
        return True

    def _paused(self, now: Instant) -> bool:
        """Whether the authorization server has just failed another who shares our token, which still serves."""
        source, held = self._source, self._serving(now)
        pause = source.shelf.pause() if held is not None and source.shelf.shared else None
        if held is None or pause is None or pause.began_at < held.record.obtained_at:
            return False
        wait_s = still_paused_s(pause, now, source.policy)
        if wait_s <= 0:
            return False
        wait_s = min(wait_s, source.remaining_s(now)) + source.share() * source.policy.back_off_first_s
        source.failures.postpone(now, wait_s)
        self._land(held)
        return True

    def _take_lease(self, now: Instant) -> bool:
        """Where others share the store, one of them renews. Without an answer from the store, go on alone.

        A refresh token may be shared with another `Auth` of this process, whatever the store.
        """
        source = self._source
        source.behind = False
        if self._lease is None and not (source.shelf.shared or self._spends()):
            return True
        if self._lease is not None and now.mono < self._leased_mono + _PROMPT_S:
            return True
        self._leased_mono = now.mono
        try:
            self._lease = source.shelf.lease(self._lease_s(), self._lease)
            self._unleased = False
        except StoreError as failure:
            self._unleased = self._spends()
            if not (self._unleased and source.profile.traits.attended):
                return True
            self._attempts += 1
            error = failure.with_(retryable=True)
        else:
            return self._go_on_with_lease(now)
        raise error  # a refresh token that two use at once may be revoked, and all that came of it

    def _go_on_with_lease(self, now: Instant) -> bool:
        """Whether the lease is ours, and there still is something to renew."""
        source = self._source
        source.behind = self._lease is None
        if self._lease is not None:
            source.world.notice(lease_taken(self._lease))
            return not self._renewed_meanwhile(now)
        source.world.notice(lease_busy())
        held = self._serving(now)
        if held is not None:
            source.failures.postpone(now)
            self._land(held)  # stale: somebody else renews it, and we go on with what we have
        elif not source.retire(self):  # where nobody waits any more, whoever comes next looks again
            low, high = _LEASE_POLL_S
            self._again_in(low + source.share() * (high - low))
        return False

    def _renewed_meanwhile(self, now: Instant) -> bool:
        """Between the look into the store and the lease, the last holder may have finished."""
        self._load()
        return self._serve(now)

    def _spends(self) -> bool:
        """Whether this renewal uses up a refresh token."""
        held = self._source.held
        return held is not None and self._source.refresh_token(held.record.issuer) is not None

    def _lease_s(self) -> float:
        """How long nobody else should ask for this token."""
        source = self._source
        if source.profile.traits.attended and self._spends():  # nobody may use it while its answer can be on the way
            return max(_LEASE_S, _REQUESTS_OF_A_RENEWAL * source.world.request_timeout_s)
        return source.profile.traits.patience_s if source.profile.traits.attended else _LEASE_S

    def _mint(self) -> None:
        source = self._source
        self._attempts += 1
        self._began = source.world.now()
        forced = source.minting(self._began)
        discovery = self._discovered()
        if self._lease is not None and not self._take_lease(source.world.now()):
            return
        known = self._known(discovery)
        renewed = self._renewed(known)
        obtained = renewed or obtain(source.world, source.profile, known)
        record = self._record(obtained, known)
        if self.called_off:
            self._undo(record, kept=False)
            return
        source.forced = record.access_token if forced else None
        now = source.world.now()
        held = hold(record, now, source.policy, source.share(), known.proof_key)
        if record.refresh_token is not None or decide(held, now) is not State.EXPIRED:
            source.shelf.keep_token(record, self._lease)  # first of all: the refresh token of before may be spent
        self._learn(obtained.discovery)
        if self.called_off:
            self._undo(record, kept=True)
            return
        if source.challenge is not None:
            source.shelf.keep_challenge(source.challenge)
        source.failures.clear()
        self._give_back()
        by = type(source.profile).__name__ if renewed is None else "refresh_token"
        source.world.notice(token_obtained(record, by=by, took_s=now.mono - self._began.mono))
        if not source.landed(self, held):  # called off just now
            self._undo(record, kept=True)

    def _undo(self, record: TokenRecord, *, kept: bool) -> None:
        """The token was forgotten while the next one was on its way: nobody is to have that, either."""
        drop = (self._source.shelf.drop_token,) if kept else ()
        for step in (*drop, lambda: revoked(self._source, record)):
            with suppress(GatepassError):  # whoever signed out has heard of the same trouble
                step()
        self._give_back()

    def _known(self, discovery: Discovery) -> Known:
        """All that is known before the token is asked for."""
        source = self._source
        self.awaited = self.awaited or bool(self.waiters)
        return Known(
            target=source.target,
            discovery=discovery,
            challenge=source.challenge,
            stepped=union(self._stepped(), self.needs),
            proof_key=self._proof_key(discovery),
            awaited=self.awaited,
        )

    def _stepped(self) -> Scopes:
        """The scopes that the last token was asked for with beyond the usual ones."""
        held = self._source.held
        return held.record.stepped if held and not self._modest else ()

    def _proof_key(self, discovery: Discovery) -> ProofKey | None:
        """The key that the token is to be bound to."""
        signer = self._source.binding.signer()
        if signer is not None:
            return proof_key(signer, discovery.server.dpop_signing_alg_values_supported, discovery.dpop_algorithms)
        if discovery.dpop_required:
            msg = f"{discovery.resource} takes only tokens that are bound to a key (RFC 9449): give dpop=True."
            raise ConfigurationError(msg, code="dpop_required")
        return None

    def _renewed(self, known: Known) -> Obtained | None:
        """By the refresh token of the last token, unless others may use it or more is wanted than was asked for then.

        That the usual scopes are other ones by now is no reason to ask a person again. Where nobody has to be asked, a
        refresh token is tried once: it leaves the store first, so that if we are killed, or no answer comes, nobody
        tries it again that a server may have taken already. In the place of asking a person, it is worth another try.
        """
        source, held = self._source, self._source.held
        wanted = known.stepped if source.profile.traits.attended else scopes_wanted(known)
        refresh_token = source.refresh_token(known.discovery.server.issuer)
        if held is None or refresh_token is None or self._unleased or not asked_for(held, wanted):
            return None
        once = not source.profile.traits.attended
        if once and not source.shelf.withdraw_refresh_token(held.record, self._lease):
            return None
        try:
            obtained = renew(source.world, source.profile, known, refresh_token, held.record.client_id)
        except GatepassError:
            if once:
                source.refresh_refused()  # who knows how far it got
            raise
        if obtained is None:
            source.refresh_refused()
            if not once:  # nobody else is to try it
                source.shelf.withdraw_refresh_token(held.record, self._lease)
            self._prolong()
        return obtained

    def _prolong(self) -> None:
        """What comes now may take longer than what the lease was taken for."""
        if self._lease is not None:
            with suppress(StoreError):
                self._lease = self._source.shelf.lease(self._lease_s(), self._lease) or self._lease

    def _discovered(self) -> Discovery:
        """The way to the token endpoint: what is known while it is fresh, else found and kept, come what may after."""
        source, known = self._source, self._source.discovery
        if known is not None and known.fresh(source.world.now().wall):
            self._check_same_issuer(known)
            return known
        try:
            found = discover(source.world, source.target, source.challenge)
        except GatepassError as failure:
            if known is None or not failure.retryable:
                raise
            source.world.notice(still_known(failure))
            known = msgspec.structs.replace(known, fetched_at=source.world.now().wall, cache_s=_MAKE_DO_S)
            source.discovery = known
            return known
        self._check_same_issuer(found)
        self._learn(found)
        return found

    def _check_same_issuer(self, found: Discovery) -> None:
        """Credentials belong to the server that issued them (MCP, "Authorization Server Binding"; SEP-2352)."""
        source, issuer = self._source, found.server.issuer
        before = source.held.record.issuer if source.held else issuer
        if before == issuer or source.target.issuer is not None:
            return
        text = f"The resource now names the authorization server {shown(issuer)} in the place of {shown(before)}"
        if not source.profile.traits.portable:
            msg = f"{text}, where the credentials are from. If they are good there, too, pin it with issuer={issuer!r}."
            raise RemoteError(msg, code="issuer_changed", by="resource_server")
        source.world.notice(Notice(code="issuer_changed", text=f"{text}.", level="warning"))

    def _learn(self, discovery: Discovery) -> None:
        source = self._source
        if discovery is not source.discovery:
            source.discovery, source.rediscover = discovery, False
            source.shelf.keep_discovery(discovery)

    def _record(self, obtained: Obtained, known: Known) -> TokenRecord:
        source, token, key = self._source, obtained.issued.token, known.proof_key
        return TokenRecord(
            generation=source.hand.last + 1,
            access_token=token.access_token.reveal(),
            token_type=token.token_type,
            obtained_at=obtained.issued.sent.wall,
            lifetime_s=token.expires_in_s,
            refresh_in_s=token.refresh_in_s,
            scope=token.scope,
            requested=obtained.requested,
            issuer=obtained.discovery.server.issuer,
            resource=obtained.discovery.resource,
            stepped=known.stepped,
            refresh_token=token.refresh_token.reveal() if token.refresh_token else None,
            client_id=obtained.issued.client_id,
            key_thumbprint=key.thumbprint if key else None,
            key_algorithm=key.algorithm if key else None,
        )

    def _fail(self, error: GatepassError) -> None:
        """Try once more where that can help somebody in time; else say why there is no token."""
        source = self._source
        self._report(error)
        if self.called_off:
            return
        if error.error == "invalid_client" and not self._reread:
            self._reread = True
            if source.world.changed(source.secrets):
                self._again_in(0)
                return
        if isinstance(error, SignInRequiredError) and not self.awaited and self.waiters:
            self._again_in(0)  # somebody has come meanwhile, so that a person may be asked
            return
        if self.needs and not error.retryable:
            self._fail_step_up(error)
            return
        if error.error == "invalid_scope" and self._stepped():
            source.world.notice(without_steps(self._stepped(), error))
            self._modest = True
            self._again_in(0)
            return
        error, wait_s = source.failed(error)
        now = source.world.now()
        with source.pool.lock:
            patient = any(waiter.until > now.mono + wait_s for waiter in self.waiters)
        if error.retryable and patient and self._attempts < source.policy.attempts and not source.closed:
            self._not_before_mono = now.mono + wait_s
            self._again_in(min(wait_s, _LOOK_AGAIN_S) if source.shelf.shared else wait_s)
        else:
            self._give_up(error, wait_s)

    def _give_up(self, error: GatepassError, wait_s: float) -> None:
        """End without a new token, unless somebody else has been luckier: the one at hand serves, or there is none."""
        source, now = self._source, self._source.world.now()
        with suppress(GatepassError):
            self._load()
            if self._serve(now):
                return
        held = source.held
        if held is not None and source.hand.usable(held, now):
            if error.retryable and source.shelf.shared and not isinstance(error, StoreError):
                lasts_s = pause_s(wait_s, remaining_s=source.remaining_s(now), policy=source.policy)
                source.shelf.keep_pause(Pause(began_at=now.wall, lasts_s=lasts_s))
            source.world.notice(still_usable(error))
            source.landed(self, held, error)
        else:
            source.world.notice(there_is_none(error))
            self._land(error)

    def _report(self, error: GatepassError) -> None:
        """What stopped an attempt at the authorization server."""
        began, self._began = self._began, None
        if began is not None:
            took_s = self._source.world.now().mono - began.mono
            self._source.world.notice(attempt_failed(error, attempt=self._attempts, took_s=took_s))

    def _fail_step_up(self, error: GatepassError) -> None:
        """The server does not give more scopes: that concerns those who want them, and nobody else."""
        source = self._source
        requested = source.held.record.requested if source.held else ()
        source.scopes_refused(tuple(scope for scope in self.needs if scope not in requested))
        with source.pool.lock:
            ambitious = {waiter for waiter in self.waiters if waiter.needs}
            self.waiters -= ambitious
            self.needs = ()
        for waiter in ambitious:
            waiter.settle(error)
        if not source.retire(self):
            self._again_in(0)

    def _land(self, outcome: Held | GatepassError) -> None:
        self._give_back()  # first: whoever has the outcome may be at the end of its program
        self._source.landed(self, outcome)

    def _give_back(self) -> None:
        lease, self._lease = self._lease, None
        if lease is not None:
            self._source.shelf.give_back(lease)
