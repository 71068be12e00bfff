"""A key in a hardware token or a hardware security module, by PKCS #11."""

from __future__ import annotations

import hashlib
import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeVar

from gatepass.core.secret import Secret
from gatepass.errors import ConfigurationError, UnreachableError
from gatepass.keys.local_key import ALGORITHMS
from gatepass.mutex import Mutex
from gatepass.signers.elsewhere import KeyElsewhere, PublicKey, library, missing, refused, unreachable, unusable

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from pkcs11 import Session, Token

    from gatepass.errors import GatepassError

__all__ = ["Pkcs11Signer"]

_TURN_TIMEOUT_S = 30.0
"""How long a thread waits for others to be done. What a module does itself can't be cut short."""

T = TypeVar("T")


class Pkcs11Signer(KeyElsewhere):
    """A key that a token signs with: RSA, EC on P-256, P-384 or P-521, or Ed25519, as far as the token can.

    Arguments:
        module: the library of the token's maker, such as ``/usr/lib/softhsm/libsofthsm2.so``.
        token_label: the label of the token.
        key_label: the label of the private key (CKA_LABEL).
        key_id: its id (CKA_ID). One of the two is enough if it fits one key only.
        pin: the user's PIN, or a function that reads it at each login; left out where none is needed. A reference such
            as `Secret.file` is not read here. A PIN that was refused is not tried again, for tokens lock themselves.

    Raises:
        ConfigurationError: an argument does not fit; its name stands in the text.
    """

    def __init__(
        self,
        module: str | os.PathLike[str],
        *,
        token_label: str,
        key_label: str | None = None,
        key_id: bytes | None = None,
        pin: str | Secret | Callable[[], str] | None = None,
    ) -> None:
        super().__init__()
        if key_label is None and key_id is None:
            msg = "key_label or key_id is needed to find the key on the token."
            raise ConfigurationError(msg, code="key_label_invalid")
        path = os.fspath(module)
        self._module = _modules.setdefault(path, _Module(path))
        self._token_label = token_label
        self._key_label = key_label
        self._key_id = key_id
        self._pin = _checked_pin(pin)
        self._refused_pin: Secret | None = None
        self._private: Any = None

    def _look_up(self) -> PublicKey:
        p11 = library("pkcs11", extra="pkcs11")

        def look_up(session: Session) -> PublicKey:
            public = private = self._private_key(session)
            name = {"id": private.id} if private.id else {"label": private.label}
            with suppress(p11.NoSuchKey):  # an RSA key holds its public half, too
                public = session.get_key(p11.ObjectClass.PUBLIC_KEY, **name)
            can = session.token.slot.get_mechanisms()
            able = {name for names in ALGORITHMS.values() for name in names if _mechanism(name)["mechanism"] in can}
            return PublicKey.of(_read(public), origin=self, able=able)

        return self._module.use(self._token_label, self._log_in, look_up)

    def _sign(self, _key: PublicKey, algorithm: str, data: bytes, /) -> bytes:
        if algorithm.startswith("ES"):  # not every token hashes for ECDSA
            data = hashlib.new(f"sha{algorithm[2:]}", data).digest()

        def sign(session: Session) -> bytes:
            private = self._private_key(session)
            pin = self._read_pin() if _asks_each_time(private) else None
            signature: bytes = private.sign(data, pin=pin and pin.reveal(), **_mechanism(algorithm))
            return signature

        return self._module.use(self._token_label, self._log_in, sign)

    def _private_key(self, session: Session) -> Any:
        """The key as it is known to this session, looked for once."""
        p11 = library("pkcs11", extra="pkcs11")
        if self._private is None or self._private.session is not session:
            key = session.get_key(p11.ObjectClass.PRIVATE_KEY, label=self._key_label, id=self._key_id)
            if not hasattr(key, "sign"):
                raise unusable(self, "the key is not for signing (CKA_SIGN). Make one that is.")
            self._private = key
        return self._private

    def _log_in(self, token: Token) -> Session:
        errors = library("pkcs11.exceptions", extra="pkcs11")
        pin = self._read_pin()
        if pin is None:
            return token.open()
        if self._refused_pin is not None and self._refused_pin.reveal() == pin.reveal():
            raise refused(self, "the token refused this PIN before, and may lock itself. Correct pin.")
        try:
            return token.open(user_pin=pin.reveal())
        except errors.UserAlreadyLoggedIn:  # by other code: a login is good for the whole process
            return token.open()
        except _pin_errors():
            self._refused_pin = pin
            raise

    def _read_pin(self) -> Secret | None:
        return Secret(self._pin()) if callable(self._pin) else self._pin

    def _problem(self, error: Exception) -> GatepassError | None:
        errors, kind = library("pkcs11.exceptions", extra="pkcs11"), type(error).__name__
        if isinstance(error, _pin_errors()):
            return refused(self, f"the token refuses the PIN ({kind}). Correct pin, or have the token unlocked.")
        if isinstance(error, errors.UserNotLoggedIn):
            return refused(self, "the token wants a PIN. Give pin.")
        if isinstance(error, errors.NoSuchToken) and self._known is None:
            return missing(self, "the module has no token with this token_label. Is it there, and spelt like that?")
        if isinstance(error, errors.NoSuchKey):
            return missing(
                self, "the token has no such private key. Check key_label and key_id, and whether it needs pin."
            )
        if isinstance(error, errors.MultipleTokensReturned | errors.MultipleObjectsReturned):
            return unusable(self, "there are several with these names. Give key_label and key_id, or rename one.")
        if isinstance(error, errors.AttributeTypeInvalid):
            return unusable(self, "its public key is not on the token. Store it there with the same CKA_ID.")
        if isinstance(error, errors.MechanismInvalid | errors.MechanismParamInvalid | errors.KeyTypeInconsistent):
            return unusable(self, f"the token does not sign so with this key ({kind}).")
        if isinstance(error, errors.PKCS11Error):
            return unreachable(self, f"the token failed ({kind}). Is it there?")
        return None

    def __repr__(self) -> str:
        key = (self._key_id or b"").hex() if self._key_label is None else self._key_label
        return f"Pkcs11Signer({self._token_label}/{key})"


class _Module:
    """A module in this process, with one session for each token.

    One thread at a time uses it: python-pkcs11 makes no other promise to it (C_Initialize without arguments). In a
    forked child it is initialized again, as PKCS #11 demands, and what was open before is no more.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._mutex = Mutex()
        self._pid = os.getpid()
        self._sessions: dict[str, Session] = {}

    def use(self, token_label: str, log_in: Callable[[Token], Session], step: Callable[[Session], T]) -> T:
        """What `step` makes of a session: the one at hand, or a new one if that fails, as after a token was pulled."""
        p11 = library("pkcs11", extra="pkcs11")
        with self._turn():
            module = self._initialized(p11)
            session = self._sessions.pop(token_label, None)
            if session is not None:
                try:
                    result = step(session)
                except p11.PKCS11Error:
                    with suppress(p11.PKCS11Error):
                        session.close()
                else:
                    self._sessions[token_label] = session
                    return result
            session = self._sessions[token_label] = log_in(module.get_token(token_label=token_label))
            return step(session)

    @contextmanager
    def _turn(self) -> Generator[None]:
        lock = self._mutex.lock
        if not lock.acquire(timeout=_TURN_TIMEOUT_S):
            msg = f"The module {self._path} was busy for {_TURN_TIMEOUT_S:g} s. Does its token hang?"
            raise UnreachableError(msg, code="signer_unreachable", retryable=True)
        try:
            yield
        finally:
            lock.release()

    def _initialized(self, p11: Any) -> Any:
        try:
            module = p11.lib(self._path)
            if self._pid != os.getpid():
                self._sessions = {}
                with suppress(RuntimeError):  # a module that knows of forks says that it is not initialized
                    module.finalize()
                module.initialize()
                self._pid = os.getpid()
        except RuntimeError as error:
            kind = type(error).__name__
        else:
            return module
        msg = f"module {self._path} can't be loaded or initialized ({kind}). Check the path, and its configuration."
        raise ConfigurationError(msg, code="module_invalid")


_modules: dict[str, _Module] = {}


def _checked_pin(pin: str | Secret | Callable[[], str] | None) -> Secret | Callable[[], str] | None:
    if pin is None or callable(pin):
        return pin
    secret = Secret.of(pin)
    if secret.reference is not None:
        msg = f"pin refers to {secret.reference}, which is not read here. Give the PIN, or a function that reads it."
        raise ConfigurationError(msg, code="pin_invalid")
    return secret


def _pin_errors() -> tuple[type[Exception], ...]:
    errors = library("pkcs11.exceptions", extra="pkcs11")
    names = ("PinExpired", "PinIncorrect", "PinInvalid", "PinLenRange", "PinLocked", "UserPinNotInitialized")
    return tuple(getattr(errors, name) for name in names)


def _mechanism(algorithm: str) -> dict[str, Any]:
    """How PKCS #11 calls it: a mechanism, and its parameters."""
    p11 = library("pkcs11", extra="pkcs11")
    sha = f"SHA{algorithm[2:]}"
    match algorithm[:2]:
        case "RS":
            return {"mechanism": p11.Mechanism[f"{sha}_RSA_PKCS"]}
        case "PS":
            salt_bytes = int(algorithm[2:]) // 8
            parameters = (p11.Mechanism[sha], p11.MGF[sha], salt_bytes)
            return {"mechanism": p11.Mechanism[f"{sha}_RSA_PKCS_PSS"], "mechanism_param": parameters}
        case "ES":
            return {"mechanism": p11.Mechanism.ECDSA}
        case _:
            return {"mechanism": p11.Mechanism.EDDSA}


def _asks_each_time(private: Any) -> bool:
    """Whether the token wants the PIN for each signature, as some smart cards do (CKA_ALWAYS_AUTHENTICATE)."""
    p11 = library("pkcs11", extra="pkcs11")
    with suppress(p11.PKCS11Error):
        return bool(private[p11.Attribute.ALWAYS_AUTHENTICATE])
    return False


def _read(public: Any) -> object:
    """The public key as the cryptography package has it; None for a kind that makes no JWS."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    p11 = library("pkcs11", extra="pkcs11")
    if public.key_type == p11.KeyType.RSA:
        return load_der_public_key(p11.util.rsa.encode_rsa_public_key(public))
    if public.key_type == p11.KeyType.EC:
        return load_der_public_key(p11.util.ec.encode_ec_public_key(public))
    point = public[p11.Attribute.EC_POINT] if public.key_type == p11.KeyType.EC_EDWARDS else b""
    return Ed25519PublicKey.from_public_bytes(point[-32:]) if len(point) in _ED25519_POINT_BYTES else None


_ED25519_POINT_BYTES = (32, 34)  # as such, or in a DER OCTET STRING
