"""Keys that live elsewhere: what all signers of such keys do alike.

The keeper of the key (a token, a vault, a cloud) is asked for the public half once, at the first use, and from then on
for signatures only. A signature that does not verify with that public half never leaves: then, or if the keeper knows
the key no longer, the key may have been replaced, and is looked up again, once.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from importlib import import_module
from typing import TYPE_CHECKING, Any, NoReturn, Self, TypeVar

from gatepass.core.value import Value
from gatepass.errors import ConfigurationError, GatepassError, UnreachableError
from gatepass.keys.local_key import ALGORITHMS
from gatepass.keys.unfit import unfit
from gatepass.mutex import Mutex

if TYPE_CHECKING:
    from collections.abc import Callable, Container

    from joserfc.jwk import ECKey, OKPKey, RSAKey

__all__ = ["KeyElsewhere", "PublicKey", "library", "missing", "refused", "troubled", "unreachable", "unusable"]

_RSA_MIN_BITS = 2048
_CURVES = ("secp256r1", "secp384r1", "secp521r1")
_PERHAPS_REPLACED = {"signer_key_missing", "signer_key_unusable", "signer_signature_invalid", "signer_trouble"}

T = TypeVar("T")


class PublicKey(Value, frozen=True, kw_only=True):
    """The public half of a key.

    Attributes:
        key: as joserfc has it.
        algorithms: what the key can sign with, the preferred algorithm first.
        version: which one it is, where the keeper has several of one name.
    """

    key: RSAKey | ECKey | OKPKey
    algorithms: tuple[str, ...]
    version: int | None = None

    @classmethod
    def of(cls, key: object, *, origin: object, able: Container[str] | None = None, version: int | None = None) -> Self:
        """A public key of the cryptography package, of which the keeper allows the algorithms in `able`; None is all.

        Raises:
            ConfigurationError: a key of that kind makes no JWS, or an RSA key has fewer than 2048 bits.
        """
        wrapped = _wrapped(key, origin)
        kind = str(wrapped.as_dict().get("crv", "RSA"))
        algorithms = tuple(name for name in ALGORITHMS[kind] if able is None or name in able)
        if not algorithms:
            raise unusable(origin, f"the key may sign with none of {', '.join(ALGORITHMS[kind])}. Make one that may.")
        return cls(key=wrapped, algorithms=algorithms, version=version)

    def verifies(self, algorithm: str, data: bytes, signature: bytes) -> bool:
        """Whether it is a JWS signature of `data` by this key (RFC 7518 §3)."""
        from joserfc.jwa import JWS_ALGORITHMS

        (maker,) = (maker for maker in JWS_ALGORITHMS if maker.name == algorithm)
        key: Any = self.key
        return maker.verify(data, signature, key)


class KeyElsewhere(ABC):
    """A `Signer` whose key is used where it lives. It does nothing before its first use, and is not pickled or copied.

    Threads may sign with it at once, and so may a forked child.
    """

    local = False
    """Signing waits for something: never to be done in an event loop."""

    def __init__(self) -> None:
        self._mutex = Mutex()  # never held while the keeper is asked
        self._known: PublicKey | None = None
        self._pid = os.getpid()

    @property
    def algorithms(self) -> tuple[str, ...]:
        """What the key can sign with, the preferred algorithm first."""
        return self._key().algorithms

    @property
    def public_jwk(self) -> dict[str, object]:
        """The public half as a JWK (RFC 7517). It has no ``kid``: a server knows the key by a name of its own."""
        return {**self._key().key.as_dict()}

    def sign(self, algorithm: str, data: bytes) -> bytes:
        """The JWS signature of `data` (RFC 7518 §3.3 to §3.5, RFC 8037 §3.1).

        Raises:
            ConfigurationError: there is no such key, it can't be used so, or this program may not (codes
                ``signer_key_missing``, ``signer_key_unusable``, ``signer_refused``, ``key_algorithm_mismatch``, ...).
            UnreachableError: its keeper can't be asked now, or fails (``signer_unreachable``, ``signer_trouble``).
        """
        key = self._key()
        try:
            return self._verified(key, algorithm, data)
        except GatepassError as problem:
            if problem.code not in _PERHAPS_REPLACED:
                raise
        with self._mutex.lock:
            if self._known is key:
                self._known = None
        return self._verified(self._key(), algorithm, data)

    def _key(self) -> PublicKey:
        known = self._known
        if known is None:
            found = self._tried(self._look_up)
            with self._mutex.lock:
                known = self._known = self._known or found
        return known

    def _verified(self, key: PublicKey, algorithm: str, data: bytes) -> bytes:
        if algorithm not in key.algorithms:
            what = f"the key signs with {', '.join(key.algorithms)}, and not with the algorithm asked for."
            raise unfit(repr(self), "key_algorithm_mismatch", what)
        signature = self._tried(lambda: self._sign(key, algorithm, data))
        if not key.verifies(algorithm, data, signature):
            what = f"what was signed does not verify with the public key as {algorithm}."
            raise unfit(repr(self), "signer_signature_invalid", what)
        return signature

    def _tried(self, step: Callable[[], T]) -> T:
        """Raises nothing but our own errors, and those without the frames and the chain, which may have held a PIN."""
        try:
            return step()
        except GatepassError as error:
            problem = error.again()
        except Exception as error:  # noqa: BLE001 - a keeper's library may raise anything, and quote what it was given
            problem = self._problem(error) or unfit(repr(self), "signer_failed", f"failed with {type(error).__name__}.")
        raise problem

    @abstractmethod
    def _look_up(self) -> PublicKey:
        """Ask the keeper which key it is."""

    @abstractmethod
    def _sign(self, key: PublicKey, algorithm: str, data: bytes, /) -> bytes:
        """Have the keeper sign, and bring the signature into the form of RFC 7518."""

    @abstractmethod
    def _problem(self, error: Exception) -> GatepassError | None:
        """What an error of the keeper's library means; None if it should not happen."""

    def _forked(self) -> bool:
        """Whether this is a forked child that asks for the first time: what connections it has are its parent's."""
        forked, self._pid = self._pid != os.getpid(), os.getpid()
        return forked

    def __reduce__(self) -> NoReturn:
        msg = "A signer can't be pickled or copied: make one where it is used."
        raise TypeError(msg)


def library(name: str, *, extra: str) -> Any:
    """An optional library, imported.

    Raises:
        ConfigurationError: it is not installed (code ``extra_missing``).
    """
    try:
        return import_module(name)
    except ModuleNotFoundError:
        msg = f"{name.partition('.')[0]} is not installed: pip install 'gatepass[{extra}]'"
    raise ConfigurationError(msg, code="extra_missing")


def missing(origin: object, what: str) -> ConfigurationError:
    """The keeper has no such key."""
    return unfit(repr(origin), "signer_key_missing", what)


def unusable(origin: object, what: str) -> ConfigurationError:
    """There is a key, but it does not sign, or not so."""
    return unfit(repr(origin), "signer_key_unusable", what)


def refused(origin: object, what: str) -> ConfigurationError:
    """This program may not."""
    return unfit(repr(origin), "signer_refused", what)


def unreachable(origin: object, what: str) -> UnreachableError:
    """The keeper can't be asked now."""
    return UnreachableError(f"{origin!r}: {what}", code="signer_unreachable", retryable=True)


def troubled(origin: object, what: str) -> UnreachableError:
    """The keeper answered that it failed."""
    return UnreachableError(f"{origin!r}: {what}", code="signer_trouble", retryable=True)


def _wrapped(key: object, origin: object) -> RSAKey | ECKey | OKPKey:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from joserfc.jwk import ECKey, OKPKey, RSAKey

    if isinstance(key, RSAPublicKey) and key.key_size >= _RSA_MIN_BITS:
        return RSAKey.import_key(key)
    if isinstance(key, EllipticCurvePublicKey) and key.curve.name in _CURVES:
        return ECKey.import_key(key)
    if isinstance(key, Ed25519PublicKey):
        return OKPKey.import_key(key)
    what = "the key is of another kind than RSA (2048 bits or more), EC on P-256, P-384 or P-521, and Ed25519."
    raise unusable(origin, f"{what} Make one of these.")
