"""Where the password of an encrypted private key stands. It is never an argument: others could see it there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path  # noqa: TC003 - typer reads the annotations
from shlex import quote
from typing import TYPE_CHECKING, Annotated

import typer

from gatepass.cli.exits import UsageError
from gatepass.cli.identity import read_reference
from gatepass.cli.reference import WAYS_TO_WRITE, Reference
from gatepass.errors import ConfigurationError
from gatepass.references import read

if TYPE_CHECKING:
    import gatepass

__all__ = ["Password"]

_MAX_BYTES = 1023
"""As many as the cryptography package takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Password:
    """What opens an encrypted key, and locks a new one."""

    private_key_password_file: Annotated[
        Path | None, typer.Option(metavar="PATH", help="The file that holds the password of an encrypted key.")
    ] = None
    private_key_password_env: Annotated[
        str | None, typer.Option(metavar="NAME", help="The environment variable that holds it.")
    ] = None
    private_key_password_from: Annotated[
        Reference | None,
        typer.Option(metavar="REF", parser=read_reference, help=f"Where else it stands: {WAYS_TO_WRITE}."),
    ] = None

    @property
    def secret(self) -> gatepass.Secret | None:
        """Where it stands; None if there is none.

        Raises:
            UsageError: several places are named.
        """
        given = self._given
        if len(given) > 1:
            msg = f"{' and '.join(given)} all give the password: leave all but one out."
            raise UsageError(msg)
        return next((reference.secret for reference in given.values()), None)

    @property
    def options(self) -> str:
        """How to say so once more, as the end of a command."""
        if self.private_key_password_file:
            return f" --private-key-password-file {quote(str(self.private_key_password_file))}"
        if self.private_key_password_env:
            return f" --private-key-password-env {quote(self.private_key_password_env)}"
        return " --private-key-password-from REF" if self.private_key_password_from else ""

    def read(self) -> str | None:
        """The password, in the clear; None if there is none.

        Raises:
            UsageError: several places are named.
            ConfigurationError: it can't be read, or is too long (code ``password_invalid``).
        """
        secret = self.secret
        if secret is None or secret.reference is None:
            return None
        password = read(secret.reference)
        if len(password.encode()) <= _MAX_BYTES:
            return password
        del password  # so that no frame of the error holds it
        msg = f"The {secret.reference} holds a password of more than {_MAX_BYTES} bytes, which is too long."
        raise ConfigurationError(msg, code="password_invalid")

    @property
    def _given(self) -> dict[str, Reference]:
        path, name, reference = (
            self.private_key_password_file,
            self.private_key_password_env,
            self.private_key_password_from,
        )
        places = {
            "--private-key-password-file": Reference("file", (str(path),)) if path else None,
            "--private-key-password-env": Reference("env", (name,)) if name else None,
            "--private-key-password-from": reference,
        }
        return {option: place for option, place in places.items() if place is not None}
