"""Files that hold keys: read as the library reads them; a private one is written once, for its owner alone.

What can go wrong with writing is returned and not raised, so that no frame of an error holds the key.
"""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from typing import TYPE_CHECKING

from gatepass.core.secret import FileReference, Secret
from gatepass.core.world import PrivateKey, Signer
from gatepass.errors import ConfigurationError
from gatepass.references import read
from gatepass.signers.key_ring import KeyRing

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["create", "is_jwk", "read_signer", "read_text", "replace", "sync_directory", "unwritable"]

_OWNER_ONLY = 0o600
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0)


def read_signer(path: Path, password: Secret | None) -> Signer:
    """The private key in a file, ready to sign.

    Raises:
        ConfigurationError: it can't be read, or is none; see `parse_private_key`.
    """
    return KeyRing().signer(PrivateKey(text=Secret.file(path), password=password), _revealed)


def read_text(path: Path) -> str:
    """What stands in a file.

    Raises:
        ConfigurationError: it can't be read.
    """
    return read(FileReference(str(path)))


def is_jwk(path: Path) -> bool:
    """Whether a key is written as a JWK."""
    return read_text(path).lstrip().startswith("{")


def create(path: Path, private_pem: bytes) -> ConfigurationError | None:
    """Write a private key to a new file, readable by its owner alone, and see it safely on the disk.

    Returns:
        What went wrong: the file is there already (code ``key_file_exists``), or the system says no.
    """
    try:
        descriptor = os.open(path, _CREATE, _OWNER_ONLY)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(private_pem)
                file.flush()
                os.fsync(file.fileno())
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        sync_directory(path)
    except FileExistsError:
        msg = f"{path} is there already. Give another name, or --force if that key is no longer needed."
        return ConfigurationError(msg, code="key_file_exists")
    except OSError as problem:
        return unwritable(path, problem)
    return None


def replace(path: Path, private_pem: bytes) -> ConfigurationError | None:
    """Put a private key in the place of what is there, at once: whoever reads sees the old one or the new one, whole.

    Returns:
        What went wrong.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    problem = create(temporary, private_pem)
    if problem is not None:
        return problem
    try:
        temporary.replace(path)
        sync_directory(path)
    except OSError as failure:
        temporary.unlink(missing_ok=True)
        return unwritable(path, failure)
    return None


def sync_directory(path: Path) -> None:
    """See the name of a file safely on the disk, where the system can do that."""
    with suppress(OSError):
        descriptor = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def unwritable(path: Path, problem: OSError) -> ConfigurationError:
    """The error for a file that the system does not let us write."""
    reason = problem.strerror or type(problem).__name__
    msg = f"{path} can't be written: {reason}. Check the folder, and that you may write there."
    return ConfigurationError(msg, code="key_file_unwritable")


def _revealed(secret: Secret) -> str:
    return read(secret.reference) if secret.reference else secret.reveal()
