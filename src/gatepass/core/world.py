"""The World: all that the pure part may ask of the outside.

A step of the protocol is a plain function whose first argument is a `World`. The engine gives the real one; a test
gives a scripted one that fails on anything it did not expect. Nothing below the engine has another way out.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Literal, Protocol, TypeVar

from gatepass.core.secret import Secret
from gatepass.core.value import Value

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from gatepass.core.http import HttpRequest, HttpResponse

__all__ = ["Ask", "AssertionSource", "Contact", "Fact", "Instant", "Notice", "Person", "PrivateKey", "Signer", "World"]

Record = TypeVar("Record")


class Instant(Value, frozen=True, kw_only=True):
    """One moment on both clocks.

    Attributes:
        wall: epoch seconds, which other machines share and which may jump.
        mono: seconds of a clock that only this process knows and that never goes back.
    """

    wall: float
    mono: float


Fact = str | float | bool | None
"""What is known of something that happened: a number of seconds, a code, a name. Never a secret."""


class Notice(Value, frozen=True, kw_only=True):
    """Something that happened: a person should hear of it, or a machine count it.

    Attributes:
        code: a stable name, such as ``"issuer_not_pinned"``.
        text: a sentence without secrets.
        level: how loud, by the names of `logging`.
        once: said once for one identity, however often it happens.
        facts: the same for machines.
    """

    code: str
    text: str
    level: Literal["debug", "info", "warning"] = "info"
    once: bool = False
    facts: Mapping[str, Fact] = {}


class Signer(Protocol):
    """A private key that signs. Where it lives (memory, a token, a cloud) is its own affair."""

    @property
    def algorithms(self) -> tuple[str, ...]:
        """The JWS algorithms (RFC 7518 §3.1) that this key can make, the preferred one first."""
        ...

    @property
    def public_jwk(self) -> Mapping[str, object]:
        """The public half as a JWK (RFC 7517), with its ``kid`` if it has one of its own."""
        ...

    def sign(self, algorithm: str, data: bytes) -> bytes:
        """The JWS signature of `data`, in the form that RFC 7518 gives for `algorithm`."""
        ...


class PrivateKey(Value, frozen=True, kw_only=True):
    """A private key as configured: PEM or JWK text, or a reference to it, and the password of an encrypted PEM."""

    text: Secret
    password: Secret | None = None


AssertionSource = str | Secret | Callable[[str], str | Awaitable[str | None] | None]
"""Where a ready-made JWT comes from: the JWT, a reference to it, or a callable that gets the audience.

A callable that returns None says that what it would ask is not here.
"""


Ask = Callable[[str], str | Awaitable[str | None] | None]
"""Shows a person a URL. It returns the one that they were sent back to, or None where a listener waits for that."""


class Contact(Value, frozen=True, kw_only=True):
    """How a person is reached.

    Attributes:
        ask: shows the person the URL, plain or async; without one, the system's browser is opened.
        redirect_uri: where the person is sent back to; None for a port of the system's choosing on loopback ...
        last_redirect_uri: ... or for the one of an earlier time, if it is free.
        timeout_s: how long the person may take, in seconds.
    """

    ask: Ask | None = None
    redirect_uri: str | None = None
    last_redirect_uri: str | None = None
    timeout_s: float = 300.0


class Person(Protocol):
    """Somebody in front of a browser, for as long as one sign-in takes."""

    @property
    def redirect_uri(self) -> str:
        """Where the person will be sent back to."""
        ...

    def ask(self, url: str, state: str) -> str:
        """Show the URL, and wait for the one that the person was sent back to.

        Args:
            url: where the person goes.
            state: what ties the answer to the request; the URL may hold another one, of the endpoint's own.

        Raises:
            SignInRequiredError: nobody is here; holds the URL.
            UnreachableError: the person did not come back in time.
        """
        ...


class World(Protocol):
    """The way out of a step. Every method may raise a `GatepassError`, and nothing else."""

    def send(self, request: HttpRequest) -> HttpResponse:
        """Send a request, follow no redirect, and read the bounded answer whole.

        Raises:
            UnreachableError: no answer came, or it broke off; retryable.
            RemoteError: the answer is larger than allowed.
        """
        ...

    def now(self) -> Instant:
        """The time."""
        ...

    def random_bytes(self, n: int) -> bytes:
        """`n` bytes from the system's random source."""
        ...

    def reveal(self, secret: Secret) -> str:
        """The secret in the clear, read from where it stands if it is a reference."""
        ...

    def signer(self, key: PrivateKey | Signer) -> Signer:
        """The key, ready to sign: parsed once, and again when its file changes."""
        ...

    def sign(self, signer: Signer, algorithm: str, data: bytes) -> bytes:
        """The JWS signature of `data`."""
        ...

    def assertion(self, source: AssertionSource, audience: str) -> str:
        """A JWT from its source, made for `audience` where the source can choose."""
        ...

    def certificate(self) -> str | None:
        """The thumbprint (RFC 8705 §3.1) of the certificate that is shown to servers; None if none is.

        Raises:
            ConfigurationError: it can't be read.
        """
        ...

    def nonce(self, origin: str) -> str | None:
        """The newest DPoP nonce of that origin (RFC 9449 §8); None before there is one."""
        ...

    def keep_nonce(self, origin: str, nonce: str) -> None:
        """Take note of the nonce that an answer from there gave."""
        ...

    def person(self, contact: Contact) -> AbstractContextManager[Person]:
        """Somebody to ask, while the context lasts."""
        ...

    def recall(self, kind: type[Record], *name: str) -> Record | None:
        """What was kept of that kind under that name, by this process or another that shares its store."""
        ...

    def keep(self, record: object, *name: str) -> None:
        """Keep a record under a name, in the place of what was there."""
        ...

    def drop(self, kind: type[object], *name: str) -> None:
        """Forget what was kept of that kind under that name."""
        ...

    def notice(self, notice: Notice) -> None:
        """Tell whoever listens."""
        ...
