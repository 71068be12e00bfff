"""Secrets: masked by their type, with one way out; and references to secrets, which are read when one is needed."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from gatepass.core.value import Value
from gatepass.errors import ConfigurationError

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

__all__ = [
    "CommandReference",
    "CostlyReference",
    "EnvReference",
    "FileReference",
    "KeyringReference",
    "Reference",
    "Secret",
    "is_variable",
]


class EnvReference(Value, frozen=True):
    """An environment variable, read at each mint."""

    name: str

    def __str__(self) -> str:
        return f"environment variable {self.name}"


class FileReference(Value, frozen=True):
    """A file, read at each mint."""

    path: str

    def __str__(self) -> str:
        return f"file {self.path}"


class CommandReference(Value, frozen=True):
    """A command whose standard output is the secret, run at each mint. Its arguments may be secret, too."""

    hidden = ("argv",)

    argv: tuple[str, ...]

    def __str__(self) -> str:
        return f"command {self.argv[0]}"


class KeyringReference(Value, frozen=True):
    """An entry in the keyring of the system, read at each mint."""

    service: str
    username: str

    def __str__(self) -> str:
        return f"keyring entry {self.service} / {self.username}"


CostlyReference = CommandReference | KeyringReference
"""Those that take their time, or ask a person: they are read when the secret is needed, and not just to look."""

Reference = EnvReference | FileReference | CostlyReference


def is_variable(text: str) -> bool:
    """Whether an environment variable may be called so. A secret in the wrong place seldom may."""
    return text.isascii() and text.isidentifier()


class Secret:
    """A string that does not show itself: not in a repr, a format, a log record, a pickle or a comparison.

    `Secret("...")` holds the value; `Secret.env`, `Secret.file`, `Secret.command` and `Secret.keyring` hold where it is
    to be found, and are read each time it is needed, so that a rotated secret is picked up without a restart.
    """

    __slots__ = ("__value", "reference")

    def __init__(self, value: object) -> None:
        self.__value: str | None = None
        self.reference: Reference | None = None
        if not isinstance(value, str):
            msg = f"A secret is a string, not {type(value).__name__}."
            del value  # a traceback that shows locals must not show it
            raise ConfigurationError(msg, code="secret_invalid")
        self.__value = value

    @classmethod
    def _at(cls, reference: Reference) -> Secret:
        secret = cls("")
        secret.__value = None
        secret.reference = reference
        return secret

    @classmethod
    def env(cls, name: str) -> Secret:
        """The value of an environment variable, read at each mint.

        Raises:
            ConfigurationError: no variable is called so (code ``secret_invalid``). The name is not quoted: it may be
                the secret itself, in the wrong place.
        """
        if not is_variable(name):
            msg = "That is no name of an environment variable (letters, digits, _). It is not quoted; is it the secret?"
            raise ConfigurationError(msg, code="secret_invalid")
        return cls._at(EnvReference(name))

    @classmethod
    def file(cls, path: str | os.PathLike[str]) -> Secret:
        """The content of a file without its last line break, read at each mint."""
        return cls._at(FileReference(path if isinstance(path, str) else path.__fspath__()))

    @classmethod
    def command(cls, argv: Sequence[str]) -> Secret:
        """What a command prints, without the last line break; run without a shell at each mint."""
        if isinstance(argv, str) or not argv:
            msg = "Secret.command takes a list: the program and its arguments."
            raise ConfigurationError(msg, code="secret_invalid")
        return cls._at(CommandReference(tuple(argv)))

    @classmethod
    def keyring(cls, service: str, username: str) -> Secret:
        """An entry in the keyring of the system (``pip install 'gatepass[keyring]'``), read at each mint."""
        return cls._at(KeyringReference(service, username))

    @classmethod
    def of(cls, value: str | Secret) -> Secret:
        """The value itself if it is a `Secret` already, else the string wrapped in one."""
        return value if isinstance(value, Secret) else cls(value)

    def reveal(self) -> str:
        """The value, in the clear. A reference has none here: only the engine can read it.

        Raises:
            ConfigurationError: this is a reference (code ``secret_unread``).
        """
        if self.__value is None:
            msg = f"The secret stands in {self.reference}; it is read when a token is made."
            raise ConfigurationError(msg, code="secret_unread")
        return self.__value

    def __repr__(self) -> str:
        return "Secret(***)" if self.reference is None else f"Secret({self.reference})"

    def __reduce__(self) -> NoReturn:
        msg = "A Secret can't be pickled: pass a reference such as Secret.env(...) and make it where it is used."
        raise TypeError(msg)
