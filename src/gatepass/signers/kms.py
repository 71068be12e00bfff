"""A key in AWS KMS."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from gatepass.signers.elsewhere import KeyElsewhere, PublicKey, library, missing, refused, unreachable, unusable

if TYPE_CHECKING:
    from gatepass.errors import GatepassError

__all__ = ["KmsSigner"]

_RAW_MAX_BYTES = 4096
_NAMES = {
    **{f"RS{bits}": f"RSASSA_PKCS1_V1_5_SHA_{bits}" for bits in (256, 384, 512)},
    **{f"PS{bits}": f"RSASSA_PSS_SHA_{bits}" for bits in (256, 384, 512)},
    **{f"ES{bits}": f"ECDSA_SHA_{bits}" for bits in (256, 384, 512)},
    **dict.fromkeys(("EdDSA", "Ed25519"), "ED25519_SHA_512"),
}
_DENIED = {
    "AccessDeniedException",
    "ExpiredTokenException",
    "IncompleteSignature",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "MissingAuthenticationToken",
    "NotAuthorized",
    "OptInRequired",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
}
_MISSING = {"InvalidArnException", "NotFoundException"}
_UNUSABLE = {
    "DisabledException",
    "InvalidKeyUsageException",
    "KMSInvalidStateException",
    "UnsupportedOperationException",
    "ValidationException",
}
_LATER = {
    "DependencyTimeoutException",
    "KMSInternalException",
    "KeyUnavailableException",
    "LimitExceededException",
    "RequestExpired",
    "ThrottlingException",
}
_FORBIDDEN = (401, 403)
_BUSY = (408, 429, *range(500, 600))


class KmsSigner(KeyElsewhere):
    """A key that AWS KMS signs with, of usage ``SIGN_VERIFY``.

    Arguments:
        key_id: the id, the ARN or an alias of the key. An alias that is pointed at another key is followed.
        client: a boto3 client of ``kms``. Left out, boto3 makes one from the usual variables, files and roles. That one
            tries three times, 10 seconds each.
    """

    def __init__(self, key_id: str, client: Any = None) -> None:
        super().__init__()
        self._key_id = key_id
        self._client = client

    def _kms(self) -> Any:
        if self._client is None:  # two threads may make two, of which either will do
            boto3, config = library("boto3", extra="aws"), library("botocore.config", extra="aws")
            patience = config.Config(
                connect_timeout=5, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 3}
            )
            self._client = boto3.session.Session().client("kms", config=patience)
        if self._forked():
            self._client.close()
        return self._client

    def _look_up(self) -> PublicKey:
        from cryptography.hazmat.primitives.serialization import load_der_public_key

        library("botocore", extra="aws")
        found = self._kms().get_public_key(KeyId=self._key_id)
        if found.get("KeyUsage") != "SIGN_VERIFY":
            raise unusable(self, "the usage of the key is not SIGN_VERIFY. Make one that is for signing.")
        able = {name for name, theirs in _NAMES.items() if theirs in found["SigningAlgorithms"]}
        return PublicKey.of(load_der_public_key(found["PublicKey"]), origin=self, able=able)

    def _sign(self, _key: PublicKey, algorithm: str, data: bytes, /) -> bytes:
        how = {"Message": data, "MessageType": "RAW"}
        if len(data) > _RAW_MAX_BYTES and not algorithm.startswith("Ed"):
            how = {"Message": hashlib.new(f"sha{algorithm[2:]}", data).digest(), "MessageType": "DIGEST"}
        answer = self._kms().sign(KeyId=self._key_id, SigningAlgorithm=_NAMES[algorithm], **how)
        return _raw(answer["Signature"], int(algorithm[2:])) if algorithm.startswith("ES") else answer["Signature"]

    def _problem(self, error: Exception) -> GatepassError | None:
        botocore = library("botocore.exceptions", extra="aws")
        if isinstance(error, botocore.ClientError):
            return self._no(error)
        kind = type(error).__name__
        if isinstance(
            error,
            botocore.NoCredentialsError
            | botocore.PartialCredentialsError
            | botocore.NoRegionError
            | botocore.ProfileNotFound
            | botocore.SSOError
            | botocore.TokenRetrievalError,
        ):
            return refused(self, f"boto3 found no credentials or no region that it can use ({kind}).")
        if isinstance(
            error,
            botocore.HTTPClientError
            | botocore.ConnectionError
            | botocore.CredentialRetrievalError
            | botocore.MetadataRetrievalError,
        ):
            return unreachable(self, f"AWS KMS can't be reached ({kind}).")
        return None

    def _no(self, error: Any) -> GatepassError | None:
        """An answer of AWS, by its code: one that we know can be quoted."""
        code, status = error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]
        if code in _DENIED or status in _FORBIDDEN:
            what = "AWS denies it. The credentials must be valid, and allow kms:GetPublicKey and kms:Sign for this key."
            return refused(self, what)
        if code in _MISSING:
            return missing(self, f"AWS KMS has no such key ({code}). Check key_id, the account and the region.")
        if code in _UNUSABLE:
            return unusable(self, f"AWS KMS does not sign so with this key ({code}).")
        if code in _LATER or status in _BUSY:
            return unreachable(self, f"AWS KMS can't do it now (HTTP {status}).")
        return None

    def __repr__(self) -> str:
        return f"KmsSigner({self._key_id})"


def _raw(der: bytes, bits: int) -> bytes:
    """R and S side by side (RFC 7518 §3.4), of an ECDSA signature in DER."""
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

    size = 66 if bits == 512 else bits // 8  # noqa: PLR2004 - ES512 is over P-521
    return b"".join(number.to_bytes(size) for number in decode_dss_signature(der))
