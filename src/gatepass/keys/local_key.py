"""A private key in this process's memory."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NoReturn, Self

from gatepass.errors import ConfigurationError
from gatepass.keys.unfit import check_rsa_bits, unfit, unsupported

if TYPE_CHECKING:
    from collections.abc import Callable

    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from joserfc.jwa import JWSAlgModel
    from joserfc.jwk import ECKey, OKPKey, RSAKey

__all__ = ["ALGORITHMS", "LocalKey"]

ALGORITHMS = {
    "RSA": ("RS256", "PS256", "RS384", "PS384", "RS512", "PS512"),
    "P-256": ("ES256",),
    "P-384": ("ES384",),
    "P-521": ("ES512",),
    "Ed25519": ("EdDSA", "Ed25519"),  # the name that servers know (RFC 8037), then the newer one (RFC 9864)
}
"""What each kind of key can sign with, the preferred algorithm first (RFC 7518 §3.1)."""


_P256_BYTES, _P384_BYTES = 32, 48


class LocalKey:
    """A `Signer` whose key is held in memory. Nothing shows its private half, and it is not pickled or copied.

    Threads may sign with it at once.
    """

    __slots__ = ("_algorithms", "_public_jwk", "_signs")

    local = True
    """Signing takes microseconds and no I/O."""

    def __init__(
        self, key: RSAKey | ECKey | OKPKey, algorithms: tuple[str, ...], public_jwk: dict[str, object]
    ) -> None:
        self._algorithms = algorithms
        self._public_jwk = public_jwk
        self._signs = {name: sign for name, sign in _signing(key).items() if name in algorithms}

    @classmethod
    def of(cls, key: object, *, origin: str, key_id: str | None = None, algorithm: str | None = None) -> Self:
        """A key of the cryptography package, ready to sign.

        Arguments:
            key: the private key.
            origin: where it came from, for errors.
            key_id: its own ``kid``.
            algorithm: the one algorithm it is meant for, if it says so (RFC 7517 §4.4).

        Raises:
            ConfigurationError: it is of an unknown kind, too weak, or can't sign with its own algorithm.
        """
        wrapped = _wrapped(key, origin)
        public_jwk: dict[str, object] = {**wrapped.as_dict()}
        algorithms = ALGORITHMS[str(public_jwk.get("crv", "RSA"))]
        if algorithm and algorithm not in algorithms:
            what = (
                f"its alg is none of those that such a key signs with: {', '.join(algorithms)}. Correct or remove it."
            )
            raise unfit(origin, "key_unsupported", what)
        return cls(
            wrapped,
            (algorithm,) if algorithm else algorithms,
            {**public_jwk, "kid": key_id} if key_id else public_jwk,
        )

    @property
    def algorithms(self) -> tuple[str, ...]:
        """What the key can sign with, the preferred algorithm first."""
        return self._algorithms

    @property
    def public_jwk(self) -> dict[str, object]:
        """The public half as a JWK (RFC 7517), with the key's own ``kid`` if it has one; a copy."""
        return dict(self._public_jwk)

    def sign(self, algorithm: str, data: bytes) -> bytes:
        """The JWS signature of `data` (RFC 7518 §3.3 to §3.5, RFC 8037 §3.1).

        Raises:
            ConfigurationError: the key can't sign with `algorithm` (code ``key_algorithm_mismatch``).
        """
        sign = self._signs.get(algorithm)
        if sign is None:
            msg = f"The key signs with {', '.join(self._algorithms)}, and not with the algorithm asked for."
            raise ConfigurationError(msg, code="key_algorithm_mismatch")
        return sign(data)

    def __repr__(self) -> str:
        return f"LocalKey({self._public_jwk.get('crv', 'RSA')})"

    def __reduce__(self) -> NoReturn:
        msg = "A private key can't be pickled or copied: load it where it is used."
        raise TypeError(msg)


def _signing(key: RSAKey | ECKey | OKPKey) -> dict[str, Callable[[bytes], bytes]]:
    """What makes a signature, by its algorithm."""
    from joserfc.jwa import JWS_ALGORITHMS
    from joserfc.jwk import ECKey

    if isinstance(key, ECKey) and key.private_key is not None:
        return {ALGORITHMS[key.curve_name][0]: _signing_on_a_curve(key.private_key)}
    return {maker.name: partial(_sign_by_joserfc, maker, key) for maker in JWS_ALGORITHMS}


def _sign_by_joserfc(maker: JWSAlgModel, key: RSAKey | ECKey | OKPKey, data: bytes) -> bytes:
    return maker.sign(data, key)


def _signing_on_a_curve(key: EllipticCurvePrivateKey) -> Callable[[bytes], bytes]:
    """RFC 7518 §3.4, with all that does not change at hand: it stands in each DPoP proof."""
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
    from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512

    size = (key.key_size + 7) // 8
    algorithm = ECDSA(SHA256() if size == _P256_BYTES else SHA384() if size == _P384_BYTES else SHA512())

    def sign(data: bytes) -> bytes:
        r, s = decode_dss_signature(key.sign(data, algorithm))
        return r.to_bytes(size) + s.to_bytes(size)

    return sign


def _wrapped(key: object, origin: str) -> RSAKey | ECKey | OKPKey:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from joserfc.jwk import ECKey, OKPKey, RSAKey

    if isinstance(key, RSAPrivateKey):
        check_rsa_bits(key.key_size, origin)
        return RSAKey.import_key(key)
    if isinstance(key, Ed25519PrivateKey):
        return OKPKey.import_key(key)
    if isinstance(key, EllipticCurvePrivateKey):
        if key.curve.name not in {"secp256r1", "secp384r1", "secp521r1"}:
            raise unsupported(origin, f"an EC key on the curve {key.curve.name}")
        return ECKey.import_key(key)
    raise unsupported(origin, f"a key of the kind {type(key).__name__.removesuffix('PrivateKey')}")
