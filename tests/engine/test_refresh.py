"""Refresh tokens: used where one was issued, and never by two at once, for a server may revoke all that came of it."""

from __future__ import annotations

import pytest
from jar import (
    ISSUER,
    OTHER_ISSUER,
    Clock,
    Fragile,
    Jar,
    SharedMemory,
    issues,
    refuses,
    resource_metadata,
    served,
    server_metadata,
    waiting,
)

from gatepass.core.http import HttpResponse
from gatepass.core.secret import Secret
from gatepass.errors import GatepassError, SignInRequiredError, StoreError, UnreachableError
from gatepass.lifecycle.policy import Held
from gatepass.lifecycle.record import TokenRecord, decode
from gatepass.profiles.base import Traits
from gatepass.protocol.challenge import ResourceChallenge

DOWN = UnreachableError("No answer.", code="unreachable", retryable=True)
NOBODY = SignInRequiredError("A person has to sign in.", code="sign_in_required")
BUSY = HttpResponse(status=503, headers=(), body=b"")


def a_jar(*replies: HttpResponse | GatepassError, **options: object) -> Jar:
    """A jar whose profile brings a token of 1000 s with the refresh token r1; what follows are the server's replies."""
    jar = Jar(**options)  # type: ignore[arg-type]
    jar.profile.refresh_token = Secret("r1")
    jar.world.replies = list(replies)
    return jar


def spent(jar: Jar) -> list[str]:
    """The refresh tokens that were sent, in order."""
    return [form["refresh_token"] for path, form in jar.world.posted if path == "/token"]


def kept(jar: Jar) -> TokenRecord:
    """The token in the store."""
    entry = jar.store.read(jar.source.shelf.names[0])
    assert entry is not None
    return decode(entry.value, TokenRecord)


def a_restart(jar: Jar, *replies: HttpResponse | GatepassError, **options: object) -> Jar:
    return a_jar(*replies, store=jar.store, clock=jar.clock, **options)


# When it is used.


def test_a_token_is_renewed_by_its_refresh_token_in_one_request_that_says_what_it_is_for() -> None:
    jar = a_jar(issues("t2", "r2"))
    jar.token()
    jar.advance(991)
    assert jar.token().record.access_token == "t2"
    assert jar.world.posted == [
        (
            "/token",
            {
                "grant_type": "refresh_token",
                "refresh_token": "r1",
                "resource": "https://mcp.example.com/mcp",
                "client_id": "jar",
            },
        )
    ]
    assert (jar.mints, jar.world.discoveries) == (1, 1)


def test_a_stale_token_is_served_while_its_refresh_token_is_used_behind_it() -> None:
    jar = a_jar(issues("t2", "r2"))
    old = jar.token()
    jar.advance(800)
    assert served(jar.call()) is old
    jar.pump()
    assert served(jar.call()).record.access_token == "t2"
    assert (spent(jar), jar.mints) == (["r1"], 1)


def test_without_a_refresh_token_the_profile_asks_again() -> None:
    jar = Jar()
    jar.token()
    jar.advance(991)
    jar.token()
    assert (spent(jar), jar.mints) == ([], 2)


def test_one_that_stays_in_use_and_one_that_is_replaced() -> None:
    jar = a_jar(issues("t2"), issues("t3", "r2"), issues("t4"))
    for access_token in ("token-1", "t2", "t3", "t4"):
        assert jar.token().record.access_token == access_token
        jar.advance(991)
    assert spent(jar) == ["r1", "r1", "r2"]


def test_a_restart_with_an_expired_token_uses_the_refresh_token_that_was_kept() -> None:
    jar = a_jar()
    jar.token()
    jar.advance(5000)
    again = a_restart(jar, issues("t2", "r2"))
    assert again.token().generation == 2
    assert (spent(again), again.mints, again.world.discoveries) == (["r1"], 0, 1)


def test_a_rejected_token_is_renewed_by_its_refresh_token() -> None:
    jar = a_jar(issues("t2", "r2"))
    assert jar.source.reject(jar.token())
    jar.pump()
    assert (served(jar.call()).generation, spent(jar), jar.mints) == (2, ["r1"], 1)


def test_a_refresh_token_is_not_sent_to_another_authorization_server() -> None:
    jar = a_jar(issuer=None)
    jar.profile.traits = Traits(portable=True)
    jar.token()
    jar.world.documents = {**resource_metadata(OTHER_ISSUER), **server_metadata(OTHER_ISSUER)}
    jar.source.reject(jar.source.held)
    jar.pump()
    assert served(jar.call()).record.issuer == OTHER_ISSUER
    assert (spent(jar), jar.mints) == ([], 2)


WIDER = ResourceChallenge(scheme="bearer", scope=("a", "b"))


def test_where_more_scopes_are_wanted_than_were_asked_for_a_new_grant_is_needed() -> None:
    jar = a_jar(scopes=None)
    jar.source.challenged(ResourceChallenge(scheme="bearer", scope=("a",)))
    jar.token()
    jar.source.challenged(WIDER)
    jar.advance(991)
    jar.token()
    assert (spent(jar), [errand.scopes for errand in jar.profile.asked]) == ([], [("a",), ("a", "b")])


def test_a_person_is_not_asked_again_because_the_usual_scopes_are_other_ones_by_now() -> None:
    jar = a_jar(issues("t2", "r2"), scopes=None)
    jar.profile.traits = Traits(attended=True)
    jar.source.challenged(ResourceChallenge(scheme="bearer", scope=("a",)))
    jar.token()
    jar.source.challenged(WIDER)
    jar.advance(991)
    jar.token()
    assert (spent(jar), jar.mints) == (["r1"], 1)


# When it is refused.


@pytest.mark.parametrize("error", ["invalid_grant", "unauthorized_client", "unsupported_grant_type", "invalid_scope"])
def test_a_refused_refresh_token_gives_way_to_the_profiles_own_grant_in_the_same_flight(error: str) -> None:
    jar = a_jar(refuses(error))
    jar.token()
    jar.advance(991)
    callers = [waiting(jar.call()) for _ in range(3)]
    jar.pump()
    assert [served(caller.outcome).record.access_token for caller in callers] == ["token-2"] * 3
    assert (spent(jar), jar.mints) == (["r1"], 2)
    assert jar.codes() == ["refresh_refused"]


def test_a_refused_refresh_token_is_not_tried_again() -> None:
    jar = a_jar(refuses("invalid_grant"))
    jar.token()
    jar.advance(991)
    jar.profile.default = NOBODY
    assert [type(jar.failure()) for _ in range(3)] == [SignInRequiredError] * 3
    assert (spent(jar), jar.mints) == (["r1"], 4)


def test_the_refresh_token_of_the_next_grant_is_a_new_one_and_is_used() -> None:
    jar = a_jar(refuses("invalid_grant"), issues("t3"))
    jar.token()
    jar.advance(991)
    jar.profile.refresh_token = Secret("r2")
    jar.token()
    jar.advance(991)
    assert jar.token().record.access_token == "t3"
    assert spent(jar) == ["r1", "r2"]


@pytest.mark.parametrize("trouble", [BUSY, DOWN], ids=["busy", "down"])
def test_where_a_person_would_have_to_be_asked_a_server_in_trouble_is_tried_again(
    trouble: HttpResponse | GatepassError,
) -> None:
    jar = a_jar(trouble, issues("t2"))
    jar.profile.traits = Traits(attended=True)
    jar.token()
    jar.advance(991)
    caller = waiting(jar.call())
    jar.advance(1)
    assert served(caller.outcome).record.access_token == "t2"
    assert (spent(jar), jar.mints) == (["r1", "r1"], 1)


# Where nobody has to be asked, it is tried once.


@pytest.mark.parametrize("trouble", [BUSY, DOWN], ids=["busy", "down"])
@pytest.mark.parametrize("broken", [set(), {"read"}], ids=["store well", "store down meanwhile"])
def test_after_a_server_in_trouble_the_way_in_is_taken_anew(
    trouble: HttpResponse | GatepassError, broken: set[str]
) -> None:
    store = Fragile()
    jar = a_jar(trouble, store=store)
    jar.token()
    jar.advance(991)
    caller = waiting(jar.call())
    jar.pump()
    store.broken = broken
    jar.advance(1)
    assert served(caller.outcome).generation == 2
    assert (spent(jar), jar.mints) == (["r1"], 2)


def test_it_leaves_the_store_before_it_is_sent() -> None:
    jar = a_jar(store=Fragile())
    seen: list[str | None] = []

    def reply(path: str, form: dict[str, str]) -> HttpResponse:
        seen.append(kept(jar).refresh_token)
        return issues("t2", "r2")

    jar.world.reply = reply
    jar.token()
    jar.advance(991)
    jar.token()
    assert (seen, kept(jar).refresh_token) == ([None], "r2")


@pytest.mark.parametrize("knew", [False, True], ids=["a restart", "one who had seen it"])
def test_what_one_who_was_killed_may_have_spent_is_not_tried_again(knew: bool) -> None:
    store = SharedMemory()
    jar = a_jar(store=store)
    jar.token()
    other = a_restart(jar)
    other.world.dice = 0.25  # another owner of the lease
    if knew:
        other.token()
    jar.advance(991)

    def killed(path: str, form: dict[str, str]) -> HttpResponse:
        raise KeyboardInterrupt

    jar.world.reply = killed
    jar.call()
    with pytest.raises(KeyboardInterrupt):
        jar.pump()
    assert spent(jar) == ["r1"]
    lapse = jar.source.shelf.peek()[1]
    assert lapse is not None
    store.release(lapse)
    other.token()
    assert (spent(other), other.mints) == ([], 1)


def test_if_it_can_not_leave_the_store_it_is_not_sent() -> None:
    store = Fragile()
    jar = a_jar(store=store)
    jar.token()
    jar.advance(991)
    store.broken = {"write"}
    assert jar.token().generation == 2
    assert (spent(jar), jar.mints) == ([], 2)


def test_a_refused_client_is_refused_with_its_refresh_token_too() -> None:
    jar = a_jar(refuses("invalid_client", 401))
    jar.token()
    jar.advance(991)
    assert jar.failure().error == "invalid_client"
    assert jar.failure().error == "invalid_client"
    assert (spent(jar), jar.mints) == (["r1"], 1)


# Kept before anything else.


def test_a_rotated_refresh_token_replaces_the_old_one_before_anything_else_is_kept() -> None:
    store = Fragile()
    jar = a_jar(issues("t2", "r2"), store=store, scopes=None)
    jar.token()
    jar.advance(86_401)  # the metadata has to be read again, too
    jar.source.challenged(ResourceChallenge(scheme="bearer", scope=()))
    store.asked.clear()
    jar.token()
    assert (kept(jar).refresh_token, kept(jar).generation) == ("r2", 2)
    assert [step for step in store.asked if step.startswith("write")] == [
        "write metadata",
        "write token",  # the refresh token leaves
        "write token",
        "write challenge",
    ]


def test_where_the_metadata_was_found_on_the_way_the_token_is_kept_before_it() -> None:
    store = Fragile()
    jar = a_jar(HttpResponse(status=404, headers=(), body=b""), issues("t2", "r2"), store=store)
    jar.token()
    jar.advance(991)
    jar.world.documents.update(server_metadata(ISSUER, token_endpoint=f"{ISSUER}/new"))
    store.asked.clear()
    jar.token()
    assert [path for path, _ in jar.world.posted] == ["/token", "/new"]
    assert [step for step in store.asked if step.startswith("write")] == [
        "write token",  # the refresh token leaves
        "write token",
        "write metadata",
    ]


def test_a_token_that_lives_no_time_is_kept_for_its_refresh_token() -> None:
    jar = a_jar(issues("t2", "r2", 0.0), issues("t3", "r3"))
    jar.token()
    jar.advance(991)
    jar.token()
    assert kept(jar).refresh_token == "r2"
    assert a_restart(jar, issues("t3", "r3")).token().record.access_token == "t3"


# Others at the same store.


def two(store: SharedMemory | None = None) -> tuple[Jar, Jar]:
    """Two processes that hold the same token, which has expired."""
    clock = Clock()
    store = store or SharedMemory(clock=lambda: clock.wall)
    one, other = a_jar(store=store, clock=clock), a_jar(store=store, clock=clock)
    other.world.dice = 0.4  # or both would be the same owner of a lease
    one.token()
    other.token()
    clock.turn(991)
    return one, other


def test_of_two_processes_one_uses_the_refresh_token_and_the_other_takes_over_what_it_brought() -> None:
    one, other = two()
    one.world.replies = [issues("t2", "r2")]
    callers = waiting(one.call()), waiting(other.call())
    one.pump()
    other.pump()
    assert [served(caller.outcome).record for caller in callers] == [kept(one)] * 2
    assert (spent(one), spent(other)) == (["r1"], [])


def test_while_another_process_may_be_using_it_nobody_else_does_however_long_that_takes() -> None:
    one, other = two()
    one.profile.traits = other.profile.traits = Traits(attended=True)
    waits: list[float] = []

    def renew(path: str, form: dict[str, str]) -> HttpResponse:
        callers = [waiting(other.call(100))]
        other.advance(29)  # three requests may take so long
        waits.append(sum(caller.done for caller in callers))
        return issues("t2", "r2")

    one.world.reply = renew
    one.token()
    other.advance(1)
    assert waits == [0]
    assert served(other.call()).record.access_token == "t2"
    assert (spent(one), spent(other)) == (["r1"], [])


def test_the_lease_is_as_long_as_the_token_client_is_patient() -> None:
    one, _ = two()
    one.profile.traits = Traits(attended=True)
    one.world.request_timeout_s = 100.0
    leases = []

    def renew(path: str, form: dict[str, str]) -> HttpResponse:
        lease = one.store.holder(one.source.shelf.names[0])
        leases.append(lease.until - one.clock.wall if lease else None)
        return issues("t2", "r2")

    one.world.reply = renew
    one.token()
    assert leases == [pytest.approx(300)]


def test_whoever_asks_a_person_after_a_refused_refresh_token_holds_the_lease_for_as_long_as_that_takes() -> None:
    one, other = two()
    for jar in (one, other):
        jar.profile.traits = Traits(attended=True, patience_s=300.0)
    one.world.replies = [refuses("invalid_grant")]
    one.profile.refresh_token = Secret("r2")
    one.profile.while_asked = lambda: other.advance(290)
    caller = waiting(other.call(600))
    one.token()
    other.advance(1)
    assert served(caller.outcome).record.access_token == "token-2"
    assert (spent(other), other.mints) == ([], 0)


def test_a_lease_that_can_not_be_prolonged_is_gone_on_with() -> None:
    store = Fragile()
    one, _ = two(store)

    def refuse(path: str, form: dict[str, str]) -> HttpResponse:
        store.broken = {"acquire"}
        return refuses("invalid_grant")

    one.world.reply = refuse
    assert one.token().record.access_token == "token-2"


def test_a_store_that_can_give_no_lease_stops_the_renewal_for_a_while_if_it_would_take_a_person() -> None:
    store = Fragile()
    one, _ = two(store)
    one.profile.traits = Traits(attended=True)
    store.broken = {"acquire"}
    failure = one.failure(0.1)
    assert isinstance(failure, StoreError)
    assert (failure.retryable, failure.retry_at) == (True, pytest.approx(one.clock.wall + 10))  # when it is asked again
    store.broken = set()
    one.world.replies = [issues("t2", "r2")]
    caller = waiting(one.call(60))
    one.advance(9)
    assert not caller.done
    one.advance(2)
    assert served(caller.outcome).record.access_token == "t2"
    assert (spent(one), one.mints) == (["r1"], 1)


def test_a_store_that_stays_broken_is_asked_for_a_lease_twice_and_then_the_caller_hears() -> None:
    store = Fragile()
    one, _ = two(store)
    one.profile.traits = Traits(attended=True)
    store.broken = {"acquire"}
    store.asked.clear()
    caller = waiting(one.call(100))
    one.advance(25)
    assert isinstance(caller.outcome, StoreError)
    assert store.asked.count("acquire token") == 2


def test_a_way_in_that_needs_nobody_is_taken_anew_and_the_refresh_token_is_left_to_the_others() -> None:
    store = Fragile()
    one, _ = two(store)
    store.broken = {"acquire"}
    assert one.token().record.access_token == "token-2"
    assert (spent(one), one.mints) == ([], 2)


def test_meanwhile_a_live_token_is_served() -> None:
    store = Fragile()
    jar = a_jar(store=store)
    jar.profile.traits = Traits(attended=True)
    old = jar.token()
    jar.advance(800)
    store.broken = {"acquire"}
    for _ in range(10):
        assert served(jar.call()) is old
        jar.advance(10)
    assert (spent(jar), jar.mints) == ([], 1)
    assert "renewal_failed" in jar.codes()


def test_without_a_refresh_token_no_lease_is_needed() -> None:
    store = Fragile()
    jar = Jar(store=store)
    jar.token()
    jar.advance(991)
    store.broken = {"acquire"}
    assert jar.token().generation == 2


def test_a_forked_child_leaves_the_refresh_token_to_its_parent_and_asks_for_one_of_its_own() -> None:
    jar = a_jar(issues("t3", "r3"))
    jar.token()
    jar.advance(991)
    jar.pool.epoch += 1
    jar.profile.refresh_token = Secret("r2")
    assert jar.token().record.access_token == "token-2"
    jar.advance(991)
    assert jar.token().record.access_token == "t3"
    assert spent(jar) == ["r2"]


def test_a_forked_child_that_shares_a_store_with_its_parent_agrees_by_it() -> None:
    jar = a_jar(issues("t2", "r2"), store=SharedMemory())
    jar.token()
    jar.advance(991)
    jar.pool.epoch += 1
    jar.token()
    assert spent(jar) == ["r1"]


# Generations.


def test_each_renewal_has_the_next_generation_whatever_brought_it() -> None:
    jar = a_jar(issues("t2", "r2"), refuses("invalid_grant"), issues("t4"))
    generations = []
    for _ in range(4):
        generations.append(jar.token().generation)
        jar.advance(991)
    assert generations == [1, 2, 3, 4]
    assert kept(jar).generation == 4


# Where only a person could help.


def attended(*answers: float | GatepassError) -> Jar:
    """A jar without refresh tokens, whose profile asks a person."""
    jar = Jar()
    jar.profile.traits = Traits(attended=True)
    jar.profile.answers = list(answers)
    return jar


def test_a_stale_token_whose_renewal_needs_a_person_is_served_to_its_end_without_asking_again() -> None:
    jar = attended(1000.0, NOBODY)
    old = jar.token()
    jar.advance(800)
    while jar.clock.mono < old.usable_until.mono - 1:
        assert served(jar.call()) is old
        jar.advance(1)
    assert jar.mints == 2
    assert jar.codes() == ["renewal_failed"]


def test_that_failure_is_not_remembered_and_the_first_call_after_the_end_asks_at_once() -> None:
    jar = attended(1000.0, NOBODY, NOBODY)
    jar.token()
    jar.advance(800)
    jar.call()
    jar.advance(191)
    assert isinstance(jar.failure(), SignInRequiredError)
    assert jar.token().generation == 2  # and so does the next
    assert [errand.awaited for errand in jar.profile.asked] == [True, False, True, True]


def test_nobody_is_asked_only_while_nobody_waits() -> None:
    jar = attended(100.0)
    jar.token()
    jar.advance(80)
    jar.call()
    jar.pump()
    jar.source.reject(jar.source.held)
    jar.pump()
    assert [errand.awaited for errand in jar.profile.asked] == [True, False, True]


def test_whoever_comes_while_a_renewal_for_nobody_fails_has_the_person_asked() -> None:
    jar = attended(1000.0)
    jar.token()
    jar.advance(985)
    callers: list[object] = []

    def come() -> None:
        jar.clock.turn(6)  # and the token dies
        callers.append(jar.call())

    jar.profile.while_asked = come
    jar.profile.answers = [NOBODY]
    assert isinstance(jar.call(), Held)
    jar.pump()
    assert served(waiting(callers[0]).outcome).generation == 2
    assert [errand.awaited for errand in jar.profile.asked] == [True, False, True]


def test_where_nobody_has_to_be_asked_a_process_that_died_with_it_delays_nobody_past_a_deadline() -> None:
    one, other = two()
    callers = []

    def die(path: str, form: dict[str, str]) -> HttpResponse:
        callers.append(waiting(other.call()))
        other.advance(6)
        return BUSY

    one.world.reply = die
    waiting(one.call())
    one.pump()
    assert served(callers[0].outcome).generation == 2
    assert (spent(one), spent(other), other.mints) == (["r1"], [], 1)


def test_a_refused_one_leaves_the_store_so_that_nobody_presents_it_again() -> None:
    store = SharedMemory()
    jar = a_jar(refuses("invalid_grant"), store=store)
    jar.profile.traits = Traits(attended=True)
    jar.token()
    other = a_restart(jar)
    other.profile.traits = Traits(attended=True)
    jar.advance(991)
    jar.profile.answers = [NOBODY]
    jar.failure()
    assert spent(jar) == ["r1"]
    assert kept(jar).refresh_token is None
    other.world.dice = 0.25
    other.token()
    assert spent(other) == []


def test_one_that_somebody_else_has_taken_out_of_the_store_is_left_to_them() -> None:
    store = SharedMemory()
    jar, other = a_jar(store=store), a_jar(store=store)
    held = jar.token()
    assert other.source.shelf.token() == held.record
    assert jar.source.shelf.withdraw_refresh_token(held.record, None)
    assert not other.source.shelf.withdraw_refresh_token(held.record, None)
    assert kept(jar).refresh_token is None


def test_after_a_lease_that_could_not_be_asked_for_the_next_one_makes_it_good_again() -> None:
    store = Fragile()
    jar = a_jar(issues("t2"), store=store)
    jar.profile.traits = Traits(attended=True)
    jar.token()
    jar.advance(991)
    store.broken = {"acquire"}
    caller = waiting(jar.call(60.0))
    jar.pump()
    assert not caller.done
    store.broken = set()
    jar.advance(30)
    assert served(caller.outcome).record.access_token == "t2"
    assert (spent(jar), jar.mints) == (["r1"], 1), "nobody had to be asked"
