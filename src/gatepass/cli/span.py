"""A span of time as it is typed: 90s, 5m, 1h, or a number of seconds."""

from __future__ import annotations

import re

import typer

__all__ = ["seconds"]

_UNITS_S = {"": 1, "s": 1, "m": 60, "h": 3600}
_SPAN = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)([smh]?)")


def seconds(text: str) -> float:
    """The span in seconds.

    Raises:
        BadParameter: it is none, or none at all.
    """
    span = _SPAN.fullmatch(text)
    read = float(span[1]) * _UNITS_S[span[2]] if span else 0.0
    if read == 0:
        msg = "it is a time such as 90s, 5m or 1h."
        raise typer.BadParameter(msg)
    return read
