"""A token with more scopes, where the resource wants them: for whoever needs it, and at nobody else's cost."""

from __future__ import annotations

import pytest
from jar import ENDPOINT, Clock, Jar, SharedMemory, issues, resource_metadata, served, waiting

from gatepass.core.secret import Secret
from gatepass.errors import GatepassError, RemoteError, SignInRequiredError, UnreachableError
from gatepass.lifecycle.policy import Held
from gatepass.protocol.challenge import ResourceChallenge
from gatepass.protocol.scope import Scopes

DOWN = UnreachableError("No answer.", code="unreachable", retryable=True)
NOT_YOU = RemoteError("No.", code="token_refused", error="invalid_scope", status=400)
NOBODY = SignInRequiredError("A person has to sign in.", code="sign_in_required")


def wants(*scopes: str) -> ResourceChallenge:
    return ResourceChallenge(scheme="bearer", scope=scopes or None, error="insufficient_scope")


def a_jar(**options: object) -> Jar:
    """A jar whose resource says that the scope a is the usual one."""
    jar = Jar(**{"scopes": None, **options})  # type: ignore[arg-type]
    jar.world.documents.update(resource_metadata("https://as.example.com", scopes_supported=["a"]))
    return jar


def step_up(jar: Jar, held: Held, *scopes: str, operation: str = "POST /mcp") -> Held:
    """Do what the flow of a request does after a 403."""
    wanted = jar.source.step_up(held, wants(*scopes), operation)
    assert wanted is not None, "it is no use"
    stronger = jar.token(needs=wanted)
    jar.source.stepped_up(stronger, operation)
    return stronger


def asked(jar: Jar) -> list[Scopes]:
    """The scopes of each token request."""
    return [errand.scopes for errand in jar.profile.asked]


# What is asked for.


def test_the_union_of_what_was_asked_for_before_and_of_what_the_resource_wants_is_asked_for() -> None:
    jar = a_jar()
    held = jar.token()
    stronger = step_up(jar, held, "b", "a")
    assert asked(jar) == [("a",), ("a", "b")]
    assert (stronger.generation, stronger.record.requested) == (2, ("a", "b"))
    assert served(jar.call()) is stronger


@pytest.mark.parametrize("scopes", [(), ("a",)], ids=["none named", "asked for already"])
def test_where_nothing_new_is_wanted_it_is_no_use(scopes: Scopes) -> None:
    jar = a_jar()
    assert jar.source.step_up(jar.token(), wants(*scopes), "POST /mcp") is None


def test_what_the_user_pinned_is_a_ceiling_unless_it_is_opened_by_name() -> None:
    jar = a_jar(scopes=("a",))
    assert jar.source.step_up(jar.token(), wants("b"), "POST /mcp") is None
    jar = a_jar(scopes=("a",), step_up=True)
    assert step_up(jar, jar.token(), "b").record.requested == ("a", "b")


def test_an_operation_may_bring_two_tokens_with_more_scopes_and_another_one_as_many() -> None:
    jar = a_jar()
    held = jar.token()
    for scope in ("b", "c"):
        held = step_up(jar, held, scope)
    assert jar.source.step_up(held, wants("d"), "POST /mcp") is None
    assert step_up(jar, held, "d", operation="POST /mcp tools/call other").record.requested == ("a", "b", "c", "d")


def test_the_refresh_token_is_not_used_for_more_than_was_granted() -> None:
    jar = a_jar()
    jar.profile.refresh_token = Secret("r1")
    step_up(jar, jar.token(), "b")
    assert jar.world.posted == []


def test_once_stepped_up_to_the_refresh_token_brings_it_all() -> None:
    jar = a_jar()
    jar.profile.refresh_token = Secret("r1")
    step_up(jar, jar.token(), "b")
    jar.advance(991)
    jar.world.replies = [issues("t3", "r2")]
    assert jar.token().record.requested == ("a", "b")
    assert jar.mints == 2


# Many at once.


def test_a_hundred_requests_that_need_the_same_scope_make_one_token_request() -> None:
    jar = a_jar()
    held = jar.token()
    wanted = [jar.source.step_up(held, wants("b"), "POST /mcp") for _ in range(100)]
    assert wanted == [("a", "b")] * 100
    callers = [waiting(jar.call(needs=scopes or ())) for scopes in wanted]
    jar.pump()
    assert {served(caller.outcome).generation for caller in callers} == {2}
    for caller in callers:
        jar.source.stepped_up(served(caller.outcome), "POST /mcp")
    assert jar.mints == 2
    step_up(jar, served(jar.call()), "c")  # all of them were one


def test_whoever_is_late_takes_the_token_that_another_request_has_brought_meanwhile() -> None:
    jar = a_jar()
    held = jar.token()
    stronger = step_up(jar, held, "b")
    assert jar.source.step_up(held, wants("b"), "POST /mcp") == ("a", "b")
    assert jar.token(needs=("a", "b")) is stronger
    assert jar.mints == 2


def test_that_other_tokens_came_meanwhile_is_no_reason_to_try_again_what_did_not_do() -> None:
    jar = a_jar()
    held = jar.token()
    jar.advance(991)
    jar.token()
    assert jar.source.step_up(held, wants("a"), "POST /mcp") is None


def test_two_requests_that_need_different_scopes_get_one_token_with_both() -> None:
    jar = a_jar()
    jar.token()
    callers = [waiting(jar.call(needs=("a", scope))) for scope in "bc"]
    jar.pump()
    assert served(callers[0].outcome) is served(callers[1].outcome)
    assert asked(jar) == [("a",), ("a", "b", "c")]


def test_what_another_process_has_stepped_up_to_is_taken_over() -> None:
    store, clock = SharedMemory(), Clock()
    one, other = a_jar(store=store, clock=clock), a_jar(store=store, clock=clock)
    one.token()
    held = other.token()
    step_up(one, served(one.call()), "b")
    assert step_up(other, held, "b").generation == 2
    assert other.mints == 0


# Kept.


def test_the_scopes_that_were_stepped_up_to_are_asked_for_from_then_on_and_after_a_restart() -> None:
    jar = a_jar()
    step_up(jar, jar.token(), "b")
    jar.advance(991)
    jar.token()
    jar.advance(991)
    again = a_jar(store=jar.store, clock=jar.clock)
    assert again.token().generation == 4
    assert (asked(jar)[2:], asked(again)) == ([("a", "b")], [("a", "b")])


def test_scopes_that_are_given_no_longer_do_not_keep_the_usual_ones_from_being_had() -> None:
    jar = a_jar()
    step_up(jar, jar.token(), "b")
    jar.advance(991)
    jar.profile.answers = [NOT_YOU]
    assert jar.token().record.requested == ("a",)
    assert asked(jar)[2:] == [("a", "b"), ("a",)]
    assert jar.codes() == ["step_up_lost"]
    jar.advance(991)
    assert jar.token().record.requested == ("a",)


def test_the_usual_scopes_are_not_asked_for_twice_where_they_are_refused() -> None:
    jar = a_jar()
    jar.profile.default = NOT_YOU
    assert jar.failure().error == "invalid_scope"
    assert jar.mints == 1


# Refused.


@pytest.mark.parametrize("refusal", [NOT_YOU, NOBODY], ids=["by the server", "for want of a person"])
def test_a_refused_scope_fails_those_who_need_it_and_leaves_the_token_at_hand_to_the_others(
    refusal: GatepassError,
) -> None:
    jar = a_jar()
    held = jar.token()
    jar.profile.answers = [refusal]
    failure = jar.failure(needs=("a", "b"))
    assert (type(failure), failure.code) == (type(refusal), refusal.code)
    assert served(jar.call()) is held
    assert jar.source.ready is held
    jar.advance(991)
    assert jar.token().generation == 2


def test_it_is_remembered_for_a_while_and_then_tried_again_for_longer_and_longer() -> None:
    jar = a_jar()
    jar.profile.default = 1e6
    held = jar.token()
    jar.profile.default = NOT_YOU
    for memory_s in (60, 120, 240, 480, 600, 600):
        assert jar.failure(needs=jar.source.step_up(held, wants("b"), "POST /mcp") or ()).error == "invalid_scope"
        jar.advance(memory_s - 1)
        assert jar.source.step_up(held, wants("b"), "POST /mcp") is None
        assert jar.source.step_up(held, wants("c"), "POST /mcp") == ("a", "c")
        jar.advance(2)
    jar.profile.default = 1000.0
    assert step_up(jar, held, "b").record.requested == ("a", "b")


def test_those_who_wait_for_any_token_get_one_without_the_scopes_that_were_refused() -> None:
    jar = a_jar()
    jar.token()
    jar.advance(991)
    modest, ambitious = waiting(jar.call()), waiting(jar.call(needs=("a", "b")))
    jar.profile.answers = [NOT_YOU]
    jar.pump()
    assert isinstance(ambitious.outcome, RemoteError)
    assert served(modest.outcome).record.requested == ("a",)
    assert asked(jar)[1:] == [("a", "b"), ("a",)]


def test_a_server_in_trouble_fails_those_who_need_more_and_not_those_who_have_enough() -> None:
    jar = a_jar()
    held = jar.token()
    jar.profile.default = DOWN
    caller = waiting(jar.call(needs=("a", "b")))
    jar.advance(3)
    assert isinstance(caller.outcome, UnreachableError)
    assert caller.outcome.retry_at is not None
    assert served(jar.call()) is held
    jar.profile.default = 1000.0
    jar.advance(10)
    assert step_up(jar, held, "b").generation == 2


def test_a_renewal_behind_a_stale_token_takes_along_whoever_needs_more() -> None:
    jar = a_jar()
    held = jar.token()
    jar.advance(800)
    assert served(jar.call()) is held
    caller = waiting(jar.call(needs=("a", "b")))
    jar.pump()
    assert served(caller.outcome).record.requested == ("a", "b")
    assert jar.mints == 2


def test_where_somebody_else_renews_a_token_with_the_usual_scopes_is_not_enough() -> None:
    store = SharedMemory()
    jar = a_jar(store=store)
    held = jar.token()
    lease = store.acquire(jar.source.shelf.names[0], "somebody", 5.0)
    assert lease is not None
    caller = waiting(jar.call(needs=("a", "b")))
    jar.advance(1)
    assert not caller.done
    assert served(jar.call()) is held
    store.release(lease)
    jar.advance(1)
    assert served(caller.outcome).record.requested == ("a", "b")


def test_the_token_of_a_resource_that_is_asked_for_nothing_can_be_stepped_up_too() -> None:
    jar = Jar(scopes=None)
    held = jar.token()
    assert step_up(jar, held, "b").record.requested == ("b",)
    assert jar.profile.asked[0].resource == ENDPOINT
