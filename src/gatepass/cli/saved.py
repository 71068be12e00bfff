"""Pictures, sounds and files of a result, saved. Neither the place nor any part of a name is the server's to say.

A file is called by the tool and a number, with the extension of what it is: declared by the server, and borne out by
how the bytes begin. What is declared as something else than it is, or as nothing that is known here, is a ``.bin``.
"""

from __future__ import annotations

import errno
import os
import re
from base64 import b64decode
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gatepass.errors import ConfigurationError, RemoteError

if TYPE_CHECKING:
    from pathlib import Path

    from mcp_types import ContentBlock

__all__ = ["UNKNOWN", "Folder", "Piece", "extension_of", "piece_of"]

UNKNOWN = "bin"
"""The extension of what may be anything."""

_MP4 = rb".{4}ftyp"
_WAV = rb"RIFF.{4}WAVE"
_MP3 = rb"ID3|\xff[\xe2-\xff]"
_BEGINNINGS = {
    "image/avif": ("avif", rb".{4}ftypavi[fs]"),
    "image/bmp": ("bmp", rb"BM"),
    "image/gif": ("gif", rb"GIF8[79]a"),
    "image/jpeg": ("jpg", rb"\xff\xd8\xff"),
    "image/png": ("png", rb"\x89PNG\r\n\x1a\n"),
    "image/svg+xml": ("svg", rb"\s*<(?:svg|\?xml|!--|!DOCTYPE svg)"),
    "image/tiff": ("tiff", rb"II\*\0|MM\0\*"),
    "image/webp": ("webp", rb"RIFF.{4}WEBP"),
    "audio/aac": ("aac", rb"\xff[\xf1\xf9]"),
    "audio/flac": ("flac", rb"fLaC"),
    "audio/mp3": ("mp3", _MP3),
    "audio/mp4": ("m4a", _MP4),
    "audio/mpeg": ("mp3", _MP3),
    "audio/ogg": ("ogg", rb"OggS"),
    "audio/wav": ("wav", _WAV),
    "audio/wave": ("wav", _WAV),
    "audio/webm": ("webm", rb"\x1a\x45\xdf\xa3"),
    "audio/x-wav": ("wav", _WAV),
    "video/mp4": ("mp4", _MP4),
    "video/webm": ("webm", rb"\x1a\x45\xdf\xa3"),
    "application/gzip": ("gz", rb"\x1f\x8b"),
    "application/pdf": ("pdf", rb"%PDF-"),
    "application/zip": ("zip", rb"PK\x03\x04"),
}
"""What is known by its media type: the extension, and how the bytes begin."""

_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9._-]+")
_NAME_MAX_CHARS = 80
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0)
_MODE = 0o666  # what the umask leaves of it


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Bytes of a result, as they came.

    Attributes:
        encoded: the bytes, in base64.
        declared: the media type that the server gives them; empty if it gives none.
    """

    encoded: str = field(repr=False)
    declared: str

    @property
    def data(self) -> bytes:
        """The bytes.

        Raises:
            RemoteError: this is no base64 (code ``mcp_answer_invalid``).
        """
        try:
            return b64decode(self.encoded, validate=True)
        except ValueError:
            msg = "The MCP server's answer does not fit the protocol: its data is not in base64."
            raise RemoteError(msg, code="mcp_answer_invalid", by="resource_server") from None


def piece_of(block: ContentBlock) -> Piece | None:
    """The bytes that a part of a result carries; None if it is a text or a link."""
    match block.type:
        case "image" | "audio":
            return Piece(encoded=block.data, declared=block.mime_type)
        case "resource":
            blob: str | None = getattr(block.resource, "blob", None)
            return None if blob is None else Piece(encoded=blob, declared=block.resource.mime_type or "")
        case _:
            return None


def extension_of(data: bytes, declared: str) -> str:
    """What a file with these bytes is to be called at its end; ``"bin"`` unless they are known to be what they should.

    Args:
        data: the bytes.
        declared: their media type, by the server.
    """
    extension, beginning = _BEGINNINGS.get(declared.partition(";")[0].strip().lower(), (UNKNOWN, b""))
    return extension if re.match(beginning, data, re.DOTALL) else UNKNOWN


class Folder:
    """Where the files go.

    Args:
        path: the folder; made if it is not there.
        tool: what they are called by.

    Raises:
        ConfigurationError: nothing can be written there (code ``folder_unwritable``).
    """

    def __init__(self, path: Path, tool: str) -> None:
        self._path = path
        self._stem = _NOT_IN_A_NAME.sub("-", tool)[:_NAME_MAX_CHARS].strip(".-") or "result"
        self._number = 0
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as problem:
            failure = _unwritable(path, problem)
        else:
            if os.access(path, os.W_OK | os.X_OK):
                return
            failure = _unwritable(path, PermissionError(errno.EACCES, os.strerror(errno.EACCES)))
        raise failure

    def save(self, piece: Piece) -> Path:
        """Write a file that was not there before.

        Raises:
            ConfigurationError: the system says no (code ``folder_unwritable``).
            RemoteError: these are no bytes; see `Piece.data`.
        """
        data = piece.data
        try:
            path, descriptor = self._new_file(extension_of(data, piece.declared))
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
        except OSError as problem:
            failure = _unwritable(self._path, problem)
        else:
            return path
        raise failure

    def _new_file(self, extension: str) -> tuple[Path, int]:
        while True:
            self._number += 1
            path = self._path / f"{self._stem}-{self._number}.{extension}"
            with suppress(FileExistsError):
                return path, os.open(path, _CREATE, _MODE)


def _unwritable(path: Path, problem: OSError) -> ConfigurationError:
    reason = problem.strerror or type(problem).__name__
    msg = f"Nothing can be saved in {path}: {reason}. Give --save another folder."
    return ConfigurationError(msg, code="folder_unwritable")
