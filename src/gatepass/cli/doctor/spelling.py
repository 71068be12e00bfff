"""What mends a trouble, as it is typed on a command line and as it is written in gatepass.toml."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING

from gatepass.cli.configuration.document import KEYS

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["as_toml", "as_typed"]

_URL = "url"
_BARE = ("timeout",)
"""What is no text in a file."""


def as_typed(options: Mapping[str, str | bool]) -> str:
    """Options as they are typed, quoted for a shell: values may be a server's. Another URL stands for itself."""
    return " ".join(_typed(name, value) for name, value in options.items())


def as_toml(options: Mapping[str, str | bool]) -> str:
    """The same as lines of the server's table."""
    return "\n".join(_line(name, value) for name, value in options.items())


def _typed(name: str, value: str | bool) -> str:
    option = f"--{name.replace('_', '-')}"
    if value is True:
        return option
    return shlex.quote(str(value)) if name == _URL else f"{option} {shlex.quote(str(value))}"


def _line(name: str, value: str | bool) -> str:
    keys = {field: key for key, field in KEYS.items()}
    written = "true" if value is True else str(value) if name in _BARE else json.dumps(str(value))
    if name == _URL or name in keys:
        return f"{keys.get(name, name)} = {written}"
    return f"{name.removesuffix('_file').replace('_', '-')} = {{ file = {written} }}"
