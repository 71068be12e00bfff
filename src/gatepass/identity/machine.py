"""What this machine says about itself, without asking a network: whose firmware it runs on, whose files it holds."""

from __future__ import annotations

import os
from pathlib import Path

from gatepass.errors import ConfigurationError

__all__ = ["any_set", "firmware", "token_file"]

_FIRMWARE = Path("/sys/class/dmi/id")
_MAX_TOKEN_BYTES = 1024 * 1024


def any_set(*variables: str) -> bool:
    """Whether one of these environment variables is set to something."""
    return any(os.environ.get(variable) for variable in variables)


def firmware(field: str) -> str:
    """A field of the SMBIOS tables, such as ``"product_name"``, on Linux; empty where there is none to be read."""
    try:
        return (_FIRMWARE / field).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def token_file(path: str) -> str:
    """The token in a file.

    Raises:
        ConfigurationError: it can't be read; names it (code ``workload_token_unreadable``).
    """
    try:
        with Path(path).open("rb") as file:
            return file.read(_MAX_TOKEN_BYTES).decode("utf-8", "replace")  # what is no text is no JWT either
    except OSError as problem:
        reason = problem.strerror or type(problem).__name__
    msg = f"The token in {path} can't be read: {reason}. Check the path, and that this user may read it."
    raise ConfigurationError(msg, code="workload_token_unreadable")
