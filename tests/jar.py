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
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from gatepass.client_auth.public_client import PublicClient
from gatepass.core.http import HttpRequest, HttpResponse
from gatepass.core.secret import Secret
from gatepass.core.target import Target
from gatepass.core.world import Instant, Notice, PrivateKey, Signer
from gatepass.engine.shelf import Shelf
from gatepass.engine.source import Source
from gatepass.engine.wake import Waiter
from gatepass.errors import GatepassError, StoreError, UnreachableError
from gatepass.grants.errand import Errand
from gatepass.grants.exchange import Issued
from gatepass.lifecycle.policy import Held, Policy
from gatepass.profiles.base import Traits
from gatepass.protocol.scope import Scopes
from gatepass.protocol.token import TokenResponse
from gatepass.stores.base import Entry, Lease, Store
from gatepass.stores.memory import MemoryStore

ISSUER = "https://as.example.com"
ENDPOINT = "https://mcp.example.com/mcp"
RESOURCE_METADATA = "https://mcp.example.com/.well-known/oauth-protected-resource/mcp"
OTHER_ISSUER = "https://as.example.net"


def server_metadata(issuer: str, **more: object) -> dict[str, dict[str, object]]:
    """The metadata of an authorization server, where it stands."""
    document = {"issuer": issuer, "token_endpoint": f"{issuer}/token", **more}
    return {f"{issuer}/.well-known/oauth-authorization-server": document}


def resource_metadata(issuer: str, **more: object) -> dict[str, dict[str, object]]:
    """The metadata of the resource, where it stands."""
    return {RESOURCE_METADATA: {"resource": ENDPOINT, "authorization_servers": [issuer], **more}}


def json_answer(document: Mapping[str, object], status: int = 200) -> HttpResponse:
    body = json.dumps(document).encode()
    return HttpResponse(status=status, headers=(("Content-Type", "application/json"),), body=body)


def issues(access_token: str, refresh_token: str | None = None, lifetime_s: float = 1000.0) -> HttpResponse:
    """A token response."""
    token = {"access_token": access_token, "token_type": "Bearer", "expires_in": lifetime_s}
    return json_answer(token if refresh_token is None else {**token, "refresh_token": refresh_token})


def refuses(error: str, status: int = 400) -> HttpResponse:
    """An error response."""
    return json_answer({"error": error}, status)


class SharedMemory(MemoryStore):
    """A store that several jars share, as processes share a directory."""

    shared = True  # type: ignore[assignment]


class Fragile(SharedMemory):
    """A shared store of which a test breaks what it likes: read, write, delete, acquire, release."""

    def __init__(self, *, clock: Callable[[], float] = lambda: 0.0) -> None:
        super().__init__(clock=clock)
        self.broken: set[str] = set()
        self.asked: list[str] = []

    def _ask(self, what: str, name: str) -> None:
        self.asked.append(f"{what} {name.partition('.')[0]}")
        if what in self.broken:
            raise StoreError("The disk is gone.", code="store_gone")

    def read(self, name: str) -> Entry | None:
        self._ask("read", name)
        return super().read(name)

    def write(self, name: str, value: bytes, *, expect: int, fence: int | None = None) -> int | None:
        self._ask("write", name)
        return super().write(name, value, expect=expect, fence=fence)

    def delete(self, name: str, *, expect: int | None = None) -> bool:
        self._ask("delete", name)
        return super().delete(name, expect=expect)

    def acquire(self, name: str, owner: str, ttl_s: float) -> Lease | None:
        self._ask("acquire", name)
        return super().acquire(name, owner, ttl_s)


class Clock:
    """Two clocks that stand still until they are turned; and how often a token was asked for by them."""

    def __init__(self) -> None:
        self.asked = 0
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

    shelf: Shelf

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.notices: list[Notice] = []
        self.secrets_changed: list[bool] = []
        self.discoveries = 0
        self.metadata_down = False
        self.while_discovering: Callable[[], object] | None = None
        self.dice = 0.5
        self.documents: dict[str, dict[str, object]] = {**resource_metadata(ISSUER), **server_metadata(ISSUER)}
        self.replies: list[HttpResponse | GatepassError] = []
        self.reply: Callable[[str, dict[str, str]], HttpResponse] | None = None
        """What the authorization server answers to what is posted to a path; else the replies, one by one."""
        self.posted: list[tuple[str, dict[str, str]]] = []
        self.shown_certificate: str | None = None
        self.request_timeout_s = 10.0

    def now(self) -> Instant:
        return self._clock.now()

    def random_bytes(self, n: int) -> bytes:
        most: int = 256**n - 1
        return min(most, int(self.dice * most)).to_bytes(n, "big")

    def changed(self, secrets: Iterable[Secret]) -> bool:
        return self.secrets_changed.pop(0) if self.secrets_changed else False

    def notice(self, notice: Notice) -> None:
        self.notices.append(notice)

    def certificate(self) -> str | None:
        return self.shown_certificate

    def signer(self, key: Any) -> Any:
        from gatepass.keys import parse_private_key

        return parse_private_key(key.text.reveal(), None, origin="key") if isinstance(key, PrivateKey) else key

    def sign(self, signer: Signer, algorithm: str, data: bytes) -> bytes:
        return signer.sign(algorithm, data)

    def nonce(self, origin: str) -> str | None:
        return None

    def recall(self, kind: type[Any], *name: str) -> Any:
        return self.shelf.recall(kind, *name)

    def keep(self, record: object, *name: str) -> None:
        self.shelf.keep(record, *name)

    def send(self, request: HttpRequest) -> HttpResponse:
        """The metadata, and the answers to what is posted; the profile of a jar sends nothing."""
        if request.method == "POST":
            path, form = urlsplit(request.url).path, dict(parse_qsl(request.body.decode()))
            self.posted.append((path, form))
            if self.reply is not None:
                return self.reply(path, form)
            answer = self.replies.pop(0)
            if isinstance(answer, GatepassError):
                raise answer
            return answer
        if self.metadata_down:
            raise UnreachableError("No answer.", code="timeout", retryable=True)
        self.discoveries += request.url == RESOURCE_METADATA
        meanwhile, self.while_discovering = self.while_discovering, None
        if meanwhile:
            meanwhile()
        return json_answer(self.documents[request.url])


_SAID_OF_EVERY_TOKEN = {"token_obtained", "token_rejected", "token_failed", "issuer_not_pinned"}

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
    traits: Traits = field(default_factory=Traits)
    refresh_token: Secret | None = None
    while_asked: Callable[[], object] | None = None
    """What happens while a grant is under way."""

    def client_of(self, world: Any, server: Any, client_id: Any) -> Any:
        return PublicClient("jar")

    def disowned(self, world: Any, server: Any, client_id: Any) -> bool:
        return False

    def grant(self, world: Any, errand: Errand) -> Issued:
        self.asked.append(errand)
        self.clock.asked += 1
        name = f"token-{self.clock.asked}"  # all jars of a clock may share a store
        sent = self.clock.now()
        self.clock.turn(self.takes_s)
        meanwhile, self.while_asked = self.while_asked, None
        if meanwhile:
            meanwhile()
        answer = self.answers.pop(0) if self.answers else self.default
        if isinstance(answer, GatepassError):
            raise answer
        token = TokenResponse(
            access_token=Secret(name),
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
        self,
        *,
        store: Store | None = None,
        clock: Clock | None = None,
        scopes: tuple[str, ...] | None = (),
        issuer: str | None = ISSUER,
        step_up: bool = False,
        dpop: PrivateKey | Signer | bool = False,
        identity: tuple[str, ...] = ("jar",),
    ) -> None:
        self.clock = clock or Clock()
        self.pool = JarPool(self.clock)
        self.world = JarWorld(self.clock)
        self.profile = JarProfile(self.clock, identity=identity)
        self.policy = Policy()
        self.store = store if store is not None else MemoryStore()
        self.source = Source(
            profile=self.profile,
            target=Target(endpoint=ENDPOINT, issuer=issuer, scopes=scopes, step_up=step_up),
            store=self.store,
            world=self.world,  # type: ignore[arg-type]
            pool=self.pool,  # type: ignore[arg-type]
            policy=self.policy,
            dpop=dpop,
        )

    def call(self, patience_s: float = 10.0, *, bare_ok: bool = False, needs: Scopes = ()) -> Held | Caller | None:
        return self.source.join(Caller, patience_s, bare_ok=bare_ok, needs=needs)

    def token(self, patience_s: float = 10.0, *, needs: Scopes = ()) -> Held:
        """Call, let the workers work, and return the token."""
        answer = self.call(patience_s, needs=needs)
        if isinstance(answer, Caller):
            self.pump()
            assert answer.done, "the caller still waits"
            answer = answer.outcome
        assert isinstance(answer, Held), f"no token, but: {answer!r}"
        return answer

    def failure(self, patience_s: float = 10.0, *, needs: Scopes = ()) -> GatepassError:
        """Call, let the workers work, and return why there is no token."""
        try:
            answer = self.call(patience_s, needs=needs)
        except GatepassError as failure:
            return failure
        self.pump()
        outcome = waiting(answer).outcome
        assert isinstance(outcome, GatepassError), f"no failure, but: {outcome!r}"
        return outcome

    def codes(self) -> list[str]:
        """What was said, by its codes, but for what is said of every token."""
        return [
            notice.code
            for notice in self.world.notices
            if notice.level != "debug" and notice.code not in _SAID_OF_EVERY_TOKEN
        ]

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


def waiting(answer: object) -> Caller:
    assert isinstance(answer, Caller)
    return answer


def served(answer: object) -> Held:
    assert isinstance(answer, Held)
    return answer
