"""The weather: what befalls servers, stores, clocks and processes, and when, as chance has it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from random import Random
from typing import TYPE_CHECKING

from simulation.fleet import Machine, Process, Service, Worker
from simulation.hub import Life
from simulation.scenarios import Trouble
from simulation.servers import Fault
from simulation.storage import StoreServer

if TYPE_CHECKING:
    from simulation.run import Run

Happens = Callable[[float, float], None]
"""What happens is told how long it lasts, and its value."""

_ROLLOUT_S = 1800.0
_SECRETS_SPREAD_S = 300.0


class Weather:
    """The same for any client, but for what befalls a process that renews, which has a chance of its own."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._watch = run.watch
        self._server = run.watch.auth_server
        self._hub = run.hub
        self._chance = Random(f"weather {run.seed}")
        self._fate = Random(f"fate {run.seed}")
        self._sky = Life()

    def brew(self, end: float) -> None:
        """Decide what happens when, up to the end."""
        scenario = self._run.scenario
        for worker in self._run.workers:
            self._later(self._chance.uniform(0.0, scenario.start_within_s), worker.start)
        for kind, when, lasts_s in scenario.outages:
            self._later(when, partial(self._server_fault, kind, lasts_s, 0.0))
        for trouble, happens in self._troubles():
            self._again_and_again(trouble, end, happens)

    def _troubles(self) -> list[tuple[Trouble, Happens]]:
        """Everything that comes again and again, and how often."""
        run, scenario = self._run, self._run.scenario
        troubles: list[tuple[Trouble | None, Happens]] = [
            *((trouble, partial(self._server_fault, kind)) for kind, trouble in scenario.server.items()),
            *(
                (trouble, partial(self._store_fault, store, kind))
                for store in run.stores
                for kind, trouble in scenario.store.items()
            ),
            *((scenario.clocks, partial(self._clock_jump, machine)) for machine in run.machines),
            *((scenario.restarts, partial(self._restart, worker)) for worker in run.workers),
            (scenario.rollouts, self._rollout),
            (scenario.key_rotations, self._rotate_key),
            *((scenario.secret_rotations, partial(self._rotate_secret, service)) for service in run.services),
        ]
        return [(trouble, happens) for trouble, happens in troubles if trouble is not None]

    def clear(self) -> None:
        """All faults are over."""
        self._server_is_well()
        for store in self._run.stores:
            self._store_is_well(store)

    def _later(self, delay_s: float, action: Callable[[], object]) -> None:
        self._hub.after(delay_s, self._sky, action)

    def _again_and_again(self, trouble: Trouble, end: float, happens: Happens) -> None:
        when = self._chance.expovariate(1.0 / trouble.every_s)
        while when < end:
            lasts_s, value_s = self._chance.uniform(*trouble.lasts_s), self._chance.uniform(*trouble.value_s)
            self._later(when, partial(happens, lasts_s, value_s))
            when += lasts_s + self._chance.expovariate(1.0 / trouble.every_s)

    # Servers and stores.

    def _server_fault(self, kind: str, lasts_s: float, value_s: float) -> None:
        server = self._server
        if server.fault is None:
            server.fault = Fault(trouble=kind, ends_at=self._hub.now + lasts_s, value_s=value_s)  # type: ignore[arg-type]
            server.well_since = float("inf")
            self._watch.weather(f"the authorization server {kind}, for {lasts_s:.0f} s ({value_s:.1f})")
            self._later(lasts_s, self._server_is_well)

    def _server_is_well(self) -> None:
        self._server.fault, self._server.well_since = None, self._hub.now
        self._watch.weather("the authorization server is well")

    def _store_fault(self, store: StoreServer, kind: str, lasts_s: float, value_s: float) -> None:
        if kind == "loses":
            self._watch.weather(f"{store.name} has lost {store.fail_over(value_s)} steps of the last {value_s:.1f} s")
        elif store.fault is None:
            store.fault = kind  # type: ignore[assignment]
            store.troubled_at = float("inf")
            self._watch.weather(f"{store.name} is {kind}, for {lasts_s:.0f} s")
            self._later(lasts_s, partial(self._store_is_well, store))

    def _store_is_well(self, store: StoreServer) -> None:
        store.fault, store.troubled_at = None, self._hub.now
        self._watch.weather(f"{store.name} is well")

    # Machines and processes.

    def _clock_jump(self, machine: Machine, lasts_s: float, value_s: float) -> None:
        ahead_s = value_s * self._chance.choice((-1.0, 1.0))
        self._set_clock(machine, ahead_s)
        self._later(lasts_s, partial(self._set_clock, machine, 0.0))

    def _set_clock(self, machine: Machine, offset_s: float) -> None:
        machine.offset_s, machine.jumped_at = offset_s, self._hub.now
        if machine.store is not None and self._run.scenario.sharing == "machine":
            machine.store.offset_s = offset_s
        self._watch.weather(f"the clock of {machine.name} is {offset_s:.0f} s ahead")

    def _restart(self, worker: Worker, lasts_s: float, value_s: float) -> None:
        worker.kill()
        self._later(lasts_s, worker.start)

    def _rollout(self, lasts_s: float, value_s: float) -> None:
        self._watch.weather("a new version is rolled out")
        for worker in self._run.workers:
            self._later(self._chance.uniform(0.0, _ROLLOUT_S), partial(self._restart, worker, 5.0, 0.0))

    def _rotate_key(self, lasts_s: float, value_s: float) -> None:
        self._server.rotate_key()
        self._watch.weather("the authorization server signs with a new key, and the resource takes no other")

    def _rotate_secret(self, service: Service, lasts_s: float, value_s: float) -> None:
        """The client has a new secret at once, and its machines learn of it one by one."""
        secret = f"secret-{self._chance.randrange(10**9)}"
        self._server.secrets[service.name] = {secret}
        self._watch.weather(f"{service.name} has a new secret")
        for machine in self._run.machines:
            learns = partial(machine.secrets.__setitem__, service.name, secret)
            self._later(self._chance.uniform(0.0, _SECRETS_SPREAD_S), learns)

    def tempt(self, process: Process) -> None:
        """Whoever takes the lease may be killed in the next moments, or hang."""
        draw = self._fate.random()
        if draw < self._run.scenario.deadly:
            self._later(self._fate.expovariate(10.0), partial(self._strike, process))
        elif draw < self._run.scenario.deadly + self._run.scenario.hanging:
            self._later(self._fate.expovariate(10.0), partial(self._hang, process, self._fate.uniform(1.0, 120.0)))

    def _strike(self, process: Process) -> None:
        if process.worker.process is process:
            self._restart(process.worker, 5.0, 0.0)

    def _hang(self, process: Process, lasts_s: float) -> None:
        if not process.dead:
            process.hangs_until = process.hung_at = self._hub.now + lasts_s
            self._watch.hangs(process, lasts_s)
