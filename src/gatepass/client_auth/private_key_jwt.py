"""A client with a private key: `private_key_jwt` (RFC 7523 §2.2, OpenID Connect Core §9)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeGuard

import msgspec

from gatepass.client_auth.assertion import assertion_audience, assertion_credentials
from gatepass.client_auth.base import as_secret, check_text, listed, offered_method, shown
from gatepass.core.secret import Secret
from gatepass.core.world import PrivateKey, Signer
from gatepass.errors import ConfigurationError
from gatepass.keys.thumbprint import thumbprint
from gatepass.protocol import jwt

if TYPE_CHECKING:
    import os

    from gatepass.client_auth.base import Credentials
    from gatepass.core.world import World
    from gatepass.protocol.server import ServerMetadata

    KeyMaterial = str | bytes | os.PathLike[str] | Mapping[str, object] | Secret | Signer
    """A private key: PEM or JWK, its path, a JWK as a mapping, a reference to such a text, or a key elsewhere."""

__all__ = ["PrivateKeyJwt", "checked_key", "masked_key"]

_LIFETIME_MAX_S = 3600
_X5T_S256 = re.compile(r"[A-Za-z0-9_-]{43}")
_TEXT_OF_A_KEY = ("-----BEGIN ", "{")


@dataclass(frozen=True, slots=True, init=False, eq=False, repr=False)
class PrivateKeyJwt:
    """A client that proves itself with a JWT that it signs for each token request.

    Arguments:
        client_id: the client identifier.
        key: the private key. A `Path` is a file, loaded once and again when it changes; `str` and `bytes` are PEM or
            JWK text; a mapping is a JWK; a `Secret` refers to such a text; a `Signer` is a key that lives elsewhere.
        password: what opens an encrypted PEM.
        algorithm: the JWS algorithm. Left out, it is the first of the key's own that the server offers.
        key_id: the ``kid`` of the header. Left out, it is the JWK's own, if it has one.
        thumbprint_key_id: take the RFC 7638 thumbprint of the key for its ``kid``.
        typ: ``"JWT"``, which every server takes, or ``"client-authentication+jwt"``.
        x5t_s256: the thumbprint of a certificate of the key, as `gatepass.keys.x5t_s256` makes it.
        audience: ``"issuer"``, or ``"token_endpoint"`` for servers that want that, or any other text, verbatim. Where
            no issuer is known, because only a token endpoint was configured, ``"issuer"`` is the token endpoint, too.
        lifetime_s: from `iat` to `exp`, in seconds, 1 to 3600.
        claims: further claims. They can't replace the standard ones.
        send_client_id: repeat the client id in the body, for servers that do not look into the JWT for it.

    Raises:
        ConfigurationError: an argument does not fit; its name stands in the text.
    """

    client_id: str
    key: PrivateKey | Signer
    algorithm: str | None
    key_id: str | None
    thumbprint_key_id: bool
    typ: str
    x5t_s256: str | None
    audience: str
    lifetime_s: int
    claims: Mapping[str, object]
    send_client_id: bool

    def __init__(
        self,
        client_id: str,
        key: KeyMaterial,
        *,
        password: str | Secret | None = None,
        algorithm: str | None = None,
        key_id: str | None = None,
        thumbprint_key_id: bool = False,
        typ: str = "JWT",
        x5t_s256: str | None = None,
        audience: str = "issuer",
        lifetime_s: int = 60,
        claims: Mapping[str, object] | None = None,
        send_client_id: bool = False,
    ) -> None:
        kind, masked = type(key).__name__, masked_key(key)
        del key  # so that no frame of a later error holds it in the clear
        secured = None if password is None else as_secret(password)
        wrong_password = type(password).__name__ if password is not None and secured is None else None
        del password
        if masked is None:
            msg = f"key must be a Path, PEM or JWK text, a mapping, a Secret or a Signer, not {kind}."
            raise ConfigurationError(msg, code="key_invalid")
        if wrong_password is not None:
            msg = f"password must be a string or a Secret, not {wrong_password}."
            raise ConfigurationError(msg, code="password_invalid")

        put = object.__setattr__
        put(self, "client_id", check_text(client_id, field="client_id"))
        put(self, "key", checked_key(masked, secured))
        put(self, "algorithm", None if algorithm is None else _checked_algorithm(algorithm))
        put(self, "key_id", None if key_id is None else check_text(key_id, field="key_id"))
        put(self, "thumbprint_key_id", thumbprint_key_id)
        put(self, "typ", check_text(typ, field="typ"))
        put(self, "x5t_s256", None if x5t_s256 is None else _checked_x5t(x5t_s256))
        put(self, "audience", check_text(audience, field="audience"))
        put(self, "lifetime_s", _checked_lifetime(lifetime_s))
        put(self, "claims", _checked_claims(claims or {}))
        put(self, "send_client_id", send_client_id)
        if key_id is not None and thumbprint_key_id:
            msg = "key_id and thumbprint_key_id are both given: leave one out."
            raise ConfigurationError(msg, code="key_id_invalid")

    @property
    def identity(self) -> tuple[str, ...]:
        """The kind of method, the client id and the further claims, which may say for whom the client asks."""
        claims = (msgspec.json.encode(self.claims, order="deterministic").decode(),) if self.claims else ()
        return ("private_key_jwt", self.client_id, *claims)

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """The key's text and its password, where the key is not a signer of its own."""
        if not isinstance(self.key, PrivateKey):
            return ()
        return (self.key.text,) if self.key.password is None else (self.key.text, self.key.password)

    def __repr__(self) -> str:
        return shown(self, "client_id", "algorithm", "key_id", "typ", "audience", "lifetime_s")

    def choose(self, server: ServerMetadata) -> str:
        """``private_key_jwt``, if the server offers it with an algorithm that can be used.

        Raises:
            ConfigurationError: it does not (code ``method_not_offered`` or ``alg_not_offered``).
        """
        method = offered_method(server, "private_key_jwt")
        offered = server.token_endpoint_auth_signing_alg_values_supported
        if offered and not any(_asymmetric(name) and self.algorithm in (None, name) for name in offered):
            raise _alg_not_offered(self.algorithm or "any that needs a private key", offered)
        return method

    def authenticate(self, world: World, server: ServerMetadata) -> Credentials:
        """A JWT that no other request has carried, signed with the key.

        Raises:
            ConfigurationError: the server does not offer the method or the algorithm (``method_not_offered``,
                ``alg_not_offered``), the key can't sign with it (``key_algorithm_mismatch``), or the key is unusable.
        """
        self.choose(server)
        signer = world.signer(self.key)
        algorithm = self._algorithm(signer, server)
        header = jwt.assertion_header(
            algorithm=algorithm,
            typ=self.typ,
            key_id=self._key_id(signer),
            x5t_s256=self.x5t_s256,
        )
        claims = jwt.assertion_claims(
            client_id=self.client_id,
            audience=assertion_audience(server, self.audience),
            issued_at=int(world.now().wall),
            lifetime_s=self.lifetime_s,
            jti=jwt.jti(world.random_bytes(16)),
            extra=self.claims,
        )
        signing_input = jwt.signing_input(header, claims)
        assertion = jwt.compact(signing_input, world.sign(signer, algorithm, signing_input))
        return assertion_credentials(assertion, client_id=self.client_id if self.send_client_id else None)

    def _algorithm(self, signer: Signer, server: ServerMetadata) -> str:
        able = [name for name in signer.algorithms if _asymmetric(name)]
        if self.algorithm is not None:
            if self.algorithm in able:
                return self.algorithm
            msg = (
                f"algorithm is {self.algorithm}, but the key signs with {listed(able)}: leave it out or change the key."
            )
            raise ConfigurationError(msg, code="key_algorithm_mismatch")
        offered = server.token_endpoint_auth_signing_alg_values_supported
        for name in able:
            if not offered or name in offered:
                return name
        raise _alg_not_offered(f"any that the key signs with ({listed(able)})", offered or ())

    def _key_id(self, signer: Signer) -> str | None:
        if self.key_id is not None:
            return self.key_id
        if self.thumbprint_key_id:
            return thumbprint(signer.public_jwk)
        own = signer.public_jwk.get("kid")
        return own if isinstance(own, str) else None


def masked_key(key: object) -> Secret | Signer | None:
    """The key with nothing left in the clear; None for what can be no key."""
    if isinstance(key, Secret):
        return key
    if isinstance(key, str):
        return Secret(key)
    if isinstance(key, bytes):
        return Secret(key.decode("utf-8", "replace"))
    if isinstance(key, Mapping):
        try:
            return Secret(msgspec.json.encode(key).decode())
        except (TypeError, ValueError, msgspec.MsgspecError):
            return Secret("")
    fspath = getattr(key, "__fspath__", None)
    if fspath is not None:
        return Secret.file(str(fspath()))
    return key if _is_signer(key) else None


def checked_key(key: Secret | Signer, password: Secret | None, *, field: str = "key") -> PrivateKey | Signer:
    """A key that can be a private one, by its looks.

    Raises:
        ConfigurationError: it can't, or needs no password (codes ``{field}_invalid``, ``password_invalid``).
    """
    if isinstance(key, Secret):
        if key.reference is None and not key.reveal().lstrip().startswith(_TEXT_OF_A_KEY):
            msg = (
                f'{field} is neither PEM nor a JWK. For a file, give Path("ci-bot.pem") or Secret.file("ci-bot.pem"). '
                "DER becomes PEM by: openssl pkey -inform DER -in KEY.der -out KEY.pem"
            )
            raise ConfigurationError(msg, code=f"{field}_invalid")
        return PrivateKey(text=key, password=password)
    if password is not None:
        msg = "password is for an encrypted PEM, but key is a signer of its own: leave password out."
        raise ConfigurationError(msg, code="password_invalid")
    return key


def _is_signer(key: object) -> TypeGuard[Signer]:
    return not isinstance(key, type) and all(hasattr(key, name) for name in ("algorithms", "public_jwk", "sign"))


def _asymmetric(algorithm: str) -> bool:
    """Never `none`, and never an HMAC, whose key would be the public one or a shared secret (RFC 8725 §3.1)."""
    return algorithm.lower() != "none" and not algorithm.upper().startswith("HS")


def _checked_algorithm(algorithm: str) -> str:
    if not _asymmetric(check_text(algorithm, field="algorithm")):
        msg = "algorithm needs a private key: RS256, PS256, ES256, EdDSA and the like; not none, and no HMAC."
        raise ConfigurationError(msg, code="algorithm_invalid")
    return algorithm


def _checked_x5t(x5t_s256: str) -> str:
    if not _X5T_S256.fullmatch(check_text(x5t_s256, field="x5t_s256")):
        msg = "x5t_s256 is not a certificate's SHA-256 thumbprint in base64url (43 characters)."
        raise ConfigurationError(msg, code="x5t_s256_invalid")
    return x5t_s256


def _checked_lifetime(lifetime_s: object) -> int:
    if type(lifetime_s) is not int or not 1 <= lifetime_s <= _LIFETIME_MAX_S:
        msg = f"lifetime_s must be a whole number of seconds from 1 to {_LIFETIME_MAX_S}."
        raise ConfigurationError(msg, code="lifetime_s_invalid")
    return lifetime_s


def _checked_claims(claims: Mapping[str, object]) -> Mapping[str, object]:
    """A copy that later changes of the original do not reach."""
    try:
        copy = msgspec.json.decode(msgspec.json.encode(claims), type=dict[str, object])
    except (TypeError, ValueError, msgspec.MsgspecError):
        msg = "claims must be a mapping that can be written as a JSON object."
        raise ConfigurationError(msg, code="claims_invalid") from None
    jwt.check_extra_claims(copy)
    return copy


def _alg_not_offered(wanted: str, offered: tuple[str, ...]) -> ConfigurationError:
    msg = (
        f"The authorization server does not accept client assertions signed with {wanted}. "
        f"It accepts {listed(offered)}: use a key and an algorithm that fit, or have the server's metadata corrected."
    )
    return ConfigurationError(msg, code="alg_not_offered")
