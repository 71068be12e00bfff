"""The world of an `Auth`, overheard: each exchange is noted, and nothing is kept for later.

What is secret is known by sight: a secret that was read, a credential that was sent and a token that came are masked in
all that is shown, wherever a server repeats them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar, cast
from urllib.parse import parse_qsl, quote, quote_plus

import msgspec

from gatepass.core.value import Value
from gatepass.errors import GatepassError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from gatepass.core.http import HttpRequest, HttpResponse
    from gatepass.core.secret import Secret
    from gatepass.core.world import AssertionSource, Contact, Instant, Notice, Person, PrivateKey, Signer, World

__all__ = ["SECRET_PARAMETERS", "Heard", "Mask", "Overheard"]

Record = TypeVar("Record")
Shown = TypeVar("Shown")

SECRET_PARAMETERS = frozenset(
    {"client_secret", "client_assertion", "assertion", "subject_token", "actor_token", "refresh_token"}
)
"""Parameters of a token request that nobody else may see."""

_TOKENS = ("access_token", "refresh_token", "id_token")
_LONGEST_FORM_BYTES = 65_536
_SHORTEST_MASKED = 4
_MASKED = "***"


class Heard(Value, frozen=True, kw_only=True):
    """One exchange.

    Attributes:
        request: what was sent.
        response: what came, if something did.
        error: why nothing came.
        sent: when it was sent.
        received: when it came, or failed to.
    """

    hidden = ("request", "response")

    request: HttpRequest
    response: HttpResponse | None
    error: GatepassError | None
    sent: Instant
    received: Instant


class Mask:
    """Knows what must not be shown, and takes it out of what is."""

    def __init__(self) -> None:
        self._forms: set[str] = set()

    def add(self, secret: str) -> None:
        """From now on, this is not shown, nor what it looks like in a form or a URL."""
        for form in (secret, quote_plus(secret, errors="replace"), quote(secret, safe="", errors="replace")):
            if len(form) >= _SHORTEST_MASKED:
                self._forms.add(form)

    def text(self, text: str) -> str:
        """The text without any of it."""
        for form in sorted(self._forms, key=len, reverse=True):
            text = text.replace(form, _MASKED)
        return text

    def value(self, value: Shown) -> Shown:
        """A value of a report without any of it."""
        return msgspec.convert(self._masked(msgspec.to_builtins(value)), type(value))

    def _masked(self, part: object) -> object:
        match part:
            case str():
                return self.text(part)
            case dict():
                return {key: self._masked(each) for key, each in cast("dict[str, object]", part).items()}
            case list() | tuple():
                return [self._masked(each) for each in cast("Sequence[object]", part)]
            case _:
                return part


class Overheard:
    """A `World` that asks another one, and listens.

    Args:
        world: does what is to be done.
        mask: hears of secrets.
        tell: is told what is asked, before it is.

    Attributes:
        heard: the exchanges, in order.
    """

    def __init__(self, world: World, mask: Mask, tell: Callable[[HttpRequest], None]) -> None:
        self._world = world
        self._mask = mask
        self._tell = tell
        self.heard: list[Heard] = []

    def send(self, request: HttpRequest) -> HttpResponse:
        self._tell(request)
        for credential in _credentials(request):
            self._mask.add(credential)
        sent = self.now()
        try:
            response = self._world.send(request)
        except GatepassError as failure:
            error = failure.again()
        else:
            for token in _tokens(response):
                self._mask.add(token)
            self.heard.append(Heard(request=request, response=response, error=None, sent=sent, received=self.now()))
            return response
        self.heard.append(Heard(request=request, response=None, error=error, sent=sent, received=self.now()))
        raise error

    def now(self) -> Instant:
        return self._world.now()

    def random_bytes(self, n: int) -> bytes:
        return self._world.random_bytes(n)

    def reveal(self, secret: Secret) -> str:
        value = self._world.reveal(secret)
        self._mask.add(value)
        return value

    def signer(self, key: PrivateKey | Signer) -> Signer:
        return self._world.signer(key)

    def sign(self, signer: Signer, algorithm: str, data: bytes) -> bytes:
        return self._world.sign(signer, algorithm, data)

    def assertion(self, source: AssertionSource, audience: str) -> str:
        value = self._world.assertion(source, audience)
        self._mask.add(value)
        return value

    def certificate(self) -> str | None:
        return self._world.certificate()

    def nonce(self, origin: str) -> str | None:
        return self._world.nonce(origin)

    def keep_nonce(self, origin: str, nonce: str) -> None:
        self._world.keep_nonce(origin, nonce)

    def person(self, contact: Contact) -> AbstractContextManager[Person]:
        return self._world.person(contact)

    def recall(self, kind: type[Record], *name: str) -> Record | None:  # noqa: ARG002 - all is looked at anew
        return None

    def keep(self, record: object, *name: str) -> None:
        """Nothing is kept."""

    def drop(self, kind: type[object], *name: str) -> None:
        """There is nothing to forget."""

    def notice(self, notice: Notice) -> None:
        self._world.notice(notice)


def _credentials(request: HttpRequest) -> list[str]:
    headers = [value for name, value in request.headers if name.lower() in {"authorization", "dpop"}]
    words = [word for value in headers for word in value.split()[-1:]]
    form = parse_qsl(request.body.decode("latin-1")) if request.method == "POST" else []
    return [*words, *(value for name, value in form if name in SECRET_PARAMETERS)]


def _tokens(response: HttpResponse) -> list[str]:
    try:
        members = msgspec.json.decode(response.body, type=dict[str, object])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        members = dict[str, object](parse_qsl(response.body[:_LONGEST_FORM_BYTES].decode("latin-1")))
    return [token for name in _TOKENS if isinstance(token := members.get(name), str)]
