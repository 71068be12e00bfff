"""What a program does around gatepass: callables of its own, commands that hang, signals, and its end."""

from __future__ import annotations

import asyncio
import logging
import secrets
import subprocess
import sys
import threading
import time
from pathlib import Path

import anyio
import httpx2
import key_material
import pytest
from integration.crowd import in_tasks, outcome_of
from integration.odd_servers import speaking
from integration.patience import eventually
from integration.ways_in import auth_for, by_key, by_secret, cost
from joserfc import jwt
from joserfc.jwk import ECKey

import gatepass

HERE = Path(__file__).parent


def assertion_for(auth_server):
    """A fresh assertion of the client `key-bot`, as a workload's own identity service would make it."""
    by_key(auth_server)
    claims = {"iss": "key-bot", "sub": "key-bot", "aud": auth_server.issuer, "jti": secrets.token_hex(8)}
    key = ECKey.import_key(key_material.pem("P-256"))
    return jwt.encode({"alg": "ES256"}, {**claims, "exp": int(time.time()) + 60}, key)


class TestCallables:
    @pytest.mark.parametrize("backend", ["asyncio", "trio"])
    def test_an_asynchronous_one_has_a_loop_of_its_own_whatever_the_caller_runs(self, auth_server, mcp_server, backend):
        async def source(audience):
            assert audience == auth_server.issuer
            async with httpx2.AsyncClient() as http:  # as one that asks a service for it
                assert (await http.get(auth_server.jwks_uri)).status_code == 200
            async with asyncio.timeout(5):
                await asyncio.sleep(0)
            return assertion_for(auth_server)

        auth = auth_for(mcp_server, gatepass.ClientAssertion("key-bot", source))
        assert len(set(in_tasks(auth.atoken, 5, backend))) == 1
        assert cost(mcp_server)["token"] == 1

    def test_one_that_hangs_holds_up_nobody_else(self, auth_server, mcp_server):
        let_go = threading.Event()

        def source(_audience):
            let_go.wait(30)
            return assertion_for(auth_server)

        auth = auth_for(mcp_server, gatepass.ClientAssertion("key-bot", source), deadline_s=0.3)
        assert outcome_of(auth.token).code == "deadline"
        assert auth_for(mcp_server).token()
        let_go.set()
        eventually(lambda: isinstance(outcome_of(auth.token), str), "its own token came in the end")

    def test_one_that_asks_for_the_very_token_that_it_is_needed_for_hears_so_in_time(self, auth_server, mcp_server):
        heard = []

        def source(_audience):
            heard.append(outcome_of(auth.token))
            return assertion_for(auth_server)

        auth = auth_for(mcp_server, gatepass.ClientAssertion("key-bot", source), deadline_s=0.3)
        eventually(lambda: isinstance(outcome_of(auth.token), str), "a token came in spite of it")
        assert heard[0].code == "deadline"

    def test_one_that_uses_another_auth_gets_its_token(self, auth_server, mcp_server):
        other = auth_for(mcp_server)

        def source(_audience):
            assert other.token()
            return assertion_for(auth_server)

        assert auth_for(mcp_server, gatepass.ClientAssertion("key-bot", source)).token()
        assert auth_server.count("token") == 2

    def test_one_that_exits_takes_nothing_along(self, auth_server, mcp_server):
        def source(_audience):
            sys.exit("no identity here")

        auth = auth_for(mcp_server, gatepass.ClientAssertion("key-bot", source))
        for _ in range(3):
            error = outcome_of(auth.token)
            assert (type(error), error.code) == (gatepass.ConfigurationError, "assertion_source_failed")
            assert "SystemExit" in str(error)
        assert auth_for(mcp_server).token()


def test_a_command_that_hangs_holds_up_its_callers_no_longer_than_their_patience(mcp_server):
    slow = auth_for(mcp_server, by_secret(gatepass.Secret.command(["sleep", "3"])), deadline_s=0.3)
    assert outcome_of(slow.token).code == "deadline"
    assert auth_for(mcp_server).token()


def test_a_synchronous_call_inside_a_running_loop_gets_its_token(mcp_server):
    auth = auth_for(mcp_server)

    async def program():
        return auth.token(), await auth.atoken()

    first, second = anyio.run(program)
    assert first == second


def test_a_log_handler_that_asks_for_a_token_itself_hears_in_time(mcp_server):
    auth, heard = auth_for(mcp_server, issuer=None, deadline_s=0.5), []

    class Shipping(logging.Handler):
        def emit(self, record):
            if record.name == "gatepass" and not heard:
                heard.append(record)
                heard.append(outcome_of(auth.token))

    handler = Shipping()
    logging.getLogger("gatepass").addHandler(handler)
    try:
        eventually(lambda: isinstance(outcome_of(auth.token), str), "a token came in spite of it")
    finally:
        logging.getLogger("gatepass").removeHandler(handler)
    assert heard[1].code == "deadline"


class TestTheEnd:
    @pytest.fixture
    def hanging(self):
        with speaking(lambda _connection, _request, over: over.wait(30)) as server:
            yield server

    def run(self, hanging, what):
        program = [sys.executable, HERE / "leaving.py", hanging.origin, what]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        with subprocess.Popen(program, text=True, **pipes) as process:
            assert process.stdout.readline() == "asked\n"
            eventually(lambda: hanging.requests, "the token was asked for")
            out, err = process.communicate("\n", timeout=5)  # far less than any time-out in it
        return process.returncode, out, err

    def test_a_program_ends_at_once_whatever_is_under_way(self, hanging):
        assert self.run(hanging, "end") == (0, "", "")

    @pytest.mark.parametrize("what", ["interrupt a thread", "interrupt a loop"])
    def test_an_interrupt_is_heard_at_once(self, hanging, what):
        assert self.run(hanging, what) == (0, "interrupted\n", "")
