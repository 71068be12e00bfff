"""Sixteen processes and one rotating refresh token: the server takes each once, and at a second use revokes everything.

A process that is killed between presenting a refresh token and keeping the answer dies with the only copy of the next
one, and nobody else can know. Where nobody has to be asked, no other process presents the old one again: a new grant is
cheap. Where a person would have to sign in, the next process tries it, and if it was spent, the person has to. Two
living processes never present the same one.
"""

from __future__ import annotations

import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import chain

import pytest
from fleet.diary import Diary, Witness, generation_of, read, signed_by
from fleet.place import STORES, dice, servers, shared_store, whereabouts
from fleet.processes import PATIENCE_S, Fleet, until
from fleet.spender import Presented, is_error
from fleet.ways_in import BY_A_PERSON, BY_ITSELF, opened, way_in
from integration.people import Person

import gatepass
from gatepass.testing import Trouble

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")

PROCESSES = 16
ROUNDS = 4
CALLS_IN_A_ROW = 3
KILLS = 6
WITHIN_S = 0.06
"""A renewal takes about as long."""
PAUSE_S = 0.05
NOBODY = -1
"""The number of the process that had the first token, which is the test: it is where a person can be asked."""


class Place:
    """A server, a person who may have signed in to it, and the processes that live on that."""

    def __init__(self, auth_server, person, store, folder):
        self.auth_server = auth_server
        self.person = person
        self.store = store
        self.folder = folder
        self.name = ""
        self.auth: gatepass.Auth
        self.fleet: Fleet

    @property
    def refreshed(self):
        """The requests that came with a refresh token."""
        return [request for request in self.auth_server.requests if request.grant_type == "refresh_token"]

    @property
    def presented(self):
        """Who presented each refresh token, in order, by its name."""
        presenters = {}
        notes = [(note, member.number) for member in self.fleet.everybody for note in member.noted("presents")]
        notes += [(note, NOBODY) for note in read(self.folder / "first") if note["what"] == "presents"]
        for note, number in sorted(notes, key=lambda each: each[0]["at"]):
            presenters.setdefault(note["token"], []).append(number)
        return presenters

    @property
    def generation(self):
        return generation_of(self.store.read(self.name).value)


@contextmanager
def at_hand(kind, folder, way, *, pause_s=None, **options):
    """There is a first token, with a refresh token; sixteen processes stand ready to live on it."""
    with (
        shared_store(kind, folder) as store,
        servers(authorization_endpoint=True, refresh_tokens="rotating", **options) as (auth_server, mcp_server),
    ):
        given = {**whereabouts(mcp_server, store, way), "pause_s": pause_s}
        place = Place(auth_server, Person(), opened(store), folder)
        diary = Diary(folder / "first")
        place.auth = way_in(
            given,
            Witness(place.store, diary, NOBODY),
            ask=place.person,
            http=gatepass.TokenHttp(transport=Presented(diary)),
        )
        place.auth.token()
        place.name = next(note["name"] for note in read(folder / "first") if note["what"] == "wrote")
        with Fleet("fleet.spender", given, folder / "fleet") as place.fleet:
            place.fleet.start(PROCESSES)
            yield place


def all_at_once(fleet, calls=1):
    """What so many calls of everybody brought."""
    for member in fleet.members:
        member.order(calls)
    return list(chain.from_iterable(member.answer() for member in fleet.members))


@pytest.mark.parametrize("kind", STORES)
def test_raced_by_sixteen_processes_no_refresh_token_is_presented_twice(kind, tmp_path):
    with at_hand(kind, tmp_path, BY_A_PERSON, token_lifetime_s=1) as place:
        all_at_once(place.fleet)  # by now, everybody is awake
        before, outcomes = len(place.refreshed), []
        for _ in range(ROUNDS):
            time.sleep(1)  # the life of a token: it has ended for everybody
            outcomes += all_at_once(place.fleet)
        in_rounds = len(place.refreshed) - before
        time.sleep(1)
        place.auth_server.token_lifetime_s = 0  # good for those who wait for it, and no longer
        outcomes += all_at_once(place.fleet, CALLS_IN_A_ROW)
        place.fleet.dismiss()

        assert [outcome for outcome in outcomes if is_error(outcome)] == []
        assert ROUNDS <= in_rounds < ROUNDS * PROCESSES / 2
        assert len(place.refreshed) - in_rounds >= CALLS_IN_A_ROW
        assert {request.status for request in place.refreshed} == {200}
        assert {len(presenters) for presenters in place.presented.values()} == {1}
        assert len(place.presented) == len(place.refreshed) == place.generation - 1
        assert (place.auth_server.reuses, place.person.asked) == (0, 1)


@pytest.mark.parametrize(("kind", "way"), [(kind, way) for kind in STORES for way in (BY_A_PERSON, BY_ITSELF)])
def test_one_that_comes_back_was_first_presented_by_a_process_that_was_killed(kind, way, tmp_path):
    with at_hand(kind, tmp_path, way, token_lifetime_s=1, pause_s=PAUSE_S) as place:
        place.auth_server.trouble = Trouble(delay_s=0.03)
        with at_work(place.auth):
            kill_those_with_the_lease(place, dice())
        assert isinstance(place.auth.token(), str)  # everything goes on
        place.fleet.dismiss(warnings=("The refresh token is refused", "There is no token", "The renewal failed"))

        killed = {member.number for member in place.fleet.killed}
        bereaved = [member for member in place.fleet.killed if died_with_a_refresh_token(member)]
        again = [presenters for presenters in place.presented.values() if len(presenters) > 1]
        print(f"{len(killed)} killed, {len(bereaved)} with a refresh token; {len(again)} came back")
        heard = [note["outcome"] for member in place.fleet.everybody for note in member.noted("heard")]
        errors = {outcome.partition(":")[0] for outcome in heard if is_error(outcome)}

        assert {presenters[0] for presenters in again} <= killed
        assert len(again) <= len(bereaved)
        assert place.auth_server.reuses <= len(again)
        assert place.person.asked <= (way == BY_A_PERSON) + len(again)
        assert errors <= ({"SignInRequiredError"} if again else set())
        if way == BY_ITSELF:
            assert again == []


@contextmanager
def at_work(auth):
    """The process that had the first token asks for more, too; if a person has to sign in, they do."""
    stop = threading.Event()

    def work():
        while not stop.wait(PAUSE_S):
            auth.token()

    with ThreadPoolExecutor(1) as threads:
        worked = threads.submit(work)
        try:
            yield
        finally:
            stop.set()
        worked.result(PATIENCE_S)


def kill_those_with_the_lease(place, thrown):
    """Again and again, a moment after they took it. Nobody waits for a dead one's lease to lapse: it is given back."""

    def holder():
        return place.fleet.member_of(place.store.holder(place.name))

    for _ in range(KILLS):
        while True:
            victim = until(holder, "somebody has the lease")
            time.sleep(thrown.uniform(0, WITHIN_S))
            if holder() is victim:
                break
        place.fleet.replace(victim)
        left = place.store.holder(place.name)
        if left is not None and signed_by(left) == victim.number:
            place.store.release(left)


def died_with_a_refresh_token(member):
    """Whether it presented one, and did not live to keep the answer."""
    last = member.noted("presents", "wrote")[-1:]
    return [note["what"] for note in last] == ["presents"]
