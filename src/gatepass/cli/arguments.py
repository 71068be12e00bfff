"""The arguments of a tool as they are typed in a shell.

key=value    a text, or what the tool's schema makes of it      key=@file    the same, from a file
key:=json    JSON                                               key:=@file   the same, from a file
@file        a JSON object of arguments; ``-`` as the name of a file is the standard input
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from gatepass.cli.exits import UsageError, check_text
from gatepass.cli.schema import declared, is_closed, kind_of, kinds, required, signature

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Word", "read_words", "typed", "undeclared"]

_FILE, _STDIN = "@", "-"

_EXAMPLES = {
    "integer": "3",
    "number": "2.5",
    "boolean": "true",
    "null": "null",
    "array": "'[1, 2]'",
    "object": "'{\"a\": 1}'",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """One argument as it was written, or as it stands in the file that was named."""

    name: str
    text: str
    is_json: bool


def read_words(words: Sequence[str]) -> tuple[Word, ...]:
    """Tell names from values, and read the files that are named.

    Raises:
        UsageError: a word is none of ``key=value``, ``key:=json`` and ``@file``, or names an argument for the second
            time, or a file can't be read.
    """
    reader = _Reader()
    read: dict[str, Word] = {}
    for number, word in enumerate(words, 1):
        for each in _words_of(word, number, reader):
            if each.name in read:
                msg = f"{each.name} is given twice."
                raise UsageError(msg)
            read[each.name] = each
    return tuple(read.values())


def typed(words: Sequence[Word], schema: Mapping[str, Any], *, tool: str) -> dict[str, object]:
    """The arguments as the tool wants them.

    Raises:
        UsageError: a value is not of the declared type, an argument is missing, or there is none of that name.
    """
    if is_closed(schema) and (surplus := undeclared(words, schema)):
        takes = signature(schema)
        msg = f"{tool} takes no {' and no '.join(surplus)}; it takes {takes or 'no arguments'}."
        raise UsageError(msg)
    given = {word.name for word in words}
    missing = [name for name in required(schema) if name not in given]
    if missing:
        msg = f"{tool} needs {' and '.join(missing)} besides; it takes {signature(schema)}."
        raise UsageError(msg)
    return {word.name: _value(word, kinds(declared(schema).get(word.name), schema)) for word in words}


def undeclared(words: Sequence[Word], schema: Mapping[str, Any]) -> list[str]:
    """The arguments that the tool's schema does not name."""
    return [word.name for word in words if word.name not in declared(schema)]


class _Reader:
    """Reads the files that are named; the standard input, once."""

    def __init__(self) -> None:
        self._stdin_read = False

    def text(self, path: str, named: str) -> str:
        """What stands in a file.

        Args:
            path: where; ``-`` is the standard input.
            named: how it was written, for errors, which never quote the path: a value may begin with an @, too.

        Raises:
            UsageError: it can't be read, or is no text.
        """
        if path == _STDIN and self._stdin_read:
            msg = f"{named} wants the standard input, which was read already. Put one of the two into a file."
            raise UsageError(msg)
        self._stdin_read = self._stdin_read or path == _STDIN
        try:
            content = sys.stdin.buffer.read() if path == _STDIN else Path(path).read_bytes()
            return content.decode()
        except UnicodeDecodeError:
            problem = f"{named} is no text in UTF-8. A tool that takes bytes wants them in base64, as a rule."
        except (OSError, ValueError) as failure:
            reason = failure.strerror if isinstance(failure, OSError) else "this is no path"
            problem = f"{named} can't be read: {reason}. A value that begins with @ is written as JSON: key:='\"@...\"'"
        raise UsageError(problem)


def _words_of(word: str, number: int, reader: _Reader) -> tuple[Word, ...]:
    """What one word of the shell says: one argument, or all that stand in a file."""
    check_text(word, f"Argument {number} of the tool")
    name, mark, text = word.partition("=")
    if not mark and word.startswith(_FILE):
        return _members(reader.text(word[1:], f"Argument {number} of the tool, @FILE,"))
    is_json = name.endswith(":")
    name = name.removesuffix(":")
    if not mark or not name:
        msg = f"Argument {number} of the tool is not key=value, key:=json or @file."
        raise UsageError(msg)
    if text.startswith(_FILE):
        text = reader.text(text[1:], f"{name}{':' if is_json else ''}=@FILE")
    return (Word(name=name, text=text, is_json=is_json),)


def _members(text: str) -> tuple[Word, ...]:
    """The members of a JSON object, each as if it had been written by itself."""
    try:
        members = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
    except msgspec.MsgspecError:
        msg = "@FILE takes a JSON object of arguments, which this is not. A text in a file is written as key=@FILE."
        raise UsageError(msg) from None
    return tuple(Word(name=name, text=bytes(raw).decode(), is_json=True) for name, raw in members.items())


def _value(word: Word, wanted: frozenset[str]) -> object:
    """The text as it stands where text will do, else as JSON of the type that is wanted."""
    if word.is_json:
        return _json(word.text, f"{word.name}:= takes JSON, which this is not. Mind the shell's quotes.")
    if not wanted or "string" in wanted:
        return word.text
    examples = " or ".join(f"{word.name}={_EXAMPLES.get(kind, '...')}" for kind in sorted(wanted))
    problem = f"{word.name} is declared as {' or '.join(sorted(wanted))}: write it like {examples}."
    value = _json(word.text, problem)
    kind = kind_of(value)
    if kind not in wanted and not (kind == "integer" and "number" in wanted):
        raise UsageError(problem)
    return int(value) if isinstance(value, float) and "number" not in wanted else value


def _json(text: str, problem: str) -> object:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        raise UsageError(problem) from None
