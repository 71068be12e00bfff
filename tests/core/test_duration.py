from __future__ import annotations

import pytest

from gatepass.core.duration import is_duration


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1, True),
        (0.001, True),
        (60, True),
        (60.0, True),
        (0, False),
        (-1, False),
        (60.001, False),
        (10**400, False),
        (float("inf"), False),
        (float("nan"), False),
        (True, False),
        ("5", False),
        (None, False),
    ],
)
def test_a_duration_is_a_number_more_than_nothing_and_not_too_long(value, expected):
    assert is_duration(value, most_s=60.0) is expected
