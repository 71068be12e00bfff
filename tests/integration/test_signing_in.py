"""A person signs in once: discovery, registration, browser, code, and refresh tokens from then on."""

from __future__ import annotations

import asyncio
import re
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest
from integration.patience import eventually
from integration.people import Person, at_the_browser
from integration.ways_in import hello

import gatepass
from gatepass.testing import AuthorizationServer, ProtectedServer

SCOPES = ("mcp:read", "mcp:write", "offline_access")
METADATA_URL = "https://client.example.com/client.json"


@pytest.fixture
def auth_server():
    with AuthorizationServer(
        authorization_endpoint=True, registration=True, refresh_tokens="rotating", scopes=SCOPES
    ) as server:
        yield server


@pytest.fixture
def mcp_server(auth_server):
    with ProtectedServer(auth_server, scopes=("mcp:read",)) as server:
        yield server


@pytest.fixture
def person():
    return Person()


def auth_for(mcp_server, ask, *, client=None, store=None, auth=None, **options):
    way_in = gatepass.AuthorizationCode(client, ask=ask, **options)
    issuer = mcp_server.authorization_server.issuer
    return gatepass.Auth(mcp_server.url, way_in, **{"issuer": issuer, "store": store, **(auth or {})})


def get(auth, url):
    with httpx2.Client(auth=auth) as http:
        return http.get(url)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as other:
        return other.getsockname()[1]


def requests_to(server, path):
    return [record for record in server.requests if record.path == path]


class TestTheWayIn:
    def test_one_person_one_registration_one_code_and_the_page_is_there(self, mcp_server, auth_server, person):
        assert get(auth_for(mcp_server, person), hello(mcp_server)).status_code == 200
        assert person.asked == 1
        assert person.saw("code_challenge_method") == ["S256"]
        assert person.saw("resource") == [mcp_server.url]
        assert person.saw("scope") == ["mcp:read offline_access"]
        (registered,) = auth_server.registrations
        assert registered.application_type == "native"
        assert (auth_server.count("register"), auth_server.count("token")) == (1, 1)

    def test_the_listener_takes_what_the_browser_brings(self, mcp_server):
        assert get(auth_for(mcp_server, at_the_browser), hello(mcp_server)).status_code == 200

    @pytest.mark.parametrize("said", ["", "\n", None], ids=repr)
    def test_somebody_at_the_browser_may_press_enter_instead_of_pasting_the_address(self, mcp_server, said):
        def by_hand(url):
            at_the_browser(url)
            return said

        assert get(auth_for(mcp_server, by_hand), hello(mcp_server)).status_code == 200

    def test_an_asynchronous_callback_will_do_too(self, mcp_server):
        async def ask(url):
            async with httpx2.AsyncClient(trust_env=False) as http:
                return (await http.get(url)).headers["Location"]

        assert get(auth_for(mcp_server, ask), hello(mcp_server)).status_code == 200

    def test_it_reaches_the_event_loop_of_the_program_from_its_own(self, mcp_server):
        async def program():
            loop, loops, person = asyncio.get_running_loop(), [], Person()

            async def shows(url):
                loops.append(asyncio.get_running_loop())
                return await asyncio.to_thread(person, url)

            async def ask(url):
                loops.append(asyncio.get_running_loop())
                return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(shows(url), loop))

            assert await auth_for(mcp_server, ask).atoken()
            assert loops[0] is not loop
            assert loops[1] is loop

        asyncio.run(program())

    def test_the_systems_browser_is_opened_where_there_is_one(self, mcp_server, monkeypatch):
        opened = []
        monkeypatch.delenv("CI", raising=False)
        monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
        monkeypatch.setenv("BROWSER", "a browser")
        monkeypatch.setattr("webbrowser.get", lambda: None)
        monkeypatch.setattr("webbrowser.open", lambda url: opened.append(url) or at_the_browser(url) is None)
        assert get(auth_for(mcp_server, None), hello(mcp_server)).status_code == 200
        assert len(opened) == 1

    def test_a_hundred_callers_ask_one_person_once(self, mcp_server, person):
        auth = auth_for(mcp_server, person)
        assert len({auth.token() for _ in range(100)}) == 1
        assert person.asked == 1


class TestWhoTheClientIs:
    def test_a_client_that_is_registered_comes_first(self, mcp_server, auth_server, person):
        uri = "http://127.0.0.1/callback"
        auth_server.add_client("desk", secret="s3cret", scopes=SCOPES, redirect_uris=(uri,))
        client = gatepass.ClientSecret("desk", "s3cret")
        auth_server.add_client_metadata(METADATA_URL, {"client_id": METADATA_URL, "client_name": "x",
            "redirect_uris": [uri], "token_endpoint_auth_method": "none"})  # fmt: skip
        assert get(auth_for(mcp_server, person, client=client, client_metadata_url=METADATA_URL), hello(mcp_server))
        assert person.saw("client_id") == ["desk"]

    def test_one_that_is_registered_without_a_port_is_sent_back_to_any(self, mcp_server, auth_server, person):
        auth_server.add_client("my-client", scopes=SCOPES, redirect_uris=("http://127.0.0.1/callback",))
        assert get(auth_for(mcp_server, person, client="my-client"), hello(mcp_server)).status_code == 200
        (uri,) = person.saw("redirect_uri")
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/callback", uri)

    @pytest.mark.parametrize("uri", ["http://127.0.0.1:{}", "http://127.0.0.1:{}/?app=1", "http://LOCALHOST:{}/Back"])
    @pytest.mark.parametrize("way_back", [Person(), at_the_browser], ids=["returned", "at the listener"])
    def test_the_redirect_uri_of_the_user_is_sent_as_it_was_given(self, mcp_server, auth_server, uri, way_back):
        uri = uri.format(free_port())
        auth_server.add_client("desk", secret="s3cret", scopes=SCOPES, redirect_uris=(uri,))
        urls = []
        auth = auth_for(
            mcp_server,
            lambda url: urls.append(url) or way_back(url),
            client=gatepass.ClientSecret("desk", "s3cret"),
            redirect_uri=uri,
        )
        assert get(auth, hello(mcp_server)).status_code == 200
        assert httpx2.URL(urls[0]).params["redirect_uri"] == uri

    def test_then_a_metadata_document(self, mcp_server, auth_server, person):
        auth_server.add_client_metadata(METADATA_URL, {
            "client_id": METADATA_URL, "client_name": "x", "redirect_uris": ["http://127.0.0.1/callback"],
            "grant_types": ["authorization_code", "refresh_token"], "token_endpoint_auth_method": "none",
        })  # fmt: skip
        assert get(auth_for(mcp_server, person, client_metadata_url=METADATA_URL), hello(mcp_server))
        assert person.saw("client_id") == [METADATA_URL]
        assert auth_server.count("register") == 0

    def test_then_a_registration_which_outlives_the_program(self, mcp_server, auth_server, person, tmp_path):
        for _ in range(2):
            store = gatepass.FileStore(tmp_path / "store")
            auth = auth_for(mcp_server, person, store=store, subject="alice")
            assert auth.token()
            auth.forget()
        assert auth_server.count("register") == 1
        assert person.asked == 2
        assert len(set(person.saw("client_id"))) == 1

    def test_a_registration_that_the_server_lost_is_made_anew(self, mcp_server, auth_server, person):
        auth = auth_for(mcp_server, person)
        auth.token()
        auth.forget()
        auth_server.books.clients.clear()
        with pytest.raises(gatepass.GatepassError):
            auth_for(mcp_server, lambda url: url, timeout_s=1).token()
        assert auth_for(mcp_server, person).token()

    def test_where_there_is_no_way_to_become_known_the_error_says_what_to_do(self, mcp_server, auth_server, person):
        auth_server.registration = False
        with pytest.raises(gatepass.ConfigurationError, match="client=") as refused:
            auth_for(mcp_server, person).token()
        assert refused.value.code == "client_unknown"
        assert person.asked == 0


class TestTheAnswer:
    @pytest.mark.parametrize(
        ("change", "code"),
        [
            ({"iss_in_response": "wrong"}, "iss_mismatch"),
            ({"iss_in_response": "missing"}, "iss_mismatch"),
            ({"iss_in_response": "wrong", "advertise_iss": False}, "iss_mismatch"),
            ({"consent": "no"}, "authorization_refused"),
            ({"consent": "no", "iss_in_response": "wrong"}, "iss_mismatch"),
            ({"pkce_methods": None}, "pkce_missing"),
            ({"pkce_methods": ("plain",)}, "pkce_missing"),
        ],
        ids=str,
    )
    def test_what_does_not_fit_is_refused_and_no_code_is_redeemed(self, mcp_server, auth_server, person, change, code):
        for name, value in change.items():
            setattr(auth_server, name, value)
        with pytest.raises(gatepass.RemoteError) as refused:
            auth_for(mcp_server, person).token()
        assert refused.value.code == code
        assert auth_server.count("token") == 0

    def test_a_server_that_neither_promises_nor_sends_iss_is_fine(self, mcp_server, auth_server, person):
        auth_server.advertise_iss, auth_server.iss_in_response = False, "missing"
        assert auth_for(mcp_server, person).token()

    def test_an_answer_to_another_request_is_not_ours(self, mcp_server, auth_server, person):
        def mixed_up(url):
            return person(url).replace("state=", "state=not")

        with pytest.raises(gatepass.RemoteError) as refused:
            auth_for(mcp_server, mixed_up).token()
        assert refused.value.code == "state_mismatch"
        assert auth_server.count("token") == 0


class TestAfterwards:
    def test_refresh_tokens_rotate_and_nobody_is_asked_again(self, mcp_server, auth_server, person):
        auth_server.token_lifetime_s = 1.0
        auth = auth_for(mcp_server, person)
        tokens = {auth.token()}
        eventually(lambda: tokens.add(auth.token()) or len(tokens) > 3, "three renewals")
        assert person.asked == 1
        assert auth_server.reuses == 0

    def test_the_next_start_needs_nobody_even_if_the_token_has_ended(self, mcp_server, auth_server, person, tmp_path):
        auth_server.token_lifetime_s = 1.0
        auth = auth_for(mcp_server, person, store=gatepass.FileStore(tmp_path / "store"), subject="alice")
        assert get(auth, hello(mcp_server)).status_code == 200
        first = auth.token()
        auth_server.revoke_all()
        auth_server.token_lifetime_s = 300.0
        headless = auth_for(mcp_server, None, store=gatepass.FileStore(tmp_path / "store"), subject="alice")
        assert get(headless, hello(mcp_server)).status_code == 200
        assert headless.token() != first
        assert person.asked == 1

    def test_a_refresh_token_that_was_revoked_means_that_somebody_is_asked_again(self, mcp_server, auth_server, person):
        auth = auth_for(mcp_server, person)
        assert get(auth, hello(mcp_server)).status_code == 200
        auth_server.revoke_all()
        auth_server.refresh_tokens = "none"
        assert get(auth, hello(mcp_server)).status_code == 200
        assert person.asked == 2

    def test_without_refresh_tokens_a_living_token_is_used_to_its_end_and_nobody_is_bothered(
        self, mcp_server, auth_server, person
    ):
        auth_server.refresh_tokens = "none"
        auth_server.token_lifetime_s = 2.0
        auth = auth_for(mcp_server, person)
        first = auth.token()
        seen = []
        eventually(lambda: seen.append(auth.token()) or seen[-1] != first, "the token ended, and somebody was asked")
        assert person.asked == 2


class TestWhereNobodyIs:
    @pytest.fixture(autouse=True)
    def _headless(self, monkeypatch):
        monkeypatch.setenv("CI", "true")

    def test_it_fails_at_once_and_says_where_to_sign_in(self, mcp_server, auth_server):
        auth = auth_for(mcp_server, None)
        for _ in range(2):
            with pytest.raises(gatepass.SignInRequiredError) as required:
                auth.token()
            url = httpx2.URL(required.value.url)
            assert str(url).startswith(f"{auth_server.origin}/authorize?")
            assert url.params["redirect_uri"].startswith("http://127.0.0.1:")
            assert required.value.code == "sign_in_required"
        assert auth_server.count("register") == 1
        assert auth_server.count("authorize") == 0

    def test_a_plain_request_raises_it_too(self, mcp_server):
        with pytest.raises(gatepass.SignInRequiredError):
            get(auth_for(mcp_server, None), hello(mcp_server))


class TestAnotherIssuer:
    """The resource names another authorization server than before (SEP-2352)."""

    @pytest.fixture
    def other(self):
        with AuthorizationServer(authorization_endpoint=True, registration=True, scopes=SCOPES) as server:
            yield server

    def test_a_client_that_registered_itself_registers_there_and_shows_nothing_of_before(
        self, mcp_server, auth_server, other, person, caplog
    ):
        auth = auth_for(mcp_server, person, auth={"issuer": None})
        assert get(auth, hello(mcp_server)).status_code == 200
        mcp_server.authorization_server = other
        assert get(auth, hello(mcp_server)).status_code == 200
        assert (auth_server.count("register"), other.count("register")) == (1, 1)
        assert [record.grant_type for record in requests_to(other, "/token")] == ["authorization_code"]
        assert "names the authorization server" in caplog.text

    def test_a_client_of_the_users_own_is_not_taken_along(self, mcp_server, auth_server, other, person):
        client = gatepass.ClientSecret("desk", "s3cret")
        auth_server.add_client("desk", secret="s3cret", redirect_uris=("http://127.0.0.1/callback",))
        auth = auth_for(mcp_server, person, client=client, auth={"issuer": None})
        assert get(auth, hello(mcp_server)).status_code == 200
        mcp_server.authorization_server = other
        with pytest.raises(gatepass.RemoteError) as refused:
            get(auth, hello(mcp_server))
        assert refused.value.code == "issuer_changed"
        assert other.count("token") == other.count("authorize") == 0


def go_away(url):
    """Somebody who looks at the page and leaves."""


class TestSeveralPeople:
    """What people share must cost none of them anything: a store, a registration, the workers of this process."""

    @pytest.fixture
    def auth_server(self):
        with AuthorizationServer(
            authorization_endpoint=True,
            registration=True,
            refresh_tokens="rotating",
            revocation=True,
            scopes=SCOPES,
            token_lifetime_s=2,
        ) as server:
            yield server

    def test_two_in_one_store_have_a_token_each(self, mcp_server, auth_server, person):
        store = gatepass.MemoryStore()
        alice, bob = (auth_for(mcp_server, person, store=store, subject=name) for name in ("alice", "bob"))
        assert alice.token() != bob.token()
        assert person.asked == 2
        assert len(auth_server.registrations) == 1

    def test_two_of_the_same_person_in_one_store_spend_a_refresh_token_once(self, mcp_server, auth_server, person):
        store = gatepass.MemoryStore()
        both = [auth_for(mcp_server, person, store=store, subject="alice") for _ in range(2)]
        assert both[0].token() == both[1].token()
        for _ in range(2):
            time.sleep(2.1)  # until it has expired for real
            with ThreadPoolExecutor(2) as callers:
                first, second = callers.map(lambda auth: auth.token(), both)
            assert first == second
        assert person.asked == 1
        assert auth_server.count("token") == 3

    def test_somebody_who_goes_away_signs_nobody_else_out(self, mcp_server, auth_server, person, tmp_path):
        store = gatepass.FileStore(tmp_path)
        alice = auth_for(mcp_server, person, store=store, subject="alice")
        first = alice.token()
        with pytest.raises(gatepass.UnreachableError) as failure:
            auth_for(mcp_server, go_away, store=store, subject="bob", timeout_s=0.5).token()
        assert failure.value.code == "sign_in_timeout"
        time.sleep(2.1)
        assert alice.token() != first
        assert person.asked == 1
        assert alice.forget(), "it is revoked as the client that it was issued to"

    def test_two_servers_that_are_entered_at_once_renew_as_the_clients_they_registered(
        self, mcp_server, auth_server, person, tmp_path
    ):
        store, both_there = gatepass.FileStore(tmp_path), threading.Barrier(2)

        def ask(url):
            both_there.wait(10)
            return person(url)

        with ProtectedServer(auth_server, scopes=("mcp:read",)) as other:
            both = [auth_for(server, ask, store=store, subject="alice") for server in (mcp_server, other)]
            with ThreadPoolExecutor(2) as callers:
                before = list(callers.map(lambda auth: auth.token(), both))
                assert len(auth_server.registrations) == 2
                time.sleep(2.1)
                after = list(callers.map(lambda auth: auth.token(), both))
        assert not set(before) & set(after)
        assert person.asked == 2

    def test_people_who_think_keep_nobody_else_waiting(self, mcp_server, auth_server):
        auth_server.add_client("ci-bot", secret="s3cret", scopes=SCOPES)
        thinking, decided = threading.Semaphore(0), threading.Event()

        def ask(url):
            thinking.release()
            assert decided.wait(30)
            return httpx2.get(url, trust_env=False).headers["Location"]

        people = [auth_for(mcp_server, ask, subject=f"person {number}") for number in range(12)]
        with ThreadPoolExecutor(12) as callers:
            tokens = [callers.submit(auth.token) for auth in people]
            for _ in people:
                assert thinking.acquire(timeout=30)
            bot = gatepass.Auth(
                mcp_server.url,
                gatepass.ClientCredentials(gatepass.ClientSecret("ci-bot", "s3cret")),
                issuer=auth_server.issuer,
                scopes=["mcp:read"],
            )
            assert bot.token()
            decided.set()
            assert len({token.result(30) for token in tokens}) == 12

    @pytest.mark.parametrize("bound_first", [True, False])
    def test_who_binds_tokens_and_who_does_not_are_two_clients(self, mcp_server, auth_server, person, bound_first):
        auth_server.dpop = "optional"
        store = gatepass.MemoryStore()
        for dpop in (bound_first, not bound_first):
            auth_for(mcp_server, person, store=store, subject="alice", auth={"dpop": dpop}).token()
        assert len(set(person.saw("client_id"))) == len(auth_server.registrations) == 2
