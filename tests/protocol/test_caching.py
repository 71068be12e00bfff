"""How long a metadata document may be kept."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepass.core.http import HttpResponse
from gatepass.protocol.caching import cache_seconds


def answer(*lines, age=None):
    headers = tuple(("Cache-Control", line) for line in lines)
    return HttpResponse(status=200, headers=headers if age is None else (*headers, ("Age", age)))


@pytest.mark.parametrize(
    ("lines", "age", "seconds"),
    [
        ([], None, 3600),
        (["public"], None, 3600),
        (["max-age=7200"], None, 7200),
        (["public, Max-Age=7200"], None, 7200),
        (['max-age="7200"'], None, 7200),
        (["public", "max-age=7200"], None, 7200),
        (["max-age=7200, max-age=9000"], None, 7200),
        (["max-age=7200"], "200", 7000),
        (["max-age=7200"], "7200", 300),
        (["max-age=7200"], "x", 7200),
        (["max-age=300"], None, 300),
        (["max-age=299"], None, 300),
        (["max-age=0"], None, 300),
        (["max-age=86400"], None, 86_400),
        (["max-age=86401"], None, 86_400),
        (["max-age=" + "9" * 400], None, 86_400),
        (["max-age=-1"], None, 3600),
        (["max-age=soon"], None, 3600),
        (["max-age"], None, 3600),
        (["s-maxage=7200"], None, 3600),
        (["no-store"], None, 300),
        (["no-cache, max-age=7200"], None, 300),
        (['no-cache="set-cookie", max-age=7200'], None, 300),
    ],
)
def test_cache_control_is_honoured_within_bounds(lines, age, seconds):
    assert cache_seconds(answer(*lines, age=age)) == seconds


@given(st.lists(st.text() | st.from_regex(r"max-age=[0-9]+", fullmatch=True)), st.none() | st.text())
def test_whatever_a_server_says_it_is_between_five_minutes_and_a_day(lines, age):
    assert 300 <= cache_seconds(answer(*lines, age=age)) <= 86_400
