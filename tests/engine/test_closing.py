"""A clean end: what is on its way arrives, what only waits for its time is called off, and nothing new begins."""

from __future__ import annotations

from jar import Caller, Jar, SharedMemory, served, waiting

from gatepass.core.secret import Secret
from gatepass.errors import GatepassError, UnreachableError

BUSY = UnreachableError("No answer.", code="timeout", retryable=True)


def closing(jar: Jar) -> Caller | None:
    return jar.source._closing(Caller, 10.0)


def test_with_nothing_on_its_way_there_is_nothing_to_wait_for() -> None:
    jar = Jar()
    assert closing(jar) is None
    assert jar.failure().code == "closed"
    assert jar.mints == 0


def test_a_token_that_is_on_its_way_arrives_in_the_store_before_the_end() -> None:
    jar = Jar(store=SharedMemory())
    jar.profile.refresh_token = Secret("r1")
    farewells: list[Caller | None] = []
    jar.profile.while_asked = lambda: farewells.append(closing(jar))
    waiter = waiting(jar.call())
    jar.pump()
    (farewell,) = farewells
    assert farewell is not None
    assert (farewell.done, farewell.woken, farewell.outcome) == (True, 1, None)
    assert served(waiter.outcome).generation == 1
    record, lease = jar.source.shelf.peek()
    assert record is not None
    assert (record.refresh_token, lease) == ("r1", None)


def test_what_is_at_hand_serves_until_it_expires_and_is_not_renewed() -> None:
    jar = Jar()
    jar.token()
    closing(jar)
    jar.clock.turn(800)
    assert served(jar.call()).generation == 1
    jar.clock.turn(200)
    assert jar.failure().code == "closed"
    assert (jar.mints, jar.pool.busy) == (1, False)


def test_a_refused_token_is_not_replaced_any_more() -> None:
    jar = Jar()
    held = jar.token()
    closing(jar)
    assert not jar.source.reject(held)
    assert jar.failure().code == "closed"


def test_an_attempt_that_waits_for_its_time_is_called_off_and_who_waits_for_it_is_told() -> None:
    jar = Jar()
    jar.profile.answers = [BUSY]
    waiter = waiting(jar.call(60.0))
    jar.pump()
    assert (waiter.done, jar.pool.busy) == (False, True)
    assert closing(jar) is None
    assert isinstance(waiter.outcome, GatepassError)
    assert waiter.outcome.code == "closed"
    jar.advance(60)
    assert jar.mints == 1


def test_an_attempt_that_fails_at_the_end_is_not_tried_again() -> None:
    jar = Jar()
    jar.profile.answers = [BUSY]
    farewells: list[Caller | None] = []
    jar.profile.while_asked = lambda: farewells.append(closing(jar))
    waiter = waiting(jar.call(60.0))
    jar.pump()
    assert isinstance(waiter.outcome, UnreachableError)
    assert farewells[0] is not None
    assert farewells[0].done
    assert not jar.pool.busy


def test_one_who_waits_for_somebody_elses_renewal_stops_waiting() -> None:
    store = SharedMemory()
    one, other = Jar(store=store), Jar(store=store)
    other.world.dice = 0.25  # another owner
    waiters: list[Caller] = []

    def meanwhile() -> None:
        waiters.append(waiting(other.call()))
        other.pump()
        closing(other)

    one.profile.while_asked = meanwhile
    one.token()
    assert isinstance(waiters[0].outcome, GatepassError)
    assert waiters[0].outcome.code == "closed"


def test_a_token_that_is_forgotten_on_its_way_is_not_waited_for() -> None:
    jar = Jar()
    farewells: list[Caller | None] = []

    def meanwhile() -> None:
        farewells.append(closing(jar))
        jar.source.forget()

    jar.profile.while_asked = meanwhile
    jar.call()
    jar.pump()
    assert farewells[0] is not None
    assert farewells[0].done


def test_a_look_into_the_store_that_nobody_needs_any_more_is_an_end_too() -> None:
    jar = Jar(scopes=None)
    farewells: list[Caller | None] = []

    def look() -> None:
        farewells.append(closing(jar))

    jar.call(bare_ok=True)
    jar.source.shelf.challenge = look  # type: ignore[method-assign,assignment]
    jar.pump()
    assert farewells[0] is not None
    assert farewells[0].done
