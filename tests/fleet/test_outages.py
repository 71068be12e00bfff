"""The authorization server is away for longer than a token lives: nobody notices while it does, and then all is said.

Six ways to be away, and eight processes on one store, all at the same time: what takes time here is waiting.
"""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest
from fleet.place import STORES, servers, shared_store, whereabouts
from fleet.processes import Fleet, until
from fleet.ways_in import TIMEOUT_S, opened, way_in

import gatepass
from gatepass.lifecycle.policy import Policy
from gatepass.lifecycle.record import TokenRecord, decode
from gatepass.testing import Trouble

LIFETIME_S = 6
LONGER_S = 3.0
"""How long it stays away after the token has expired."""
PAUSE_S = 0.2
REQUEST_S = 1.5
"""The time-out of a token request."""
RETRY_AFTER_S = 2
PROCESSES = 8

OUTAGES = {
    "refusing connections": (None, "unreachable"),
    "hanging": (Trouble(connection="hang"), "timeout"),
    "answering 503": (Trouble(status=503), "token_endpoint_busy"),
    "answering 429": (Trouble(status=429, retry_after=RETRY_AFTER_S), "token_endpoint_busy"),
    "answering with a page": (Trouble(body="html"), "token_response_invalid"),
    "resetting connections": (Trouble(connection="reset"), "connection_broken"),
}

POLICY = Policy()
MOST_REQUESTS = 18
"""While the token lives, a retry comes after 0.25 s at least: 7 in the stale window. Afterwards, full jitter that
doubles: for more than 11 in three seconds, the dice would have to be loaded."""


class Call:
    """One call: when it began and ended, and how."""

    def __init__(self, began, error):
        self.began = began
        self.error = error
        self.ended = time.time()


class Caller:
    """A thread or task that calls all the time; after a failure, not before it is told to."""

    def __init__(self):
        self.calls = []

    @property
    def failures(self):
        return [call for call in self.calls if call.error is not None]

    def has_got_in_since(self, moment):
        return any(call.error is None and call.began >= moment for call in self.calls)

    def called(self, began, error):
        """How long to wait before the next call."""
        self.calls.append(Call(began, error))
        return PAUSE_S if error is None else max(PAUSE_S, error.retry_at - time.time())


class Outage:
    """What happened in one of them.

    Attributes:
        callers: who called.
        expired_at: when the token could not be used any more.
        asked: how many had failed when the server came back.
        lasted_s: how long it was away.
        back_at: when it came back.
        answered: how many tokens it had given ...
        took_s: ... by when all callers had got in again, in seconds since then.
    """

    def __init__(self, auth_server, trouble):
        self.callers = [Caller() for _ in range(3)]
        self.code = self.took_s = self.lasted_s = 0
        self._auth_server = auth_server
        self._trouble = trouble

    @property
    def calls(self):
        return [call for caller in self.callers for call in caller.calls]

    @property
    def failures(self):
        return [call for call in self.calls if call.error is not None]

    def happen(self, record):
        """With everybody at work, once they have that token."""
        self.expired_at = usable_until(record)
        struck_at = time.time()
        if self._trouble is None:
            self._auth_server.stop()
        else:
            self._auth_server.trouble = self._trouble
        sleep_until(self.expired_at + LONGER_S)
        until(lambda: all(caller.failures for caller in self.callers), "everybody noticed")
        self.asked = self._auth_server.count("token") - 1
        self.lasted_s = time.time() - struck_at
        self._auth_server.reset_counters()
        self._auth_server.trouble = None
        if self._trouble is None:
            self._auth_server.start()
        self.back_at = time.time()
        until(lambda: all(caller.has_got_in_since(self.back_at) for caller in self.callers), "everybody got in again")
        self.answered = self._auth_server.count("token", status=200)
        self.took_s = time.time() - self.back_at


def usable_until(record):
    """When a token is not used any more (docs/tokens.md): 5 % before the end that its server told."""
    return record.obtained_at + (1 - POLICY.margin_share) * record.lifetime_s


def sleep_until(moment):
    time.sleep(max(0.0, moment - time.time()))


def kept(store):
    """The token in a store."""
    names = [path.stem for path in Path(store["where"]).glob("token.*.record")]
    return decode(opened(store).read(names[0]).value, TokenRecord)


def of_one_process(name, folder):
    """One of the outages, from its beginning to its end."""
    trouble, _ = OUTAGES[name]
    folder.mkdir()
    with shared_store("files", folder) as store, servers(token_lifetime_s=LIFETIME_S) as (auth_server, mcp_server):
        http = gatepass.TokenHttp(timeout_s=REQUEST_S)
        auth = way_in(whereabouts(mcp_server, store), opened(store), http=http)
        auth.token()
        story, stop = Outage(auth_server, trouble), threading.Event()
        url = f"{mcp_server.url}/plain/hello"
        with ThreadPoolExecutor(3) as threads:
            at_work = [threads.submit(work, auth, url, caller, stop) for caller in story.callers[:2]]
            at_work.append(threads.submit(asyncio.run, awork(auth, story.callers[2], stop)))
            try:
                story.happen(kept(store))
            finally:
                stop.set()
            for each in at_work:
                each.result()
        return story


def work(auth, url, caller, stop):
    pause_s = 0.0
    with httpx2.Client(auth=auth, timeout=TIMEOUT_S) as http:
        while not stop.wait(pause_s):
            began, error = time.time(), None
            try:
                assert http.get(url).status_code == 200
            except gatepass.GatepassError as problem:
                error = problem
            pause_s = caller.called(began, error)


async def awork(auth, caller, stop):
    pause_s = 0.0
    while not stop.is_set():
        began, error = time.time(), None
        try:
            await auth.atoken()
        except gatepass.GatepassError as problem:
            error = problem
        pause_s = caller.called(began, error)
        await asyncio.sleep(pause_s)


class FleetOutage:
    """Eight processes, one store, and a server that is stopped.

    Attributes:
        expired_at: when the token could not be used any more.
        at_once: how many token requests came in the first second after it was back.
        answered: how many tokens it had given ...
        took_s: ... by when every process had got in again, in seconds since then.
    """

    def __init__(self, fleet, auth_server):
        self._fleet = fleet
        self._auth_server = auth_server
        self.at_once = self.answered = self.took_s = 0

    @property
    def failures(self):
        return [note for member in self._fleet.members for note in member.noted("failed")]

    def happen(self, store):
        """Once everybody has got in."""
        self._everybody("got in", lambda member: member.noted("is well"))
        self._auth_server.stop()
        self.expired_at = usable_until(last_token(self._fleet, store))
        self._everybody("noticed", lambda member: member.noted("failed"))
        sleep_until(self.expired_at + LONGER_S)
        self._auth_server.reset_counters()
        self._auth_server.start()
        back_at = time.time()
        time.sleep(1)
        self.at_once = self._auth_server.count("token")
        self._everybody("got in again", lambda member: got_in_since(member, back_at))
        self.answered = self._auth_server.count("token", status=200)
        self.took_s = time.time() - back_at

    def _everybody(self, what, condition):
        until(lambda: all(condition(member) for member in self._fleet.members), f"everybody {what}")


def last_token(fleet, store):
    name = next(note["name"] for member in fleet.members for note in member.noted("wrote"))
    return decode(store.read(name).value, TokenRecord)


def got_in_since(member, moment):
    return any(note["at"] >= moment for note in member.noted("is well"))


def of_eight_processes(kind, folder):
    """Theirs, from its beginning to its end."""
    folder.mkdir()
    with shared_store(kind, folder) as store, servers(token_lifetime_s=LIFETIME_S) as (auth_server, mcp_server):
        given = {**whereabouts(mcp_server, store), "pause_s": 2 * PAUSE_S}
        with Fleet("fleet.caller", given, folder / "fleet") as fleet:
            story = FleetOutage(fleet, auth_server)
            fleet.start(PROCESSES)
            story.happen(opened(store))
            fleet.dismiss(warnings=("The renewal failed", "There is no token", "The metadata can't be read again"))
            return story


@pytest.fixture(scope="module")
def stories(tmp_path_factory):
    """Everything that is told here, at once."""
    folder = tmp_path_factory.mktemp("outages")
    with ThreadPoolExecutor(len(OUTAGES) + len(STORES)) as threads:
        told = {name: threads.submit(of_one_process, name, folder / name) for name in OUTAGES}
        told |= {kind: threads.submit(of_eight_processes, kind, folder / kind) for kind in STORES}
    return told


@pytest.fixture(params=OUTAGES)
def outage(request, stories):
    story = stories[request.param].result()
    story.name, story.code = request.param, OUTAGES[request.param][1]
    return story


@pytest.fixture(params=STORES)
def fleet_outage(request, stories):
    return stories[request.param].result()


def test_no_call_fails_before_the_token_has_expired(outage):
    assert all(call.ended >= outage.expired_at for call in outage.failures)
    assert any(call.error is None and call.ended < outage.expired_at for call in outage.calls)


def test_afterwards_each_failure_is_typed_and_says_when_to_try_again(outage):
    for caller in outage.callers:
        assert caller.failures
        for call in caller.failures:
            assert (call.error.code, call.error.retryable) == (outage.code, True)
            assert call.error.retry_at > call.began


def test_callers_who_want_a_token_all_the_time_make_few_requests(outage):
    assert outage.asked <= MOST_REQUESTS
    if outage.name == "answering 429":
        assert outage.asked <= 1 + outage.lasted_s / RETRY_AFTER_S


def test_when_the_server_is_back_whoever_waits_as_long_as_was_said_gets_in(outage):
    for caller in outage.callers:  # a call that joined an attempt from before may fail yet
        assert sum(call.began >= outage.back_at for call in caller.failures) <= 1


def test_when_the_server_is_back_it_is_asked_once(outage):
    assert 1 <= outage.answered <= 1 + outage.took_s / (POLICY.renew_from * LIFETIME_S)


def test_no_call_of_any_process_fails_before_their_token_has_expired(fleet_outage):
    assert all(note["at"] >= fleet_outage.expired_at for note in fleet_outage.failures)
    assert all(note["retry_at"] is not None for note in fleet_outage.failures)


def test_eight_processes_do_not_come_in_a_burst(fleet_outage):
    assert fleet_outage.at_once <= 2
    assert 1 <= fleet_outage.answered <= 1 + fleet_outage.took_s / (POLICY.renew_from * LIFETIME_S)
