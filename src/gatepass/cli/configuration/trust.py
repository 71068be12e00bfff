"""Which files of projects the user trusts: by path and content, so that a change has to be looked at again."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from gatepass.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["is_trusted", "trust", "trust_list"]

_ODD = "surrogateescape"
"""How a path is written that is no UTF-8: in the bytes that it has."""


def is_trusted(path: Path, digest: str | None) -> bool:
    """Whether the user has trusted a file with that content at that place."""
    return digest is not None and _entry(path, digest) in _entries()


def trust(path: Path, digest: str) -> None:
    """Take down that the user trusts this; an earlier content of the same file counts no more.

    Raises:
        ConfigurationError: it can't be written, or the path has a line break (code ``trust_not_kept``).
    """
    if str(path).splitlines() != [str(path)]:
        msg = f"What is trusted is kept as lines, and the path {str(path)!r} has a line break: name the file instead."
        raise ConfigurationError(msg, code="trust_not_kept")
    others = [entry for entry in _entries() if entry.partition(" ")[2] != str(path)]
    text = "".join(f"{entry}\n" for entry in (*others, _entry(path, digest)))
    list_ = trust_list()
    draft = list_.with_name(f"{list_.name}.{os.getpid()}.tmp")
    try:
        list_.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(text.encode("utf-8", _ODD))
        draft.replace(list_)
    except OSError as problem:
        reason = problem.strerror or type(problem).__name__
    else:
        return
    msg = f"What is trusted can't be kept in {list_}: {reason}."
    raise ConfigurationError(msg, code="trust_not_kept")


def _entries() -> list[str]:
    try:
        return trust_list().read_text("utf-8", _ODD).splitlines()
    except OSError:  # then nothing is trusted
        return []


def _entry(path: Path, digest: str) -> str:
    return f"{digest} {path}"


def trust_list() -> Path:
    """The file that has a line for each file that is trusted."""
    import platformdirs

    return platformdirs.user_state_path("gatepass") / "trusted"
