"""Writes the entry of a server into a gatepass.toml. All else in the file stays as it is, comments and order included.

The text is edited line by line, and the result is read again: what is not exactly the file of before with one more
entry is not written.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from gatepass.cli.configuration.document import KEYS
from gatepass.cli.configuration.place import absolute
from gatepass.cli.configuration.problem import line_of
from gatepass.cli.reference import Reference
from gatepass.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["entry_text", "with_entry"]

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_HEADER = re.compile(r"\s*\[")
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r"}
_LAST_CONTROL = "\x7f"


def entry_text(name: str, url: str, values: Mapping[str, Any], folder: Path) -> str:
    """The entry as TOML.

    Args:
        name: of the server.
        url: its own.
        values: what is said of it, by the names of the fields of `Who` and `Way`.
        folder: where the file stands: paths below it are written relative to it.

    Raises:
        ConfigurationError: a path is not UTF-8 (code ``config_unwritable``), or begins at a folder that is gone
            (``config_unreadable``).
    """
    keys = {field: key for key, field in KEYS.items()}
    said = {keys[field]: _plain(field, value, folder) for field, value in values.items() if field in keys}
    first = [key for key in ("issuer", "client-id") if key in said]
    lines = [f"{key} = {_written(said[key])}" for key in (*first, *(key for key in KEYS if key in said.keys() - first))]
    return "\n".join((f"[servers.{name}]", f"url = {_written(url)}", *lines, ""))


def with_entry(text: str, name: str, entry: str) -> str:
    """The text of a file with that entry, in the place of an earlier one of that name.

    Raises:
        ConfigurationError: the file is not written in a way that can be edited (code ``config_unwritable``).
    """
    before, new = _read(text), _read(entry)
    wanted = {**before, "servers": {**before.get("servers", {}), **new["servers"]}}
    lines = text.splitlines(keepends=True)
    start = line_of(text, name)
    if start is None:
        gap = "" if not text or text.endswith("\n\n") else "\n" if text.endswith("\n") else "\n\n"
        result = f"{text}{gap}{entry}"
    else:
        result = "".join((*lines[: start - 1], entry, *_after(lines, start, name)))
    if _read(result) == wanted:
        return result
    msg = f"The entry [servers.{name}] can't be replaced, as it is not written as a table. Edit the file yourself."
    raise ConfigurationError(msg, code="config_unwritable")


def _after(lines: list[str], start: int, name: str) -> list[str]:
    """What follows the table whose header is line `start`, and tables within it; with the comments above it."""
    own = re.compile(rf"\s*\[\s*servers\s*\.\s*[\"']?{re.escape(name)}[\"']?\s*\.")
    end = next(
        (
            number
            for number in range(start, len(lines))
            if _HEADER.match(lines[number]) and not own.match(lines[number])
        ),
        len(lines),
    )
    while end > start and (not lines[end - 1].strip() or lines[end - 1].lstrip().startswith("#")):
        end -= 1
    return lines[end:]


def _read(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return {}


def _plain(field: str, value: Any, folder: Path) -> Any:
    """A value as a file has it: lists, tables, texts, numbers and booleans."""
    match value:
        case Reference(kind="file"):
            return {"file": _near(Path(*value.words), folder)}
        case Reference():
            return value.in_toml
        case Path():
            return _near(value, folder)
        case list() if field == "extra_parameter":
            return dict(pair.split("=", 1) for pair in cast("list[str]", value))
        case str() if field == "scopes":
            return value.split()
        case _:
            return value


def _near(path: Path, folder: Path) -> str:
    whole = absolute(path)
    text = str(whole.relative_to(folder) if whole.is_relative_to(folder) else whole)
    try:
        text.encode()
    except UnicodeEncodeError:
        msg = f"{text} can't stand in a gatepass.toml, which is UTF-8 text. Give a path that is."
        failure = ConfigurationError(msg, code="config_unwritable")
    else:
        return text
    raise failure


def _written(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{"".join(map(_escaped, value))}"'
    if isinstance(value, dict):
        pairs = cast("dict[str, object]", value).items()
        return f"{{ {', '.join(f'{_key(key)} = {_written(each)}' for key, each in pairs)} }}"
    if isinstance(value, list):
        return f"[{', '.join(map(_written, cast('list[object]', value)))}]"
    return f"{value:g}"


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else _written(key)


def _escaped(char: str) -> str:
    if char < " " or char == _LAST_CONTROL:
        return _ESCAPES.get(char, f"\\u{ord(char):04x}")
    return _ESCAPES.get(char, char)
