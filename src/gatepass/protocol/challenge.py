"""Challenges of a 401 or 403: the WWW-Authenticate header, read by the grammar of RFC 9110 §11.6.1.

A comma separates the parameters of one challenge as well as challenges. What tells them apart is what follows a name:
with an equals sign it is a parameter of the challenge at hand, without one it is the scheme of the next. The parser
walks each line once, from left to right, and reads on after what it can't understand: a server's slip must not hide the
parameter that leads to its metadata.
"""

from __future__ import annotations

import re
from collections.abc import Mapping  # noqa: TC003 - msgspec reads the annotations
from typing import TYPE_CHECKING

import msgspec

from gatepass.core.value import Value
from gatepass.errors import ConfigurationError
from gatepass.protocol.scope import parse_scope
from gatepass.protocol.text import clean
from gatepass.protocol.urls import is_http_url

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "Challenge",
    "ResourceChallenge",
    "build_challenges",
    "dpop_error",
    "parse_challenges",
    "resource_challenge",
]

MAX_CHALLENGES = 32
MAX_PARAMS = 64
MAX_HEADER_CHARS = 65_536
MAX_URL_CHARS = 2048

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_TOKEN68 = re.compile(r"[ \t]+([A-Za-z0-9._~+/-]++=*+)(?=[ \t]*+(?:,|\Z))")
_TOKEN68_ALONE = re.compile(r"[A-Za-z0-9._~+/-]+=*")
_SEPARATORS = re.compile(r"[\s,]*")
_EQUALS = re.compile(r"[ \t]*=[ \t]*")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*+)\\?"?', re.DOTALL)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_RUN = re.compile(r"[^\s,]*")
_QUOTABLE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")

_SPELLINGS = {"basic": "Basic", "bearer": "Bearer", "dpop": "DPoP"}
_OURS = ("bearer", "dpop")


class Challenge(Value, frozen=True, kw_only=True):
    """One challenge.

    Attributes:
        scheme: in lower case.
        token68: the one opaque value that some schemes carry in place of parameters.
        params: by name in lower case; of a repeated one, the first.
    """

    scheme: str
    token68: str | None = None
    params: Mapping[str, str] = msgspec.field(default_factory=dict[str, str])


class ResourceChallenge(Value, frozen=True, kw_only=True):
    """What a protected resource's challenge says to an OAuth client (RFC 6750 §3, RFC 9728 §5.1, RFC 9449 §7.1).

    Attributes:
        scheme: ``"bearer"`` or ``"dpop"``.
        resource_metadata: where the resource says that its metadata stands; None if that is no full URL.
        scope: the scopes that the request needs; None if unsaid.
        error: the error code, cleaned and bounded.
        error_description: the server's own words, cleaned and bounded.
    """

    scheme: str
    resource_metadata: str | None = None
    scope: tuple[str, ...] | None = None
    error: str | None = None
    error_description: str | None = None


def resource_challenge(lines: Iterable[str]) -> ResourceChallenge | None:
    """The Bearer or DPoP challenge that concerns us, or None.

    Of several: the one that leads to metadata; else the one that says most; else Bearer; else the first.

    Args:
        lines: the values of all WWW-Authenticate headers.
    """
    ours = [_as_resource_challenge(one) for one in parse_challenges(lines) if one.scheme in _OURS]
    return max(ours, key=_weight, default=None)


def dpop_error(lines: Iterable[str]) -> str | None:
    """The error of a DPoP challenge (RFC 9449 §7.1), whatever else is offered beside it; None if there is none."""
    errors = (one.params.get("error") for one in parse_challenges(lines) if one.scheme == "dpop")
    return next((error for error in errors if error), None)


def _as_resource_challenge(challenge: Challenge) -> ResourceChallenge:
    params = challenge.params
    url = params.get("resource_metadata", "")
    return ResourceChallenge(
        scheme=challenge.scheme,
        resource_metadata=url if len(url) <= MAX_URL_CHARS and is_http_url(url) else None,
        scope=parse_scope(params.get("scope", "")) or None,
        error=clean(params.get("error", "")),
        error_description=clean(params.get("error_description", "")),
    )


def _weight(challenge: ResourceChallenge) -> tuple[bool, int, bool]:
    said = (challenge.error is not None) + (challenge.scope is not None)
    return challenge.resource_metadata is not None, said, challenge.scheme == "bearer"


def parse_challenges(lines: Iterable[str]) -> tuple[Challenge, ...]:
    """Every challenge of the header's lines, in order (RFC 9110 §11.6.1). Malformed input costs only itself.

    Args:
        lines: the values of all WWW-Authenticate headers; what exceeds 64 KiB, 32 challenges or 64 parameters of one
            challenge is not read.
    """
    drafts: list[_Draft] = []
    chars_left = MAX_HEADER_CHARS
    for line in lines:
        _read_line(line[:chars_left], drafts)
        chars_left = max(0, chars_left - len(line))
    return tuple(Challenge(scheme=one.scheme, token68=one.token68, params=one.params) for one in drafts)


class _Draft(msgspec.Struct):
    scheme: str
    token68: str | None = None
    params: dict[str, str] = msgspec.field(default_factory=dict[str, str])

    def add(self, name: str, value: str) -> None:
        if len(self.params) < MAX_PARAMS:
            self.params.setdefault(name.lower(), value)


def _read_line(line: str, drafts: list[_Draft]) -> None:
    """Add a line to the challenges read so far, the last of which may go on in it (RFC 9110 §5.3)."""
    at, _ = _skip_separators(line, 0)
    after_comma = True
    while at < len(line):
        name = _TOKEN.match(line, at)
        equals = _EQUALS.match(line, name.end() if name else at)
        if equals:
            value, at = _read_value(line, equals.end())
            if name and drafts:
                drafts[-1].add(name[0], value)
        elif name and after_comma:
            if len(drafts) == MAX_CHALLENGES:
                return
            draft, at = _read_scheme(line, name)
            drafts.append(draft)
        else:
            _, at = _read_value(line, at)
        at, after_comma = _skip_separators(line, at)


def _skip_separators(line: str, at: int) -> tuple[int, bool]:
    """Past spaces and commas, and whether there was a comma: without one, no challenge starts."""
    end = _end(_SEPARATORS, line, at)
    return end, "," in line[at:end]


def _read_scheme(line: str, name: re.Match[str]) -> tuple[_Draft, int]:
    token68 = _TOKEN68.match(line, name.end())
    if token68:
        return _Draft(name[0].lower(), token68[1]), token68.end()
    return _Draft(name[0].lower()), name.end()


def _read_value(line: str, at: int) -> tuple[str, int]:
    """A quoted string, or else everything up to the next space or comma, such as a URL that ought to be quoted."""
    quoted = _QUOTED.match(line, at)
    if quoted:
        return _ESCAPE.sub(r"\1", quoted[1]), _end(_RUN, line, quoted.end())
    end = _end(_RUN, line, at)
    return line[at:end], end


def _end(pattern: re.Pattern[str], line: str, at: int) -> int:
    """Where a match of a pattern that can match nothing ends."""
    match = pattern.match(line, at)
    return match.end() if match else at


def build_challenges(challenges: Iterable[Challenge]) -> str:
    """One WWW-Authenticate value with these challenges (RFC 9110 §11.6.1).

    Raises:
        ConfigurationError: a name or value can't stand in a header (code ``challenge_invalid``).
    """
    return ", ".join(_build(challenge) for challenge in challenges)


def _build(challenge: Challenge) -> str:
    parts = [f'{_checked(_TOKEN, name)}="{_escaped(value)}"' for name, value in challenge.params.items()]
    if challenge.token68 is not None:
        parts.insert(0, _checked(_TOKEN68_ALONE, challenge.token68))
    scheme = _checked(_TOKEN, challenge.scheme)
    return f"{_SPELLINGS.get(scheme, scheme)} {', '.join(parts)}".rstrip()


def _escaped(value: str) -> str:
    return re.sub(r'(["\\])', r"\\\1", _checked(_QUOTABLE, value))


def _checked(pattern: re.Pattern[str], text: str) -> str:
    if not pattern.fullmatch(text):
        message = "A challenge's names are tokens, and its values hold no control characters and only Latin-1."
        raise ConfigurationError(message, code="challenge_invalid")
    return text
