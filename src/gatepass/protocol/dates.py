"""What the headers of an answer say about time: Date (RFC 9110 §6.6.1) and Retry-After (§10.2.3)."""

from __future__ import annotations

import re
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gatepass.core.http import HttpResponse
    from gatepass.core.world import Instant

__all__ = ["clock_skew_s", "retry_at"]

LONGEST_WAIT_S = 3600.0

_SECONDS = re.compile(r"\d{1,12}", re.ASCII)
_MAX_DATE_CHARS = 64


def clock_skew_s(response: HttpResponse, now: Instant) -> float | None:
    """By how many seconds the server's clock is ahead of ours (behind, if negative); None if the answer has no date."""
    date = _http_date(response.header("date"))
    return None if date is None else date - now.wall


def retry_at(response: HttpResponse, now: Instant) -> float | None:
    """When the server wants to be asked again, in epoch seconds of our clock, at most an hour ahead; None if unsaid.

    A date is compared with the date of the answer: one of the two clocks may be wrong.
    """
    text = (response.header("retry-after") or "").strip()
    if _SECONDS.fullmatch(text):
        wait_s = float(text)
    else:
        date = _http_date(text)
        if date is None:
            return None
        wait_s = date - now.wall - (clock_skew_s(response, now) or 0.0)
    return now.wall + min(max(wait_s, 0.0), LONGEST_WAIT_S)


def _http_date(text: str | None) -> float | None:
    if not text or len(text) > _MAX_DATE_CHARS:
        return None
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return None
    return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
