"""The arguments of a tool as they are typed in a shell: ``key=value``, typed by the tool's schema, or ``key:=json``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from gatepass.cli.exits import UsageError
from gatepass.cli.schema import declared, is_closed, kind_of, kinds, required, signature

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Word", "read_words", "typed", "undeclared"]


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
    """One argument as it was written."""

    name: str
    text: str
    is_json: bool


def read_words(words: Sequence[str]) -> tuple[Word, ...]:
    """Tell names from values.

    Raises:
        UsageError: a word is neither ``key=value`` nor ``key:=json``, or names an argument for the second time.
    """
    read: dict[str, Word] = {}
    for number, word in enumerate(words, 1):
        name, mark, text = word.partition("=")
        is_json = name.endswith(":")
        name = name.removesuffix(":")
        if not mark or not name:
            msg = f"Argument {number} of the tool is not key=value or key:=json."
            raise UsageError(msg)
        if name in read:
            msg = f"{name} is given twice."
            raise UsageError(msg)
        read[name] = Word(name=name, text=text, is_json=is_json)
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
