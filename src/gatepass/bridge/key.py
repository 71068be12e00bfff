"""The key that callers of the loopback endpoint need: made at random, or given."""

from __future__ import annotations

import os
import re
import secrets
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from gatepass.core.secret import EnvReference
from gatepass.errors import ConfigurationError
from gatepass.references import read

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["key_for_now", "key_in", "key_named"]

_FIT = re.compile(r"[\x21-\x7e]{16,4096}")
_MAX_FILE_BYTES = 8192
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)


def key_named(variable: str) -> str:
    """The key that an environment variable holds.

    Raises:
        ConfigurationError: it is not set, or no key.
    """
    return _fit(read(EnvReference(variable)), f"The environment variable {variable}")


def key_in(file: Path) -> str:
    """The key that a file holds; where there is no file, it is made, with a new key in it, mode 0600.

    Raises:
        ConfigurationError: it can't be read or made, others could read or replace it, or it holds no key.
    """
    if not file.exists():
        _write_new(file)
    return _fit(_content(file), f"The file {file}")


@contextmanager
def key_for_now(name: str) -> Generator[tuple[str, Path]]:
    """A new key, and the file of the user's own that holds it meanwhile.

    Args:
        name: of the file; what was left there under that name is replaced.

    Raises:
        ConfigurationError: the file can't be made.
    """
    import platformdirs

    file = Path(platformdirs.user_state_path("gatepass")) / name
    file.unlink(missing_ok=True)
    _write_new(file)
    try:
        yield key_in(file), file
    finally:
        file.unlink(missing_ok=True)


def _write_new(file: Path) -> None:
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(os.open(file, _CREATE, 0o600), "w", encoding="ascii") as opened:
            opened.write(secrets.token_urlsafe(32) + "\n")
    except OSError as problem:
        reason = problem.strerror
    else:
        return
    msg = f"The key can't be written to {file}: {reason}."
    raise ConfigurationError(msg, code="key_file_failed")


def _content(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            _check_file(file, os.fstat(opened.fileno()))
            return opened.read(_MAX_FILE_BYTES).decode("utf-8-sig", "replace").strip()
    except OSError as problem:
        reason = problem.strerror
    msg = f"The file {file} can't be read: {reason}. Check the path and its permissions."
    raise ConfigurationError(msg, code="file_unreadable")


def _check_file(file: Path, status: os.stat_result) -> None:
    """See that nobody else can read the key, or has put it there."""
    if not hasattr(os, "geteuid"):
        return
    if status.st_uid != os.geteuid():
        wrong = f"belongs to user {status.st_uid}, and this process runs as {os.geteuid()}"
        remedy = "Change its owner, or name another with --key-file"
    elif status.st_mode & 0o077:
        wrong = "is open to other users"
        remedy = f"Run `chmod 600 {file}`, and put a new key in it"
    else:
        return
    msg = f"The file {file} {wrong}. {remedy}."
    raise ConfigurationError(msg, code="proxy_key_invalid")


def _fit(key: str, where: str) -> str:
    if _FIT.fullmatch(key):
        return key
    msg = f"{where} holds no key for callers: 16 visible ASCII characters at least, and no spaces."
    del key  # a traceback that shows locals must not show it
    raise ConfigurationError(msg, code="proxy_key_invalid")
