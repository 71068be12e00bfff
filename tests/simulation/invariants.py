"""What must never happen, one function each; and the exceptions, each a function with its reason.

An invariant answers with what is wrong, if anything is, and with the reasons for which it may be. What has a reason is
counted under it; what has none ends the run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from simulation.scenarios import DAY_S
from simulation.storage import EPOCH

if TYPE_CHECKING:
    from gatepass.errors import GatepassError
    from gatepass.lifecycle.record import TokenRecord
    from simulation.fleet import Asking, Call, Process, Worker
    from simulation.run import Run
    from simulation.servers import Issued, Spending
    from simulation.storage import StoreServer
    from simulation.watch import Watch

Verdict = tuple[str | None, tuple[str, ...]]
FINE: Verdict = (None, ())
LONG_AGO = float("-inf")

START_S = 60.0
"""In the beginning, everybody starts at once."""
MARGIN_S, MARGIN_SHARE = 10.0, 0.05
"""A token counts as valid until so long before its end, or this share of its life, whichever is shorter ..."""
TRAVEL_S = 0.5
"""... and a moment more, for the way of the requests."""
FRESH_SHARE = 0.70
"""A token is not renewed before this share of its life is over."""
REST_S = 10.0
"""How long an engine leaves a store alone that failed."""
LEASE_S = 5.0
"""How long the lease for a renewal lasts, where no person is asked."""
LOOK_S = 1.0
"""How long the look into the store may take that comes before a request."""
GIVING_UP_S = 1.5
"""How long after a request without an answer an engine looks into the store again."""
CLOCK_S = 15.0
"""A clock that is further off is wrong; a record may be dated by as much before its token was issued."""

Case = TypeVar("Case")


def reasons_in(table: Mapping[str, Callable[[Case], bool]], case: Case) -> tuple[str, ...]:
    return tuple(reason for reason, holds in table.items() if holds(case))


def key_of(process: Process) -> str:
    """What shares a token: a service, and who sees the same store."""
    store = process.machine.store
    where = store.name if store else f"{process.worker.name}.{process.worker.lives}"
    return f"{process.worker.service.name}@{where}"


def stored(process: Process) -> TokenRecord | None:
    """The token that its store has."""
    server = process.machine.store
    return None if server is None else server.token(process.source.shelf.names[0])


def troubled(process: Process, since: float) -> bool:
    """Whether its store has been in trouble since then, for all or for this process."""
    server, link = process.machine.store, process.link
    return server is not None and link is not None and max(server.troubled_at, link.failed_at) > since


def lost_writes(server: StoreServer | None, since: float) -> bool:
    return server is not None and server.lost_at > since


def clock_wrong(process: Process, since: float) -> bool:
    return abs(process.machine.offset_s) > CLOCK_S or process.machine.jumped_at > since


def patience_of(process: Process) -> float:
    """How long a renewal may take: longer, where a person is asked."""
    return process.worker.service.profile.traits.patience_s


# A call that fails.


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A call that got no token, or a 401."""

    watch: Watch
    process: Process
    call: Call
    error: GatepassError

    @property
    def now(self) -> float:
        return self.watch.hub.now

    @property
    def says(self) -> str:
        return f"{self.process.worker.name} fails a call with {self.error.code}"

    def valid(self, record: TokenRecord) -> bool:
        """Whether a token lives beyond the margin, by the true clock, and the resource would take it."""
        token = self.watch.resource.issued[record.access_token]
        margin_s = min(MARGIN_S, MARGIN_SHARE * (token.until - token.at)) + TRAVEL_S
        return self.watch.resource.good(token, self.now + margin_s)


def a_valid_token_is_served(failure: Failure) -> Verdict:
    """No call fails while its process has a valid token, or its store has had one for as long as the call took."""
    process = failure.process
    held = process.source.held
    if held is not None and failure.valid(held.record):
        reasons = reasons_in(_OF_A_TOKEN_AT_HAND, failure)
        return f"{failure.says}, with a valid token ({held.record.access_token}) at hand", reasons
    server, record = process.machine.store, stored(process)
    if server is None or record is None or not failure.valid(record):
        return FINE
    if server.written_at[process.source.shelf.names[0]] >= failure.call.began:
        return FINE
    at_hand = f"generation {held.generation}" if held is not None else "none"
    problem = f"{failure.says}, with a valid token ({record.access_token}) in its store; at hand is {at_hand}"
    return problem, reasons_in(_OF_A_TOKEN_IN_STORE, failure)


def its_clock_is_wrong(failure: Failure) -> bool:
    """It has jumped beyond the life of the token, or back before it."""
    return clock_wrong(failure.process, failure.now - failure.watch.scenario.lifetime_s)


def the_clock_was_wrong_that_dated_it(failure: Failure) -> bool:
    held = failure.process.source.held
    records = (held.record if held else None, stored(failure.process))
    issued = failure.watch.resource.issued
    return any(
        record is not None and abs(record.obtained_at - EPOCH - issued[record.access_token].at) > CLOCK_S
        for record in records
    )


def its_store_is_out_of_reach(failure: Failure) -> bool:
    return troubled(failure.process, failure.call.began - REST_S)


def its_store_lost_writes(failure: Failure) -> bool:
    """Then generations were counted twice."""
    return lost_writes(failure.process.machine.store, failure.now - 2 * failure.watch.scenario.lifetime_s)


def its_process_hung(failure: Failure) -> bool:
    return failure.process.hung_at >= failure.call.began


def it_waits_for_an_answer_itself(failure: Failure) -> bool:
    """Since before the token came; or it has just given up. It looks into the store again when that is over."""
    process, server = failure.process, failure.process.machine.store
    came_at = LONG_AGO if server is None else server.written_at[process.source.shelf.names[0]]
    waits = process.asks_since is not None and process.asks_since < came_at + LOOK_S
    return waits or process.gave_up_at > failure.now - GIVING_UP_S


_OF_A_TOKEN_AT_HAND: dict[str, Callable[[Failure], bool]] = {
    "its clock is wrong": its_clock_is_wrong,
    "the clock was wrong that dated it": the_clock_was_wrong_that_dated_it,
}
_OF_A_TOKEN_IN_STORE: dict[str, Callable[[Failure], bool]] = {
    **_OF_A_TOKEN_AT_HAND,
    "its store is out of reach": its_store_is_out_of_reach,
    "its store lost writes": its_store_lost_writes,
    "its process hung": its_process_hung,
    "it waits for an answer itself": it_waits_for_an_answer_itself,
}


def everybody_is_served_again_in_time(failure: Failure) -> Verdict:
    """No call fails once everything has been well for as long as the scenario says."""
    watch, process = failure.watch, failure.process
    store = process.machine.store
    well_s = failure.now - max(
        watch.auth_server.well_since,
        watch.auth_server.wait_until,
        process.born_at,
        process.hung_at,
        process.machine.jumped_at,
        LONG_AGO if store is None else max(store.troubled_at, store.lost_at),
    )
    if well_s <= watch.scenario.recovery_s + failure.call.patience_s:
        return FINE
    return f"{failure.says}, and all has been well for {well_s:.0f} s", reasons_in(_OF_A_LATE_FAILURE, failure)


def the_holder_of_the_lease_is_gone(failure: Failure) -> bool:
    """It was killed, or hangs, and the call had less patience than a lease lasts."""
    stalled_until = failure.watch.stalled_until.get(key_of(failure.process), LONG_AGO)
    return failure.error.code == "deadline" and failure.now <= stalled_until + TRAVEL_S


_OF_A_LATE_FAILURE: dict[str, Callable[[Failure], bool]] = {
    "the holder of the lease is gone, and it lasts longer than the patience": the_holder_of_the_lease_is_gone,
}


def its_flight_is_not_stuck(failure: Failure) -> Verdict:
    """Where a renewal is under way, somebody is at it, or it has a time to go on at."""
    return no_flight_is_stuck(failure.process.worker), ()


OF_A_FAILED_CALL: dict[str, Callable[[Failure], Verdict]] = {
    "no flight is stuck": its_flight_is_not_stuck,
    "a valid token is served": a_valid_token_is_served,
    "everybody is served again in time": everybody_is_served_again_in_time,
}


# A token that is issued.


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two requests for one and the same thing."""

    before: Asking
    later: Asking

    @property
    def says(self) -> str:
        return " and ".join(f"{each.process.worker.name} at {each.at:.4f}" for each in (self.before, self.later))


def one_renewal_a_generation(earlier: list[Asking], later: Asking) -> Verdict:
    """Of all who share a token, one renews each generation of it."""
    reasons: tuple[str, ...] = ()
    for before in earlier:
        pair = Pair(before=before, later=later)
        reasons = reasons_in(_OF_A_SECOND_RENEWAL, pair)
        if not reasons:
            return f"{pair.says} both renewed generation {later.renews}", ()
    return ("it was renewed again", reasons) if earlier else FINE


def the_first_was_killed(pair: Pair) -> bool:
    """Before it could keep what it got."""
    return pair.before.process.dead and pair.before.kept_at is None


def the_first_answer_was_lost(pair: Pair) -> bool:
    before, later = pair.before, pair.later
    return before.answered_at is None and not before.process.dead and later.at >= before.at + LEASE_S


def one_of_them_hung(pair: Pair) -> bool:
    """For longer than its lease."""
    return max(pair.before.process.hung_at, pair.later.process.hung_at) > pair.before.at - 60.0


def the_store_was_out_of_reach(pair: Pair) -> bool:
    since = pair.before.at - REST_S - patience_of(pair.later.process)
    return troubled(pair.before.process, since) or troubled(pair.later.process, since)


def the_store_lost_writes(pair: Pair) -> bool:
    return lost_writes(pair.later.process.machine.store, pair.before.at - 60.0)


def a_clock_is_wrong(pair: Pair) -> bool:
    return clock_wrong(pair.before.process, pair.before.at) or clock_wrong(pair.later.process, pair.before.at)


def the_first_lease_had_lapsed(pair: Pair) -> bool:
    """The authorization server took longer than a lease lasts, and the next one was not to wait."""
    before = pair.before
    return before.leased_until <= pair.later.at and (before.kept_at is None or before.kept_at > before.leased_until)


_OF_A_SECOND_RENEWAL: dict[str, Callable[[Pair], bool]] = {
    "the first was killed before it could keep it": the_first_was_killed,
    "the answer to the first was lost": the_first_answer_was_lost,
    "a process hung": one_of_them_hung,
    "the store was out of reach": the_store_was_out_of_reach,
    "the store lost writes": the_store_lost_writes,
    "a clock is wrong": a_clock_is_wrong,
    "the lease had lapsed before the answer came": the_first_lease_had_lapsed,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Early:
    """A request for a token, and what was there already."""

    watch: Watch
    asking: Asking
    record: TokenRecord
    token: Issued

    @property
    def process(self) -> Process:
        return self.asking.process


def a_token_is_renewed_in_its_time(watch: Watch, asking: Asking) -> Verdict:
    """Nobody asks for a token while there is one, in the store or at hand, that is young and not refused."""
    process = asking.process
    server, held, name = process.machine.store, process.source.held, process.source.shelf.names[0]
    record = stored(process) if server is not None else held.record if held is not None else None
    if record is None or (server is not None and server.written_at[name] > asking.at - LEASE_S):
        return FINE
    token = watch.resource.issued[record.access_token]
    age_s, life_s = asking.at - token.at, token.until - token.at
    if age_s >= FRESH_SHARE * life_s - TRAVEL_S or not watch.resource.good(token, asking.at):
        return FINE
    early = Early(watch=watch, asking=asking, record=record, token=token)
    problem = f"{process.worker.name} renewed when {record.access_token} was {age_s:.0f} s old"
    return problem, reasons_in(_OF_AN_EARLY_RENEWAL, early)


def the_clock_is_wrong_there(early: Early) -> bool:
    dated_wrongly = abs(early.record.obtained_at - EPOCH - early.token.at) > CLOCK_S
    return dated_wrongly or clock_wrong(early.process, early.token.at)


def the_store_was_out_of_its_reach(early: Early) -> bool:
    return troubled(early.process, early.asking.at - REST_S - patience_of(early.process))


def the_store_had_lost_writes(early: Early) -> bool:
    return lost_writes(early.process.machine.store, early.asking.at - 2 * early.watch.scenario.lifetime_s)


def it_had_hung(early: Early) -> bool:
    return early.process.hung_at > early.asking.at - 30.0


_OF_AN_EARLY_RENEWAL: dict[str, Callable[[Early], bool]] = {
    "a clock is wrong": the_clock_is_wrong_there,
    "the store was out of reach": the_store_was_out_of_its_reach,
    "the store lost writes": the_store_had_lost_writes,
    "a process hung": it_had_hung,
}


def a_newer_generation_stays(process: Process, before: TokenRecord, record: TokenRecord) -> str | None:
    """No token in the store gives way to one of an older generation."""
    if record.generation >= before.generation:
        return None
    return f"{process.worker.name} kept generation {record.generation} in the place of {before.generation}"


# The load.


def the_load_is_smooth(watch: Watch) -> Verdict:
    """The authorization server has no more requests in a second than the scenario says, least of all when it recovers.

    The first minute is not looked at.
    """
    server, scenario, now = watch.auth_server, watch.scenario, watch.hub.now
    came, well = server.requests[int(now)], int(now) > server.well_since
    bound = scenario.most_when_well if well else scenario.most_per_second
    if came <= bound or now < START_S:
        return FINE
    problem = f"{came} requests came in one second, where {bound} are the most{' while it is well' if well else ''}"
    return problem, ()


# Refresh tokens, and the people behind them.


def a_refresh_token_is_spent_once(spending: Spending, later: Asking) -> Verdict:
    """No refresh token that has been spent is sent again by somebody who could know.

    Where no person has to be asked, everybody can: a refresh token leaves the store before it is spent. In the place of
    asking a person, one whose answer never came is tried once more.
    """
    assert spending.spent_by is not None
    pair = Pair(before=spending.spent_by, later=later)
    attended = later.process.worker.service.profile.traits.attended
    reasons = reasons_in(_OF_AN_ATTENDED_REUSE if attended else _OF_A_REUSE, pair)
    return f"{pair.says} both spent {later.refresh_token}", reasons


def the_store_failed_to_keep_it(pair: Pair) -> bool:
    """After it had given the lease."""
    return pair.before.kept_at is None and troubled(pair.before.process, pair.before.at - REST_S)


_OF_A_REUSE: dict[str, Callable[[Pair], bool]] = {
    "the store lost writes": the_store_lost_writes,
}
_OF_AN_ATTENDED_REUSE: dict[str, Callable[[Pair], bool]] = {
    **_OF_A_REUSE,
    "the first was killed before it could keep the next": the_first_was_killed,
    "the answer to the first was lost": the_first_answer_was_lost,
    "a process hung for longer than its lease": one_of_them_hung,
    "the store failed after the lease": the_store_failed_to_keep_it,
}


def a_person_is_asked_once(watch: Watch, process: Process) -> Verdict:
    """No person is asked to sign in while there is a refresh token that their process could use."""
    held = process.source.held
    for record in (held.record if held is not None else None, stored(process)):
        spending = watch.auth_server.spendings.get(record.refresh_token or "") if record is not None else None
        if spending is None or spending.spent_by is not None or spending.family in watch.resource.revoked_families:
            continue
        return f"{process.worker.name} asks a person, though there is a refresh token", reasons_in(
            _OF_A_SIGN_IN, process
        )
    return FINE


def it_can_not_reach_its_store(process: Process) -> bool:
    """Now, or when the renewal began."""
    return troubled(process, process.around.hub.now - 2 * patience_of(process))


def its_store_has_lost_writes(process: Process) -> bool:
    return lost_writes(process.machine.store, process.around.hub.now - 2 * process.around.watch.scenario.lifetime_s)


_OF_A_SIGN_IN: dict[str, Callable[[Process], bool]] = {
    "the store is out of reach": it_can_not_reach_its_store,
    "the store lost writes": its_store_has_lost_writes,
}


# The end: faults are over, calls have stopped, and time enough has passed.


def no_flight_is_stuck(worker: Worker) -> str | None:
    process = worker.process
    if process is None or not process.source.renewing or process.jobs:
        return None
    return f"a flight of {worker.name} is under way, and nobody is at it"


def nobody_waits(worker: Worker) -> str | None:
    process = worker.process
    return f"{worker.name} has callers that wait" if process is not None and process.waiting else None


def no_job_is_left(worker: Worker) -> str | None:
    process = worker.process
    return f"{worker.name} has jobs that never end" if process is not None and process.jobs else None


OF_A_WORKER_AT_THE_END: dict[str, Callable[[Worker], str | None]] = {
    "no flight is stuck": no_flight_is_stuck,
    "nobody waits": nobody_waits,
    "no job is left": no_job_is_left,
}


def no_lease_is_left(store: StoreServer) -> str | None:
    left = [lease.name for lease in store.leases()]
    return f"the lease of {left[0]} is" if left else None


def the_tokens_are_as_many_as_needed(run: Run) -> str | None:
    """Not many more tokens were issued than are needed, but for those that are counted as exceptions."""
    counted = {"one renewal a generation", "a token is renewed in its time", "a refresh token is spent once"}
    excused = sum(count for (name, _), count in run.watch.excused.items() if name in counted)
    issued = len(run.watch.resource.issued)
    if issued <= 1.05 * needed(run) + excused:
        return None
    return f"{issued} were issued, {needed(run)} were needed, and {excused} are excused"


def needed(run: Run) -> int:
    """How many tokens a fleet needs that knows all: one to begin with, one each 70 % of a life, one for each new key.

    Who shares nothing starts anew in each life.
    """
    scenario = run.scenario
    holders = {
        "fleet": scenario.services,
        "machine": scenario.services * len(run.machines),
        "nothing": len(run.workers),
    }[scenario.sharing]
    starts = sum(worker.lives for worker in run.workers) if scenario.sharing == "nothing" else holders
    renewals = scenario.days * DAY_S / (FRESH_SHARE * scenario.lifetime_s)
    return int(starts + holders * (renewals + run.watch.auth_server.key))
