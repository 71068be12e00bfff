"""A world whose whole course is written down beforehand: it fails on anything unexpected and on anything left over.

world = ScriptedWorld([
    ("GET https://as.example.com/.well-known/oauth-authorization-server", json_response({...})),
    ("POST https://as.example.com/token", UnreachableError("No answer.", retryable=True)),
    (lambda request: b"scope=a" in request.body, lambda request: json_response({...})),
])
...
world.assert_done()          # or: with ScriptedWorld([...]) as world: ...
"""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self, TypeVar
from urllib.parse import parse_qsl, urlencode, urlsplit

from gatepass.core.http import Headers, HttpRequest, HttpResponse
from gatepass.core.secret import Reference, Secret
from gatepass.core.world import AssertionSource, Contact, Instant, Notice, PrivateKey, Signer
from gatepass.errors import ConfigurationError

if TYPE_CHECKING:
    from gatepass.core.world import Person, World

    def _is_a_world(world: ScriptedWorld) -> World:
        return world

    def _is_a_person(person: ScriptedPerson) -> Person:
        return person


Record = TypeVar("Record")

Expected = str | Callable[[HttpRequest], bool]
"""``"METHOD url"``, or a question to ask about the request."""

Answer = HttpResponse | Exception | Callable[[HttpRequest], HttpResponse]
"""What to answer, what to raise, or a function of the request."""

Reply = Callable[[str], str] | Exception | None
"""Where a person who was shown a URL is sent back to, or what to raise. None: nobody is to be asked."""

CALLBACK = "http://127.0.0.1:50000/callback"
"""Where a person is sent back to, if nobody says otherwise."""


class ScriptedWorld:
    """A `World` that plays `responses` in order.

    Arguments:
        responses: what must be sent, and what is answered.
        wall, mono: the two clocks; they stand still until `advance`.
        secrets: what references reveal: by the reference, the text or the exception to raise.
        certificate: the thumbprint of the certificate that is shown.
        reply: what a person does who is asked, such as `comes_back()`.

    What happened is kept in `requests`, `notices`, `revealed` (references, and "literal" for literal secrets),
    `signed` (algorithm and data), `audiences` (those that assertions were asked for), `nonces` (by origin), `shown`
    (what people were shown), `contacts` (how they were reached) and `records` (by kind and name).
    """

    def __init__(
        self,
        responses: Iterable[tuple[Expected, Answer]] = (),
        *,
        wall: float = 1_700_000_000.0,
        mono: float = 1000.0,
        secrets: Mapping[Reference, str | Exception] | None = None,
        certificate: str | None = None,
        reply: Reply = None,
    ) -> None:
        self.script = list(responses)
        self.wall = wall
        self.mono = mono
        self.secrets = dict(secrets or {})
        self.requests: list[HttpRequest] = []
        self.notices: list[Notice] = []
        self.revealed: list[Reference | str] = []
        self.signed: list[tuple[str, bytes]] = []
        self.audiences: list[str] = []
        self.shown_certificate = certificate
        self.reply = reply
        self.nonces: dict[str, str] = {}
        self.shown: list[str] = []
        self.contacts: list[Contact] = []
        self.records: dict[tuple[object, ...], object] = {}
        self._dice = 0

    def send(self, request: HttpRequest) -> HttpResponse:
        self.requests.append(request)
        line = f"{request.method} {request.url}"
        assert self.script, f"nothing more was to be sent, but: {line}"
        expected, answer = self.script.pop(0)
        if isinstance(expected, str):
            assert line == expected, f"expected {expected}, but: {line}"
        else:
            assert expected(request), f"not the request that was expected: {line}"
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, HttpResponse) else answer(request)

    def now(self) -> Instant:
        return Instant(wall=self.wall, mono=self.mono)

    def random_bytes(self, n: int) -> bytes:
        """Different bytes at each call, the same in each run."""
        self._dice += 1
        return hashlib.shake_256(str(self._dice).encode()).digest(n)

    def reveal(self, secret: Secret) -> str:
        if secret.reference is None:
            self.revealed.append("literal")
            return secret.reveal()
        self.revealed.append(secret.reference)
        assert secret.reference in self.secrets, f"nobody said what stands in {secret.reference}"
        text = self.secrets[secret.reference]
        if isinstance(text, Exception):
            raise text
        return text

    def signer(self, key: PrivateKey | Signer) -> Signer:
        if not isinstance(key, PrivateKey):
            return key
        from gatepass.keys import parse_private_key

        text = self.reveal(key.text)
        password = None if key.password is None else self.reveal(key.password)
        return parse_private_key(text, password, origin=str(key.text.reference or "key"))

    def sign(self, signer: Signer, algorithm: str, data: bytes) -> bytes:
        self.signed.append((algorithm, data))
        return signer.sign(algorithm, data)

    def assertion(self, source: AssertionSource, audience: str) -> str:
        self.audiences.append(audience)
        if isinstance(source, str):
            return source
        if isinstance(source, Secret):
            return self.reveal(source)
        answer = source(audience)
        if inspect.iscoroutine(answer):
            answer = _run(answer)
        if answer is None:
            raise ConfigurationError("The source is not here.", code="assertion_source_absent")
        assert isinstance(answer, str)
        return answer

    def certificate(self) -> str | None:
        return self.shown_certificate

    def nonce(self, origin: str) -> str | None:
        return self.nonces.get(origin)

    def keep_nonce(self, origin: str, nonce: str) -> None:
        self.nonces[origin] = nonce

    @contextmanager
    def person(self, contact: Contact) -> Iterator[ScriptedPerson]:
        self.contacts.append(contact)
        yield ScriptedPerson(self, contact.redirect_uri or contact.last_redirect_uri or CALLBACK)

    def recall(self, kind: type[Record], *name: str) -> Record | None:
        record = self.records.get((kind, *name))
        assert record is None or isinstance(record, kind)
        return record

    def keep(self, record: object, *name: str) -> None:
        self.records[type(record), *name] = record

    def drop(self, kind: type[object], *name: str) -> None:
        self.records.pop((kind, *name), None)

    def notice(self, notice: Notice) -> None:
        self.notices.append(notice)

    def advance(self, seconds: float) -> None:
        """Let both clocks run on."""
        self.wall += seconds
        self.mono += seconds

    def assert_done(self) -> None:
        """Everything that was written down has happened."""
        left = [expected if isinstance(expected, str) else "a request" for expected, _ in self.script]
        assert not left, f"never sent: {', '.join(left)}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.assert_done()


class ScriptedPerson:
    """Somebody who replies as the world says."""

    def __init__(self, world: ScriptedWorld, redirect_uri: str) -> None:
        self.redirect_uri = redirect_uri
        self._world = world

    def ask(self, url: str, state: str) -> str:
        assert f"state={state}" in url
        self._world.shown.append(url)
        reply = self._world.reply
        assert reply is not None, f"nobody was to be asked, but: {url}"
        if isinstance(reply, Exception):
            raise reply
        return reply(url)


def comes_back(**answer: str | None) -> Callable[[str], str]:
    """A person who says yes: sent back with a code and the request's state. What is None is left out."""

    def reply(url: str) -> str:
        asked = dict(parse_qsl(urlsplit(url).query))
        fields = {"code": "the-code", "state": asked["state"]} | answer
        query = urlencode({name: value for name, value in fields.items() if value is not None})
        return f"{asked['redirect_uri']}?{query}"

    return reply


def _run(source: Coroutine[None, None, str | None]) -> str | None:
    try:
        source.send(None)
    except StopIteration as done:
        answer: str | None = done.value
        return answer
    raise AssertionError("a scripted assertion source waits for nothing")


def json_response(body: object, *, status: int = 200, headers: Headers = ()) -> HttpResponse:
    """A JSON answer."""
    return HttpResponse(
        status=status,
        headers=(("Content-Type", "application/json"), *headers),
        body=json.dumps(body).encode(),
    )


def html_response(*, status: int = 200) -> HttpResponse:
    """The page of a server that knows nothing of the matter."""
    return HttpResponse(
        status=status,
        headers=(("Content-Type", "text/html; charset=utf-8"),),
        body=b"<!doctype html><title>Hello</title>",
    )
