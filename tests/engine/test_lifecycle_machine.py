"""The life of a token as a state machine: whatever happens, in whatever order, some things never do."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from jar import Caller, Clock, Fragile, Jar, issues, refuses

from gatepass.core.http import HttpResponse
from gatepass.core.secret import Secret
from gatepass.errors import GatepassError, RemoteError, UnreachableError
from gatepass.lifecycle.policy import Held, Policy

POLICY = Policy()
BUSY = RemoteError("The server is busy.", code="token_endpoint_busy", status=503, retryable=True)
DOWN = UnreachableError("No answer.", code="unreachable", retryable=True)
REFUSED = RemoteError("No.", code="token_refused", error="invalid_client", status=401)


class Life(RuleBasedStateMachine):
    """One identity, an authorization server of changing mood, a resource that may refuse, and time."""

    @initialize(
        lifetime_s=st.sampled_from([2.0, 30.0, 300.0, 3600.0, 86_400.0]), dice=st.floats(0, 1), rotates=st.booleans()
    )
    def begin(self, lifetime_s: float, dice: float, rotates: bool) -> None:
        self.clock = Clock()
        self.store = Fragile(clock=lambda: self.clock.wall)
        self.rotates = rotates
        """The server issues refresh tokens, each of which can be used once."""
        self.issued = 0
        self.spent: list[str] = []
        self.lifetime_s = lifetime_s
        self.mood: float | GatepassError = lifetime_s
        self.jar = self._start(dice)
        self.served: Held | None = None
        self.refused: set[int] = set()
        self.forced_monos: list[float] = []
        self.final_failures: list[float] = []
        self.callers: list[tuple[Caller, float]] = []

    def _start(self, dice: float) -> Jar:
        """A process, which notes the moment of each final failure."""
        jar = Jar(store=self.store, clock=self.clock)
        jar.profile.default, jar.world.dice, jar.world.reply = self.mood, dice, self._renew
        grant = jar.profile.grant

        def noted(*args: object) -> object:
            jar.profile.refresh_token = Secret(self._next_refresh_token()) if self.rotates else None
            try:
                return grant(*args)  # type: ignore[arg-type]
            except GatepassError as error:
                if not error.retryable and not jar.world.secrets_changed:  # a new secret excuses the next try
                    self.final_failures.append(jar.clock.mono)
                raise

        jar.profile.grant = noted  # type: ignore[method-assign, assignment]
        return jar

    def _next_refresh_token(self) -> str:
        self.issued += 1
        return f"r{self.issued}"

    def _renew(self, path: str, form: dict[str, str]) -> HttpResponse:
        """Take a refresh token, once; a server in trouble does not take it."""
        if self.mood is BUSY:
            return HttpResponse(status=503, headers=(), body=b"")
        if self.mood is DOWN:
            raise DOWN
        if self.mood is REFUSED:
            if not self.jar.world.secrets_changed:
                self.final_failures.append(self.clock.mono)
            return refuses("invalid_client", 401)
        self.spent.append(form["refresh_token"])
        return issues(f"by-{form['refresh_token']}", self._next_refresh_token(), self.lifetime_s)

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
        self.mood = {"well": self.lifetime_s, "busy": BUSY, "down": DOWN, "refuses": REFUSED}[mood]
        self.jar.profile.default = self.mood

    @rule(broken=st.sets(st.sampled_from(["read", "acquire"])))
    def the_store_breaks_or_is_mended(self, broken: set[str]) -> None:
        self.store.broken = broken

    @precondition(lambda self: self.served is not None)
    @rule()
    def the_resource_refuses_the_token(self) -> None:
        assert self.served is not None
        before = self.jar.source._forced_mono
        self.jar.source.reject(self.served)
        self.refused.add(self.served.generation)
        if self.jar.source._forced_mono != before:
            self.forced_monos.append(self.jar.source._forced_mono)

    @rule()
    def the_secret_is_replaced(self) -> None:
        self.jar.world.secrets_changed = [True]
        self.final_failures.clear()

    @rule()
    def the_process_is_restarted(self) -> None:
        self.store.broken.clear()  # else it could not know what the one before has spent
        self.jar = self._start(self.jar.world.dice)
        self.final_failures.clear()
        self.forced_monos.clear()
        self.callers.clear()
        self.served, self.refused = None, set()

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
    def a_refresh_token_is_never_spent_twice(self) -> None:
        if hasattr(self, "spent"):
            assert len(set(self.spent)) == len(self.spent)

    @invariant()
    def nobody_waits_without_a_flight(self) -> None:
        if hasattr(self, "callers") and any(not caller.done for caller, _ in self.callers):
            assert self.jar.pool.busy

    def teardown(self) -> None:
        """However it was, once the server is well and time has passed, there is a token."""
        if not hasattr(self, "jar"):
            return
        self.mood = self.jar.profile.default = self.lifetime_s
        self.store.broken.clear()
        self.jar.advance(4000)
        assert all(caller.done for caller, _ in self.callers), "a caller waits for ever"
        assert self.jar.token()


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
