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
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Self

from gatepass.core.http import Headers, HttpRequest, HttpResponse
from gatepass.core.secret import Reference, Secret
from gatepass.core.world import AssertionSource, Instant, Notice, PrivateKey, Signer

if TYPE_CHECKING:
    from gatepass.core.world import World

    def _is_a_world(world: ScriptedWorld) -> World:
        return world


Expected = str | Callable[[HttpRequest], bool]
"""``"METHOD url"``, or a question to ask about the request."""

Answer = HttpResponse | Exception | Callable[[HttpRequest], HttpResponse]
"""What to answer, what to raise, or a function of the request."""


class ScriptedWorld:
    """A `World` that plays `responses` in order.

    Arguments:
        responses: what must be sent, and what is answered.
        wall, mono: the two clocks; they stand still until `advance`.
        secrets: what references reveal: by the reference, the text or the exception to raise.

    What happened is kept in `requests`, `notices`, `revealed` (references, and "literal" for literal secrets),
    `signed` (algorithm and data) and `audiences` (those that assertions were asked for).
    """

    def __init__(
        self,
        responses: Iterable[tuple[Expected, Answer]] = (),
        *,
        wall: float = 1_700_000_000.0,
        mono: float = 1000.0,
        secrets: Mapping[Reference, str | Exception] | None = None,
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
        if isinstance(answer, str):
            return answer
        assert inspect.iscoroutine(answer)
        try:
            answer.send(None)
        except StopIteration as done:
            return str(done.value)
        raise AssertionError("a scripted assertion source waits for nothing")

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
