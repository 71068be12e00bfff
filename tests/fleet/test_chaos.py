"""Eight processes on one store, killed at random moments and replaced at once: nobody notices, and nothing is lost.

``GATEPASS_CHAOS_S`` says for how many seconds, and ``GATEPASS_CHAOS_SEED`` repeats the dice of an earlier run.
"""

from __future__ import annotations

import os
import sys
import time
from itertools import chain
from pathlib import Path

import pytest
from fleet.diary import is_token
from fleet.place import STORES, dice, servers, shared_store, whereabouts
from fleet.processes import PATIENCE_S, Fleet, until
from fleet.ways_in import opened

from gatepass.discovery import Discovery
from gatepass.lifecycle.policy import Policy
from gatepass.lifecycle.record import TokenRecord, decode
from gatepass.protocol.challenge import ResourceChallenge
from gatepass.testing import Trouble

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")

CHAOS_S = float(os.environ.get("GATEPASS_CHAOS_S", "30"))

PROCESSES = 8
LIFETIME_S = 3
PAUSE_S = 0.3
LOOK_EVERY_S = 0.004
NEXT_KILL_S = (0.2, 1.2)
AIMED = 0.6
"""How often whoever takes the lease is the next to die ..."""
AFTER_S = (0.0, 0.12)
"""... at once or so long afterwards; a renewal takes about as long."""

HAVING = ("asks for the lease", "has the lease")
LEFT = ("is refused the lease", "gave the lease back")

KINDS = {"token": TokenRecord, "metadata": Discovery, "challenge": ResourceChallenge}


class Chaos:
    """What happened.

    Attributes:
        fleet: the processes.
        store: how its store is opened.
        samples: version and generation of the token, as they stood in the store one after another.
        took_s: how long it went on.
        asked: how many token requests there were.
        refused: how many requests the resource answered with 401.
    """

    def __init__(self, fleet, store):
        self.fleet = fleet
        self.store = store
        self.samples = []
        self.took_s = self.asked = self.refused = 0

    @property
    def generation(self):
        """The last one in the store."""
        return self.samples[-1][1]

    @property
    def hits(self):
        """Those who were killed with the lease in their hands, or when they had just asked for it."""
        return [member for member in self.fleet.killed if last_of(member, HAVING, LEFT) in HAVING]

    def noted(self, *whats):
        """The notes of those kinds, of the living and of the dead."""
        return [note for member in self.fleet.everybody for note in member.noted(*whats)]


def last_of(member, *kinds):
    """The last note of those kinds that it made; None without one."""
    return next((note["what"] for note in reversed(member.noted(*chain(*kinds)))), None)


@pytest.fixture(scope="module", params=(*STORES, "valkey"))
def chaos(request, tmp_path_factory):
    """All of it, once for each kind of store."""
    folder = tmp_path_factory.mktemp("chaos")
    with (
        shared_store(request.param, folder) as store,
        servers(token_lifetime_s=LIFETIME_S, refresh_tokens="rotating") as (auth_server, mcp_server),
    ):
        auth_server.trouble = Trouble(delay_s=0.05)
        given = {**whereabouts(mcp_server, store), "pause_s": PAUSE_S}
        with Fleet("fleet.caller", given, folder / "fleet") as fleet:
            story = Chaos(fleet, store)
            began = time.monotonic()
            fleet.start(PROCESSES)
            conductor = Conductor(story, dice())
            conductor.conduct(CHAOS_S)
            fleet.dismiss()
            conductor.look()
            story.took_s = time.monotonic() - began
            story.asked, story.refused = auth_server.count("token"), mcp_server.count(status=401)
            yield story


class Conductor:
    """Looks into the store all the time, and kills.

    Callers are patient for 10 seconds, and a lease whose holder died lapses after 5: they get over one death, not over
    two of the same renewal. So of those who hold the lease, one is killed each generation.
    """

    def __init__(self, story, dice):
        self._story = story
        self._fleet = story.fleet
        self._dice = dice
        self._store = opened(story.store)
        self._name = until(self._first_name, "somebody kept a token")
        self._hit_at = None
        self._fence = 0

    def conduct(self, seconds):
        """Kill for so long, and then wait until those who came last have got in."""
        end = time.monotonic() + seconds
        next_kill = 0.0
        while time.monotonic() < end or self._hit_at is None:
            assert time.monotonic() < end + PATIENCE_S, "nobody was killed with the lease"
            holder = self.look()
            if holder is not None and holder.fence > self._fence:
                self._fence = holder.fence
                if self._dice.random() < AIMED:
                    time.sleep(self._dice.choice((0, self._dice.uniform(*AFTER_S))))
                    self._kill(self._fleet.member_of(holder))
            elif time.monotonic() > next_kill:
                self._kill(self._dice.choice(self._fleet.members))
                next_kill = time.monotonic() + self._dice.uniform(*NEXT_KILL_S)
            time.sleep(LOOK_EVERY_S)
        until(lambda: all(member.noted("is well") for member in self._fleet.members), "everybody got in")

    def _first_name(self):
        names = [note["name"] for note in self._story.noted("wrote")]
        return names[0] if names else None

    def look(self):
        """Take a sample; whoever has the lease."""
        entry = self._store.read(self._name)
        sample = (entry.version, decode(entry.value, TokenRecord).generation)
        if sample not in self._story.samples[-1:]:
            self._story.samples.append(sample)
        return self._store.holder(self._name)

    def _kill(self, member):
        if member is None:
            return
        member.freeze()
        holder = self.look()
        if self._fleet.member_of(holder) is member:
            if self._hit_at == self._story.generation:
                member.thaw()
                return
            self._hit_at = self._story.generation
        self._fleet.replace(member)


def test_no_call_fails_in_any_process(chaos):
    assert chaos.noted("failed") == []
    assert all(member.noted("is well") for member in chaos.fleet.members)


def test_the_resource_never_sees_a_token_that_it_refuses(chaos):
    assert chaos.noted("used an old token") == []
    assert chaos.refused == 0


def test_generations_in_the_store_never_go_back_and_none_that_anybody_was_told_of_is_lost(chaos):
    assert chaos.samples == sorted(chaos.samples)
    assert len({version for version, _ in chaos.samples}) == len(chaos.samples)
    told = [note["generation"] for note in chaos.noted("read", "wrote")]
    assert chaos.generation >= max(told)


def test_each_life_of_a_token_costs_one_request_and_each_death_of_a_renewal_one_at_most(chaos):
    """The rest of it: a renewal that took longer than its lease, on a machine that is very slow, is one more."""
    lost = chaos.noted("lost")
    assert chaos.generation <= chaos.asked <= chaos.generation + len(chaos.hits) + len(lost)
    assert chaos.generation <= 1 + chaos.took_s / (Policy().renew_from * LIFETIME_S)


def test_there_was_chaos(chaos):
    kills = len(chaos.fleet.killed)
    print(
        f"{kills} killed, {len(chaos.hits)} of them with the lease; {chaos.generation} tokens, {chaos.asked} requests"
    )
    assert kills >= CHAOS_S / 4
    assert chaos.generation >= 2
    assert chaos.hits


@pytest.mark.parametrize("chaos", ["files"], indirect=True)
def test_every_record_is_whole_and_only_the_killed_left_anything_behind(chaos):
    directory = Path(chaos.store["where"])
    store = opened(chaos.store, on_problem=lambda problem: pytest.fail(problem.text))
    names = [path.name.removesuffix(".record") for path in directory.glob("*.record")]
    assert any(is_token(name) for name in names)
    for name in names:
        decode(store.read(name).value, KINDS[name.partition(".")[0]])
    others = [path for path in directory.iterdir() if path.suffix not in {".record", ".lock"}]
    assert all(path.suffix == ".tmp" for path in others)
    assert len(others) <= len(chaos.fleet.killed)
