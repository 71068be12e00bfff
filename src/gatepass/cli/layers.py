"""Options before the environment, the environment before gatepass.toml: what is said of one server, put together.

A value hides what lower layers say under the same name. Some names are ways to say one thing: a proof that an option
gives hides each proof that the environment or the file has, and all that belongs to that.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_type_hints

import typer

from gatepass.cli.exits import UsageError
from gatepass.cli.identity import AuthMethod, Who, read_reference, read_source
from gatepass.cli.reference import Reference
from gatepass.cli.way import LONGEST_S, SHORTEST_S, Way, is_timeout
from gatepass.core.secret import is_variable

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["KINDS", "SHORT_FORMS", "SOURCES", "Layer", "as_options", "environment", "options", "settle", "variable"]

_CLIENT_SECRET = "GATEPASS_CLIENT_SECRET"  # noqa: S105 - the name of a variable

KINDS: Mapping[str, Any] = {**get_type_hints(Who), **get_type_hints(Way)}
"""What can be said of a server, by the name of its field, and the type of each."""

SOURCES = ("assertion_from", "workload")
"""The references that may be the name of a platform."""

_STEMS = ("client_secret", "private_key", "private_key_password", "assertion")
_FORMS = ("_file", "_env", "_from")
SHORT_FORMS = tuple(name for stem in _STEMS for form in _FORMS[:-1] if (name := stem + form) in KINDS)
"""Options for what ``..._from`` says, too, which is the one form that a layer has."""

_PROOFS = frozenset({"client_secret_from", "private_key_from", "assertion_from"})
_ABOUT_A_KEY = frozenset({"private_key_password_from", "key_id", "thumbprint_key_id", "algorithm"})
_WITH_A_PROOF = _PROOFS | _ABOUT_A_KEY | {"assertion_audience", "auth_method"}
_STORES = frozenset({"store", "no_store"})
_INDICATORS = frozenset({"resource_indicator", "no_resource_indicator"})
_ONE_THING = ((_PROOFS, _WITH_A_PROOF), (_STORES, _STORES), (_INDICATORS, _INDICATORS))
"""Where one of the first is given, none of the second counts that a lower layer has."""

_YES, _NO = frozenset({"1", "true", "yes", "on"}), frozenset({"0", "false", "no", "off"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """What one place says of a server.

    Attributes:
        values: by the names of the fields of `Who` and `Way`; only what is given.
        named: how each is called where it was given: ``--issuer``, ``GATEPASS_ISSUER``, ``issuer of prod``.
    """

    values: Mapping[str, Any] = field(default_factory=dict[str, Any])
    named: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def who(self) -> Who:
        """Who the program is, by this."""
        return Who(**{each.name: self.values[each.name] for each in fields(Who) if each.name in self.values})

    @property
    def way(self) -> Way:
        """Where the token comes from, by this."""
        return Way(**{each.name: self.values[each.name] for each in fields(Way) if each.name in self.values})


def options(*parts: Who | Way) -> Layer:
    """What was given on the command line.

    Raises:
        UsageError: a secret stands in two places.
    """
    given = {each.name: getattr(part, each.name) for part in parts for each in fields(part)}
    values = {name: value for name, value in given.items() if value not in (None, False, [], AuthMethod.AUTO)}
    return _in_one_form(values, as_options(values).named)


def as_options(values: Mapping[str, Any]) -> Layer:
    """Values that are called what the options for them are called."""
    return Layer(values=values, named={name: f"--{name.replace('_', '-')}" for name in values})


def variable(name: str) -> str:
    """The environment variable of a field."""
    return f"GATEPASS_{name.upper()}"


def environment(environ: Mapping[str, str]) -> Layer:
    """What the environment says. An empty variable counts as none: that is what a CI system makes of what it lacks.

    Raises:
        UsageError: a variable holds what can't be meant, which is not quoted; or a secret stands in two places.
    """
    values = {name: _read(name, environ[variable(name)]) for name in KINDS if environ.get(variable(name))}
    named = {name: variable(name) for name in values}
    if environ.get(_CLIENT_SECRET):
        values["client_secret"], named["client_secret"] = Reference("env", (_CLIENT_SECRET,)), _CLIENT_SECRET
    return _in_one_form(values, named)


def settle(*layers: Layer) -> Layer:
    """One layer of several, the first being the uppermost."""
    values: dict[str, Any] = {}
    named: dict[str, str] = {}
    for layer in layers:
        hidden = frozenset(values).union(*(below for above, below in _ONE_THING if _speaks(above, values)))
        for name in layer.values.keys() - hidden:
            values[name], named[name] = layer.values[name], layer.named[name]
    return Layer(values=values, named=named)


def _in_one_form(values: Mapping[str, Any], named: Mapping[str, str]) -> Layer:
    """Each secret by its ``..._from``, but called what it was given as."""
    values, named = dict(values), dict(named)
    for stem in _STEMS:
        forms = [name for form in ("", *_FORMS) if (name := stem + form) in values]
        if len(forms) > 1:
            does = "give the password" if stem.endswith("password") else "prove the client"
            msg = f"{' and '.join(named[form] for form in forms)} both {does}: leave one out."
            raise UsageError(msg)
        for form in forms:
            place = values.pop(form)
            kind = form.rpartition("_")[2]
            if kind == "env" and not is_variable(str(place)):
                msg = f"{named[form]} takes the name of an environment variable: letters, digits and _. What was given "
                raise UsageError(msg + "is none, and is not quoted, as it may be the secret.")
            values[stem + "_from"] = place if isinstance(place, Reference) else Reference(kind, (str(place),))
            named[stem + "_from"] = named.pop(form)
    return Layer(values=values, named=named)


def _speaks(above: frozenset[str], values: Mapping[str, Any]) -> bool:
    """Whether one of those is given. To prove nothing, or by a certificate, is a proof in this sense."""
    unproven = values.get("auth_method") in (AuthMethod.NONE, AuthMethod.TLS)
    return any(values.get(name) not in (None, False) for name in above) or (above is _PROOFS and unproven)


def _read(name: str, text: str) -> Any:
    kind = KINDS[name]
    if kind is bool:
        return _flag(name, text)
    if kind == float | None:
        return _number(name, text)
    if kind == Path | None:
        return Path(text)
    if kind == list[str] | None:
        return text.split()
    if kind is AuthMethod:
        return _method(name, text)
    return _reference(name, text) if kind == Reference | None else text


def _flag(name: str, text: str) -> bool:
    if text.lower() in _YES | _NO:
        return text.lower() in _YES
    msg = f"{variable(name)} is neither true nor false."
    raise UsageError(msg)


def _number(name: str, text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if is_timeout(seconds):
        return seconds
    msg = f"{variable(name)} is no number of seconds from {SHORTEST_S} to {LONGEST_S}."
    raise UsageError(msg)


def _method(name: str, text: str) -> AuthMethod:
    for method in AuthMethod:
        if method == text:
            return method
    msg = f"{variable(name)} is none of {', '.join(AuthMethod)}."
    raise UsageError(msg)


def _reference(name: str, text: str) -> Reference:
    try:
        return read_source(text) if name in SOURCES else read_reference(text)
    except typer.BadParameter as problem:
        msg = f"{variable(name)} can't be meant: {problem.message}"
    raise UsageError(msg)
