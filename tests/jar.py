"""The engine in a jar: one source, on a clock that a test turns, and an authorization server that is a list of answers.

Nothing here waits and nothing runs by itself: `jar.pump()` lets the workers do what is due, `jar.advance(s)` lets time
pass. What a caller gets is what `jar.call()` returns: a token at once, or a `Caller` to look at later.
"""

from __future__ import annotations

import heapq
import itertools
import json
import threading
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from gatepass.client_auth.public_client import PublicClient
from gatepass.core.http import HttpRequest, HttpResponse
from gatepass.core.secret import Secret
from gatepass.core.target import Target
from gatepass.core.world import Instant, Notice, PrivateKey
from gatepass.engine.source import Source
from gatepass.engine.wake import Waiter
from gatepass.errors import GatepassError, UnreachableError
from gatepass.grants.errand import Errand
from gatepass.grants.exchange import Issued
from gatepass.lifecycle.policy import Held, Policy
from gatepass.protocol.token import TokenResponse
from gatepass.stores.base import Store
from gatepass.stores.memory import MemoryStore

ISSUER = "https://as.example.com"
ENDPOINT = "https://mcp.example.com/mcp"
RESOURCE_METADATA = "https://mcp.example.com/.well-known/oauth-protected-resource/mcp"
DOCUMENTS = {
    RESOURCE_METADATA: {"resource": ENDPOINT, "authorization_servers": [ISSUER]},
    f"{ISSUER}/.well-known/oauth-authorization-server": {"issuer": ISSUER, "token_endpoint": f"{ISSUER}/token"},
}


class Clock:
    """Two clocks that stand still until they are turned."""

    def __init__(self) -> None:
        self.wall = 1_700_000_000.0
        self.mono = 5_000.0

    def now(self) -> Instant:
        return Instant(wall=self.wall, mono=self.mono)

    def turn(self, seconds: float) -> None:
        self.wall += seconds
        self.mono += seconds


class JarPool:
    """The pool, with a test as its only worker."""

    def __init__(self, clock: Clock) -> None:
        self.lock = threading.Lock()
        self.epoch = 0
        self._clock = clock
        self._ready: deque[Callable[[], None]] = deque()
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()

    def run(self, host: str, job: Callable[[], None]) -> None:
        assert not self.lock.locked(), "a job was handed over with the lock held"
        self._ready.append(job)

    def run_later(self, delay_s: float, host: str, job: Callable[[], None]) -> None:
        heapq.heappush(self._timers, (self._clock.mono + delay_s, next(self._order), job))

    def help(self, done: Callable[[], bool], timeout_s: float) -> None:
        raise AssertionError("nobody waits in a jar")

    def pump(self) -> None:
        while self._ready or (self._timers and self._timers[0][0] <= self._clock.mono):
            job = self._ready.popleft() if self._ready else heapq.heappop(self._timers)[2]
            job()

    @property
    def next_due(self) -> float | None:
        return self._timers[0][0] if self._timers else None

    @property
    def busy(self) -> bool:
        return bool(self._ready or self._timers)


class JarWorld:
    """The world of a jar: time, dice that a test may load, and secrets that have changed or not."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.notices: list[Notice] = []
        self.secrets_changed: list[bool] = []
        self.discoveries = 0
        self.metadata_down = False
        self.dice = 0.5
        self.refreshes: list[HttpResponse | GatepassError] = []
        self.posted: list[dict[str, str]] = []
        self.shown_certificate: str | None = None
        self.request_timeout_s = 10.0

    def now(self) -> Instant:
        return self._clock.now()

    def random_bytes(self, n: int) -> bytes:
        return int(self.dice * (256**n - 1)).to_bytes(n, "big")

    def changed(self, secrets: Iterable[Secret]) -> bool:
        return self.secrets_changed.pop(0) if self.secrets_changed else False

    def notice(self, notice: Notice) -> None:
        self.notices.append(notice)

    def certificate(self) -> str | None:
        return self.shown_certificate

    def signer(self, key: Any) -> Any:
        from gatepass.keys import parse_private_key

        return parse_private_key(key.text.reveal(), None, origin="key") if isinstance(key, PrivateKey) else key

    def nonce(self, origin: str) -> str | None:
        return None

    def send(self, request: HttpRequest) -> HttpResponse:
        """The metadata, and the answers to refresh tokens; the profile of a jar sends nothing."""
        if request.method == "POST":
            self.posted.append(dict(parse_qsl(request.body.decode())))
            answer = self.refreshes.pop(0)
            if isinstance(answer, GatepassError):
                raise answer
            return answer
        if self.metadata_down:
            raise UnreachableError("No answer.", code="timeout", retryable=True)
        self.discoveries += request.url == RESOURCE_METADATA
        body = json.dumps(DOCUMENTS[request.url]).encode()
        return HttpResponse(status=200, headers=(("Content-Type", "application/json"),), body=body)


Answer = float | GatepassError | None
"""A token that lives so many seconds (None: it does not say), or a refusal."""


@dataclass
class JarProfile:
    """A way in that answers from a list, or by default, and remembers what it was asked."""

    clock: Clock
    answers: list[Answer] = field(default_factory=list)
    default: Answer = 1000.0
    takes_s: float = 0.0
    asked: list[Errand] = field(default_factory=list)
    identity: tuple[str, ...] = ("jar",)
    secrets: tuple[Secret, ...] = ()
    subject_missing: bool = False
    portable: bool = False
    extension: str | None = None
    attended: bool = False
    patience_s: float = 10.0
    refresh_token: Secret | None = None

    def known_as(self, world: Any, server: Any) -> Any:
        return PublicClient("jar")

    def disowned(self, world: Any, server: Any) -> bool:
        return False

    def grant(self, world: Any, errand: Errand) -> Issued:
        self.asked.append(errand)
        sent = self.clock.now()
        self.clock.turn(self.takes_s)
        answer = self.answers.pop(0) if self.answers else self.default
        if isinstance(answer, GatepassError):
            raise answer
        token = TokenResponse(
            access_token=Secret(f"token-{len(self.asked)}"),
            token_type="DPoP" if errand.proof_key else "Bearer",
            expires_in_s=answer,
            refresh_token=self.refresh_token,
        )
        return Issued(token=token, sent=sent)


class Caller(Waiter):
    """A caller that waits, and remembers how often it was woken."""

    __slots__ = ("woken",)

    def __init__(self, until: float, bare_ok: bool) -> None:
        super().__init__(until, bare_ok)
        self.woken = 0

    def _wake(self) -> None:
        self.woken += 1


class Jar:
    """A source and all that is around it."""

    def __init__(
        self, *, store: Store | None = None, clock: Clock | None = None, scopes: tuple[str, ...] | None = ()
    ) -> None:
        self.clock = clock or Clock()
        self.pool = JarPool(self.clock)
        self.world = JarWorld(self.clock)
        self.profile = JarProfile(self.clock)
        self.policy = Policy()
        self.store = store if store is not None else MemoryStore()
        self.source = Source(
            profile=self.profile,
            target=Target(endpoint=ENDPOINT, issuer=ISSUER, scopes=scopes),
            store=self.store,
            world=self.world,  # type: ignore[arg-type]
            pool=self.pool,  # type: ignore[arg-type]
            policy=self.policy,
        )

    def call(self, patience_s: float = 10.0, *, bare_ok: bool = False) -> Held | Caller | None:
        return self.source.join(Caller, patience_s, bare_ok=bare_ok)

    def token(self, patience_s: float = 10.0) -> Held:
        """Call, let the workers work, and return the token."""
        answer = self.call(patience_s)
        if isinstance(answer, Caller):
            self.pump()
            assert answer.done, "the caller still waits"
            answer = answer.outcome
        assert isinstance(answer, Held), f"no token, but: {answer!r}"
        return answer

    def pump(self) -> None:
        self.pool.pump()

    def advance(self, seconds: float) -> None:
        """Let time pass, and let the workers do what falls due on the way."""
        self.pool.pump()
        end = self.clock.mono + seconds
        while (due := self.pool.next_due) is not None and due <= end:
            self.clock.turn(max(0.0, due - self.clock.mono))
            self.pool.pump()
        self.clock.turn(max(0.0, end - self.clock.mono))
        self.pool.pump()

    @property
    def mints(self) -> int:
        return len(self.profile.asked)
