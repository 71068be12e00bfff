"""The short way of `gatepass token` and `headers`: what is fresh beyond doubt is printed before anything is imported.

The command itself takes down, after it has printed a token, where that came from and on what this depended: the
arguments and the folder, the variables that it looked at, the content of each place where a configuration may stand.
Where all of that is as it was, the same record is the answer, and so it is read as the file store reads it. In every
other case, and whenever there is the slightest doubt, this says nothing, and the command goes its usual way.

What stands there is no secret: names, paths, digests of configuration files. The token stays in the store alone.

Nothing is imported here that costs more than it does: not `typing`, `pathlib` or `tomllib`, and nothing of gatepass.
"""
# ruff: noqa: PTH109, PTH116, PTH118, PTH120

from __future__ import annotations

import hashlib
import json
import os
import stat
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["FORMAT", "hand_out", "shortcut_path"]

FORMAT = 2
"""Changes with the way in which records are named, or written."""

_MAGIC = b"gatepass-record 1 "
_READ = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0)
_BROKEN_PIPE = 141
_CONFIGURATION = 3


def hand_out(arguments: list[str]) -> bool:
    """Print what these arguments ask for, if it is at hand; whether it was."""
    try:
        text = _text(arguments)
    except (OSError, ValueError, LookupError, TypeError, AttributeError):  # whatever it is, the command will say it
        return False
    if text is None:
        return False
    try:
        rest = text.encode() + b"\n"
        while rest:
            rest = rest[os.write(1, rest) :]
    except BrokenPipeError:
        raise SystemExit(_BROKEN_PIPE) from None
    except OSError as problem:
        os.write(2, f"gatepass: The output can't be written: {problem.strerror}.\n".encode())
        raise SystemExit(_CONFIGURATION) from None
    return True


def shortcut_path(arguments: list[str]) -> str:
    """Where it is taken down what these arguments lead to, in this folder."""
    key = json.dumps([FORMAT, os.getcwd(), arguments]).encode("utf-8", "surrogatepass")
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.environ["HOME"], ".cache")
    return os.path.join(cache, "gatepass", "tokens", hashlib.sha256(key).hexdigest()[:32])


def _text(arguments: list[str]) -> str | None:
    shortcut = json.loads(_private(shortcut_path(arguments)))
    if any(os.environ.get(name) != value for name, value in shortcut["variables"].items()):
        return None
    if any(bool(os.environ.get(name)) != is_set for name, is_set in shortcut["secrets"].items()):
        return None
    if any(_digest(path) != digest for path, digest in shortcut["files"].items()):
        return None
    record = _record(shortcut["record"])
    if record is None or any(record[name] != value for name, value in shortcut["same"].items()):
        return None
    age_s = time.time() - record["obtained_at"]
    fresh_s = min(shortcut["fresh_share"] * record["lifetime_s"], record["refresh_in_s"] or record["lifetime_s"])
    if not 0 <= age_s < fresh_s or record["lifetime_s"] - age_s < shortcut["least_s"]:
        return None
    token: str = record["access_token"]
    if shortcut["form"] == "token":
        return token
    return json.dumps({"Authorization": f"{record['token_type']} {token}"}, indent=2)


def _record(path: str) -> dict[str, Any] | None:
    """What the file store keeps there; see `gatepass.stores.file` for how it is written."""
    folder = os.stat(os.path.dirname(path))
    if folder.st_uid != os.geteuid() or folder.st_mode & 0o022:
        return None
    content = _private(path)
    start = len(_MAGIC) + 65
    body = content[start:]
    if content[:start] != _MAGIC + hashlib.sha256(body).hexdigest().encode() + b"\n":
        return None
    header, _, value = body.partition(b"\n")
    return json.loads(value) if json.loads(header)["size"] == len(value) else None


def _private(path: str) -> bytes:
    """A file that belongs to this user, and that nobody else can read.

    Raises:
        OSError: it is not there, or not like that.
    """
    descriptor = os.open(path, _READ)
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
            raise PermissionError(path)
        return os.read(descriptor, found.st_size + 1)
    finally:
        os.close(descriptor)


def _digest(path: str) -> str | None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        size = os.fstat(descriptor).st_size
        return hashlib.sha256(os.read(descriptor, size + 1)).hexdigest()
    finally:
        os.close(descriptor)
