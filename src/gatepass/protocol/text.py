"""A server's own words, made fit to stand in an error message (RFC 6749 §5.2)."""

from __future__ import annotations

import re

__all__ = ["clean"]

MAX_CHARS = 200

_OUTSIDE_NQSCHAR = re.compile(r"[^\x20\x21\x23-\x5b\x5d-\x7e]+")
_SPACES = re.compile(r" {2,}")


def clean(text: str) -> str | None:
    """The text in the characters that RFC 6749 §5.2 allows, on one line, at most 200 of them; None if nothing is left.

    Double quotes become single ones; whatever else does not belong becomes a space.
    """
    allowed = _OUTSIDE_NQSCHAR.sub(" ", text.replace('"', "'"))
    line = _SPACES.sub(" ", allowed).strip()
    if len(line) > MAX_CHARS:
        line = line[: MAX_CHARS - 3].rstrip() + "..."
    return line or None
