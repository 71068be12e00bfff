"""How typer sees a command: options that several commands share are the fields of one value, declared once."""

from __future__ import annotations

import inspect
from dataclasses import fields, is_dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any, cast, get_type_hints

from gatepass.cli.voice import Voice, reporting

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["spread"]


def spread(command: Callable[..., None]) -> Callable[..., None]:
    """The command as typer takes it: an option for each field of each parameter that is a dataclass.

    One of the parameters is the `Voice`; what goes wrong in the command is reported with it.
    """
    hints = get_type_hints(command, include_extras=True)
    parts = {name: cast("type[Any]", kind) for name, kind in hints.items() if is_dataclass(kind)}
    parameters: list[inspect.Parameter] = []
    for parameter in inspect.signature(command).parameters.values():
        if parameter.name in parts:
            parameters += _options_of(parts[parameter.name])
        else:
            parameters.append(parameter.replace(annotation=hints[parameter.name], kind=parameter.KEYWORD_ONLY))

    @wraps(command)
    def spread_out(**given: object) -> None:
        values = {
            name: kind(**{field.name: given.pop(field.name) for field in fields(kind)}) for name, kind in parts.items()
        }
        voice = next(value for value in values.values() if isinstance(value, Voice))
        with reporting(voice):
            command(**values, **given)

    spread_out.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # what `inspect` looks for
    spread_out.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return spread_out


def _options_of(kind: type[Any]) -> list[inspect.Parameter]:
    hints = get_type_hints(kind, include_extras=True)
    return [
        inspect.Parameter(
            field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=hints[field.name]
        )
        for field in fields(kind)
    ]
