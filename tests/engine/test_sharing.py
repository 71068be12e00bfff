"""Two who share a store and have not seen the same: the better token is used, and one failure is enough for both."""

from __future__ import annotations

from jar import Caller, Clock, Fragile, Jar, served, waiting

from gatepass.core.secret import Secret
from gatepass.errors import RemoteError, UnreachableError
from gatepass.lifecycle.record import Pause
from gatepass.stores.base import Lease

EVERYTHING = {"read", "write", "acquire"}
BUSY = RemoteError("The server is busy.", code="token_endpoint_busy", status=503, retryable=True)
DOWN = UnreachableError("No answer.", code="unreachable", retryable=True)


def two_jars() -> tuple[Jar, Jar, Fragile]:
    clock = Clock()
    store = Fragile(clock=lambda: clock.wall)
    return Jar(store=store, clock=clock), Jar(store=store, clock=clock), store


# Generations that have parted.


def test_a_token_that_is_alive_is_better_than_a_higher_number() -> None:
    one, two, store = two_jars()
    store.broken = EVERYTHING
    two.token()
    two.advance(995)
    assert two.token().generation == 2
    store.broken = set()
    one.advance(995)
    fresh = one.token()
    assert fresh.generation == 1
    assert two.token().record == fresh.record
    assert two.mints == 2


def test_a_token_that_nobody_could_be_shown_does_not_replace_one_that_was_obtained_later() -> None:
    one, two, store = two_jars()
    store.broken = EVERYTHING
    two.token()
    two.advance(995)
    two.token()
    store.broken = set()
    one.advance(995)
    fresh = one.token()
    two.token()
    kept = one.source.shelf.token()
    assert kept == fresh.record


def test_the_next_number_is_higher_than_any_that_was_heard_of() -> None:
    one, two, store = two_jars()
    for _ in range(3):
        one.token()
        one.advance(995)
    two.token()
    store.broken = EVERYTHING
    two.advance(995)
    assert two.token().generation == 5


def test_a_refused_token_does_not_hide_another_of_the_same_number() -> None:
    one, two, store = two_jars()
    store.broken = EVERYTHING
    refused = two.token()
    store.broken = set()
    one.advance(11)
    kept = one.token()
    assert refused.generation == kept.generation == 1
    assert two.source.reject(refused)
    two.pump()
    assert served(two.call()).record == kept.record
    assert two.mints == 1


def test_the_same_token_is_never_younger_for_being_read_again() -> None:
    one, two, _ = two_jars()
    one.world.dice = 0.0
    one.token()
    one.advance(750)
    one.world.dice = 1.0
    one.call()
    one.pump()
    assert one.mints == 2
    assert two.token().generation == 2


# Refusals, one after the other.


def test_where_the_token_in_the_store_is_refused_too_one_is_made_at_once() -> None:
    one, two, _ = two_jars()
    first = one.token()
    two.token()
    assert two.source.reject(first)
    two.pump()
    second = served(two.call())
    assert one.source.reject(first)
    one.pump()
    assert served(one.call()).record == second.record
    assert one.source.reject(second)
    one.pump()
    assert served(one.call()).generation == 3
    assert (one.mints, two.mints) == (2, 1)


# Steps that take long.


def test_a_lease_that_discovery_has_outlasted_is_taken_again_and_what_others_have_made_is_used() -> None:
    one, two, _ = two_jars()
    two.token()
    one.source.shelf.drop_token()
    one.store.delete(one.source.shelf.names[1])

    def others() -> None:
        one.clock.turn(6.0)
        two.source.forget()
        two.token()

    one.world.while_discovering = others
    assert one.token().record == two.token().record
    assert one.mints == 0


def test_whoever_hears_the_outcome_finds_the_lease_given_back() -> None:
    one, other, store = two_jars()
    acquire, name, leases = store.acquire, one.source.shelf.names[0], []

    class Looking(Caller):
        __slots__ = ()

        def _wake(self) -> None:
            leases.append(store.holder(name))

    def late(name: str, owner: str, ttl_s: float) -> Lease | None:
        store.acquire = acquire  # type: ignore[method-assign]
        other.token()
        return acquire(name, owner, ttl_s)

    for comes_late in (True, False):
        store.acquire = late if comes_late else acquire  # type: ignore[method-assign]
        caller = waiting(one.source.join(Looking, 10.0, bare_ok=False))
        one.pump()
        assert caller.done
        one.advance(995)
    assert (one.mints, other.mints) == (1, 1)
    assert leases == [None, None]


def test_whose_attempt_has_failed_looks_for_what_others_have_made_meanwhile() -> None:
    one, two, _ = two_jars()
    one.profile.answers = [DOWN, DOWN]
    one.profile.takes_s = 6.0
    caller = waiting(one.call(5.0))
    one.profile.while_asked = two.token
    one.pump()
    assert served(caller.outcome).record == two.token().record
    assert (one.mints, two.mints) == (1, 1)


# A failure that is enough for all.


def test_while_the_token_serves_one_failure_is_enough_for_all_who_share_it() -> None:
    one, two, _ = two_jars()
    one.token()
    two.token()
    one.advance(800)
    for jar in (one, two):
        jar.profile.answers = [BUSY] * 100
    for _ in range(40):
        for jar in (one, two):
            assert served(jar.call()).generation == 1
            jar.advance(0.5)
    assert one.mints + two.mints == 1 + 1


def test_after_the_pause_one_of_them_tries_again() -> None:
    one, two, _ = two_jars()
    one.token()
    two.token()
    one.advance(800)
    one.profile.answers = [BUSY]
    one.call()
    one.pump()
    two.call()
    two.pump()
    two.advance(60)
    two.call()
    two.pump()
    assert served(two.call()).generation == 2
    assert (one.mints, two.mints) == (2, 1)


def test_who_has_no_token_that_serves_does_not_wait_for_the_pause_of_others() -> None:
    one, two, _ = two_jars()
    first = one.token()
    two.token()
    one.advance(800)
    one.profile.answers = [BUSY]
    one.call()
    one.pump()
    assert two.source.reject(first)
    two.pump()
    assert served(two.call()).generation == 2


def test_a_pause_that_a_wrong_clock_has_said_is_passed_over() -> None:
    one, two, _ = two_jars()
    one.token()
    two.token()
    two.advance(800)
    one.source.shelf.keep_pause(Pause(began_at=one.clock.wall + 4000.0, lasts_s=60.0))
    two.call()
    two.pump()
    assert served(two.call()).generation == 2


def test_a_pause_is_as_long_as_the_server_wants_it() -> None:
    one, two, _ = two_jars()
    one.profile.default = 10_000.0
    one.token()
    two.token()
    one.advance(8_000)
    one.profile.answers = [BUSY.with_(retry_at=one.clock.wall + 900.0)]
    one.call()
    one.pump()
    two.advance(890)
    two.call()
    two.pump()
    assert two.mints == 0
    two.advance(110)
    two.call()
    two.pump()
    assert two.mints == 1


def test_a_pause_is_over_once_somebody_has_a_newer_token() -> None:
    one, two, _ = two_jars()
    first = one.token()
    two.token()
    one.advance(800)
    one.profile.answers = [BUSY.with_(retry_at=one.clock.wall + 900.0)]
    one.call()
    one.pump()
    one.advance(1)
    two.profile.default = 100.0
    assert two.source.reject(first)
    two.pump()
    two.advance(90)
    assert served(two.call()).generation == 2
    two.pump()
    assert served(two.call()).generation == 3


def test_a_copy_of_an_older_token_says_nothing_of_the_refresh_token_at_hand() -> None:
    one, two, _ = two_jars()
    two.profile.refresh_token = Secret("r")
    old = one.token()
    two.advance(995)
    held = two.token()
    two.source.refresh_refused()
    two.source.loaded(old)
    assert two.source.refresh_token(held.record.issuer) is None


# A token that would end too soon for somebody.


def test_one_who_needs_a_longer_life_waits_for_the_next_token_and_the_others_go_on() -> None:
    jar = Jar()
    old = jar.token()
    jar.advance(300)
    caller = waiting(jar.source.join(Caller, 10.0, bare_ok=False, instead_of=old))
    assert served(jar.call()) is old
    jar.pump()
    assert served(caller.outcome).generation == 2


def test_if_there_is_no_next_token_it_hears_why_and_the_others_go_on() -> None:
    jar = Jar()
    old = jar.token()
    jar.profile.default = RemoteError("No.", code="token_refused", error="unauthorized_client")
    caller = waiting(jar.source.join(Caller, 10.0, bare_ok=False, instead_of=old))
    jar.pump()
    assert isinstance(caller.outcome, RemoteError)
    assert served(jar.call()) is old
    assert jar.source.ready is old


# A server that gives one and the same token.


def test_a_token_that_is_given_again_after_a_refusal_is_used_again() -> None:
    jar = Jar()
    first = jar.token()
    jar.clock.asked -= 1  # the next one has the same name
    assert jar.source.reject(first)
    jar.pump()
    again = served(jar.call())
    assert (again.record.access_token, again.generation) == (first.record.access_token, 2)
    assert jar.source.ready is again
    jar.advance(60)
    assert served(jar.call()) is again
    assert jar.mints == 2
