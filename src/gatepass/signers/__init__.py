"""Keys that are kept, and keys that live elsewhere, each imported when it is first used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatepass.core.lazy import lazily

if TYPE_CHECKING:
    from gatepass.signers.kms import KmsSigner
    from gatepass.signers.pkcs11 import Pkcs11Signer
    from gatepass.signers.vault import VaultSigner

__all__ = ["KmsSigner", "Pkcs11Signer", "VaultSigner"]

_ROOMS = {"KmsSigner": "kms", "Pkcs11Signer": "pkcs11", "VaultSigner": "vault"}

__getattr__ = lazily(__name__, _ROOMS)


def __dir__() -> list[str]:
    return __all__
