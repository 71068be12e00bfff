"""What both servers can do: start, stop, start again, and remember."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

import httpx2
import mcp
import pytest
from mcp.client.streamable_http import streamable_http_client
from starlette.applications import Starlette

from gatepass.testing import AuthorizationServer, ProtectedServer, RequestRecord, Trouble
from gatepass.testing.loopback_server import LoopbackServer


@pytest.fixture(params=["authorization server", "protected server"])
def server(request):
    return AuthorizationServer() if request.param == "authorization server" else ProtectedServer(AuthorizationServer())


def get(server, path="/"):
    with httpx2.Client(trust_env=False) as client:
        return client.get(server.origin + path)


class TestLife:
    def test_the_address_is_known_before_the_start(self, server):
        origin = server.origin
        with server:
            assert server.origin == origin == f"http://127.0.0.1:{server.port}"
            assert get(server).status_code == 404

    def test_a_connection_is_refused_before_the_start_and_after_the_stop(self, server):
        with pytest.raises(httpx2.ConnectError):
            get(server)
        with server:
            get(server)
        with pytest.raises(httpx2.ConnectError):
            get(server)

    def test_it_can_be_started_again_on_the_same_port(self, server):
        for _ in range(3):
            with server:
                assert get(server).status_code == 404
        assert server.count() == 3

    def test_the_port_stays_its_own_while_it_is_stopped(self, server):
        with server:
            pass
        with socket.socket() as other, pytest.raises(OSError, match="in use"):
            other.bind(("127.0.0.1", server.port))

    def test_the_port_may_be_chosen_if_nobody_else_has_it(self):
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()[1]
            with pytest.raises(OSError, match="in use"):
                AuthorizationServer(port=port)
        assert AuthorizationServer(port=port).origin == f"http://127.0.0.1:{port}"

    def test_it_starts_once(self, server):
        with server, pytest.raises(RuntimeError, match="running already"):
            server.start()

    def test_stopping_twice_or_too_early_does_nothing(self, server):
        server.stop()
        server.start()
        server.stop()
        server.stop()

    def test_what_it_knows_outlives_a_restart(self, auth_server, ask, resource):
        token = ask(resource=resource).json()["access_token"]
        auth_server.stop()
        auth_server.start()
        assert auth_server.verify(token, audience=resource) is not None
        assert ask().status_code == 200

    @pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a forked child keeps the socket listening")
    @pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
    def test_a_forked_child_does_not_keep_it_open(self, server):
        reader, writer = os.pipe()
        with server:
            get(server)
            child = os.fork()
            if child == 0:
                os.close(writer)
                os.read(reader, 1)  # until the parent is done
                os._exit(0)
        try:
            with pytest.raises(httpx2.ConnectError):
                get(server)
            with server:
                assert get(server).status_code == 404
        finally:
            os.close(writer)
            os.close(reader)
            os.waitpid(child, 0)

    def test_no_thread_is_left_behind(self, server):
        before = threading.active_count()
        with server:
            assert threading.active_count() == before + 1
        assert threading.active_count() == before

    def test_a_failed_start_is_an_error_and_leaves_nothing_behind(self, caplog):
        @asynccontextmanager
        async def broken(app):
            message = "broken"
            raise OSError(message)
            yield

        class Fragile(LoopbackServer):
            main_place = "/"
            lifespan = staticmethod(broken)

            def app(self):
                return Starlette(lifespan=self.lifespan)

            def names_of(self, path):
                return (path,)

        server = Fragile()
        before = threading.active_count()
        with pytest.raises(RuntimeError, match="did not start"):
            server.start()
        assert threading.active_count() == before
        server.lifespan = None
        with server:
            assert get(server).status_code == 404


class TestStop:
    """Stopping cuts off what is in flight, and says nothing about it."""

    @pytest.fixture(autouse=True)
    def _silence(self, caplog):
        caplog.set_level(logging.WARNING)
        yield
        assert caplog.messages == []

    def test_an_open_stream_is_cut(self, auth_server, mcp_server):
        token = auth_server.issue_token("ci-bot", audience=mcp_server.url, scopes=("mcp:read",))
        headers = {"Authorization": f"Bearer {token}"}
        url = f"{mcp_server.url}/plain/stream?seconds=3600"
        with (
            httpx2.Client(headers=headers, trust_env=False) as client,
            client.stream("GET", url) as response,
        ):
            lines = response.iter_lines()
            assert next(lines) == "id: 0"
            mcp_server.stop()
            with pytest.raises(httpx2.TransportError):
                list(lines)

    @pytest.mark.parametrize("trouble", [Trouble(connection="hang"), Trouble(delay_s=3600), Trouble(drip_s=3600)])
    def test_a_request_without_an_answer_is_cut(self, auth_server, ask, trouble):
        auth_server.trouble = trouble
        with ThreadPoolExecutor(1) as pool:
            answer = pool.submit(ask)
            auth_server.wait_for()
            auth_server.stop()
            with pytest.raises(httpx2.TransportError):
                answer.result()

    def test_a_session_of_mcp_is_cut(self, auth_server, mcp_server):
        token = auth_server.issue_token("ci-bot", audience=mcp_server.url, scopes=("mcp:read",))

        async def main():
            http = httpx2.AsyncClient(headers={"Authorization": f"Bearer {token}"}, trust_env=False)
            transport = streamable_http_client(mcp_server.url, http_client=http, terminate_on_close=False)
            async with http, mcp.Client(transport, mode="legacy") as client:
                await client.list_tools()
                await asyncio.to_thread(mcp_server.stop)

        asyncio.run(main())


class TestMemory:
    def test_a_request_is_remembered(self, auth_server, ask, resource):
        ask(scope="mcp:read", resource=resource, headers={"Accept": "application/json"})
        (record,) = auth_server.requests
        assert (record.method, record.path, record.status) == ("POST", "/token", 200)
        assert record.form == ("grant_type", "scope", "resource")
        assert (record.grant_type, record.scope, record.resource) == ("client_credentials", "mcp:read", resource)
        assert record.client_id is None
        assert record.header("ACCEPT") == "application/json"
        assert record.header("x-absent") is None

    @pytest.mark.parametrize(
        "sent",
        [
            {"auth": ("ci-bot", "c4nary")},
            {"auth": None, "client_id": "ci-bot", "client_secret": "c4nary"},
            {"auth": None, "client_assertion": "c4nary"},
            {"headers": {"Authorization": "Bearer c4nary", "Cookie": "c4nary", "DPoP": "c4nary"}},
            {"headers": {"Authorization": "c4nary"}},
        ],
    )
    def test_no_credential_is(self, auth_server, ask, sent):
        ask(**sent)
        (record,) = auth_server.requests
        assert "c4nary" not in repr(record)
        assert "Y2ktYm90" not in repr(record)

    def test_a_credential_leaves_its_scheme(self, auth_server, ask):
        ask()
        assert auth_server.requests[0].header("authorization") == "Basic"

    def test_repeats_are(self, auth_server, ask):
        ask(resource=["urn:a", "urn:b"])
        (record,) = auth_server.requests
        assert (record.form, record.resources) == (("grant_type", "resource", "resource"), ("urn:a", "urn:b"))

    def test_a_record_without_a_form_has_none(self, auth_server, http):
        http.get(auth_server.jwks_uri)
        (record,) = auth_server.requests
        assert (record.form, record.resource, record.grant_type) == ((), None, None)

    def test_a_form_with_too_many_fields_is_remembered_without_them(self, auth_server, http):
        http.post(auth_server.token_endpoint, data={f"f{n}": "x" for n in range(200)})
        assert auth_server.requests[0].form == ()

    def test_so_is_the_reason_of_a_refusal(self, auth_server, mcp_server, http, ask):
        ask(auth=("ci-bot", "wrong"))
        http.get(mcp_server.url)
        auth_server.trouble = [Trouble(body="html", status=500, times=1), Trouble(body=b"[1]", status=500, times=1)]
        for _ in range(3):
            ask()
        reasons = [(record.error, record.error_description) for record in auth_server.requests]
        assert reasons == [("invalid_client", "the client secret is wrong"), (None, None), (None, None), (None, None)]
        assert mcp_server.requests[0].error == "unauthorized"

    def test_they_are_counted(self, auth_server, http, ask):
        ask()
        ask(auth=("ci-bot", "wrong"))
        http.get(auth_server.jwks_uri)
        assert auth_server.count() == 3
        assert auth_server.count("/token") == auth_server.count("token") == auth_server.count(method="POST") == 2
        assert auth_server.count("token", status=401) == 1
        assert auth_server.count("metadata") == 0

    def test_one_may_wait_for_them(self, auth_server, ask):
        auth_server.trouble = Trouble(delay_s=0.01)
        with ThreadPoolExecutor(2) as pool:
            answers = [pool.submit(ask) for _ in range(2)]
            auth_server.wait_for("token", count=2, status=200)
        assert [answer.result().status_code for answer in answers] == [200, 200]

    def test_waiting_for_what_never_comes_ends(self, auth_server, ask):
        ask()
        with pytest.raises(TimeoutError, match="1 of 2"):
            auth_server.wait_for("token", count=2, timeout_s=0.01)

    def test_counters_start_anew(self, auth_server, ask):
        ask()
        auth_server.reset_counters()
        assert auth_server.requests == []
        ask()
        assert auth_server.count("token") == 1

    def test_an_answer_to_a_forgotten_request_stays_forgotten(self, auth_server, ask):
        auth_server.trouble = Trouble(delay_s=3600)
        with ThreadPoolExecutor(1) as pool:
            answer = pool.submit(ask)
            auth_server.wait_for()
            auth_server.reset_counters()
            auth_server.stop()
            with pytest.raises(httpx2.TransportError):
                answer.result()
        assert auth_server.requests == []

    def test_somebody_may_be_told_of_each_with_how_it_ended(self, auth_server, ask):
        told = []
        auth_server.on_request = told.append
        ask()
        ask(auth=("ci-bot", "wrong"))
        auth_server.trouble = Trouble(connection="reset")
        with pytest.raises(httpx2.ReadError):
            ask()
        auth_server.stop()
        assert [(record.status, record.error) for record in told] == [
            (200, None),
            (401, "invalid_client"),
            (None, None),
        ]

    def test_nothing_is_lost_among_threads(self, auth_server, ask):
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: ask().status_code, range(40)))
        assert answers == [200] * 40
        assert auth_server.count("token", status=200) == 40

    def test_a_record_cannot_be_changed(self):
        record = RequestRecord(method="GET", path="/")
        with pytest.raises(AttributeError):
            record.status = 200
