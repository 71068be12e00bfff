"""Keys that are kept, and keys that live elsewhere, each imported when it is first used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gatepass.signers.kms import KmsSigner
    from gatepass.signers.pkcs11 import Pkcs11Signer
    from gatepass.signers.vault import VaultSigner

__all__ = ["KmsSigner", "Pkcs11Signer", "VaultSigner"]

_ROOMS = {"KmsSigner": "kms", "Pkcs11Signer": "pkcs11", "VaultSigner": "vault"}


def __getattr__(name: str) -> object:
    room = _ROOMS.get(name)
    if room is None:
        msg = f"module 'gatepass.signers' has no attribute {name!r}"
        raise AttributeError(msg)
    value: object = getattr(import_module(f"gatepass.signers.{room}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
