"""A recipe: one trouble that real servers have, and how a stage gets into it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from gatepass.testing.stage import Stage
    from gatepass.testing.tls import Tls

__all__ = ["Fault", "Recipe", "recipe"]

Fault = Literal["server", "configuration", "network"]
"""Whose it is: whoever runs the servers, whoever set up the client, or what lies between."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A trouble of real servers.

    Attributes:
        name: what it is called.
        what: what is wrong, in a sentence.
        fault: whose it is.
        codes: what a call with gatepass ends in: the `code` of its error is one of these. Empty: gatepass copes.
        error: the OAuth error that the refusing server gives, if it gives one.
        mend: what mends it, in a sentence.
        set_up: gets a stage into it, before that starts.
        tls: how the servers speak TLS, with certificates in a directory; None: plain HTTP.
    """

    name: str
    what: str
    fault: Fault
    codes: tuple[str, ...]
    error: str | None
    mend: str
    set_up: Callable[[Stage], None]
    tls: Callable[[Path], Tls] | None


def recipe(
    *codes: str,
    fault: Fault,
    mend: str,
    error: str | None = None,
    tls: Callable[[Path], Tls] | None = None,
) -> Callable[[Callable[[Stage], None]], Recipe]:
    """Makes a recipe of what sets it up, whose name and first line say what it is."""

    def made(set_up: Callable[[Stage], None]) -> Recipe:
        name, what = set_up.__name__.replace("_", "-"), set_up.__doc__ or ""
        return Recipe(name=name, what=what, fault=fault, codes=codes, error=error, mend=mend, set_up=set_up, tls=tls)

    return made
