"""How long a metadata document may be kept (RFC 9111 §5.2.2)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gatepass.core.http import HttpResponse

__all__ = ["cache_seconds"]

SHORTEST_S = 300.0
LONGEST_S = 86_400.0
UNSAID_S = 3600.0

_DIRECTIVE = re.compile(r'([A-Za-z-]+)[ \t]*(?:=[ \t]*"?([^",]*))?')
_SECONDS = re.compile(r"\d+", re.ASCII)


def cache_seconds(response: HttpResponse) -> float:
    """Seconds for which the answer may be used again: `max-age` less `Age`, never under 5 minutes or over 24 hours.

    The lower bound holds against `no-store` and `no-cache` too: a renewal must stay one request. An hour if unsaid.
    """
    directives: dict[str, str] = {}
    for line in response.header_values("cache-control"):
        for name, value in _DIRECTIVE.findall(line):
            directives.setdefault(name.lower(), value.strip())
    if "no-store" in directives or "no-cache" in directives:
        return SHORTEST_S
    max_age_s = _seconds(directives.get("max-age"))
    if max_age_s is None:
        return UNSAID_S
    age_s = _seconds(response.header("age")) or 0.0
    return min(max(max_age_s - age_s, SHORTEST_S), LONGEST_S)


def _seconds(text: str | None) -> float | None:
    return float(text[:12]) if text and _SECONDS.fullmatch(text.strip()) else None
