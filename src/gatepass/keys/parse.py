"""A private key as text: what it looks like, and how it becomes a signer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatepass.errors import ConfigurationError
from gatepass.keys.jwk import key_from_jwk
from gatepass.keys.pem import key_from_pem

if TYPE_CHECKING:
    from gatepass.keys.local_key import LocalKey

__all__ = ["parse_private_key"]


def parse_private_key(text: str, password: str | None, *, origin: str) -> LocalKey:
    """A private key from PEM or JWK text, ready to sign.

    Arguments:
        text: PEM (PKCS#8, PKCS#1 or SEC1, plain or encrypted; it may stand among certificates), or a JWK as JSON.
        password: what opens an encrypted PEM; not looked at for any other key.
        origin: where the text came from, for errors: ``"file ci-bot.pem"``, ``"key"``.

    Raises:
        ConfigurationError: names `origin` and says what to do; never quotes the text. Its code is one of
            ``key_not_private``, ``key_password_missing``, ``key_password_wrong``, ``key_unsupported``, ``key_weak`` and
            ``key_invalid``.
    """
    try:
        return key_from_jwk(text, origin) if text.lstrip().startswith("{") else key_from_pem(text, password, origin)
    except ConfigurationError as error:
        problem = error.again()
    del text, password  # so that no frame of the error holds them
    raise problem
