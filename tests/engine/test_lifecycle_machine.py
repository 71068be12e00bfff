"""The life of a token as a state machine: whatever happens, in whatever order, some things never do."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from jar import Caller, Clock, Jar

from gatepass.errors import GatepassError, RemoteError, UnreachableError
from gatepass.lifecycle.policy import Held, Policy

POLICY = Policy()
BUSY = RemoteError("The server is busy.", code="token_endpoint_busy", status=503, retryable=True)
DOWN = UnreachableError("No answer.", code="unreachable", retryable=True)
REFUSED = RemoteError("No.", code="token_refused", error="invalid_client", status=401)


class Life(RuleBasedStateMachine):
    """One identity, an authorization server of changing mood, a resource that may refuse, and time."""

    @initialize(lifetime_s=st.sampled_from([2.0, 30.0, 300.0, 3600.0, 86_400.0]), dice=st.floats(0, 1))
    def begin(self, lifetime_s: float, dice: float) -> None:
        self.jar = Jar(clock=Clock())
        self.lifetime_s = lifetime_s
        self.jar.profile.default = lifetime_s
        self.jar.world.dice = dice
        self.served: Held | None = None
        self.refused: set[int] = set()
        self.forced_monos: list[float] = []
        self.final_failures: list[float] = []
        self.callers: list[tuple[Caller, float]] = []
        self._wrap()

    def _wrap(self) -> None:
        """Note the moment of each mint, and of each final failure."""
        jar, grant = self.jar, self.jar.profile.grant

        def noted(*args: object) -> object:
            try:
                return grant(*args)  # type: ignore[arg-type]
            except GatepassError as error:
                if not error.retryable and not jar.world.secrets_changed:  # a new secret excuses the next try
                    self.final_failures.append(jar.clock.mono)
                raise

        jar.profile.grant = noted  # type: ignore[method-assign, assignment]

    # What happens.

    @rule(patience_s=st.sampled_from([0.1, 10.0, 100.0]))
    def somebody_calls(self, patience_s: float) -> None:
        good = self._good()
        try:
            answer = self.jar.call(patience_s)
        except GatepassError:
            answer = None
        if good is not None:
            assert isinstance(answer, Held), "a caller waits or fails while a good token is there"
        if isinstance(answer, Held):
            self._served(answer)
        elif answer is not None:
            self.callers.append((answer, self.jar.clock.mono + patience_s))

    @rule(seconds=st.sampled_from([0.0, 0.01, 0.3, 1.0, 4.9, 5.1, 20.0, 61.0, 250.0, 1000.0, 4000.0]))
    def time_passes(self, seconds: float) -> None:
        self.jar.advance(seconds)
        for caller, _ in self.callers:
            if caller.done and isinstance(caller.outcome, Held):
                self._served(caller.outcome, at_landing=True)
        self.callers = [(caller, until) for caller, until in self.callers if not caller.done]

    @rule(share=st.floats(0.5, 0.99))
    def time_passes_to_the_end_of_the_life(self, share: float) -> None:
        self.time_passes(share * self.lifetime_s)

    @rule(mood=st.sampled_from(["well", "busy", "down", "refuses"]))
    def the_server_changes_its_mood(self, mood: str) -> None:
        self.jar.profile.default = {"well": self.lifetime_s, "busy": BUSY, "down": DOWN, "refuses": REFUSED}[mood]

    @precondition(lambda self: self.served is not None)
    @rule()
    def the_resource_refuses_the_token(self) -> None:
        assert self.served is not None
        before = self.jar.source._forced_mono
        self.jar.source.reject(self.served.generation)
        self.refused.add(self.served.generation)
        if self.jar.source._forced_mono != before:
            self.forced_monos.append(self.jar.source._forced_mono)

    @rule()
    def the_secret_is_replaced(self) -> None:
        self.jar.world.secrets_changed = [True]
        self.final_failures.clear()

    @rule()
    def the_process_is_restarted(self) -> None:
        old = self.jar
        self.jar = Jar(store=old.store, clock=old.clock)
        self.jar.profile.default, self.jar.world.dice = old.profile.default, old.world.dice
        self.final_failures.clear()
        self.forced_monos.clear()
        self.callers.clear()
        self.served, self.refused = None, set()
        self._wrap()

    # What never does.

    def _good(self) -> Held | None:
        """A token that is at hand, alive by a clock of our own, and not refused."""
        held = self.jar.source.held
        if held is None or held.generation in self.refused:
            return None
        life = held.record.lifetime_s or 0.0
        age = self.jar.clock.wall - held.record.obtained_at
        return held if age < life - min(10.0, 0.05 * life) - 1e-6 else None

    def _served(self, held: Held, *, at_landing: bool = False) -> None:
        if self.served is not None:
            assert held.generation >= self.served.generation, "an older generation was served after a newer one"
        age = self.jar.clock.wall - held.record.obtained_at
        assert at_landing or age < (held.record.lifetime_s or 0.0), "a token was served that had died"
        self.served = held

    @invariant()
    def forced_renewals_keep_their_distance(self) -> None:
        if hasattr(self, "forced_monos"):
            pairs = zip(self.forced_monos, self.forced_monos[1:], strict=False)
            assert all(later - earlier >= POLICY.forced_interval_s for earlier, later in pairs)

    @invariant()
    def a_refused_client_does_not_hammer_the_server(self) -> None:
        if hasattr(self, "final_failures"):
            pairs = zip(self.final_failures, self.final_failures[1:], strict=False)
            assert all(later - earlier >= POLICY.negative_first_s for earlier, later in pairs)

    @invariant()
    def nobody_waits_without_a_flight(self) -> None:
        if hasattr(self, "callers") and any(not caller.done for caller, _ in self.callers):
            assert self.jar.pool.busy

    def teardown(self) -> None:
        """However it was, once the server is well and time has passed, there is a token."""
        if not hasattr(self, "jar"):
            return
        self.jar.profile.default = self.lifetime_s
        self.jar.advance(4000)
        assert all(caller.done for caller, _ in self.callers), "a caller waits for ever"
        assert self.jar.token()


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
