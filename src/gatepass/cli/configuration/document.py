"""What a gatepass.toml says, read without believing it: servers by name, and each problem, with where it is.

    [servers.reports]
    url = "https://mcp.example.com/mcp"
    issuer = "https://auth.example.com"
    client-id = "ci-bot"
    client-secret = { env = "CI_BOT_SECRET" }

The keys are the options of the command without their dashes; a secret is a table that says where it stands.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from gatepass.cli.configuration.problem import Problem, line_of
from gatepass.cli.identity import AuthMethod
from gatepass.cli.layers import KINDS, SHORT_FORMS, SOURCES, Layer
from gatepass.cli.reference import PLATFORMS, Reference, from_toml
from gatepass.cli.way import LONGEST_S, SHORTEST_S, is_timeout

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["KEYS", "Document", "Server", "is_name", "read_document"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_URL = "url"
_NOT_IN_A_FILE = frozenset({"config"})
KEYS: Mapping[str, str] = {
    name.removesuffix("_from").replace("_", "-"): name
    for name in KINDS
    if name not in _NOT_IN_A_FILE and name not in SHORT_FORMS
}
"""What may stand in the table of a server beside its URL, and the field that it is for."""

_REFERENCE = '{ env = "NAME" }, { file = "PATH" }, { keyring = ["SERVICE", "USER"] } or { command = ["PROGRAM"] }'
_USER_INFO = re.compile(r"//[^/]*@")


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """What a file says of one server.

    Attributes:
        name: what it is called.
        url: the MCP endpoint; empty if the file does not say, which is a problem.
        layer: all else.
        problems: what is wrong in its table.
    """

    name: str
    url: str
    layer: Layer
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A whole file.

    Attributes:
        servers: by their names, in the order of the file.
        problems: what is wrong with the file itself.
    """

    servers: Mapping[str, Server] = field(default_factory=dict[str, Server])
    problems: tuple[Problem, ...] = ()

    @property
    def all_problems(self) -> tuple[Problem, ...]:
        """Those of the file, and those of its servers."""
        return (*self.problems, *(each for server in self.servers.values() for each in server.problems))


def is_name(text: str) -> bool:
    """Whether this can be the name of a server: 1 to 64 letters, digits, ``-`` and ``_``."""
    return _NAME.fullmatch(text) is not None


def read_document(text: str, path: Path) -> Document:
    """What the file says. Relative paths in it start at its folder."""
    try:
        whole = tomllib.loads(text)
    except tomllib.TOMLDecodeError as mistake:
        return Document(problems=(_no_toml(mistake, path),))
    problems = [_unknown_at_the_top(key, path, text) for key in whole if key != "servers"]
    tables = whole.get("servers", {})
    if not isinstance(tables, dict):
        problem = Problem(path=path, line=line_of(text, key="servers"), key="servers", text="it is not a table.")
        return Document(problems=(*problems, problem))
    servers: dict[str, Server] = {}
    for name, table in cast("dict[str, object]", tables).items():
        line = line_of(text, name)
        if not is_name(name):
            said = "a name is made of letters, digits, - and _, and has 64 of them at the most."
            problems.append(Problem(path=path, line=line, key=f"servers.{name}", text=said))
        elif not isinstance(table, dict):
            said = f"it is not a table. Write [servers.{name}], and its keys below."
            problems.append(Problem(path=path, line=line_of(text, key="servers"), server=name, text=said))
        else:
            servers[name] = _server(name, cast("dict[str, Any]", table), path, text)
    return Document(servers=servers, problems=tuple(problems))


def _no_toml(mistake: tomllib.TOMLDecodeError, path: Path) -> Problem:
    found = re.fullmatch(r"(?P<said>.*?) \(at (?:line (?P<line>\d+), column \d+|end of document)\)", str(mistake))
    said = (found["said"] if found else str(mistake)).rstrip(".")
    return Problem(path=path, line=int(found["line"]) if found and found["line"] else None, text=f"no TOML: {said}.")


def _unknown_at_the_top(key: str, path: Path, text: str) -> Problem:
    if key == _URL or key in KEYS:
        said = "it stands outside of a table: write it below [servers.NAME]."
    else:
        said = "there is no such table. Servers are described below [servers.NAME]."
    return Problem(path=path, line=line_of(text, key=key) or line_of(text, key), key=key, text=said)


class _UnfitError(Exception):
    """A value that can't be meant; says why, and does not quote it."""


def _server(name: str, table: Mapping[str, Any], path: Path, text: str) -> Server:
    """What the table of a server says."""
    values: dict[str, Any] = {}
    problems: list[Problem] = []

    def note(key: str | None, said: str) -> None:
        line = line_of(text, name, key) or line_of(text, name)
        problems.append(Problem(path=path, line=line, server=name, key=key, text=said))

    for key, value in {_URL: "", **table}.items():
        try:
            if key == _URL and key not in table:
                note(None, "it has no url.")
            elif key == _URL:
                values[_URL] = _text(key, value)
            elif key in KEYS:
                values[KEYS[key]] = _value(key, value, path.parent)
            else:
                note(key, _did_you_mean(key))
        except _UnfitError as unfit:
            note(key, str(unfit))
    url: str = values.pop(_URL, "")
    keys = {field: key for key, field in KEYS.items()}
    named = {field: f"{keys[field]} of {name}" for field in values}
    return Server(name=name, url=url, layer=Layer(values=values, named=named), problems=tuple(problems))


def _value(key: str, value: object, folder: Path) -> Any:
    """A value as the field of its key has it.

    Raises:
        _UnfitError: it does not fit.
    """
    field = KEYS[key]
    kind = _SPECIAL.get(field, KINDS[field])
    if kind == Path | None:
        return folder / Path(_text(key, value)).expanduser()
    if kind == Reference | None:
        return _reference(value, folder, platforms=field in SOURCES)
    return _READERS[kind](key, value)


def _text(key: str, value: object) -> str:
    if not isinstance(value, str):
        raise _UnfitError("it is no text: write it in quotes.")
    if not value:
        raise _UnfitError("it is empty: leave the key out.")
    if _USER_INFO.search(value):
        instead = ", and set HTTPS_PROXY" if key == "proxy" else ""
        raise _UnfitError(f"it holds a user name or a password: leave it out{instead}.")
    return value


def _texts(key: str, value: object) -> list[str]:
    listed = cast("list[object]", value) if isinstance(value, list) else [value]
    return [_text(key, each) for each in listed]


def _words(key: str, value: object) -> str:
    return " ".join(_texts(key, value))


def _pairs(_: str, value: object) -> list[str]:
    """A table, as the command line has it: NAME=VALUE."""
    table = cast("dict[str, object]", value) if isinstance(value, dict) else {}
    pairs = [f"{name}={text}" for name, text in table.items() if isinstance(text, str) and "=" not in name]
    if pairs and len(pairs) == len(table):
        return pairs
    raise _UnfitError('it is no table of texts, such as { tenant = "acme" }.')


def _flag(_: str, value: object) -> bool:
    if isinstance(value, bool):
        return value
    raise _UnfitError("it is neither true nor false.")


def _seconds(_: str, value: object) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool) and is_timeout(value):
        return float(value)
    raise _UnfitError(f"it is no number of seconds from {SHORTEST_S} to {LONGEST_S}.")


def _method(_: str, value: object) -> AuthMethod:
    for method in AuthMethod:
        if value == method:
            return method
    raise _UnfitError(f"it is none of {', '.join(AuthMethod)}.")


def _reference(value: object, folder: Path, *, platforms: bool) -> Reference:
    reference = from_toml(value, platforms=platforms)
    if reference is None:
        literal = isinstance(value, str) and not platforms
        refused = "a secret does not belong into this file." if literal else "it does not say where that stands."
        instead = f", or the name of a platform: {', '.join(PLATFORMS)}" if platforms else ""
        raise _UnfitError(f"{refused} Say where it stands: {_REFERENCE}{instead}.")
    if reference.kind == "file":
        return Reference("file", (str(folder / Path(*reference.words).expanduser()),))
    return reference


_SPECIAL: Mapping[str, Any] = {"scopes": _words, "extra_parameter": _pairs}
"""Fields that a file may say in a way of its own."""
_READERS: Mapping[Any, Callable[[str, object], Any]] = {
    str | None: _text,
    list[str] | None: _texts,
    bool: _flag,
    float | None: _seconds,
    AuthMethod: _method,
    _words: _words,
    _pairs: _pairs,
}


def _did_you_mean(key: str) -> str:
    field = key.replace("-", "_")
    if field in SHORT_FORMS:
        stem, _, form = field.rpartition("_")
        return f'write {stem.replace("_", "-")} = {{ {form} = "..." }}.'
    close = get_close_matches(key.replace("_", "-").lower(), [_URL, *KEYS], n=1)
    hint = f" Did you mean {close[0]}?" if close else f" There are: {', '.join([_URL, *KEYS])}."
    return f"there is no such key.{hint}"
