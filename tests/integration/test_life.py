"""Staying in: renewals that nobody notices, outages that nobody notices for as long as a token lives, and refusals."""

from __future__ import annotations

import time

import anyio
import httpx2
import pytest
from integration.crowd import Background, on_threads
from integration.patience import eventually
from integration.visitors import PLAIN, httpx2_sync, httpx2_trio
from integration.ways_in import auth_for, by_key, cost, hello

import gatepass
from gatepass.lifecycle.failures import Failures
from gatepass.lifecycle.policy import Policy
from gatepass.testing import Trouble

READ = ["mcp:read"]
everybody = pytest.mark.parametrize("visitor", PLAIN)


def statuses(visitor, auth, url, calls):
    """What each of so many calls, one after another, was answered; or the error that it raised."""
    seen = []
    for _ in range(calls):
        try:
            seen.append(visitor(auth).fetch(url).status_code)
        except gatepass.GatepassError as error:
            seen.append(error)
    return seen


class TestRenewal:
    def test_with_tokens_of_two_seconds_a_crowd_gets_in_through_every_renewal(self, auth_server, mcp_server):
        auth_server.token_lifetime_s = 2
        auth, answers = auth_for(mcp_server, scopes=READ), []

        async def call(http):
            answers.append((await http.get(hello(mcp_server))).status_code)

        async def program():
            async with httpx2.AsyncClient(auth=auth) as http, anyio.create_task_group() as tasks:
                for _ in range(150):
                    tasks.start_soon(call, http)
                    await anyio.sleep(0.04)

        elsewhere = Background(lambda: anyio.run(program, backend="trio"))
        anyio.run(program, backend="asyncio")
        assert elsewhere.outcome() is None
        assert answers == [200] * 300
        paid = cost(mcp_server)
        assert (paid["resource metadata"], paid["server metadata"]) == (1, 1)  # a renewal is one request
        assert paid["token"] >= 3

    @everybody
    def test_an_expired_token_is_renewed_by_one_request(self, auth_server, mcp_server, visitor):
        auth_server.trouble = Trouble(replace={"expires_in": 0}, times=1)  # good for those who wait, and kept by nobody
        auth = auth_for(mcp_server, scopes=READ)
        assert statuses(visitor, auth, hello(mcp_server), 2) == [200, 200]
        assert cost(mcp_server) == {"resource": 2, "resource metadata": 1, "server metadata": 1, "token": 2}

    def test_a_stale_token_is_renewed_once_behind_a_crowd(self, auth_server, mcp_server):
        auth_server.trouble = Trouble(replace={"refresh_in": 0}, times=1)
        auth = auth_for(mcp_server)
        first = auth.token()
        auth_server.trouble = Trouble(delay_s=2)
        assert on_threads(auth.token, 50) == [first] * 50  # nobody waits
        eventually(lambda: auth.token() != first, "the new token was there")
        assert auth_server.count("token") == 2

    @pytest.mark.parametrize("says", ["integer", "number", "string", "missing"])
    def test_however_the_lifetime_is_said_the_token_is_used(self, auth_server, mcp_server, says):
        auth_server.expires_in = says
        auth = auth_for(mcp_server, scopes=READ)
        assert statuses(PLAIN[0], auth, hello(mcp_server), 3) == [200] * 3
        assert auth_server.count("token") == 1


class TestAnOutage:
    def test_while_the_token_lives_nobody_notices_and_afterwards_it_ends_by_itself(
        self, auth_server, mcp_server, caplog
    ):
        auth_server.trouble = Trouble(replace={"refresh_in": 0, "expires_in": 2})  # stale at once, and soon expired
        auth = auth_for(mcp_server)
        auth._source.failures = Failures(Policy(back_off_cap_s=1.0))
        first = auth.token()
        auth_server.stop()

        def renewal_failed():
            assert auth.token() == first
            return any("the token at hand stays in use" in record.getMessage() for record in caplog.records)

        eventually(renewal_failed, "a renewal failed behind the calls")
        assert auth.token() == first

        eventually(lambda: isinstance(outcome(auth), gatepass.UnreachableError), "the token expired")
        failure = outcome(auth)
        assert (failure.code, failure.retryable) == ("unreachable", True)
        assert failure.retry_at is not None
        assert "Is it running" in str(failure)

        auth_server.trouble = None
        auth_server.start()
        eventually(lambda: isinstance(outcome(auth), str), "a token came when the server was back")
        assert outcome(auth) != first

    def test_renewals_that_fail_do_not_come_faster_as_the_end_comes_nearer(self, auth_server, mcp_server):
        auth_server.trouble = Trouble(replace={"refresh_in": 0, "expires_in": 1})
        auth = auth_for(mcp_server, deadline_s=0.5)
        auth.token()
        auth_server.trouble = Trouble(status=503)
        eventually(lambda: isinstance(outcome(auth), gatepass.RemoteError), "the token expired")
        assert auth_server.count("token", status=503) <= 6

    @pytest.mark.parametrize("visitor", [httpx2_sync, httpx2_trio])
    def test_a_server_that_recovers_within_the_patience_of_a_caller_costs_nothing(
        self, auth_server, mcp_server, visitor
    ):
        auth_server.trouble = Trouble(status=503, times=1)
        assert statuses(visitor, auth_for(mcp_server), hello(mcp_server), 1) == [200]
        assert auth_server.count("token") == 2

    @pytest.mark.parametrize(
        "trouble",
        [
            Trouble(status=503),
            Trouble(status=500, body="html"),
            Trouble(status=429),
            Trouble(status=408),
            Trouble(status=400, body={"error": "temporarily_unavailable"}),
            Trouble(body="broken_json"),
            Trouble(connection="reset"),
            Trouble(connection="truncate"),
        ],
        ids=["503", "500 with a page", "429", "408", "temporarily unavailable", "broken JSON", "reset", "truncated"],
    )
    def test_a_hundred_calls_in_an_outage_send_two_requests(self, auth_server, mcp_server, trouble):
        auth_server.trouble = trouble
        auth = auth_for(mcp_server, deadline_s=4)
        failures = on_threads(auth.token, 100)
        assert {type(failure).__mro__[1] for failure in failures} == {gatepass.GatepassError}
        assert all(failure.retryable and failure.retry_at > time.time() - 5 for failure in failures)
        assert auth_server.count("token") == 2


def outcome(auth):
    try:
        return auth.token()
    except gatepass.GatepassError as error:
        return error


class TestRetryAfter:
    def test_what_is_too_far_away_is_said_at_once_and_nothing_is_sent_before(self, auth_server, mcp_server):
        auth_server.trouble = Trouble(status=429, retry_after=120)
        auth = auth_for(mcp_server)
        failures = [outcome(auth) for _ in range(20)]
        assert {failure.status for failure in failures} == {429}
        assert all(110 < failure.retry_at - time.time() <= 132 for failure in failures), "120 s and up to a tenth of it"
        assert auth_server.count("token") == 1

    def test_what_is_near_is_waited_for(self, auth_server, mcp_server):
        auth_server.trouble = Trouble(status=503, retry_after=1, times=1)
        before = time.time()
        assert auth_for(mcp_server).token()
        assert time.time() - before >= 1
        assert auth_server.count("token") == 2

    def test_metadata_that_is_busy_is_not_asked_again_before_its_time(self, auth_server, mcp_server):
        mcp_server.trouble = Trouble(paths=("metadata",), status=503, retry_after=120)
        auth = auth_for(mcp_server)
        failures = [outcome(auth) for _ in range(5)]
        assert {(failure.code, failure.by) for failure in failures} == {("metadata_unavailable", "resource_server")}
        assert all(failure.retry_at - time.time() > 110 for failure in failures)
        assert mcp_server.count("metadata") == 1


class TestTheResourceRefuses:
    @everybody
    def test_a_revoked_token_is_renewed_and_the_request_replayed(self, auth_server, mcp_server, visitor):
        auth = auth_for(mcp_server)
        auth.token()
        auth_server.revoke_all()
        assert statuses(visitor, auth, hello(mcp_server), 2) == [200, 200]
        assert mcp_server.rejected == 1
        assert auth_server.count("token") == 2

    @everybody
    def test_a_body_is_replayed_whole(self, auth_server, mcp_server, visitor):
        auth = auth_for(mcp_server)
        auth.token()
        auth_server.revoke_all()
        response = visitor(auth).fetch(f"{mcp_server.url}/plain/echo", method="POST", content=b"x" * 100_000)
        assert response.content == b"x" * 100_000
        assert mcp_server.rejected == 1

    def test_a_hundred_callers_with_a_revoked_token_share_one_renewal(self, auth_server, mcp_server):
        auth = auth_for(mcp_server)
        auth.token()
        auth_server.revoke_all()
        auth_server.trouble = Trouble(delay_s=0.2)
        with httpx2.Client(auth=auth, limits=httpx2.Limits(max_connections=100), timeout=30) as http:
            responses = on_threads(lambda: http.get(hello(mcp_server)), 100)
        assert [response.status_code for response in responses] == [200] * 100
        assert auth_server.count("token") == 2

    def test_while_the_renewal_fails_each_caller_hears_the_reason_and_not_a_401(self, auth_server, mcp_server):
        auth = auth_for(mcp_server)
        auth.token()
        auth_server.revoke_all()
        auth_server.trouble = Trouble(status=400, body={"error": "unauthorized_client"})
        seen = statuses(PLAIN[0], auth, hello(mcp_server), 3)
        assert [getattr(each, "error", each) for each in seen] == ["unauthorized_client"] * 3
        assert auth_server.count("token", status=400) == 1

    def test_one_that_refuses_everything_forces_one_renewal(self, auth_server, mcp_server):
        auth = auth_for(mcp_server)
        auth.token()
        mcp_server.reject_all = True
        with httpx2.Client(auth=auth, limits=httpx2.Limits(max_connections=100), timeout=30) as http:
            responses = on_threads(lambda: http.get(hello(mcp_server)), 100)
        assert {response.status_code for response in responses} == {401}
        assert auth_server.count("token") == 2
        assert mcp_server.count("resource") <= 203

    @everybody
    def test_a_403_is_the_callers_untouched(self, mcp_server, visitor):
        auth = auth_for(mcp_server)
        auth.token()
        mcp_server.trouble = Trouble(status=403)
        assert visitor(auth).fetch(hello(mcp_server)).status_code == 403
        assert (mcp_server.count("resource"), cost(mcp_server)["token"]) == (1, 1)

    @everybody
    def test_one_that_wants_scopes_which_can_not_be_had_is_too(self, mcp_server, visitor):
        auth = auth_for(mcp_server)
        auth.token()
        mcp_server.scopes_for = {"/mcp/plain/hello": ("mcp:admin",)}
        response = visitor(auth).fetch(hello(mcp_server))
        assert response.status_code == 403
        assert 'error="insufficient_scope"' in response.headers["WWW-Authenticate"]
        assert (mcp_server.count("resource"), cost(mcp_server)["token"]) == (1, 2), "a token was asked for, in vain"

    @everybody
    def test_after_a_refusal_the_resource_may_name_another_server_and_it_gets_no_credentials(
        self, auth_server, mcp_server, visitor
    ):
        from gatepass.testing import AuthorizationServer

        auth = auth_for(mcp_server, issuer=None)
        auth.token()
        with AuthorizationServer() as successor:
            mcp_server.authorization_server = successor
            with pytest.raises(gatepass.RemoteError) as refused:
                visitor(auth).fetch(hello(mcp_server))
            assert refused.value.code == "issuer_changed"
            assert (auth_server.count("token"), successor.count("token")) == (1, 0)


class TestBodiesThatCanBeSentOnce:
    @staticmethod
    def once():
        yield b"one "
        yield b"two"

    def test_the_first_contact_brings_a_token(self, mcp_server):
        with httpx2.Client(auth=auth_for(mcp_server)) as http:
            response = http.post(f"{mcp_server.url}/plain/echo", content=self.once())
        assert response.content == b"one two"
        assert mcp_server.rejected == 0

    def test_after_a_refusal_the_answer_is_the_callers_and_the_next_call_gets_in(self, auth_server, mcp_server):
        auth = auth_for(mcp_server)
        first = auth.token()
        auth_server.revoke_all()
        with httpx2.Client(auth=auth) as http:
            assert http.post(f"{mcp_server.url}/plain/echo", content=self.once()).status_code == 401
            assert http.post(f"{mcp_server.url}/plain/echo", content=self.once()).status_code == 200
        assert auth.token() != first
        assert auth_server.count("token") == 2

    def test_an_asynchronous_one_is_no_different(self, auth_server, mcp_server):
        auth = auth_for(mcp_server)

        async def once():
            yield b"one "
            yield b"two"

        async def program():
            async with httpx2.AsyncClient(auth=auth) as http:
                url = f"{mcp_server.url}/plain/echo"
                answers = [await http.post(url, content=once())]
                auth_server.revoke_all()
                return [*answers, await http.post(url, content=once()), await http.post(url, content=once())]

        assert [answer.status_code for answer in anyio.run(program)] == [200, 401, 200]


class TestStreams:
    @pytest.mark.parametrize("backend", ["asyncio", "trio"])
    def test_an_open_stream_holds_nobody_up_not_even_a_renewal(self, auth_server, mcp_server, backend):
        auth, order = auth_for(mcp_server), []

        async def program():
            async with (
                httpx2.AsyncClient(auth=auth) as http,
                http.stream("GET", f"{mcp_server.url}/plain/stream?seconds=0.5") as stream,
            ):
                async for line in stream.aiter_lines():
                    if not order:
                        auth_server.revoke_all()
                        order.append((await http.get(hello(mcp_server))).status_code)
                    order.append(line)

        anyio.run(program, backend=backend)
        assert order[0] == 200
        assert order.count("data: tick") > 1
        assert auth_server.count("token") == 2


class TestAKeyOfItsOwn:
    def test_a_client_with_a_key_renews_with_a_fresh_assertion_each_time(self, auth_server, mcp_server):
        auth_server.token_lifetime_s = 0
        auth = auth_for(mcp_server, by_key(auth_server), scopes=READ)
        assert len({auth.token() for _ in range(3)}) == 3
        assert auth_server.count("token", status=200) == 3
