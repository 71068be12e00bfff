"""Retry-After and the Date header."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepass.core.http import HttpResponse
from gatepass.core.world import Instant
from gatepass.protocol.dates import clock_skew_s, retry_at

NOW = Instant(wall=784111777.0, mono=5.0)  # Sun, 06 Nov 1994 08:49:37 GMT, the date of RFC 9110 §5.6.7


def answer(**headers):
    return HttpResponse(status=503, headers=tuple((name.replace("_", "-"), value) for name, value in headers.items()))


@pytest.mark.parametrize(
    ("value", "wait_s"),
    [
        ("120", 120),
        (" 5 ", 5),
        ("0", 0),
        ("3600", 3600),
        ("3601", 3600),
        ("999999999999", 3600),
        ("Sun, 06 Nov 1994 08:50:37 GMT", 60),
        ("Sunday, 06-Nov-94 08:50:37 GMT", 60),
        ("Sun Nov  6 08:50:37 1994", 60),
        ("Sun, 06 Nov 1994 08:00:00 GMT", 0),
        ("Sun, 06 Nov 2033 08:49:37 GMT", 3600),
    ],
)
def test_retry_after_is_seconds_or_a_date_from_now_to_an_hour_ahead(value, wait_s):
    assert retry_at(answer(Retry_After=value), NOW) == NOW.wall + wait_s


def test_a_date_counts_from_the_date_of_the_answer_whatever_our_clock_says():
    ahead = Instant(wall=NOW.wall + 1800, mono=5.0)
    said = answer(Date="Sun, 06 Nov 1994 08:49:37 GMT", Retry_After="Sun, 06 Nov 1994 08:50:37 GMT")
    assert retry_at(said, ahead) == ahead.wall + 60


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="the time zone of a process can't be set here")
def test_a_date_without_a_zone_is_in_utc_wherever_we_are(monkeypatch):
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert retry_at(answer(Retry_After="Sun Nov  6 08:50:37 1994"), NOW) == NOW.wall + 60
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize(
    "value", ["", "soon", "-5", "1.5", "\u0661", "1e3", "Sun, 99 Nov 1994 08:49:37 GMT", "x" * 999]
)
def test_a_retry_after_that_makes_no_sense_says_nothing(value):
    assert retry_at(answer(Retry_After=value), NOW) is None


def test_no_retry_after_says_nothing():
    assert retry_at(answer(), NOW) is None


@given(st.text())
def test_no_header_makes_them_raise(value):
    wait = retry_at(answer(Retry_After=value), NOW)
    assert wait is None or NOW.wall <= wait <= NOW.wall + 3600
    assert isinstance(clock_skew_s(answer(Date=value), NOW), float | None)


@pytest.mark.parametrize(
    ("date", "skew_s"),
    [
        ("Sun, 06 Nov 1994 08:49:37 GMT", 0),
        ("Sun, 06 Nov 1994 08:54:37 GMT", 300),
        ("Sun, 06 Nov 1994 08:44:37 GMT", -300),
        ("yesterday", None),
    ],
)
def test_the_skew_is_positive_when_the_servers_clock_is_ahead(date, skew_s):
    assert clock_skew_s(answer(Date=date), NOW) == skew_s


def test_an_answer_without_a_date_has_no_skew():
    assert clock_skew_s(answer(), NOW) is None
