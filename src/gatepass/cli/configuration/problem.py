"""What is wrong in a gatepass.toml, and where. Values are not quoted: one may be a secret, in the wrong place."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gatepass.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["Problem", "line_of", "refuse"]

_HEADER = re.compile(r"\s*\[\s*(?P<name>[^\[\]]+?)\s*\]\s*(?:#.*)?")
_DOT = re.compile(r"\s*\.\s*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Something that is wrong.

    Attributes:
        path: the file.
        line: where in it, if that is known; from 1.
        server: the name of the server, if it is about one.
        key: the key, if it is about one.
        text: what is wrong, and what to do.
    """

    path: Path
    text: str
    line: int | None = None
    server: str | None = None
    key: str | None = None

    def __str__(self) -> str:
        place = f"{self.path}:{self.line}" if self.line else str(self.path)
        table = f" [servers.{self.server}]" if self.server else ""
        key = f" {self.key}" if self.key else ""
        return f"{place}:{table}{key}: {self.text}" if table or key else f"{place}: {self.text}"


def refuse(problems: Sequence[Problem]) -> None:
    """Stop at the first problem, if there is one.

    Raises:
        ConfigurationError: says it, and that there are others (code ``config_invalid``).
    """
    if not problems:
        return
    others = len(problems) - 1
    more = f"\nThere is more: gatepass config check shows {others + 1} problems." if others else ""
    raise ConfigurationError(f"{problems[0]}{more}", code="config_invalid")


def line_of(text: str, server: str | None = None, key: str | None = None) -> int | None:
    """Where a key of a table stands; the table's header without a key. None where it is not written the usual way."""
    wanted = () if server is None else ("servers", server)
    within = not wanted
    for number, line in enumerate(text.splitlines(), 1):
        header = _HEADER.fullmatch(line)
        if header is not None:
            name = tuple(part.strip("\"'") for part in _DOT.split(header["name"]))
            within = name == wanted
            if (within and key is None) or (key is not None and name == (*wanted, key)):
                return number
        elif within and key is not None and re.match(rf"\s*[\"']?{re.escape(key)}[\"']?\s*[=.]", line):
            return number
    return None
