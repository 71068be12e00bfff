"""The fleet: machines with clocks of their own, and workers whose processes come and go, each with a real engine."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from math import log
from random import Random
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from gatepass.client_auth.client_secret import ClientSecret
from gatepass.core.http import HttpRequest, HttpResponse
from gatepass.core.secret import Secret
from gatepass.core.target import Target
from gatepass.core.world import Instant, Notice
from gatepass.engine.source import Source
from gatepass.engine.wake import Waiter
from gatepass.engine.world import RealWorld
from gatepass.errors import GatepassError, SignInRequiredError, UnreachableError
from gatepass.lifecycle.policy import Held, Policy
from gatepass.profiles.base import Traits
from gatepass.profiles.client_credentials import ClientCredentials
from gatepass.protocol.challenge import ResourceChallenge
from gatepass.stores.memory import MemoryStore
from simulation.hub import Hub, Life
from simulation.servers import ENDPOINT, ISSUER, AuthorizationServer, Resource
from simulation.storage import EPOCH, Link, StoreServer

if TYPE_CHECKING:
    from gatepass.core.world import World
    from gatepass.grants.errand import Errand
    from gatepass.grants.exchange import Issued
    from gatepass.lifecycle.record import TokenRecord
    from gatepass.profiles.base import Profile
    from gatepass.stores.base import Store
    from simulation.watch import Watch

TARGET = Target(endpoint=ENDPOINT, issuer=ISSUER, scopes=("mcp",))
CHALLENGE = ResourceChallenge(scheme="bearer", scope=("mcp",), error="invalid_token")
REQUEST_TIMEOUT_S = 10.0
REPLAYS = 2
"""How often a request that was refused is sent again, as in integrations/flow.py."""
PERSON_S = 130.0
"""How long a person may take, in seconds; also how long somebody waits who waits for one."""


@dataclass(slots=True, kw_only=True, eq=False)
class Machine:
    """A machine: its clock, the store that its processes use, and the secrets that stand on it.

    Attributes:
        offset_s: how far its wall clock is ahead of the true one.
        jumped_at: when it last jumped.
    """

    name: str
    store: StoreServer | None
    secrets: dict[str, str] = field(default_factory=dict)
    offset_s: float = 0.0
    jumped_at: float = float("-inf")


@dataclass(slots=True, kw_only=True, eq=False)
class Service:
    """What many workers are: one client, so that they share a token."""

    name: str
    profile: Profile


class SignIn(ClientCredentials, frozen=True):
    """A way in that needs a person, once: then it goes on by refresh tokens. What the person brings is as good as a
    client's own grant; here it is about when one is asked.
    """

    @property
    def traits(self) -> Traits:
        return Traits(attended=True, patience_s=PERSON_S)

    def grant(self, world: World, errand: Errand) -> Issued:
        if not errand.awaited:
            msg = "A person has to sign in."
            raise SignInRequiredError(msg, code="sign_in_required")
        world.ask_person()  # type: ignore[attr-defined]
        return super().grant(world, errand)


def service(name: str, *, attended: bool) -> Service:
    client = ClientSecret(name, Secret.file(f"/run/secrets/{name}"), "client_secret_post")
    return Service(name=name, profile=SignIn(client) if attended else ClientCredentials(client))


@dataclass(slots=True, kw_only=True, eq=False)
class Asking:
    """A request for a token, and what became of it.

    Attributes:
        renews: the generation that it renews.
        leased_until: when the lease lapses that it was sent under, by the true clock; before all time without one.
        refresh_token: what it was asked with, if with one.
        token: what was issued, if something was.
        answered_at: when the answer reached the process, if it did.
        kept_at: when the token got into the store, if it did.
    """

    process: Process
    renews: int
    at: float
    leased_until: float
    refresh_token: str | None
    token: str = ""
    answered_at: float | None = None
    kept_at: float | None = None


class Call:
    """Somebody wants to send a request to the resource.

    Attributes:
        began: when the wait for a token began: anew after a 401.
        refused: the tokens that the resource has refused.
    """

    __slots__ = ("began", "patience_s", "refused")

    def __init__(self, began: float, patience_s: float) -> None:
        self.began = began
        self.patience_s = patience_s
        self.refused: list[str] = []


class Caller(Waiter):
    """A call that waits for a token. It is hashed by a number: a run must be the same each time."""

    __slots__ = ("_number", "_woken", "call")

    def __init__(self, number: int, call: Call, woken: Callable[[Caller], None], until: float, bare_ok: bool) -> None:
        super().__init__(until, bare_ok)
        self._number = number
        self._woken = woken
        self.call = call

    def __hash__(self) -> int:
        return self._number

    def __eq__(self, other: object) -> bool:
        return self is other

    def _wake(self) -> None:
        self._woken(self)


class Pool:
    """The worker threads of one process: as many as it has jobs."""

    def __init__(self, process: Process, hub: Hub) -> None:
        self.lock = threading.Lock()
        self.epoch = 0
        self._process = process
        self._hub = hub

    def run(self, host: str, job: Callable[[], None]) -> None:
        self.run_later(0.0, host, job)

    def run_later(self, delay_s: float, host: str, job: Callable[[], None]) -> None:
        assert not self.lock.locked(), "a job was handed over with the lock held"
        self._process.jobs += 1
        self._hub.start(delay_s, self._process, partial(self._process.work, job))


class Wire:
    """The network, in the place of the token client."""

    timeout_s = REQUEST_TIMEOUT_S

    def __init__(self, process: Process, around: Surroundings) -> None:
        self._process = process
        self._around = around

    def certificate(self) -> None:
        return None

    def send(self, request: HttpRequest) -> HttpResponse:
        around, process, hub = self._around, self._process, self._around.hub
        way_s = around.dice.uniform(0.001, 0.02)
        process.asks_since = process.asks_since or hub.now
        hub.sleep(way_s, process)
        asking = process.asks(request) if request.method == "POST" else None
        if not request.url.startswith(ISSUER):
            reply = around.resource.reply(request)
        else:
            reply = around.auth_server.reply(request, asking)
        if reply.refused:
            raise UnreachableError("The connection was refused.", code="unreachable", retryable=True)
        if reply.answer is None or reply.takes_s + 2 * way_s > self.timeout_s:
            hub.sleep(self.timeout_s - way_s, process)
            process.gave_up_at = hub.now
            raise UnreachableError("There was no answer.", code="timeout", retryable=True)
        hub.sleep(reply.takes_s + way_s, process)
        if asking is not None:
            asking.answered_at = hub.now
        return reply.answer


class VirtualWorld(RealWorld):
    """The real world, but for time, chance, secrets on disk and the log."""

    def __init__(self, process: Process, wire: Wire, dice: Random) -> None:
        super().__init__(wire, None)  # type: ignore[arg-type]
        self._process = process
        self._dice = dice
        self._revealed: str | None = None

    def now(self) -> Instant:
        return self._process.clock()

    def random_bytes(self, n: int) -> bytes:
        return self._dice.randbytes(n)

    def reveal(self, secret: Secret) -> str:
        self._revealed = self._process.secret
        return self._revealed

    def changed(self, secrets: Iterable[Secret]) -> bool:
        return self._revealed not in (None, self._process.secret)

    def ask_person(self) -> None:
        self._process.asks_person()

    def notice(self, notice: Notice) -> None:
        """Nobody listens."""


@dataclass(slots=True, kw_only=True, eq=False)
class Surroundings:
    """What every process finds around it, and what it is made of."""

    hub: Hub
    dice: Random
    auth_server: AuthorizationServer
    resource: Resource
    watch: Watch
    policy: Policy = field(default_factory=Policy)
    link: type[Link] = Link
    world: type[VirtualWorld] = VirtualWorld
    pool: type[Pool] = Pool
    process: type[Process]
    temptation: Callable[[Process], None] | None = None
    """What may befall a process that renews just now."""
    closing: bool = False
    """No more calls come."""


class Process(Life):
    """One life of a worker: an engine, and calls that come at random.

    Attributes:
        jobs: how many jobs of the engine's wait or are at work.
        asking: its last request for a token.
        asks_since: since when its job at work asks servers, if one does.
        gave_up_at: when it last had waited for an answer in vain.
        hung_at: when it last hung.
    """

    def __init__(self, worker: Worker, around: Surroundings) -> None:
        super().__init__()
        self.worker = worker
        self.machine = worker.machine
        self.born_at = around.hub.now
        self.jobs = 0
        self.waiting: dict[Caller, None] = {}
        self.asking: Asking | None = None
        self.asks_since: float | None = None
        self.gave_up_at = self.hung_at = float("-inf")
        self.around = around
        self._hub = around.hub
        self._calls = worker.calls
        self._mono_base = around.dice.uniform(0.0, 1e6)
        self.link: Link | None = None
        store: Store = MemoryStore(clock=lambda: self.clock().wall)
        if self.machine.store is not None:
            store = self.link = around.link(self.machine.store, self._hub, around.dice, self)
        self.source = Source(
            profile=worker.service.profile,
            target=TARGET,
            store=store,
            world=around.world(self, Wire(self, around), around.dice),
            pool=around.pool(self, self._hub),  # type: ignore[arg-type]
            policy=around.policy,
        )

    # What the engine finds around it.

    def clock(self) -> Instant:
        now = self._hub.now
        return Instant(wall=EPOCH + now + self.machine.offset_s, mono=now + self._mono_base)

    @property
    def secret(self) -> str:
        return self.machine.secrets[self.worker.service.name]

    def work(self, job: Callable[[], None]) -> None:
        """Do a job of the engine's."""
        try:
            job()
        except Exception as bug:  # noqa: BLE001 - whatever it is, it is one of ours
            self.around.watch.bug(self, bug)
        finally:
            self.jobs -= 1
            self.asks_since = None

    def asks(self, request: HttpRequest) -> Asking | None:
        """A request for a token arrives."""
        source, link = self.source, self.link
        self.asking = Asking(
            process=self,
            renews=source.hand.last,
            at=self._hub.now,
            leased_until=link.leased_until if link is not None and link.lease is not None else float("-inf"),
            refresh_token=dict(parse_qsl(request.body.decode())).get("refresh_token"),
        )
        return self.asking

    def asks_person(self) -> None:
        """A person is asked to sign in, and takes a while."""
        self.around.watch.person_asked(self)
        self._hub.sleep(self.around.dice.uniform(5.0, PERSON_S - 20.0), self)

    def kept(self, before: TokenRecord | None, record: TokenRecord) -> None:
        """A token got into the store, in the place of another."""
        if before is not None:
            self.around.watch.replaced(self, before, record)
        asking = self.asking
        if asking is not None and asking.kept_at is None and asking.token == record.access_token:
            asking.kept_at = self._hub.now
            self.around.watch.note(self, f"keeps {asking.token} in the store")

    def leased(self, until: float) -> None:
        """It has the right to renew."""
        self.around.watch.note(self, f"has the lease until {until:.3f}")
        if self.around.temptation is not None:
            self.around.temptation(self)

    # What its users do, as integrations/flow.py does it for a request.

    def live(self) -> None:
        """Take calls from now on."""
        self._hub.after(self._until_the_next_call(), self, self.call)

    def call(self) -> None:
        """Somebody calls, and the next one will."""
        if self.around.closing:
            return
        hub, held = self._hub, self.source.ready
        hub.after(self._until_the_next_call(), self, self.call)
        if held is not None:
            now, limit = hub.now, held.fresh_until
            fresh = now + self._mono_base < limit.mono and EPOCH + now + self.machine.offset_s < limit.wall
            if fresh and self.around.resource.accepts(held.record.access_token, now):
                self.around.watch.served += 1
                return
        self._want(Call(hub.now, self.around.dice.choice(self.worker.patience_s)), bare_ok=True)

    def _until_the_next_call(self) -> float:
        """Calls are independent of one another: the waits between them are distributed exponentially."""
        return -log(1.0 - self._calls.random()) * self.worker.call_every_s

    def _want(self, call: Call, *, bare_ok: bool = False) -> None:
        """A token, at once or after a wait."""
        number = self.around.watch.next_number()
        try:
            joined = self.source.join(partial(Caller, number, call, self._woken), call.patience_s, bare_ok=bare_ok)
        except GatepassError as failure:
            self.around.watch.call_failed(self, call, failure)
            return
        assert joined is not None, "a bare request, though it is known what to ask for"
        if isinstance(joined, Held):
            self._send(call, joined)
        else:
            self.waiting[joined] = None
            self._hub.after(call.patience_s, self, partial(self._out_of_patience, joined))

    def _woken(self, caller: Caller) -> None:
        self._hub.after(0.0, self, partial(self._served, caller))

    def _served(self, caller: Caller) -> None:
        """What it waited for is there, if it waits still."""
        if caller not in self.waiting:
            return
        del self.waiting[caller]
        if isinstance(caller.outcome, Held):
            self._send(caller.call, caller.outcome)
        else:
            assert caller.outcome is not None, "nothing came of it"
            self.around.watch.call_failed(self, caller.call, caller.outcome)

    def _out_of_patience(self, caller: Caller) -> None:
        if caller not in self.waiting or caller.done:
            return
        del self.waiting[caller]
        self.source.leave(caller)
        self.around.watch.call_failed(self, caller.call, UnreachableError("No token in time.", code="deadline"))

    def _send(self, call: Call, held: Held) -> None:
        if self.around.resource.accepts(held.record.access_token, self._hub.now):
            self.around.watch.served += 1
            return
        self.around.watch.refused(self, held)
        call.refused.append(held.record.access_token)
        self.source.challenged(CHALLENGE)
        if not self.source.reject(held) or len(call.refused) > REPLAYS:
            self.around.watch.call_failed(self, call, GatepassError("The resource said 401.", code="unauthorized"))
            return
        call.began = self._hub.now
        self._want(call)


class Worker:
    """A place in the fleet, where one process runs at a time.

    Attributes:
        calls: the chance by which its calls come: the same whatever else happens.
        patience_s: how long a call may wait, by choice, in seconds.
    """

    def __init__(
        self, name: str, service: Service, machine: Machine, calls: Random, call_every_s: float, around: Surroundings
    ) -> None:
        self.name = name
        self.service = service
        self.machine = machine
        self.calls = calls
        self.call_every_s = call_every_s
        attended = service.profile.traits.attended
        self.patience_s: tuple[float, ...] = (PERSON_S,) if attended else (2.0, 10.0, 10.0, 30.0)
        self.process: Process | None = None
        self.lives = 0
        self._around = around

    def start(self) -> None:
        """Begin a new life, unless there is one."""
        if self.process is None:
            self.lives += 1
            self.process = self._around.process(self, self._around)
            self.process.live()

    def kill(self) -> None:
        """SIGKILL, if it lives."""
        process, self.process = self.process, None
        if process is not None:
            self._around.watch.killed(process)
            self._around.hub.end(process)
