"""What whoever watches is told of, and that watching can hurt nobody."""

from __future__ import annotations

import logging

import httpx2
import pytest
from jar import Clock, Jar, SharedMemory

from gatepass.core.http import HttpRequest
from gatepass.core.target import Target
from gatepass.core.world import Notice
from gatepass.engine.event import Event, Listener
from gatepass.engine.shelf import Shelf
from gatepass.engine.token_http import TokenHttp
from gatepass.engine.world import RealWorld
from gatepass.errors import RemoteError, UnreachableError
from gatepass.signers.key_ring import KeyRing
from gatepass.stores.memory import MemoryStore

BUSY = UnreachableError("No answer.", code="timeout", retryable=True, status=503)
REFUSED = RemoteError("No.", code="token_refused", error="invalid_client", status=401)
RESOURCE = "https://mcp.example.com/mcp"


def told(jar: Jar, *codes: str) -> list[Notice]:
    """What was said under these codes, in order."""
    return [notice for notice in jar.world.notices if notice.code in codes]


# What is told.


def test_a_token_that_comes_says_how_and_how_long_it_took() -> None:
    jar = Jar()
    jar.profile.takes_s = 0.25
    jar.token()
    (notice,) = told(jar, "token_obtained")
    assert notice.facts == {
        "generation": 1,
        "issuer": "https://as.example.com",
        "lifetime_s": 1000.0,
        "by": "JarProfile",
        "took_s": 0.25,
    }


def test_each_attempt_that_fails_says_why_and_the_last_one_that_there_is_no_token() -> None:
    jar = Jar()
    jar.profile.answers = [BUSY, BUSY]
    jar.profile.takes_s = 0.5
    waiter = jar.call(60.0)
    jar.advance(30.0)
    assert getattr(waiter, "done", False)
    attempts = [(notice.facts["attempt"], notice.facts["took_s"]) for notice in told(jar, "attempt_failed")]
    assert attempts == [(1, 0.5), (2, 0.5)]
    (end,) = told(jar, "token_failed")
    assert end.level == "info", "whoever waits is told, so the log need not warn"
    assert {name: end.facts[name] for name in ("kind", "code", "status", "retryable")} == {
        "kind": "UnreachableError",
        "code": "timeout",
        "status": 503,
        "retryable": True,
    }


def test_while_the_token_at_hand_is_good_a_failure_is_another_one() -> None:
    jar = Jar()
    jar.token()
    jar.clock.turn(800)
    jar.profile.answers = [REFUSED]
    jar.token()
    jar.pump()
    assert [notice.code for notice in told(jar, "renewal_failed", "token_failed")] == ["renewal_failed"]
    assert told(jar, "attempt_failed")[0].facts["error"] == "invalid_client"


def test_what_others_left_in_the_store_is_told_of_with_its_age() -> None:
    clock, store = Clock(), SharedMemory()
    Jar(store=store, clock=clock).token()
    clock.turn(60)
    second = Jar(store=store, clock=clock)
    second.token()
    (notice,) = told(second, "token_loaded")
    assert (notice.facts["generation"], notice.facts["age_s"], notice.level) == (1, 60.0, "debug")


def test_who_takes_the_lease_and_who_finds_it_taken_are_told_of() -> None:
    clock, store = Clock(), SharedMemory(clock=lambda: clock.wall)
    first, second = Jar(store=store, clock=clock), Jar(store=store, clock=clock)
    second.world.dice = 0.25  # another owner
    first.profile.while_asked = lambda: (second.call(), second.pump())
    first.token()
    (taken,) = told(first, "lease_taken")
    assert str(taken.facts["owner"]).count(".") >= 2
    assert len(told(second, "lease_busy")) == 1


def test_a_refused_token_is_told_of_once() -> None:
    jar = Jar()
    held = jar.token()
    jar.clock.turn(30)
    for _ in range(3):
        jar.source.reject(held)
    assert [notice.facts["age_s"] for notice in told(jar, "token_rejected")] == [30.0]


# How it is told.


def a_world(listener: Listener | None, answer: httpx2.Response | Exception | None = None) -> RealWorld:
    def handle(_: httpx2.Request) -> httpx2.Response:
        if isinstance(answer, Exception):
            raise answer
        return answer or httpx2.Response(204)

    http = TokenHttp(transport=httpx2.MockTransport(handle))
    world = RealWorld(http, KeyRing(), resource=RESOURCE, on_event=listener)
    world.shelf = Shelf(MemoryStore(), Target(endpoint=RESOURCE), ("test",), world)
    return world


def test_an_event_says_when_and_of_what_it_is() -> None:
    events: list[Event] = []
    world = a_world(events.append)
    before = world.now().wall
    world.notice(Notice(code="a_code", text="A text.", level="debug", facts={"n": 1}))
    (event,) = events
    assert (event.code, event.text, event.level, event.facts) == ("a_code", "A text.", "debug", {"n": 1})
    assert (event.resource, event.identity) == (RESOURCE, world.shelf.names[0])
    assert before <= event.at <= world.now().wall


def test_what_is_said_once_is_told_once() -> None:
    events: list[Event] = []
    world = a_world(events.append)
    for _ in range(3):
        world.notice(Notice(code="a_code", text="A text.", once=True))
    assert len(events) == 1


def test_every_request_of_ours_is_told_of_without_what_stands_in_its_query() -> None:
    events: list[Event] = []
    world = a_world(events.append)
    world.send(HttpRequest(method="POST", url="https://user:pw@as.example.com/token?key=secret", body=b"secret"))
    facts = dict(events[0].facts)
    assert facts.pop("took_s") is not None
    assert facts == {"method": "POST", "url": "https://as.example.com/token", "status": 204}
    assert "secret" not in repr(events)


def test_a_request_that_fails_is_told_of_too() -> None:
    events: list[Event] = []
    world = a_world(events.append, httpx2.ConnectTimeout("slow"))
    with pytest.raises(UnreachableError):
        world.send(HttpRequest(method="GET", url="https://as.example.com/x"))
    assert (events[0].code, events[0].facts["code"], events[0].facts["kind"]) == (
        "unanswered",
        "timeout",
        "UnreachableError",
    )


def test_a_listener_that_fails_costs_nothing_and_is_complained_of_once(caplog: pytest.LogCaptureFixture) -> None:
    def broken(event: Event) -> None:
        raise ValueError(f"CANARY {event}")

    world = a_world(broken)
    with caplog.at_level(logging.DEBUG, logger="gatepass"):
        for _ in range(3):
            world.notice(Notice(code="a_code", text="A text."))
    said = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert said == ["The on_event callable failed with ValueError; it is told of the next events all the same."]
    assert "CANARY" not in caplog.text


def test_the_log_carries_code_and_facts(caplog: pytest.LogCaptureFixture) -> None:
    world = a_world(None)
    with caplog.at_level(logging.INFO, logger="gatepass"):
        world.notice(Notice(code="a_code", text="A text.", facts={"n": 1}))
    (record,) = caplog.records
    assert (record.gatepass_code, record.gatepass_facts) == ("a_code", {"n": 1})  # type: ignore[attr-defined]
