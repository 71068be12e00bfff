"""What an operator asks: where the token stands, here and in the store."""

from __future__ import annotations

import pytest
from jar import ISSUER, Clock, Fragile, Jar, SharedMemory

from gatepass.core.secret import Secret
from gatepass.engine.status import Status, status_of
from gatepass.errors import RemoteError, SignInRequiredError, UnreachableError

BUSY = UnreachableError("No answer.", code="timeout", retryable=True)
REFUSED = RemoteError("No.", code="token_refused", error="invalid_client")


def status(jar: Jar) -> Status:
    return status_of(jar.source)


def test_before_there_is_a_token_there_is_little_to_say() -> None:
    now = status(Jar(store=SharedMemory()))
    assert (now.state, now.generation, now.expires_at, now.renew_at, now.lease) == ("absent", 0, None, None, None)
    assert (now.issuer, now.renewing, now.last_failure, now.store_failure) == (ISSUER, False, None, None)


@pytest.mark.parametrize(
    ("age_s", "state", "renew_in_s"), [(0, "fresh", 750), (749, "fresh", 1), (751, "stale", 0), (991, "expired", 0)]
)
def test_a_token_is_told_of_with_its_times(age_s: float, state: str, renew_in_s: float) -> None:
    jar = Jar()
    jar.profile.refresh_token = Secret("r1")
    jar.token()
    start = jar.clock.wall
    jar.clock.turn(age_s)
    now = status(jar)
    assert (now.state, now.generation, now.issuer, now.refreshable) == (state, 1, ISSUER, True)
    assert (now.obtained_at, now.expires_at) == (start, start + 1000)
    assert now.renew_at == pytest.approx(jar.clock.wall + renew_in_s, abs=0.01)
    assert "token-1" not in repr(now)
    assert "r1" not in repr(now)


def test_a_refused_token_is_none() -> None:
    jar = Jar()
    jar.source.reject(jar.token())
    now = status(jar)
    assert (now.state, now.renewing) == ("rejected", True)


def test_what_failed_last_stays_in_sight_and_says_when_it_is_tried_again() -> None:
    jar = Jar()
    jar.token()
    jar.clock.turn(800)
    jar.profile.answers = [BUSY]
    jar.token()
    jar.pump()
    failed_at = jar.clock.wall
    now = status(jar)
    assert (now.state, now.failed_at) == ("stale", failed_at)
    assert now.last_failure is not None
    assert (now.last_failure.code, now.renew_at) == ("timeout", now.last_failure.retry_at)
    jar.clock.turn(60)
    jar.token()
    jar.pump()
    again = status(jar)
    assert (again.generation, again.failed_at) == (2, failed_at)
    assert again.obtained_at is not None
    assert again.obtained_at > failed_at


def test_what_others_have_renewed_is_seen_and_not_taken() -> None:
    clock, store = Clock(), SharedMemory()
    one, other = Jar(store=store, clock=clock), Jar(store=store, clock=clock)
    one.token()
    assert (status(other).state, status(other).generation) == ("fresh", 1)
    assert other.source.held is None


def test_who_renews_just_now_is_named() -> None:
    clock, store = Clock(), SharedMemory(clock=lambda: clock.wall)
    one, other = Jar(store=store, clock=clock), Jar(store=store, clock=clock)
    other.world.dice = 0.25  # another owner
    seen: list[Status] = []
    one.profile.while_asked = lambda: seen.extend([status(one), status(other)])
    one.token()
    (here, there) = seen
    assert (here.renewing, there.renewing) == (True, False)
    assert here.lease == there.lease
    assert here.lease is not None
    assert here.lease.until == clock.wall + 5.0
    assert status(other).lease is None


def test_a_store_that_fails_leaves_what_this_process_knows() -> None:
    store = Fragile()
    jar = Jar(store=store)
    jar.token()
    store.broken = {"read"}
    now = status(jar)
    assert (now.state, now.generation) == ("fresh", 1)
    assert now.store_failure is not None
    assert now.store_failure.code == "store_gone"
    store.broken = set()
    assert status(jar).store_failure is None, "an operator who looks again wants to know it as it is now"


def test_a_look_in_the_midst_of_a_renewal_does_not_let_it_write_over_a_newer_token() -> None:
    clock, store = Clock(), Fragile(clock=lambda: clock.wall)
    one, other = Jar(store=store, clock=clock), Jar(store=store, clock=clock)
    other.profile.default = 2000.0
    one.token()
    one.profile.default = 5000.0
    clock.turn(991)
    store.broken = {"acquire"}  # so that it goes on without a lease, which would keep it from writing in any case

    def meanwhile() -> None:
        store.broken = set()
        clock.turn(11)  # the store is left alone no longer
        other.token()
        clock.turn(1501)
        other.token()
        other.pump()
        status(one)

    one.profile.while_asked = meanwhile
    one.token()
    record, _ = one.source.shelf.peek()
    assert record is not None
    assert (record.generation, record.lifetime_s) == (3, 2000.0)


def test_a_final_failure_is_shown_as_it_is_raised() -> None:
    jar = Jar()
    jar.profile.answers = [REFUSED]
    failure = jar.failure()
    now = status(jar)
    assert now.state == "absent"
    assert now.last_failure is not None
    assert str(now.last_failure) == str(failure)


def test_looking_makes_no_key() -> None:
    jar = Jar(dpop=True, store=SharedMemory())
    assert status(jar).state == "absent"
    assert jar.store._cells == {}  # type: ignore[attr-defined]
    jar.token()
    assert (status(jar).state, status(jar).generation) == ("fresh", 1)


def test_the_url_of_a_sign_in_is_not_shown() -> None:
    jar = Jar()
    asked = SignInRequiredError("Sign in: https://as.example.com/authorize?state=CANARY", code="sign_in_required")
    jar.profile.answers = [asked.with_(url="https://as.example.com/authorize?state=CANARY")]
    jar.failure()
    now = status(jar)
    assert isinstance(now.last_failure, SignInRequiredError)
    assert (now.last_failure.code, now.last_failure.url) == ("sign_in_required", None)
    assert "CANARY" not in repr(now) + str(now.last_failure)
