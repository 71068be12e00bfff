"""Names of a package that are imported when they are first used (PEP 562), so that nobody pays for the others."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["lazily"]


def lazily(package: str, rooms: Mapping[str, str]) -> Callable[[str], object]:
    """The package's `__getattr__`.

    Args:
        package: its full name.
        rooms: for each name, the module within the package that has it.
    """

    def load(name: str) -> object:
        room = rooms.get(name)
        if room is None:
            msg = f"module {package!r} has no attribute {name!r}"
            raise AttributeError(msg)
        value: object = getattr(import_module(f"{package}.{room}"), name)
        setattr(sys.modules[package], name, value)
        return value

    return load
