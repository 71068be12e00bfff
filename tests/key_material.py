"""Private keys to test with, made fresh for each run, and signatures checked without any code of ours."""

from __future__ import annotations

import datetime as dt
import functools
import json
from base64 import urlsafe_b64decode

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, padding, rsa, utils, x25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

MAKERS = {
    "RSA": lambda: rsa.generate_private_key(65537, 2048),
    "RSA-1024": lambda: rsa.generate_private_key(65537, 1024),
    "P-256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "P-384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "P-521": lambda: ec.generate_private_key(ec.SECP521R1()),
    "secp256k1": lambda: ec.generate_private_key(ec.SECP256K1()),
    "Ed25519": ed25519.Ed25519PrivateKey.generate,
    "Ed448": ed448.Ed448PrivateKey.generate,
    "X25519": x25519.X25519PrivateKey.generate,
    "DSA": lambda: dsa.generate_private_key(2048),
}

KIND_OF = {
    **dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), "RSA"),
    "ES256": "P-256",
    "ES384": "P-384",
    "ES512": "P-521",
    "EdDSA": "Ed25519",
    "Ed25519": "Ed25519",
}
"""Every algorithm of a client assertion, and the kind of key that it needs."""


def private_key(kind: str, number: int = 0):
    """A key of the cryptography package; another one for another number."""
    return _made(kind, number)


@functools.cache
def _made(kind: str, _number: int):
    return MAKERS[kind]()


def pem(kind: str, *, number: int = 0, password: str | None = None, traditional: bool = False) -> str:
    """The private key in PEM: PKCS#8, or PKCS#1 and SEC1 where `traditional`."""
    form = PrivateFormat.TraditionalOpenSSL if traditional else PrivateFormat.PKCS8
    lock = NoEncryption() if password is None else BestAvailableEncryption(password.encode())
    return private_key(kind, number).private_bytes(Encoding.PEM, form, lock).decode()


def openssh(kind: str) -> str:
    """The private key in OpenSSH's own format."""
    return private_key(kind).private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()


def public_pem(kind: str) -> str:
    """The public half in PEM."""
    return private_key(kind).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


@functools.cache
def certificate(kind: str) -> str:
    """A self-signed certificate of the key, in PEM."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "ci-bot")])
    start = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    key = private_key(kind)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(start)
        .not_valid_after(start + dt.timedelta(days=3650))
        .sign(key, hashes.SHA256())
    )
    return built.public_bytes(Encoding.PEM).decode()


def signing_request(kind: str) -> str:
    """A certificate request for the key, in PEM."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "ci-bot")])
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(private_key(kind), hashes.SHA256())
    return request.public_bytes(Encoding.PEM).decode()


def jwk(kind: str, *, number: int = 0, public: bool = False, **more: object) -> dict[str, object]:
    """The key as a JWK, with more members."""
    key = private_key(kind, number)
    maker = RSAAlgorithm if kind.startswith("RSA") else ECAlgorithm if kind.startswith(("P-", "secp")) else OKPAlgorithm
    made = json.loads(maker.to_jwk(key.public_key() if public else key))
    made.pop("key_ops", None)
    return {**made, **more}


def decoded(text: str) -> bytes:
    """Base64url, undone."""
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def verifies(algorithm: str, public_key, data: bytes, signature: bytes) -> bool:
    """Whether it is a JWS signature of `data` (RFC 7518 §3, RFC 8037 §3.1)."""
    try:
        if algorithm in {"EdDSA", "Ed25519"}:
            public_key.verify(signature, data)
            return True
        digest = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}[algorithm[2:]]
        if algorithm.startswith("RS"):
            public_key.verify(signature, data, padding.PKCS1v15(), digest)
        elif algorithm.startswith("PS"):
            pss = padding.PSS(mgf=padding.MGF1(digest), salt_length=digest.digest_size)
            public_key.verify(signature, data, pss, digest)
        else:
            size = (public_key.curve.key_size + 7) // 8
            if len(signature) != 2 * size:
                return False
            r, s = int.from_bytes(signature[:size]), int.from_bytes(signature[size:])
            public_key.verify(utils.encode_dss_signature(r, s), data, ec.ECDSA(digest))
    except InvalidSignature:
        return False
    return True


def read_jwt(token: str) -> tuple[dict[str, object], dict[str, object], bytes, bytes]:
    """Header, claims, signed bytes and signature of a JWT."""
    head, body, signature = token.split(".")
    return json.loads(decoded(head)), json.loads(decoded(body)), f"{head}.{body}".encode(), decoded(signature)
