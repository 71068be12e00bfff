"""Which of two tokens to use, and which ones never again."""

from __future__ import annotations

from typing import Any

import pytest

from gatepass.core.world import Instant
from gatepass.lifecycle.hand import Hand
from gatepass.lifecycle.policy import Held, Policy, hold
from gatepass.lifecycle.record import TokenRecord

NOW = Instant(wall=1_700_000_000.0, mono=100.0)
FRESH, STALE, EXPIRED = 0.0, 800.0, 1000.0


def token(name: str, generation: int, age_s: float = FRESH, **more: Any) -> Held:
    """A token that lives for 1,000 seconds."""
    record = TokenRecord(
        generation=generation,
        access_token=name,
        token_type="Bearer",
        obtained_at=NOW.wall - age_s,
        lifetime_s=1000.0,
        refresh_in_s=None,
        scope=None,
        requested=(),
        issuer="https://as.example.com",
        resource="https://mcp.example.com/mcp",
        **more,
    )
    return hold(record, NOW, Policy(), share=0.0)


def a_hand(held: Held | None = None, *refused: Held) -> Hand:
    hand = Hand()
    if held is not None:
        hand.hold(held)
    for each in refused:
        hand.refuse(each)
    return hand


@pytest.mark.parametrize(
    ("at_hand", "other", "better"),
    [
        (None, token("b", 1, EXPIRED), True),
        (token("a", 1), token("b", 2), True),
        (token("a", 2), token("b", 2), False),
        (token("a", 2), token("b", 1), False),
        (token("a", 2, STALE), token("b", 1), True),
        (token("a", 1), token("b", 2, STALE), False),
        (token("a", 2, EXPIRED), token("b", 1, STALE), True),
        (token("a", 2, EXPIRED), token("b", 1, EXPIRED), False),
        (token("a", 1, EXPIRED), token("b", 2, EXPIRED), True),
        (token("a", 1, STALE), token("a", 1), False),
    ],
)
def test_the_better_token_is_in_a_better_state_or_in_the_same_and_newer(
    at_hand: Held | None, other: Held, better: bool
) -> None:
    assert a_hand(at_hand).prefers(other, NOW) is better


def test_any_token_is_better_than_one_that_was_refused_and_no_refused_one_is_better_than_one_that_serves() -> None:
    old, new = token("a", 1, STALE), token("b", 2)
    assert a_hand(new, new).prefers(old, NOW)
    assert not a_hand(old, new).prefers(new, NOW)


def test_a_refused_token_is_not_usable_and_others_of_its_number_are() -> None:
    refused, other = token("a", 1), token("b", 1)
    hand = a_hand(refused, refused)
    assert not hand.usable(refused, NOW)
    assert hand.usable(other, NOW)
    assert not hand.usable(token("c", 1, EXPIRED), NOW)


def test_a_refusal_is_news_once() -> None:
    hand = a_hand(held := token("a", 1))
    assert [hand.refuse(held), hand.refuse(held)] == [True, False]


def test_the_last_refusals_are_remembered_and_no_more() -> None:
    many = [token(f"t{number}", number) for number in range(9)]
    hand = a_hand(None, *many)
    assert [hand.refuses(each.record.access_token) for each in many] == [False] + [True] * 8


def test_a_refused_token_that_the_server_gives_again_is_tried_again() -> None:
    hand = a_hand(held := token("a", 1), held)
    hand.hold(again := token("a", 2))
    assert hand.usable(again, NOW)


def test_what_is_dropped_is_not_used_again() -> None:
    hand = a_hand(held := token("a", 3))
    assert hand.drop() is held
    assert hand.held is None
    assert hand.refuses("a")
    assert hand.last == 3
    assert hand.drop() is None


def test_the_newest_generation_is_that_of_any_token_that_was_heard_of() -> None:
    hand = a_hand(token("a", 3))
    hand.heard_of(7)
    hand.hold(token("b", 5))
    assert hand.last == 7


def test_a_spent_refresh_token_is_of_no_use_and_that_of_the_next_token_is() -> None:
    hand = a_hand(held := token("a", 1, refresh_token="r"))
    assert hand.refresh_token == "r"
    hand.spend(held)
    assert hand.refresh_token is None
    hand.hold(token("b", 2, refresh_token="r"))
    assert hand.refresh_token == "r"
    assert a_hand().refresh_token is None
