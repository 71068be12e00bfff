"""Secrets that stand elsewhere: in the environment, in a file, in what a command prints, or in the system's keyring.

What is wrong with one is found where it is read, and raised where it no longer is: a traceback shows no part of it.
"""

from __future__ import annotations

import os
import selectors
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from gatepass.core.secret import CommandReference, EnvReference, FileReference
from gatepass.errors import ConfigurationError

if TYPE_CHECKING:
    import subprocess

    from gatepass.core.secret import KeyringReference, Reference

__all__ = ["read"]

_COMMAND_TIMEOUT_S = 30.0
_MAX_SECRET_BYTES = 1024 * 1024


def read(reference: Reference) -> str:
    """The secret, without its last line break.

    Raises:
        ConfigurationError: it can't be read, is empty, too large or no UTF-8 text; names where it was looked for.
    """
    found = _look_up(reference)
    if isinstance(found, ConfigurationError):
        raise found
    return found


def _look_up(reference: Reference) -> str | ConfigurationError:
    if isinstance(reference, EnvReference):
        text = _variable(reference)
    elif isinstance(reference, FileReference):
        text = _content(reference)
    elif isinstance(reference, CommandReference):
        text = _output(reference)
    else:
        text = _entry(reference)
    if isinstance(text, ConfigurationError):
        return text
    secret = text.removesuffix("\n").removesuffix("\r")
    return secret or ConfigurationError(f"The {reference} gives an empty secret.", code="secret_empty")


def _variable(reference: EnvReference) -> str | ConfigurationError:
    value = os.environ.get(reference.name)
    if value is None:
        return ConfigurationError(f"The {reference} is not set.", code="secret_missing")
    text = _decode(os.fsencode(value))
    return ConfigurationError(f"The {reference} is not UTF-8 text.", code="secret_invalid") if text is None else text


def _content(reference: FileReference) -> str | ConfigurationError:
    try:
        with Path(reference.path).open("rb") as file:
            content = file.read(_MAX_SECRET_BYTES + 1)
    except (OSError, ValueError) as problem:
        reason = _reason(problem)
    else:
        text = _decode(content)
        if len(content) > _MAX_SECRET_BYTES:
            reason = f"it is larger than {_MAX_SECRET_BYTES} bytes"
        elif text is None:
            reason = "it is not UTF-8 text"
        else:
            return text
    msg = f"The {reference} can't be read: {reason}. Check the path and its permissions."
    return ConfigurationError(msg, code="file_unreadable")


def _output(reference: CommandReference) -> str | ConfigurationError:
    import subprocess

    try:
        exit_code, output = _run(reference.argv)
    except (OSError, ValueError, TypeError) as problem:
        reason = _reason(problem)
    except subprocess.TimeoutExpired:
        reason = f"it did not end within {_COMMAND_TIMEOUT_S:g} s"
    else:
        text = _decode(output)
        if exit_code:
            reason = f"it ended with exit code {exit_code}"
        elif text is None:
            reason = "its output is not UTF-8 text"
        else:
            return text
    return ConfigurationError(f"The {reference} gave no secret: {reason}.", code="command_failed")


def _run(argv: tuple[str, ...]) -> tuple[int, bytes]:
    """Run the user's own command, without a shell: its exit code and what it prints.

    Raises:
        OSError, ValueError, TypeError: it can't be run, or prints too much.
        subprocess.TimeoutExpired: it does not come to an end.
    """
    import subprocess

    until = time.monotonic() + _COMMAND_TIMEOUT_S
    quiet = subprocess.DEVNULL
    with subprocess.Popen(  # noqa: S603 - the user's own command, without a shell
        argv, stdin=quiet, stdout=subprocess.PIPE, stderr=quiet
    ) as process:
        try:
            output = _drain(process, until)
            return process.wait(max(0.0, until - time.monotonic())), output
        except BaseException:
            process.kill()
            raise


def _drain(process: subprocess.Popen[bytes], until: float) -> bytes:
    import subprocess

    if process.stdout is None or sys.platform == "win32":  # where a pipe can't be watched
        return process.communicate(timeout=until - time.monotonic())[0]
    output = bytearray()
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while len(output) <= _MAX_SECRET_BYTES:
            if not selector.select(max(0.0, until - time.monotonic())):
                raise subprocess.TimeoutExpired(process.args, _COMMAND_TIMEOUT_S)
            piece = os.read(process.stdout.fileno(), 65536)
            if not piece:
                return bytes(output)
            output += piece
    raise OSError(0, f"it printed more than {_MAX_SECRET_BYTES} bytes")


def _entry(reference: KeyringReference) -> str | ConfigurationError:
    try:
        import keyring
        from keyring.errors import KeyringLocked, NoKeyringError
    except ImportError:
        msg = f"The {reference} can't be read, for keyring is not installed: pip install 'gatepass[keyring]'"
        return ConfigurationError(msg, code="extra_missing")
    try:
        text = keyring.get_password(reference.service, reference.username)
    except NoKeyringError:
        reason = "there is no keyring here"
    except KeyringLocked:
        reason = "the keyring is locked"
    except Exception as problem:  # noqa: BLE001 - a keyring may be anybody's
        reason = f"the keyring failed with {type(problem).__name__}"
    else:
        if text is not None:
            return text
        msg = f"There is no {reference}. Make it with the command `keyring set`."
        return ConfigurationError(msg, code="secret_missing")
    return ConfigurationError(f"The {reference} can't be read: {reason}.", code="keyring_failed")


def _reason(problem: Exception) -> str:
    return (isinstance(problem, OSError) and problem.strerror) or type(problem).__name__


def _decode(content: bytes) -> str | None:
    """UTF-8 text, without the mark that some editors put before it."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None
