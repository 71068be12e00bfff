"""Every decision about a token's life, at each boundary and a hair to either side of it."""

from __future__ import annotations

import hashlib
import math
from base64 import urlsafe_b64encode

import msgspec
import pytest
from errands import a_proof_key
from hypothesis import given
from hypothesis import strategies as st

from gatepass.core.world import Instant
from gatepass.lifecycle.policy import (
    Held,
    Policy,
    State,
    asked_for,
    back_off_s,
    decide,
    hold,
    negative_memory_s,
    pause_s,
    still_paused_s,
)
from gatepass.lifecycle.record import Pause, TokenRecord

POLICY = Policy()
START = Instant(wall=1_700_000_000.0, mono=5_000.0)
HAIR = 1e-6


def a_record(
    *, lifetime_s: float | None = 1000.0, age_s: float = 0.0, refresh_in_s: float | None = None
) -> TokenRecord:
    return TokenRecord(
        generation=1,
        access_token="the-token",
        token_type="Bearer",
        obtained_at=START.wall - age_s,
        lifetime_s=lifetime_s,
        refresh_in_s=refresh_in_s,
        scope=None,
        requested=(),
        issuer="https://as.example.com",
        resource="https://mcp.example.com/mcp",
    )


def held(share: float = 0.0, **record: float | None) -> Held:
    return hold(a_record(**record), START, POLICY, share)


def later(seconds: float, *, wall_s: float | None = None) -> Instant:
    return Instant(wall=START.wall + (seconds if wall_s is None else wall_s), mono=START.mono + seconds)


BOUNDARIES = [
    # what, the token, when fresh ends, when it can't be used any more
    ("renewed earliest at 70 %", held(0.0), 700.0, 990.0),
    ("renewed latest at 80 %", held(1.0), 800.0, 990.0),
    ("the share draws the point between", held(0.5), 750.0, 990.0),
    ("a short life keeps 5 % as margin, not 10 s", held(0.0, lifetime_s=30.0), 21.0, 28.5),
    ("2 seconds work as well", held(0.0, lifetime_s=2.0), 1.4, 1.9),
    ("a day works as well", held(0.0, lifetime_s=86_400.0), 60_480.0, 86_390.0),
    ("the server's refresh_in is sooner", held(0.0, refresh_in_s=100.0), 100.0, 990.0),
    ("a later refresh_in changes nothing", held(0.0, refresh_in_s=900.0), 700.0, 990.0),
    ("half of it has passed before it was loaded", held(0.0, age_s=500.0), 200.0, 490.0),
    ("a small step back of the clock is no age", held(0.0, age_s=-59.0), 700.0, 990.0),
]


@pytest.mark.parametrize(
    ("token", "fresh_s", "usable_s"), [row[1:] for row in BOUNDARIES], ids=[r[0] for r in BOUNDARIES]
)
def test_a_token_is_fresh_then_stale_then_expired(token: Held, fresh_s: float, usable_s: float) -> None:
    assert decide(token, later(fresh_s - HAIR)) is State.FRESH
    assert decide(token, later(fresh_s + HAIR)) is State.STALE
    assert decide(token, later(usable_s - HAIR)) is State.STALE
    assert decide(token, later(usable_s + HAIR)) is State.EXPIRED


def test_no_token_is_absent() -> None:
    assert decide(None, START) is State.ABSENT


def test_a_token_without_a_lifetime_is_renewed_after_a_while_and_never_expires() -> None:
    token = held(0.0, lifetime_s=None)
    assert decide(token, later(210.0 - HAIR)) is State.FRESH
    assert decide(token, later(210.0 + HAIR)) is State.STALE
    assert decide(token, later(10 * 365 * 86_400.0)) is State.STALE


def test_a_token_of_no_lifetime_is_expired_at_once() -> None:
    assert decide(held(0.0, lifetime_s=0.0), START) is State.EXPIRED


def test_a_token_from_the_future_is_stale_at_once_and_lives_no_longer_than_its_lifetime() -> None:
    token = held(0.0, age_s=-61.0)
    assert decide(token, START) is State.STALE
    assert decide(token, later(990.0 - HAIR)) is State.STALE
    assert decide(token, later(990.0 + HAIR)) is State.EXPIRED


def test_a_machine_that_slept_does_not_use_a_token_that_died_meanwhile() -> None:
    assert decide(held(), later(1.0, wall_s=3600.0)) is State.EXPIRED


def test_a_clock_that_is_set_back_does_not_prolong_a_token() -> None:
    assert decide(held(), later(995.0, wall_s=-86_400.0)) is State.EXPIRED


@given(
    share=st.floats(0, 1),
    lifetime_s=st.none() | st.floats(0, 1e8),
    age_s=st.floats(-1e9, 1e9),
    refresh_in_s=st.none() | st.floats(0, 1e8),
    steps=st.lists(st.floats(0, 1e8), max_size=8),
)
def test_a_token_only_ever_ages(
    share: float, lifetime_s: float | None, age_s: float, refresh_in_s: float | None, steps: list[float]
) -> None:
    order = [State.FRESH, State.STALE, State.EXPIRED]
    token = held(share, lifetime_s=lifetime_s, age_s=age_s, refresh_in_s=refresh_in_s)
    states = [order.index(decide(token, later(seconds))) for seconds in sorted(steps)]
    assert states == sorted(states)


@given(share=st.floats(0, 1), lifetime_s=st.floats(0.001, 1e8), age_s=st.floats(-1e9, 1e9))
def test_no_token_is_used_to_the_very_end_of_its_lifetime(share: float, lifetime_s: float, age_s: float) -> None:
    token = held(share, lifetime_s=lifetime_s, age_s=age_s)
    assert decide(token, later(lifetime_s)) is State.EXPIRED


def test_the_header_is_ready_made_and_hidden() -> None:
    token = held()
    assert token.authorization == "Bearer the-token"
    assert "the-token" not in repr(token)


@pytest.mark.parametrize(
    ("failures", "remaining_s", "retry_after_s", "share", "expected"),
    [
        (1, 0.0, None, 1.0, 1.0),
        (2, 0.0, None, 1.0, 2.0),
        (3, 0.0, None, 0.5, 2.0),
        (7, 0.0, None, 1.0, 60.0),
        (10_000, 0.0, None, 1.0, 60.0),
        (7, 100.0, None, 1.0, 25.0),
        (7, 0.4, None, 1.0, 0.25),
        (1, 100.0, None, 0.0, 0.25),
        (1, 0.0, None, 0.0, 0.0),
        (1, 0.0, 30.0, 0.0, 30.0),
        (1, 0.0, 30.0, 1.0, 33.0),
        (1, 0.0, 2.0, 1.0, 3.0),
        (1, 8.0, 30.0, 0.5, 31.5),
        (1, 8.0, 30.0, 0.0, 30.25),
        (7, 0.0, 30.0, 1.0, 90.0),
        (1, 0.0, 1e9, 0.0, 3600.0),
        (1, 0.0, 1e9, 1.0, 3960.0),
        (1, 0.0, -5.0, 1.0, 1.0),
    ],
)
def test_back_off_doubles_with_full_jitter_within_its_limits(
    failures: int, remaining_s: float, retry_after_s: float | None, share: float, expected: float
) -> None:
    waited = back_off_s(failures, remaining_s=remaining_s, retry_after_s=retry_after_s, share=share, policy=POLICY)
    assert math.isclose(waited, expected)


@pytest.mark.parametrize(("failures", "expected"), [(1, 60.0), (2, 120.0), (4, 480.0), (5, 600.0), (9999, 600.0)])
def test_a_final_failure_is_remembered_longer_each_time(failures: int, expected: float) -> None:
    assert negative_memory_s(failures, POLICY) == expected


def test_a_token_that_is_bound_to_a_key_has_at_hand_what_its_proofs_say() -> None:
    key = a_proof_key()
    record = msgspec.structs.replace(a_record(), token_type="DPoP", key_thumbprint=key.thumbprint)
    token = hold(record, START, POLICY, 0.0, key)
    assert token.authorization == "DPoP the-token"
    assert token.proof_key is key
    assert token.token_hash == urlsafe_b64encode(hashlib.sha256(b"the-token").digest()).rstrip(b"=").decode()
    assert "the-token" not in repr(token)
    assert token.token_hash not in repr(token)


def test_one_that_is_bound_to_none_has_no_proofs() -> None:
    assert (held().proof_key, held().token_hash, held().generation) == (None, None, 1)


@pytest.mark.parametrize(
    ("requested", "scopes", "expected"),
    [
        ((), (), True),
        (("a",), (), True),
        (("a", "b"), ("b",), True),
        (("a", "b"), ("b", "a"), True),
        (("a",), ("a", "b"), False),
        ((), ("a",), False),
    ],
)
def test_a_token_was_asked_for_with_scopes_if_it_was_with_all_of_them(
    requested: tuple[str, ...], scopes: tuple[str, ...], *, expected: bool
) -> None:
    record = msgspec.structs.replace(a_record(), requested=requested)
    assert asked_for(hold(record, START, POLICY, 0.0), scopes) is expected


@pytest.mark.parametrize(
    ("age_s", "left_s"), [(0.0, 60.0), (59.0, 1.0), (60.0, 0.0), (3600.0, -3540.0), (-60.0, 60.0), (-61.0, 0.0)]
)
def test_a_pause_ends_by_itself_and_one_from_the_future_tells_of_a_wrong_clock(age_s: float, left_s: float) -> None:
    now = Instant(wall=1_700_000_000.0, mono=0.0)
    pause = Pause(began_at=now.wall - age_s, lasts_s=60.0)
    assert still_paused_s(pause, now, Policy()) == left_s


@pytest.mark.parametrize(
    ("wait_s", "remaining_s", "expected"),
    [
        (0.4, 1000.0, 60.0),  # a minute ...
        (0.4, 100.0, 25.0),  # ... or a quarter of what is left ...
        (900.0, 1000.0, 900.0),  # ... or as long as the server says ...
        (900.0, 100.0, 100.0),  # ... and never beyond the token's life
    ],
)
def test_a_pause_is_a_minute_or_a_quarter_of_what_is_left_or_what_the_server_wants(
    wait_s: float, remaining_s: float, expected: float
) -> None:
    assert pause_s(wait_s, remaining_s=remaining_s, policy=Policy()) == expected
