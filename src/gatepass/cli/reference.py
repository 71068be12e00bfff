"""Where a secret stands, in the two ways to write it: ``env:NAME`` in a shell, ``{ env = "NAME" }`` in gatepass.toml.

What a platform vouches for is written by the platform's name alone: ``github-actions``. What can't be read is never
quoted: it may be the secret itself, in the wrong place.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import gatepass
from gatepass.core.secret import is_variable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gatepass.core.world import AssertionSource

__all__ = ["PLATFORMS", "WAYS_TO_WRITE", "Reference", "from_text", "from_toml"]

PLATFORMS = {
    "ambient": "Ambient",
    "aws": "AwsWebIdentity",
    "azure": "AzureManagedIdentity",
    "azure-workload": "AzureWorkload",
    "github-actions": "GitHubActions",
    "gitlab-ci": "GitLabCI",
    "google-cloud": "GoogleCloud",
    "kubernetes": "KubernetesToken",
    "spiffe": "Spiffe",
}
"""What a platform is called here, and in `gatepass.identity`."""

WAYS_TO_WRITE = "env:NAME, file:PATH, keyring:SERVICE/USER or command:PROGRAM ARGUMENTS"

_PLATFORM = "platform"
_WORDS_OF_A_KEYRING = 2


@dataclass(frozen=True, slots=True)
class Reference:
    """Where a secret stands, or which platform gives a JWT.

    Attributes:
        kind: ``"env"``, ``"file"``, ``"keyring"``, ``"command"`` or ``"platform"``.
        words: the name, the path, service and user, the program and its arguments, or the platform.
    """

    kind: str
    words: tuple[str, ...]

    @property
    def secret(self) -> gatepass.Secret:
        """The same for the library; nothing is read yet."""
        match self.kind:
            case "env":
                return gatepass.Secret.env(*self.words)
            case "file":
                return gatepass.Secret.file(*self.words)
            case "keyring":
                return gatepass.Secret.keyring(*self.words)
            case _:
                return gatepass.Secret.command(self.words)

    @property
    def source(self) -> AssertionSource:
        """As `secret`, where a platform may give a JWT."""
        if self.kind != _PLATFORM:
            return self.secret
        from gatepass import identity

        return cast("AssertionSource", getattr(identity, PLATFORMS[self.words[0]])())

    @property
    def in_toml(self) -> str | Mapping[str, str | list[str]]:
        """How it is written in gatepass.toml."""
        if self.kind == _PLATFORM:
            return self.words[0]
        return {self.kind: self.words[0] if self.kind in ("env", "file") else list(self.words)}

    def __str__(self) -> str:
        """For people; without the arguments of a command, which may be secret."""
        if self.kind == _PLATFORM:
            return self.words[0]
        return f"{self.kind}:{self.words[0] if self.kind == 'command' else '/'.join(self.words)}"


def from_text(text: str, *, platforms: bool = False) -> Reference | None:
    """What ``env:NAME`` and the like mean; None for what is no reference, such as a secret.

    Args:
        text: the reference.
        platforms: whether it may be the name of a platform.
    """
    if platforms and text in PLATFORMS:
        return Reference(_PLATFORM, (text,))
    kind, _, rest = text.partition(":")
    words: tuple[str, ...] = ()
    match kind:
        case "env":
            words = (rest,) if is_variable(rest) else ()
        case "file":
            words = (rest,)
        case "keyring":
            service, _, user = rest.rpartition("/")
            words = (service, user)
        case "command":
            words = _split(rest)
        case _:
            pass
    return Reference(kind, words) if words and words[0] and words[-1] else None


def from_toml(value: object, *, platforms: bool = False) -> Reference | None:
    """What ``{ env = "NAME" }`` and the like mean; None for what is no reference, such as a secret."""
    if isinstance(value, str):
        return Reference(_PLATFORM, (value,)) if platforms and value in PLATFORMS else None
    table = cast("dict[str, object]", value) if isinstance(value, dict) else dict[str, object]()
    if len(table) != 1:
        return None
    ((kind, where),) = table.items()
    if kind in ("env", "file"):
        fits = isinstance(where, str) and (is_variable(where) if kind == "env" else bool(where))
        return Reference(kind, (str(where),)) if fits else None
    listed = cast("list[object]", where) if isinstance(where, list) else list[object]()
    words = tuple(word for word in listed if isinstance(word, str))
    if kind == "command":
        fits = bool(words) and bool(words[0])
    else:
        fits = kind == "keyring" and len(words) == _WORDS_OF_A_KEYRING and all(words)
    return Reference(kind, words) if fits and len(words) == len(listed) else None


def _split(command: str) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(command))
    except ValueError:  # a quotation that does not end
        return ()
