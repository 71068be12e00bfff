"""The life of one token in the engine, on a clock that the test turns."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from jar import Caller, Clock, Fragile, Jar, SharedMemory, served, waiting

from gatepass.errors import ConfigurationError, GatepassError, RemoteError, StoreError, UnreachableError
from gatepass.lifecycle.policy import Held
from gatepass.protocol.challenge import ResourceChallenge
from gatepass.stores.base import Entry, Lease
from gatepass.stores.memory import MemoryStore

BUSY = RemoteError("The server is busy.", code="token_endpoint_busy", status=503, retryable=True)
DOWN = UnreachableError("No answer.", code="unreachable", retryable=True)
REFUSED = RemoteError("No.", code="token_refused", error="invalid_client", status=401)
CHALLENGE = ResourceChallenge(scheme="bearer", resource_metadata=None, scope=("a",), error=None, error_description=None)


# Fresh, stale, expired.


def test_a_fresh_token_is_served_without_any_work() -> None:
    jar = Jar()
    first = jar.token()
    assert served(jar.call()) is first
    assert not jar.pool.busy
    assert jar.source.ready is first


def test_a_stale_token_is_served_at_once_while_one_renewal_runs_behind_it() -> None:
    jar = Jar()
    old = jar.token()
    jar.advance(800)
    assert [served(jar.call()) for _ in range(5)] == [old] * 5
    jar.pump()
    assert jar.mints == 2
    assert served(jar.call()).generation == old.generation + 1


def test_an_expired_token_is_not_served() -> None:
    jar = Jar()
    jar.token()
    jar.advance(991)
    caller = waiting(jar.call())
    jar.pump()
    assert served(caller.outcome).generation == 2


def test_a_hundred_callers_share_one_flight_and_each_is_woken_once() -> None:
    jar = Jar()
    callers = [waiting(jar.call()) for _ in range(100)]
    jar.pump()
    assert jar.mints == 1
    assert len({id(caller.outcome) for caller in callers}) == 1
    assert {caller.woken for caller in callers} == {1}


def test_the_lifetime_counts_from_the_moment_the_request_was_sent() -> None:
    jar = Jar()
    jar.profile.takes_s = 100.0
    token = jar.token()
    assert token.usable_until.mono == pytest.approx(jar.clock.mono - 100.0 + 990.0)


def test_a_token_that_lives_no_time_serves_those_who_wait_and_nobody_after() -> None:
    jar = Jar()
    jar.profile.default = 0.0
    first, second = waiting(jar.call()), waiting(jar.call())
    jar.pump()
    assert served(first.outcome) is served(second.outcome)
    assert isinstance(jar.call(), Caller)
    assert jar.store.read(jar.source.shelf.names[0]) is None


def test_a_caller_that_leaves_changes_nothing_for_the_others() -> None:
    jar = Jar()
    stays, leaves = waiting(jar.call()), waiting(jar.call())
    jar.source.leave(leaves)
    jar.pump()
    assert served(stays.outcome)
    assert leaves.woken == 0


def test_a_flight_that_everybody_left_still_brings_its_token() -> None:
    jar = Jar()
    jar.source.leave(waiting(jar.call()))
    jar.pump()
    assert served(jar.call()).generation == 1
    assert jar.mints == 1


def test_a_stale_failure_is_told_to_the_log_and_not_to_the_caller() -> None:
    jar = Jar()
    old = jar.token()
    jar.advance(800)
    jar.profile.answers = [DOWN]
    assert served(jar.call()) is old
    jar.pump()
    assert served(jar.call()) is old
    assert jar.world.notices[-1].code == "renewal_failed"


def test_while_a_renewal_fails_the_next_try_waits_for_its_time() -> None:
    jar = Jar()
    jar.token()
    jar.advance(800)
    jar.profile.default = DOWN
    jar.world.dice = 1.0
    for tries in (2, 2, 2):
        jar.call()
        jar.pump()
        assert jar.mints == tries
    jar.advance(1.01)
    jar.call()
    jar.pump()
    assert jar.mints == 3


def test_an_outage_as_long_as_the_token_lives_fails_no_call() -> None:
    jar = Jar()
    old = jar.token()
    jar.profile.default = DOWN
    while jar.clock.mono < old.usable_until.mono - 5:
        assert served(jar.call()) is old
        jar.advance(5)
    jar.profile.default = 1000.0
    jar.advance(61)
    assert jar.token().generation == 2


# Rejected by the resource.


def test_a_rejected_token_is_renewed_once_for_all_who_were_rejected() -> None:
    jar = Jar()
    old = jar.token()
    assert all(jar.source.reject(old) for _ in range(100))
    callers = [waiting(jar.call()) for _ in range(100)]
    jar.pump()
    assert jar.mints == 2
    assert {served(caller.outcome).generation for caller in callers} == {2}


def test_a_late_rejection_of_an_old_generation_costs_nothing() -> None:
    jar = Jar()
    old = jar.token()
    jar.source.reject(old)
    jar.pump()
    assert jar.source.reject(old)
    assert served(jar.call()).generation == 2
    jar.pump()
    assert jar.mints == 2


def test_a_resource_that_rejects_everything_forces_one_renewal_in_five_seconds() -> None:
    jar = Jar()
    assert jar.source.reject(jar.token())
    jar.pump()
    newer = served(jar.call())
    assert not jar.source.reject(newer)
    for _ in range(100):
        assert served(jar.call()) is newer
    jar.pump()
    assert jar.mints == 2
    jar.advance(5.1)
    assert jar.token().generation == 3


def test_before_a_forced_renewal_everything_is_discovered_again() -> None:
    jar = Jar()
    old = jar.token()
    jar.source.reject(old)
    jar.pump()
    assert (jar.mints, jar.world.discoveries) == (2, 2)


def test_a_failed_forced_renewal_does_not_bring_an_older_discovery_back() -> None:
    jar = Jar()
    old = jar.token()
    jar.advance(100)
    jar.profile.answers = [DOWN]
    jar.source.reject(old)
    jar.pump()
    assert jar.world.discoveries == 2
    jar.advance(61)
    jar.token()
    assert jar.source.discovery is not None
    assert jar.source.discovery.fetched_at > old.record.obtained_at


def test_a_renewal_while_the_documents_are_young_uses_them() -> None:
    jar = Jar()
    jar.profile.default = 100.0
    jar.token()
    jar.advance(96)
    jar.token()
    assert (jar.mints, jar.world.discoveries) == (2, 1)


def test_documents_that_are_too_old_are_fetched_again() -> None:
    jar = Jar()
    jar.profile.default = 7200.0
    jar.token()
    jar.advance(7195)
    jar.token()
    assert (jar.mints, jar.world.discoveries) == (2, 2)


def test_what_was_discovered_is_kept_even_if_no_token_comes_of_it() -> None:
    jar = Jar()
    jar.profile.default = BUSY
    jar.call()
    jar.advance(5)
    assert (jar.mints, jar.world.discoveries) == (2, 1)
    again = Jar(store=jar.store, clock=jar.clock)
    again.token()
    assert again.world.discoveries == 0


def test_after_a_forced_renewal_that_failed_callers_hear_why_and_do_not_get_the_refused_token() -> None:
    jar = Jar()
    old = jar.token()
    jar.profile.default = REFUSED
    jar.source.reject(old)
    jar.pump()
    for _ in range(3):
        caller = waiting(jar.call())
        jar.pump()
        assert isinstance(caller.outcome, RemoteError)
        assert caller.outcome.error == "invalid_client"
    assert jar.mints == 2


def test_the_renewals_of_a_dying_token_come_to_an_end() -> None:
    jar = Jar()
    jar.profile.answers = [2.0]
    token = jar.token()
    jar.profile.default = DOWN
    jar.world.dice = 0.0
    while jar.clock.mono < token.usable_until.mono - 0.01:
        assert served(jar.call()) is token
        jar.advance(0.01)
    assert jar.mints <= 5


# Failures.


def test_a_retryable_failure_is_tried_twice_within_the_callers_patience() -> None:
    jar = Jar()
    jar.profile.answers = [BUSY]
    caller = waiting(jar.call())
    jar.pump()
    assert not caller.done
    jar.advance(1)
    assert served(caller.outcome)
    assert jar.mints == 2


def test_after_two_tries_the_error_says_when_to_try_again() -> None:
    jar = Jar()
    jar.profile.default = BUSY
    jar.world.dice = 1.0
    callers = [waiting(jar.call()) for _ in range(100)]
    jar.advance(5)
    assert jar.mints == 2
    for caller in callers:
        assert isinstance(caller.outcome, RemoteError)
        assert caller.outcome.retryable
        assert caller.outcome.retry_at == pytest.approx(jar.clock.wall - 5 + 1 + 2)


def test_a_caller_who_comes_too_early_waits_for_the_next_try_or_hears_at_once_that_it_is_too_far_away() -> None:
    jar = Jar()
    jar.profile.answers = [BUSY.with_(retry_at=jar.clock.wall + 30)]
    first = waiting(jar.call())
    jar.pump()
    assert isinstance(first.outcome, RemoteError)  # no patience reaches that far
    with pytest.raises(RemoteError) as failure:
        jar.call()
    assert failure.value.retry_at == pytest.approx(jar.clock.wall + 31.5)
    patient = waiting(jar.call(patience_s=60))
    jar.advance(31)
    assert jar.mints == 1
    jar.advance(1)
    assert served(patient.outcome)


def test_a_final_failure_is_remembered_and_asked_again_after_a_minute() -> None:
    jar = Jar()
    jar.profile.default = REFUSED
    for _ in range(10):
        caller = waiting(jar.call())
        jar.pump()
        assert isinstance(caller.outcome, RemoteError)
        assert caller.outcome.error == "invalid_client"
    assert jar.mints == 1
    jar.advance(60.1)
    jar.call()
    jar.pump()
    assert jar.mints == 2
    jar.advance(60.1)
    jar.call()
    jar.pump()
    assert jar.mints == 2  # the memory has doubled


def test_a_changed_secret_ends_the_memory_of_a_failure() -> None:
    jar = Jar()
    jar.profile.answers = [REFUSED]
    jar.call()
    jar.pump()
    jar.world.secrets_changed = [True]
    assert jar.token().generation == 1


def test_a_secret_that_was_rotated_a_moment_ago_is_read_again_once() -> None:
    jar = Jar()
    jar.profile.answers = [REFUSED]
    jar.world.secrets_changed = [True]
    assert jar.token().generation == 1
    assert jar.mints == 2


def test_a_refused_client_is_asked_no_third_time_however_its_secret_changes() -> None:
    jar = Jar()
    jar.profile.default = REFUSED
    jar.world.secrets_changed = [True, True, True]
    caller = waiting(jar.call())
    jar.pump()
    assert isinstance(caller.outcome, RemoteError)
    assert jar.mints == 2


def test_a_final_failure_never_stands_in_the_way_of_a_valid_token() -> None:
    jar = Jar()
    old = jar.token()
    jar.advance(800)
    jar.profile.default = REFUSED
    for _ in range(100):
        assert served(jar.call()) is old
        jar.advance(1)
    assert jar.mints == 3  # at 800 s, and when the memory of that had ended


@pytest.mark.parametrize(
    "error", [BUSY, DOWN, REFUSED, ConfigurationError("Your fault.", code="key_not_private")], ids=lambda e: e.code
)
def test_every_caller_gets_an_error_of_its_own(error: GatepassError) -> None:
    jar = Jar()
    jar.profile.default = error
    callers = [waiting(jar.call()) for _ in range(2)]
    jar.advance(5)
    assert [type(caller.outcome) for caller in callers] == [type(error)] * 2
    assert all(caller.outcome is not error for caller in callers)
    assert [getattr(caller.outcome, "__traceback__", None) for caller in callers] == [None, None]


def test_a_bug_becomes_an_error_that_says_where_and_shows_nothing() -> None:
    jar = Jar()

    def grant(*_: object) -> None:
        canary = "canary"
        raise KeyError(canary)

    jar.profile.grant = grant  # type: ignore[method-assign, assignment]
    caller = waiting(jar.call())
    jar.pump()
    assert isinstance(caller.outcome, GatepassError)
    assert caller.outcome.code == "internal"
    assert "KeyError at test_source.py:" in str(caller.outcome)
    assert "canary" not in str(caller.outcome)


# First contact.


def test_without_known_scopes_a_bare_request_goes_first() -> None:
    jar = Jar(scopes=None)
    caller = waiting(jar.call(bare_ok=True))
    jar.pump()
    assert caller.done
    assert caller.outcome is None
    assert jar.mints == 0
    assert jar.call(bare_ok=True) is None  # the store has been asked: no more work for it


def test_after_the_challenge_a_token_is_made_and_the_challenge_kept() -> None:
    jar = Jar(scopes=None)
    jar.source.challenged(CHALLENGE)
    jar.token()
    assert jar.profile.asked[0].scopes == CHALLENGE.scope
    again = Jar(scopes=None, store=jar.store, clock=jar.clock)
    caller = waiting(again.call(bare_ok=True))
    again.pump()
    assert served(caller.outcome).generation == 1
    assert again.mints == 0


def test_with_pinned_scopes_nobody_goes_first() -> None:
    jar = Jar(scopes=("a",))
    caller = waiting(jar.call(bare_ok=True))
    jar.pump()
    assert served(caller.outcome)


def test_one_who_wants_a_token_gets_it_while_one_who_would_rather_go_bare_goes() -> None:
    jar = Jar(scopes=None)
    bare, wants = waiting(jar.call(bare_ok=True)), waiting(jar.call())
    jar.pump()
    assert bare.outcome is None
    assert served(wants.outcome)


def test_once_there_was_a_token_nobody_goes_bare_again() -> None:
    jar = Jar(scopes=None)
    jar.token()
    jar.advance(1000)
    caller = waiting(jar.call(bare_ok=True))
    jar.pump()
    assert served(caller.outcome).generation == 2


# Restart, and others at the same store.


def test_a_restart_uses_what_was_kept() -> None:
    jar = Jar()
    token = jar.token()
    again = Jar(store=jar.store, clock=jar.clock)
    assert again.token().record == token.record
    assert again.mints == 0


def test_a_restart_with_an_expired_token_takes_one_request_and_counts_on() -> None:
    jar = Jar()
    jar.profile.default = 100.0
    jar.token()
    jar.advance(96)
    again = Jar(store=jar.store, clock=jar.clock)
    assert again.token().generation == 2
    assert again.world.discoveries == 0


def test_a_token_of_another_issuer_than_the_pinned_one_is_not_used() -> None:
    jar = Jar()
    token = jar.token()
    name = jar.source.shelf.names[0]
    entry = jar.store.read(name)
    assert entry is not None
    jar.store.write(name, entry.value.replace(b"as.example.com", b"evil.example.net"), expect=entry.version)
    again = Jar(store=jar.store, clock=jar.clock)
    assert again.token().record.issuer == token.record.issuer
    assert again.mints == 1


def test_a_stale_token_in_the_store_is_served_at_once_and_renewed_behind() -> None:
    jar = Jar()
    token = jar.token()
    jar.advance(800)
    again = Jar(store=jar.store, clock=jar.clock)
    again.profile.default = DOWN
    assert again.token().record == token.record
    assert again.mints == 1


def test_what_another_process_renewed_is_taken_over() -> None:
    store, clock = SharedMemory(), Clock()
    one, two = Jar(store=store, clock=clock), Jar(store=store, clock=clock)
    one.token()
    two.token()
    clock.turn(800)
    one.call()
    one.pump()
    two.call()
    two.pump()
    assert served(two.call()).generation == 2
    assert (one.mints, two.mints) == (2, 0)


def test_while_another_process_renews_callers_wait_for_its_token() -> None:
    store, clock = SharedMemory(clock=lambda: 0.0), Clock()
    one, two = Jar(store=store, clock=clock), Jar(store=store, clock=clock)
    name = one.source.shelf.names[0]
    lease = store.acquire(name, "somebody", 5.0)
    assert lease is not None
    caller = waiting(two.call())
    two.advance(1)
    assert not caller.done
    store.release(lease)
    one.token()
    two.advance(1)
    assert served(caller.outcome).record == served(one.call()).record
    assert two.mints == 0


def test_a_holder_that_died_delays_its_followers_until_its_lease_lapses() -> None:
    clock = Clock()
    store = SharedMemory(clock=lambda: clock.wall)
    jar = Jar(store=store, clock=clock)
    assert store.acquire(jar.source.shelf.names[0], "dead", 5.0) is not None
    caller = waiting(jar.call())
    jar.advance(4.5)
    assert jar.mints == 0
    jar.advance(1)
    assert served(caller.outcome)


def test_the_lease_is_given_back_after_success_and_after_failure() -> None:
    store = SharedMemory()
    jar = Jar(store=store)
    jar.profile.answers = [REFUSED]
    jar.call()
    jar.pump()
    assert store.holder(jar.source.shelf.names[0]) is None
    jar.world.secrets_changed = [True]
    jar.token()
    assert store.holder(jar.source.shelf.names[0]) is None


def test_while_another_process_renews_a_stale_token_it_is_served_and_nobody_is_waited_for() -> None:
    store = SharedMemory()
    jar = Jar(store=store)
    old = jar.token()
    jar.advance(800)
    assert store.acquire(jar.source.shelf.names[0], "somebody", 5.0) is not None
    for _ in range(10):
        assert served(jar.call()) is old
        jar.pump()
    assert jar.mints == 1
    assert not jar.pool.busy


def test_what_another_process_has_renewed_between_the_look_and_the_lease_is_taken_over() -> None:
    clock = Clock()
    store = Fragile(clock=lambda: clock.wall)
    one, other = Jar(store=store, clock=clock), Jar(store=store, clock=clock)
    acquire = store.acquire

    def late(name: str, owner: str, ttl_s: float) -> Lease | None:
        store.acquire = acquire  # type: ignore[method-assign]
        other.token()
        return acquire(name, owner, ttl_s)

    store.acquire = late  # type: ignore[method-assign]
    assert one.token().record == other.token().record
    assert (one.mints, other.mints) == (0, 1)
    assert store.holder(one.source.shelf.names[0]) is None


def test_metadata_that_can_not_be_read_the_first_time_is_a_failure_like_any_other() -> None:
    jar = Jar()
    jar.world.metadata_down = True
    caller = waiting(jar.call())
    jar.advance(5)
    assert isinstance(caller.outcome, UnreachableError)
    assert jar.mints == 0


class BrokenStore(MemoryStore):
    """A store in which everything fails."""

    shared = True  # type: ignore[assignment]
    error: Callable[[], Exception] = staticmethod(lambda: StoreError("The disk is gone.", code="store_failed"))

    def read(self, name: str) -> Entry | None:
        raise self.error()

    def write(self, name: str, value: bytes, *, expect: int, fence: int | None = None) -> int | None:
        raise self.error()

    def acquire(self, name: str, owner: str, ttl_s: float) -> Lease | None:
        raise self.error()


@pytest.mark.parametrize("error", [StoreError("The disk is gone.", code="store_failed"), OSError("boom")], ids=repr)
def test_a_store_that_fails_costs_sharing_not_service(error: Exception) -> None:
    store = BrokenStore()
    store.error = lambda: error  # type: ignore[method-assign]
    jar = Jar(store=store)
    assert jar.token().generation == 1
    jar.advance(800)
    jar.call()
    jar.pump()
    assert served(jar.call()).generation == 2
    assert [notice.level for notice in jar.world.notices if notice.code == "store_failed"] == ["warning"]


def test_an_unreadable_record_is_reported_and_replaced() -> None:
    jar = Jar()
    name = jar.source.shelf.names[0]
    jar.store.write(name, b"{not a record", expect=0)
    jar.token()
    again = Jar(store=jar.store, clock=jar.clock)
    assert again.token().generation == 1
    assert "record_invalid" in [notice.code for notice in jar.world.notices]


# Fork.


def test_a_flight_that_a_fork_left_behind_is_flown_again() -> None:
    jar = Jar()
    lost = waiting(jar.call())
    jar.pool.epoch += 1
    jar.pool._ready.clear()
    assert jar.token().generation == 1
    assert not lost.done


def test_while_the_metadata_can_not_be_read_again_what_is_known_stays_in_use() -> None:
    jar = Jar()
    jar.profile.default = 7200.0
    jar.token()
    jar.world.metadata_down = True
    jar.advance(7195)
    jar.profile.answers = [DOWN]
    caller = waiting(jar.call())
    jar.advance(5)
    assert served(caller.outcome).generation == 2
    failures = [notice for notice in jar.world.notices if notice.code == "discovery_failed"]
    assert len(failures) == 1, "it was tried again within the minute"
    jar.world.metadata_down = False
    jar.advance(7195)
    assert jar.token().generation == 3
    assert jar.world.discoveries == 2


def test_a_challenge_just_given_is_not_replaced_by_one_that_was_kept() -> None:
    jar = Jar(scopes=None)
    newer = ResourceChallenge(scheme="bearer", resource_metadata=None, scope=("b",), error=None, error_description=None)
    jar.source.challenged(newer)
    jar.source.remember(CHALLENGE)
    assert jar.source.challenge == newer


def test_after_an_outage_while_the_token_lived_the_back_off_begins_anew() -> None:
    jar = Jar()
    jar.profile.answers = [2.0]
    jar.token()
    jar.profile.default = DOWN
    jar.world.dice = 1.0
    while isinstance(jar.call(), Held):
        jar.advance(0.05)
    jar.advance(0)
    assert jar.source.failures.not_before_mono - jar.clock.mono <= 2.0


def test_a_later_challenge_without_scopes_leaves_those_of_an_earlier_one() -> None:
    jar = Jar(scopes=None)
    jar.source.challenged(CHALLENGE)
    silent = ResourceChallenge(
        scheme="bearer", resource_metadata=None, scope=None, error="invalid_token", error_description=None
    )
    jar.source.challenged(silent)
    assert jar.source.challenge is not None
    assert (jar.source.challenge.scope, jar.source.challenge.error) == (CHALLENGE.scope, "invalid_token")


def test_while_a_failure_is_waited_out_the_token_of_another_process_is_found() -> None:
    clock, store = Clock(), SharedMemory()
    one, other = Jar(store=store, clock=clock), Jar(store=store, clock=clock)
    other.world.dice = 0.9
    other.profile.default = UnreachableError("No answer.", code="unreachable", retryable=True)
    while other.source.failures.retry_in_s(clock.now()) <= 10:
        other.call(100)
        other.advance(60)
    assert isinstance(other.failure(5), UnreachableError)  # as before, it is too long for this one
    caller = waiting(other.call(100))
    other.advance(1)
    token = one.token()
    other.advance(2)
    assert served(caller.outcome).record == token.record


def test_whom_nobody_waits_for_does_not_wait_for_the_lease_of_others() -> None:
    store = SharedMemory()
    jar = Jar(store=store)
    assert store.acquire(jar.source.shelf.names[0], "somebody", 600) is not None
    caller = waiting(jar.call())
    jar.pump()
    assert jar.pool.busy
    jar.source.leave(caller)
    jar.advance(1)
    assert not jar.pool.busy
