"""A run: a scenario, a seed, and what comes of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from random import Random

from simulation import invariants
from simulation.fleet import Machine, Process, Surroundings, Worker, service
from simulation.hub import Hub
from simulation.scenarios import DAY_S, Scenario
from simulation.servers import AuthorizationServer, Resource
from simulation.storage import StoreServer
from simulation.watch import Watch
from simulation.weather import Weather

_SETTLING_S = 3600.0
"""Longer than any back-off or lease."""


class Run:
    """A fleet in its weather, from a seed."""

    def __init__(self, scenario: Scenario, seed: int, sabotage: Callable[[Surroundings], None] | None = None) -> None:
        self.scenario = scenario
        self.seed = seed
        self.took_s = 0.0
        self.hub = Hub()
        self.watch = watch = Watch(self.hub, scenario)
        dice = Random(f"dice {seed}")
        watch.resource = Resource(scenario.metadata_max_age_s)
        watch.auth_server = AuthorizationServer(
            self.hub,
            dice,
            watch.resource,
            watch,
            lifetime_s=scenario.lifetime_s,
            capacity_per_s=scenario.capacity_per_s,
            refreshable=scenario.refreshable,
        )
        self.around = Surroundings(
            hub=self.hub,
            dice=dice,
            auth_server=watch.auth_server,
            resource=watch.resource,
            watch=watch,
            process=Process,
        )
        if sabotage is not None:
            sabotage(self.around)
        self.services = [
            service(f"service-{number}", attended=scenario.attended) for number in range(scenario.services)
        ]
        self.machines = self._machines()
        self.stores = list(dict.fromkeys(machine.store for machine in self.machines if machine.store is not None))
        self.workers = self._workers()
        self.weather = Weather(self)
        self.around.temptation = self.weather.tempt

    def _machines(self) -> list[Machine]:
        """Machines, each with its secrets, and its store if it has one of its own."""
        scenario = self.scenario
        shared = StoreServer("store", self.hub) if scenario.sharing == "fleet" else None
        machines: list[Machine] = []
        for number in range(-(-scenario.workers // scenario.per_machine)):
            store = StoreServer(f"disk-{number}", self.hub) if scenario.sharing == "machine" else shared
            secrets = {each.name: "first" for each in self.services}
            machines.append(Machine(name=f"machine-{number}", store=store, secrets=secrets))
        for each in self.services:
            self.watch.auth_server.secrets[each.name] = {"first"}
        return machines

    def _workers(self) -> list[Worker]:
        scenario = self.scenario
        return [
            Worker(
                f"w{number}",
                self.services[number % len(self.services)],
                self.machines[number // scenario.per_machine],
                Random(f"calls {self.seed} {number}"),
                scenario.call_every_s,
                self.around,
            )
            for number in range(scenario.workers)
        ]

    # It runs.

    def go(self) -> Watch:
        """Let all of it happen."""
        began, end = time.perf_counter(), self.scenario.days * DAY_S
        self.weather.brew(end)
        self.hub.run(end)
        self._settle()
        self.took_s = time.perf_counter() - began
        return self.watch

    def _settle(self) -> None:
        """Faults are over and calls have stopped: in the end, nothing is left over."""
        if self.hub.stopped:
            return
        self.around.closing = True
        self.weather.clear()
        self.hub.run(self.hub.now + _SETTLING_S)
        for worker in self.workers:
            for name, invariant in invariants.OF_A_WORKER_AT_THE_END.items():
                self.watch.check(name, invariant(worker))
        self.watch.check("the tokens are as many as needed", invariants.the_tokens_are_as_many_as_needed(self))
        for store in self.stores:
            self.watch.check("no lease is left", invariants.no_lease_is_left(store))
