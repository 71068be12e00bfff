"""A client with a password: `client_secret_basic` and `client_secret_post` (RFC 6749 §2.3.1)."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args
from urllib.parse import quote_plus

from gatepass.client_auth.base import Credentials, as_secret, check_text, offered_method, sendable, shown
from gatepass.errors import ConfigurationError

if TYPE_CHECKING:
    from gatepass.core.secret import Secret
    from gatepass.core.world import World
    from gatepass.protocol.server import ServerMetadata

__all__ = ["ClientSecret", "SecretMethod"]

SecretMethod = Literal["auto", "client_secret_basic", "client_secret_post"]


@dataclass(frozen=True, slots=True, init=False, eq=False, repr=False)
class ClientSecret:
    """A client that proves itself with a client secret.

    Arguments:
        client_id: the client identifier.
        secret: the secret, or a reference that is read at each mint, such as ``Secret.env("NAME")``.
        method: how it travels. ``"auto"`` takes Basic where the server offers it or does not say, else the body.
        raw_basic: join id and secret as they are in the Basic header, for servers that do not undo the form encoding
            that RFC 6749 §2.3.1 asks for. It matters only where the encoding changes a character of the two.

    Raises:
        ConfigurationError: an argument does not fit; its name stands in the text.
    """

    client_id: str
    secret: Secret
    method: SecretMethod
    raw_basic: bool

    def __init__(
        self,
        client_id: str,
        secret: str | Secret,
        method: SecretMethod = "auto",
        *,
        raw_basic: bool = False,
    ) -> None:
        kind, masked = type(secret).__name__, as_secret(secret)
        del secret  # so that no frame of a later error holds it in the clear
        if masked is None:
            msg = f"secret must be a string or a Secret, not {kind}."
            raise ConfigurationError(msg, code="secret_invalid")
        check_text(client_id, field="client_id")
        if method not in get_args(SecretMethod):
            msg = f"method is one of {', '.join(get_args(SecretMethod))}."
            raise ConfigurationError(msg, code="method_invalid")
        if raw_basic and ":" in client_id:
            msg = "client_id holds a colon, which raw_basic can't tell from the separator: leave raw_basic out."
            raise ConfigurationError(msg, code="client_id_invalid")
        if masked.reference is None and not _usable(masked.reveal()):
            raise _unusable(masked)
        for name, value in (("client_id", client_id), ("secret", masked), ("method", method), ("raw_basic", raw_basic)):
            object.__setattr__(self, name, value)

    @property
    def identity(self) -> tuple[str, ...]:
        """The kind of method and the client id."""
        return ("client_secret", self.client_id)

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """The client secret."""
        return (self.secret,)

    def __repr__(self) -> str:
        return shown(self, "client_id", "method", "raw_basic")

    def choose(self, server: ServerMetadata) -> str:
        """``client_secret_basic`` or ``client_secret_post``: the one asked for, or the first that the server offers.

        Raises:
            ConfigurationError: the server offers neither (code ``method_not_offered``).
        """
        if self.method == "auto":
            return offered_method(server, "client_secret_basic", "client_secret_post")
        return offered_method(server, self.method)

    def authenticate(self, world: World, server: ServerMetadata) -> Credentials:
        """The client id and secret, in the header or in the body.

        Raises:
            ConfigurationError: the server does not offer the method, or the secret is empty, unreadable or can't be
                sent (code ``secret_invalid``).
        """
        method = self.choose(server)
        credentials = self._credentials(method, world)
        if credentials is None:
            raise _unusable(self.secret)
        return credentials

    def _credentials(self, method: str, world: World) -> Credentials | None:
        secret = world.reveal(self.secret)
        if not _usable(secret):
            return None
        if method == "client_secret_post":
            return Credentials(form=(("client_id", self.client_id), ("client_secret", secret)), hide=_hidden(secret))
        encode = str if self.raw_basic else quote_plus
        basic = b64encode(f"{encode(self.client_id)}:{encode(secret)}".encode()).decode()
        return Credentials(headers=(("Authorization", f"Basic {basic}"),), hide=(*_hidden(secret), basic))


def _usable(secret: str) -> bool:
    return bool(secret) and sendable(secret)


def _hidden(secret: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys((secret, quote_plus(secret))))


def _unusable(secret: Secret) -> ConfigurationError:
    where = "The client secret" if secret.reference is None else f"The client secret from {secret.reference}"
    msg = f"{where} is empty or holds a control character, such as a line break: give it as the server issued it."
    return ConfigurationError(msg, code="secret_invalid")
