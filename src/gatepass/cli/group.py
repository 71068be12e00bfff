"""Commands that belong together under one name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Group"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """What `gatepass NAME` does where it takes another word: `gatepass config check`.

    Attributes:
        help: what the group is for, with an example, as the docstring of a command is.
        commands: each a function; its name is the word.
    """

    help: str
    commands: tuple[Callable[..., None], ...]
