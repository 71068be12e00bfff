"""What holds for every assertion, whoever it speaks for: RFC 7519 §4.1, RFC 7523 §3."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, cast

from gatepass.testing.jose import numeric_date

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["audiences", "normal_typ", "texts", "time_fault"]

CLOCK_LEEWAY_S = 5


def normal_typ(header: Mapping[str, object]) -> str | None:
    """The ``typ`` in lower case and without ``application/`` (RFC 7515 §4.1.9); None if there is none."""
    typ = header.get("typ")
    return None if typ is None else str(typ).lower().removeprefix("application/")


def audiences(claims: Mapping[str, object]) -> tuple[str, ...]:
    """Whom it is for (RFC 7519 §4.1.3)."""
    return texts(claims.get("aud"))


def texts(value: object) -> tuple[str, ...]:
    """One string or several: what ``aud`` and ``resource`` may be. Anything else is nothing."""
    several = cast("list[object]", value) if isinstance(value, list) else [value]
    return tuple(each for each in several if isinstance(each, str))


def time_fault(claims: Mapping[str, object], *, now: float, max_life_s: float = math.inf) -> str | None:
    """What is wrong with ``exp``, ``iat`` and ``nbf``, None if nothing is.

    Args:
        claims: the claims of the assertion.
        now: the time by the server's clock, in epoch seconds.
        max_life_s: how far ahead ``exp`` may be.
    """
    expires_at = numeric_date(claims.get("exp"))
    if expires_at is None:
        return "exp is missing or not a number"
    if expires_at <= now:
        return "it has expired"
    if expires_at > now + max_life_s:
        return f"exp is more than {max_life_s:g} s ahead"
    for name in ("iat", "nbf"):
        if name in claims:
            moment = numeric_date(claims[name])
            if moment is None:
                return f"{name} is not a number"
            if moment > now + CLOCK_LEEWAY_S:
                return f"{name} is in the future"
    return None
