"""When it is worth trying again after a failure, as decided without a clock."""

from __future__ import annotations

import pytest

from gatepass.core.world import Instant
from gatepass.errors import GatepassError, RemoteError, SignInRequiredError, UnreachableError
from gatepass.lifecycle.failures import Failures
from gatepass.lifecycle.policy import Policy

NOW = Instant(wall=1_700_000_000.0, mono=5_000.0)
PASSES = UnreachableError("No answer.", retryable=True)
STAYS = RemoteError("No.", error="invalid_client")
NOBODY = SignInRequiredError("Nobody is here.", code="sign_in_required")


def later(seconds: float) -> Instant:
    return Instant(wall=NOW.wall + seconds, mono=NOW.mono + seconds)


def failed(*errors: GatepassError, remaining_s: float = 0.0, share: float = 1.0) -> Failures:
    failures = Failures(Policy())
    for error in errors:
        failures.add(error, NOW, remaining_s=remaining_s, share=share)
    return failures


@pytest.mark.parametrize(
    ("errors", "remaining_s", "silent_s", "wait_s"),
    [
        ([], 0, 0, float("-inf")),
        ([PASSES], 0, 0, 1),
        ([PASSES, PASSES, PASSES], 0, 0, 4),
        ([PASSES], 2, 0, 0.5),  # no longer than a quarter of what remains
        ([PASSES.with_(retry_at=NOW.wall + 30)], 0, 0, 33),
        ([STAYS], 0, 60, 1),
        ([STAYS, STAYS], 0, 120, 1),
        ([STAYS] * 9, 0, 600, 1),
        ([STAYS, PASSES], 0, 0, 2),
        ([NOBODY], 0, 0, 0),
        ([NOBODY], 100, 0, 100),  # until the token has ended, nobody is bothered
    ],
)
def test_what_passes_is_backed_off_from_and_what_stays_is_remembered(
    errors: list[GatepassError], remaining_s: float, silent_s: float, wait_s: float
) -> None:
    failures = failed(*errors, remaining_s=remaining_s)
    assert (failures.standing(later(silent_s - 0.001)) is not None) is (silent_s > 0)
    assert failures.standing(later(silent_s)) is None
    assert failures.not_before_mono == NOW.mono + wait_s


def test_the_error_says_when_to_try_again_if_that_is_any_use() -> None:
    passing, wait_s = Failures(Policy()).add(PASSES, NOW, remaining_s=0, share=0.5)
    assert (wait_s, passing.retry_at) == (0.5, NOW.wall + 0.5)
    staying, _ = Failures(Policy()).add(STAYS, NOW, remaining_s=0, share=0.5)
    assert staying.retry_at is None


def test_when_the_token_has_died_the_back_off_begins_anew() -> None:
    failures = failed(*[PASSES] * 6, remaining_s=1000)
    failures.add(PASSES, NOW, remaining_s=0, share=1.0)
    assert failures.retry_in_s(NOW) == 1.0


def test_a_token_ends_it_all() -> None:
    failures = failed(STAYS, STAYS)
    failures.clear()
    assert (failures.last, failures.standing(NOW), failures.retry_in_s(NOW)) == (None, None, 0.0)
    failures.add(PASSES, NOW, remaining_s=0, share=1.0)
    assert failures.retry_in_s(NOW) == 1.0


def test_only_what_may_pass_is_waited_for() -> None:
    assert failed(STAYS).retry_in_s(NOW) == 0.0
    assert failed(PASSES).retry_in_s(NOW) == 1.0
