"""Scopes (RFC 6749 §3.3): ordered tuples without repeats, and the choice of which to ask for."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from gatepass.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Scopes", "check_scopes", "format_scope", "parse_scope", "select", "step_up", "union", "valid_scope"]

Scopes = tuple[str, ...]

_SCOPE_TOKEN = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")


def valid_scope(scope: str) -> bool:
    """Whether this is one scope in the characters of RFC 6749 §3.3: printable ASCII but space, quote and backslash."""
    return _SCOPE_TOKEN.fullmatch(scope) is not None


def check_scopes(scopes: Iterable[object], field: str) -> Scopes:
    """The user's own scopes, each once and in their order.

    Raises:
        ConfigurationError: this is no list of scopes, or one of them can't be sent (code ``scope_invalid``).
    """
    if isinstance(scopes, str):
        message = f'{field} is a single string. Give a list of scopes, such as ["mcp:read", "mcp:write"].'
        raise ConfigurationError(message, code="scope_invalid")
    checked: list[str] = []
    for index, scope in enumerate(scopes):
        if not isinstance(scope, str) or not valid_scope(scope):
            message = (
                f"{field}[{index}] is not a scope. A scope is a string of printable ASCII characters without spaces, "
                "double quotes and backslashes; list each one by itself."
            )
            raise ConfigurationError(message, code="scope_invalid")
        checked.append(scope)
    return tuple(dict.fromkeys(checked))


def parse_scope(text: str) -> Scopes:
    """The scopes of a `scope` parameter, each once; what could not be sent back is left out."""
    return tuple(dict.fromkeys(scope for scope in text.split() if valid_scope(scope)))


def format_scope(scopes: Iterable[str]) -> str:
    """The `scope` parameter that lists these scopes."""
    return " ".join(scopes)


def union(a: Scopes, b: Scopes) -> Scopes:
    """Every scope of `a`, then those of `b` that are new."""
    return tuple(dict.fromkeys((*a, *b)))


def select(pinned: Scopes | None, challenged: Scopes | None, supported: Scopes | None) -> Scopes:
    """The scopes to ask for: the pinned ones, even if none; else the challenge's; else the resource's; else none."""
    if pinned is not None:
        return pinned
    return challenged or supported or ()


def step_up(asked: Scopes, challenged: Scopes, ceiling: Scopes | None) -> Scopes | None:
    """The scopes to ask for after an `insufficient_scope` (RFC 6750 §3.1), or None if asking again is no use.

    It is no use when the challenge names nothing new, or something above the ceiling that the user set.
    """
    added = frozenset(challenged).difference(asked)
    if not added or (ceiling is not None and not added.issubset(ceiling)):
        return None
    return union(asked, challenged)
