"""A key in the transit engine of HashiCorp Vault or OpenBao."""

from __future__ import annotations

from base64 import b64decode, b64encode, urlsafe_b64decode
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote

import msgspec

from gatepass.core.value import Value
from gatepass.signers.elsewhere import (
    KeyElsewhere,
    PublicKey,
    library,
    missing,
    refused,
    troubled,
    unreachable,
    unusable,
)

if TYPE_CHECKING:
    from gatepass.errors import GatepassError

__all__ = ["VaultSigner"]

_HOW: dict[str, dict[str, str]] = {
    "RS": {"signature_algorithm": "pkcs1v15"},
    "PS": {"signature_algorithm": "pss", "salt_length": "hash"},
    "ES": {"marshaling_algorithm": "jws"},
    "Ed": {},
}


class _Adapter(Protocol):
    def get(self, url: str, **options: Any) -> Any: ...
    def post(self, url: str, **options: Any) -> Any: ...
    def close(self) -> Any: ...


class _Client(Protocol):
    @property
    def adapter(self) -> _Adapter: ...


class VaultSigner(KeyElsewhere):
    """A key that Vault or OpenBao signs with: ``rsa-*``, ``ecdsa-p256``, ``-p384``, ``-p521`` or ``ed25519``.

    A key that is rotated goes on signing with the version that was the latest at first, for that is the one that
    servers have been told of. When Vault signs with that version no longer, the signer moves on to the latest.

    Arguments:
        client: an `hvac.Client` that is, and stays, authenticated: that is its owner's affair.
        key_name: the name of the key.
        mount_point: where the transit engine is mounted.
        key_version: a version of the key, to stay with.
        timeout_s: how long Vault may be silent, in seconds.
    """

    def __init__(
        self,
        client: _Client,
        key_name: str,
        *,
        mount_point: str = "transit",
        key_version: int | None = None,
        timeout_s: float = 10.0,
    ) -> None:
        super().__init__()
        self._client = client
        self._key_name = key_name
        self._mount_point = mount_point.strip("/")
        self._key_version = key_version
        self._timeout_s = timeout_s

    def _look_up(self) -> PublicKey:
        library("hvac", extra="vault")
        found = msgspec.convert(self._adapter().get(self._url("keys"), timeout=self._timeout_s), _KeyAnswer).data
        version = found.latest_version if self._key_version is None else self._key_version
        if not found.supports_signing or found.derived:
            raise unusable(self, "a key of this type signs nothing by itself. Make one of type ecdsa-p256.")
        if str(version) not in found.keys:
            raise missing(self, "the key has no such version. Leave key_version out, or correct it.")
        if version < found.min_encryption_version:
            raise unusable(self, "this version of the key is withdrawn. Leave key_version out, or correct it.")
        return PublicKey.of(_public_key(found.keys[str(version)]), origin=self, version=version)

    def _sign(self, key: PublicKey, algorithm: str, data: bytes, /) -> bytes:
        body = {"input": b64encode(data).decode(), "key_version": key.version, **_HOW[algorithm[:2]]}
        if not algorithm.startswith("Ed"):
            body["hash_algorithm"] = f"sha2-{algorithm[2:]}"
        answer = self._adapter().post(self._url("sign"), json=body, timeout=self._timeout_s)
        signature = msgspec.convert(answer, _SignAnswer).data.signature  # vault:v1:base64, or base64url for "jws"
        return urlsafe_b64decode(signature.rpartition(":")[2] + "==")

    def _adapter(self) -> _Adapter:
        adapter = self._client.adapter
        if self._forked():
            adapter.close()
        return adapter

    def _url(self, what: str) -> str:
        return f"/v1/{quote(self._mount_point)}/{what}/{quote(self._key_name, safe='')}"

    def _problem(self, error: Exception) -> GatepassError | None:
        hvac, requests = library("hvac.exceptions", extra="vault"), library("requests", extra="vault")
        if isinstance(error, hvac.Forbidden | hvac.Unauthorized):
            what = f"Vault denies it. The client's token must be valid, and allow read on {self._mount_point}/keys/"
            return refused(self, f"{what}{self._key_name} and update on {self._mount_point}/sign/{self._key_name}.")
        if isinstance(error, hvac.InvalidPath):
            return missing(self, "Vault has no such key there. Check key_name, mount_point and the namespace.")
        if isinstance(error, hvac.InvalidRequest):
            return unusable(self, "Vault does not sign so with this key.")
        if isinstance(error, hvac.InternalServerError):  # its answer, too, if a version was withdrawn
            return troubled(self, "Vault failed to do it (HTTP 500). What does its log say?")
        if isinstance(error, hvac.VaultError) or (
            isinstance(error, requests.RequestException)
            and not isinstance(error, ValueError)  # such as a URL that is none
        ):
            return unreachable(self, f"Vault did not do it ({type(error).__name__}). Is it up, and unsealed?")
        return None

    def __repr__(self) -> str:
        return f"VaultSigner({self._mount_point}/{self._key_name})"


class _Version(Value, frozen=True):
    public_key: str


class _Key(Value, frozen=True):
    supports_signing: bool
    latest_version: int
    keys: dict[str, _Version | int]
    derived: bool = False
    min_encryption_version: int = 0


class _KeyAnswer(Value, frozen=True):
    data: _Key


class _Signature(Value, frozen=True):
    signature: str


class _SignAnswer(Value, frozen=True):
    data: _Signature


def _public_key(version: _Version | int) -> object:
    """From PEM, or for Ed25519 from its 32 bytes."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    text = "" if isinstance(version, int) else version.public_key
    if text.startswith("-----BEGIN "):
        return load_pem_public_key(text.encode())
    return Ed25519PublicKey.from_public_bytes(b64decode(text))
