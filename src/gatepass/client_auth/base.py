"""What every method of client authentication shares: who the client is, what the server must offer, and what goes into
a token request (RFC 6749 §2.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeGuard

from gatepass.core.secret import Secret
from gatepass.core.value import Value
from gatepass.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gatepass.core.http import Headers
    from gatepass.core.world import World
    from gatepass.protocol.server import ServerMetadata

__all__ = [
    "ClientAuthentication",
    "Credentials",
    "as_secret",
    "check_text",
    "is_client",
    "listed",
    "offered_method",
    "sendable",
    "shown",
]

_LISTED_MAX = 12
_NAME_MAX_CHARS = 40


class Credentials(Value, frozen=True, kw_only=True):
    """What proves the client in one token request, never to be sent twice.

    Attributes:
        headers: header fields to add.
        form: parameters to add to the body.
        hide: every secret in it, in each spelling, so that a server that echoes one is not quoted.
    """

    hidden = ("headers", "form", "hide")

    headers: Headers = ()
    form: tuple[tuple[str, str], ...] = ()
    hide: tuple[str, ...] = ()


class ClientAuthentication(Protocol):
    """One way for a client to prove who it is at the token endpoint. Immutable, and safe to share between threads."""

    @property
    def client_id(self) -> str:
        """The client identifier (RFC 6749 §2.2)."""
        ...

    @property
    def identity(self) -> tuple[str, ...]:
        """The kind of method and the client id, which tell one cached token from another. Never a secret."""
        ...

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """Every secret that the proof depends on."""
        ...

    def choose(self, server: ServerMetadata) -> str:
        """The authentication method for this server, chosen before anything secret is read.

        Raises:
            ConfigurationError: the server does not offer it (code ``method_not_offered``).
        """
        ...

    def authenticate(self, world: World, server: ServerMetadata) -> Credentials:
        """A fresh proof for one token request to this server.

        Raises:
            ConfigurationError: the server does not offer the method or the algorithm, or a secret or key is unusable.
        """
        ...


def is_client(value: object) -> TypeGuard[ClientAuthentication]:
    """Whether this can authenticate a client."""
    return not isinstance(value, type) and hasattr(value, "authenticate")


def offered_method(server: ServerMetadata, *methods: str) -> str:
    """The first of `methods` that the server offers; the first of all when its metadata does not say (RFC 8414 §2).

    Raises:
        ConfigurationError: none of them is offered (code ``method_not_offered``).
    """
    offered = server.token_endpoint_auth_methods_supported
    if not offered:  # RFC 8414 §3.2: what has no elements must be left out, so an empty list says nothing
        return methods[0]
    for method in methods:
        if method in offered:
            return method
    msg = (
        f"The authorization server does not offer the client authentication {' or '.join(methods)}. It offers "
        f"{listed(offered)}: authenticate in one of these ways, or have the server's metadata corrected."
    )
    raise ConfigurationError(msg, code="method_not_offered")


def listed(names: Iterable[str]) -> str:
    """Names that a server gave, fit to stand in an error: printable ASCII only, and bounded."""
    printable = ["".join(c if " " <= c <= "~" else "?" for c in name[:_NAME_MAX_CHARS]) for name in names]
    shown = printable[:_LISTED_MAX] + (["..."] if len(printable) > _LISTED_MAX else [])
    return ", ".join(shown) or "nothing"


def check_text(value: object, *, field: str) -> str:
    """`value` itself, if it is a string that can stand in a request: not empty, no control characters.

    Raises:
        ConfigurationError: it is not; names the field (code ``{field}_invalid``).
    """
    if not isinstance(value, str):
        problem = f"must be a string, not {type(value).__name__}"
    elif not value:
        problem = "is empty"
    elif not sendable(value):
        problem = "holds a control character, such as a line break, or half a character"
    else:
        return value
    raise ConfigurationError(f"{field} {problem}.", code=f"{field}_invalid")


def as_secret(value: object) -> Secret | None:
    """Text or a `Secret` as a `Secret`; None for anything else.

    It does not raise, so that its caller can drop the value first: an error's frames must not hold it.
    """
    return Secret.of(value) if isinstance(value, str | Secret) else None


def shown(client: object, *names: str) -> str:
    """The repr of a client, with these of its fields: those that it has, while it is being made."""
    fields = (f"{name}={getattr(client, name)!r}" for name in names if hasattr(client, name))
    return f"{type(client).__name__}({', '.join(fields)})"


def sendable(text: str) -> bool:
    """Whether every character can be encoded and none is a control character."""
    return not any(c < " " or "\x7f" <= c <= "\x9f" or "\ud800" <= c <= "\udfff" for c in text)
