"""The watch: what happened, in a form that can be compared and shown, and whether it may have happened."""

from __future__ import annotations

import hashlib
from collections import Counter, deque
from typing import TYPE_CHECKING

from simulation import invariants
from simulation.invariants import Failure, key_of

if TYPE_CHECKING:
    from gatepass.errors import GatepassError
    from gatepass.lifecycle.policy import Held
    from gatepass.lifecycle.record import TokenRecord
    from simulation.fleet import Asking, Call, Process
    from simulation.hub import Hub
    from simulation.scenarios import Scenario
    from simulation.servers import AuthorizationServer, Issued, Resource, Spending

_SHOWN = 60


class Watch:
    """Hears of everything, holds it against the invariants, and stops the run at the first that does not hold.

    Attributes:
        served: how many calls got in.
        failed: how many did not, by the code of their failure ...
        failures_by_minute: ... and by when.
        refusals: how many requests the resource answered with 401.
        people_asked: how often a person was asked to sign in.
        excused: how often something happened that must not, but for a stated reason: by invariant and reason.
        violation: what must never happen, and did.
        renewals: of each key, which requests brought which generation.
        stalled_until: of each key, when the lease lapses whose holder was killed last, or hung.
    """

    auth_server: AuthorizationServer
    resource: Resource

    def __init__(self, hub: Hub, scenario: Scenario) -> None:
        self.hub = hub
        self.scenario = scenario
        self.served = 0
        self.failed: Counter[str] = Counter()
        self.failures_by_minute: Counter[int] = Counter()
        self.refusals = 0
        self.people_asked = 0
        self.excused: Counter[tuple[str, str]] = Counter()
        self.violation: str | None = None
        self.renewals: dict[tuple[str, int], list[Asking]] = {}
        self.stalled_until: dict[str, float] = {}
        self._numbers = 0
        self._hash = hashlib.blake2b(digest_size=16)
        self._lines: dict[str, deque[str]] = {}

    # What happened.

    def next_number(self) -> int:
        self._numbers += 1
        return self._numbers

    def note(self, process: Process, text: str) -> None:
        """Take down what a process did."""
        self._take_down(key_of(process), f"{process.worker.name}.{process.worker.lives} {text}")

    def weather(self, text: str) -> None:
        """Take down what befell everybody."""
        self._take_down("", text)

    def _take_down(self, key: str, text: str) -> None:
        line = f"{self.hub.now:14.4f}  {text}"
        self._hash.update(line.encode())
        lines = self._lines.get(key)
        if lines is None:
            lines = self._lines[key] = deque(maxlen=_SHOWN)
        lines.append(line)

    @property
    def fingerprint(self) -> str:
        """The hash of all that was taken down and counted."""
        counted = repr((self.served, sorted(self.failed.items()), self.refusals, self._numbers, self.hub.events))
        return hashlib.blake2b(self._hash.digest() + counted.encode(), digest_size=8).hexdigest()

    def last_lines(self, key: str) -> list[str]:
        """The last that happened to one key and to everybody."""
        return sorted(line for whose in {key, ""} for line in self._lines.get(whose, ()))[-_SHOWN:]

    # What may have happened, and what not.

    def request_came(self) -> None:
        problem, reasons = invariants.the_load_is_smooth(self)
        self._hold("the load is smooth", problem, "", reasons)

    def issued(self, token: Issued, asking: Asking) -> None:
        process = asking.process
        self.note(process, f"is issued token-{token.number} in the place of generation {asking.renews}")
        earlier = self.renewals.setdefault((key_of(process), asking.renews), [])
        problem, reasons = invariants.one_renewal_a_generation(earlier, asking)
        earlier.append(asking)
        self._hold("one renewal a generation", problem, key_of(process), reasons)
        problem, reasons = invariants.a_token_is_renewed_in_its_time(self, asking)
        self._hold("a token is renewed in its time", problem, key_of(process), reasons)

    def replaced(self, process: Process, before: TokenRecord, record: TokenRecord) -> None:
        problem = invariants.a_newer_generation_stays(process, before, record)
        self._hold("a newer generation stays", problem, key_of(process), ())

    def reused(self, spending: Spending, asking: Asking) -> None:
        self.note(asking.process, f"sends {asking.refresh_token}, which is spent")
        problem, reasons = invariants.a_refresh_token_is_spent_once(spending, asking)
        self._hold("a refresh token is spent once", problem, key_of(asking.process), reasons)

    def person_asked(self, process: Process) -> None:
        self.note(process, "asks a person to sign in")
        self.people_asked += 1
        problem, reasons = invariants.a_person_is_asked_once(self, process)
        self._hold("a person is asked once", problem, key_of(process), reasons)

    def call_failed(self, process: Process, call: Call, error: GatepassError) -> None:
        self.count_failure(error.code)
        self.note(process, f"fails a call of {call.began:.3f}: {error.code}")
        failure = Failure(watch=self, process=process, call=call, error=error)
        for name, invariant in invariants.OF_A_FAILED_CALL.items():
            problem, reasons = invariant(failure)
            self._hold(name, problem, key_of(process), reasons)

    def count_failure(self, code: str) -> None:
        self.failed[code] += 1
        self.failures_by_minute[int(self.hub.now // 60)] += 1

    def refused(self, process: Process, held: Held) -> None:
        self.refusals += 1
        self.note(process, f"is refused with generation {held.generation}")

    def killed(self, process: Process) -> None:
        self.note(process, "is killed")
        self._stalled(process)

    def hangs(self, process: Process, seconds: float) -> None:
        self.note(process, f"hangs for {seconds:.1f} s")
        self._stalled(process)

    def _stalled(self, process: Process) -> None:
        """Nobody is at work who has the lease."""
        if process.link is not None and process.link.lease is not None:
            self.stalled_until[key_of(process)] = process.link.leased_until

    def bug(self, process: Process, bug: BaseException) -> None:
        self._hold("the engine raises nothing", f"it raised {bug!r}", key_of(process), ())

    def check(self, name: str, problem: str | None, key: str = "") -> None:
        """Hold something against an invariant that has no exceptions."""
        self._hold(name, problem, key, ())

    def _hold(self, name: str, problem: str | None, key: str, reasons: tuple[str, ...]) -> None:
        if problem is None or self.violation is not None:
            return
        if reasons:
            self.excused[name, reasons[0]] += 1
            return
        lines = "\n".join(self.last_lines(key))
        self.violation = f"{self.hub.now:.4f}: {name}, but {problem}\n\nThe last events of {key or 'all'}:\n{lines}"
        self.hub.stopped = True
