"""A long day: tokens that live for seconds, a server that is restarted in the middle of calls, and each call counted.

GATEPASS_SOAK_CALLS is how many calls there are.
"""

from __future__ import annotations

import itertools
import os
import threading
from functools import partial

import anyio
import pytest
from bridge.gated import Gated, official, through_the_proxy
from mcp import MCPError

CALLS = int(os.environ.get("GATEPASS_SOAK_CALLS", "10000"))
CALLERS = 20
RESTARTS = 4
TOKEN_LIFETIME_S = 3.0
TOKENS = 3


class Day:
    """Calls by many callers, each with a name of its own, until there were enough of them and of tokens.

    Attributes:
        lost: the calls whose answer was lost.
        made: those that were made.
    """

    def __init__(self, server, calls):
        self._server = server
        self._calls = calls
        self._names = itertools.count()
        self._restarting = threading.Lock()
        self._milestones = {number * calls // (RESTARTS + 1): anyio.Event() for number in range(1, RESTARTS + 1)}
        self.lost = []
        self.made = []

    async def pass_by(self, client):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._trouble)
            for _ in range(CALLERS):
                tasks.start_soon(self._work, client)

    async def _work(self, client):
        while len(self.made) < self._calls or self._server.authorization_server.count("token", status=200) < TOKENS:
            name = str(next(self._names))
            self.made.append(name)
            if len(self.made) in self._milestones:
                self._milestones[len(self.made)].set()
            while not await self._is_done(client, name):
                self.lost.append(name)

    async def _is_done(self, client, name):
        """Make a call. If its answer is lost, do as the error says: look whether it was done."""
        try:
            answer = await client.call_tool("count", {"name": name})
        except MCPError as error:
            if error.error.data["code"] != "answer_lost":
                raise
            return await anyio.to_thread.run_sync(self._was_done, name)
        return answer.content[0].text == "1"

    def _was_done(self, name):
        with self._restarting:  # while it goes down, it still does what it has begun
            return self._server.counted[name] > 0

    async def _trouble(self):
        for milestone in self._milestones.values():
            await milestone.wait()
            await anyio.to_thread.run_sync(self._restart)

    def _restart(self):
        with self._restarting:
            self._server.restart()


@pytest.mark.parametrize(("mode", "calls"), [("legacy", CALLS), ("2026-07-28", CALLS // 4)])
def test_no_call_is_lost_and_none_is_done_twice(mode, calls, authority, tmp_path):
    async def live(server):
        day = Day(server, calls)
        async with through_the_proxy(server, tmp_path, mode=mode) as client:
            await day.pass_by(client)
        return day

    authority.token_lifetime_s = TOKEN_LIFETIME_S
    with Gated(authority, official()) as server:
        day = anyio.run(partial(live, server))
        assert server.counted == dict.fromkeys(day.made, 1)
        assert len(day.made) >= calls
        assert len(day.lost) <= RESTARTS * CALLERS, "only what a restart has cut off"
