"""When more scopes are asked for: never twice for nothing, never above the ceiling, never without end."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepass.core.world import Instant
from gatepass.lifecycle.policy import Policy
from gatepass.lifecycle.step_up import StepUps

POLICY = Policy()
NOW = Instant(wall=1_700_000_000.0, mono=5_000.0)
CALL = "POST tools/call"

scopes = st.lists(st.sampled_from("abcdef"), unique=True, max_size=4).map(tuple)


def later(seconds: float) -> Instant:
    return Instant(wall=NOW.wall, mono=NOW.mono + seconds)


@pytest.mark.parametrize(
    ("asked", "challenged", "ceiling", "wanted"),
    [
        (("a",), ("b",), None, ("a", "b")),
        (("a",), ("a", "b"), None, ("a", "b")),
        ((), ("a",), None, ("a",)),
        (("a",), ("b",), ("a", "b", "c"), ("a", "b")),
        # it is no use
        (("a",), ("a",), None, None),
        (("a",), (), None, None),
        (("a",), ("b",), ("a",), None),
        (("a",), ("b",), (), None),
        (("a",), ("b", "c"), ("a", "b"), None),
    ],
)
def test_what_is_new_and_under_the_ceiling_is_asked_for_with_what_was(
    asked: tuple[str, ...], challenged: tuple[str, ...], ceiling: tuple[str, ...] | None, wanted: tuple[str, ...] | None
) -> None:
    assert StepUps(ceiling, POLICY).wanted(asked, challenged, CALL, NOW) == wanted


def test_one_operation_brings_two_tokens_and_no_more() -> None:
    ups = StepUps(None, POLICY)
    for generation, asked, challenged in ((2, ("a",), ("b",)), (3, ("a", "b"), ("c",))):
        assert ups.wanted(asked, challenged, CALL, NOW)
        ups.brought(CALL, generation)
    assert ups.wanted(("a", "b", "c"), ("d",), CALL, NOW) is None
    assert ups.wanted(("a", "b", "c"), ("d",), "POST tools/list", NOW) == ("a", "b", "c", "d")


def test_a_token_that_many_asked_for_at_once_counts_once() -> None:
    ups = StepUps(None, POLICY)
    for _ in range(10):
        ups.brought(CALL, 2)
    assert ups.wanted(("a",), ("b",), CALL, NOW) == ("a", "b")


def test_asking_in_vain_is_no_token() -> None:
    ups = StepUps(None, POLICY)
    assert [ups.wanted(("a",), ("b",), CALL, NOW) for _ in range(10)] == [("a", "b")] * 10


def test_what_the_server_refused_of_late_is_not_asked_for_again_for_a_while() -> None:
    ups = StepUps(None, POLICY)
    ups.refused(("b",), NOW)
    assert ups.wanted(("a",), ("b",), CALL, later(60.0 - 1e-6)) is None
    assert ups.wanted(("a",), ("b", "c"), "another operation", NOW) is None
    assert ups.wanted(("a",), ("c",), CALL, NOW) == ("a", "c"), "what was not refused"
    assert ups.wanted(("a", "b"), ("b", "c"), CALL, NOW) == ("a", "b", "c"), "what the token has by now"
    assert ups.wanted(("a",), ("b",), CALL, later(60.0)) == ("a", "b")


@pytest.mark.parametrize(("refusals", "silent_s"), [(1, 60.0), (2, 120.0), (4, 480.0), (5, 600.0), (9, 600.0)])
def test_each_refusal_is_remembered_longer(refusals: int, silent_s: float) -> None:
    ups = StepUps(None, POLICY)
    for _ in range(refusals):
        ups.refused(("b",), NOW)
    assert ups.wanted(("a",), ("b",), CALL, later(silent_s - 1e-6)) is None
    assert ups.wanted(("a",), ("b",), CALL, later(silent_s)) == ("a", "b")


def test_a_later_refusal_leaves_those_that_still_stand_and_drops_those_that_have_passed() -> None:
    ups = StepUps(None, POLICY)
    ups.refused(("b",), NOW)
    ups.refused(("c",), later(30))
    assert ups.wanted(("a",), ("b",), CALL, later(59)) is None
    assert ups.wanted(("a",), ("c",), CALL, later(149)) is None
    ups.refused(("d",), later(61))
    assert set(ups._refused) == {"c", "d"}


def test_what_is_remembered_is_bounded() -> None:
    ups = StepUps(None, POLICY)
    for number in range(5000):
        ups.brought(f"operation {number}", number)
    assert len(ups._brought) <= 1000


@given(asked=scopes, challenges=st.lists(scopes, max_size=12), ceiling=st.none() | scopes)
def test_whatever_a_resource_wants_it_comes_to_an_end(
    asked: tuple[str, ...], challenges: list[tuple[str, ...]], ceiling: tuple[str, ...] | None
) -> None:
    ups, brought = StepUps(ceiling, POLICY), 0
    for challenged in challenges:
        wanted = ups.wanted(asked, challenged, CALL, NOW)
        if wanted is None:
            continue
        assert set(wanted) == {*asked, *challenged}
        assert wanted != asked
        assert ceiling is None or set(wanted) - set(asked) <= set(ceiling)
        asked, brought = wanted, brought + 1
        ups.brought(CALL, brought)
    assert brought <= POLICY.step_ups
