"""What a tool's input schema (JSON Schema 2020-12) says of its arguments: enough to type them and to list them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

__all__ = ["declared", "is_closed", "kind_of", "kinds", "required", "signature"]

Schema = Mapping[str, Any]

_ANY: frozenset[str] = frozenset()
_BRANCHES = ("anyOf", "oneOf", "allOf")


def declared(schema: Schema) -> Mapping[str, Any]:
    """The schema of each argument, by name."""
    return _mapping(schema.get("properties"))


def required(schema: Schema) -> tuple[str, ...]:
    """The names of the arguments that must be given."""
    return tuple(name for name in _sequence(schema.get("required")) if isinstance(name, str))


def is_closed(schema: Schema) -> bool:
    """Whether there can be no other arguments than the declared ones."""
    return schema.get("additionalProperties") is False


def kinds(argument: object, whole: Schema, *, seen: frozenset[str] = frozenset()) -> frozenset[str]:
    """The JSON types that an argument may have; empty if anything goes.

    Args:
        argument: its schema.
        whole: the tool's schema, which `$ref`s point into.
        seen: the `$ref`s followed so far.
    """
    said = _mapping(argument)
    reference = said.get("$ref")
    if isinstance(reference, str):
        if reference in seen:
            return _ANY
        return kinds(_resolved(reference, whole), whole, seen=seen | {reference})
    named = said.get("type")
    if named is not None:
        return frozenset((named,)) if isinstance(named, str) else frozenset(map(str, _sequence(named)))
    values = (said["const"],) if "const" in said else _sequence(said.get("enum"))
    if values:
        return frozenset(map(kind_of, values))
    branches = [kinds(each, whole, seen=seen) for key in _BRANCHES for each in _sequence(said.get(key))]
    return _ANY if _ANY in branches else frozenset[str]().union(*branches)


def kind_of(value: object) -> str:
    """The JSON type of a value."""
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "integer" if value.is_integer() else "number"
        case str():
            return "string"
        case list():
            return "array"
        case _:
            return "object"


def signature(schema: Schema) -> str:
    """The arguments on one line: ``text: string, limit?: integer``."""
    must = required(schema)
    return ", ".join(
        f"{name}{'' if name in must else '?'}: {_shown(argument, schema)}"
        for name, argument in declared(schema).items()
    )


def _shown(argument: object, whole: Schema) -> str:
    return "|".join(sorted(kinds(argument, whole) - {"null"})) or "any"


def _resolved(reference: str, whole: Schema) -> object:
    """What a pointer into the schema itself points to (RFC 6901); anything else says nothing."""
    place: object = whole
    for step in reference.removeprefix("#").split("/")[1:]:
        place = _mapping(place).get(step.replace("~1", "/").replace("~0", "~"))
    return place


def _mapping(value: object) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}


def _sequence(value: object) -> Sequence[Any]:
    return cast("Sequence[Any]", value) if isinstance(value, list) else ()
