"""Trouble: what a client sees of each kind, and where and how often it strikes."""

from __future__ import annotations

import time
from email.utils import parsedate_to_datetime

import httpx2
import pytest

from gatepass.testing import AuthorizationServer, ProtectedServer, Trouble

OAUTH = "/.well-known/oauth-authorization-server"
NEVER_S = 3600.0


@pytest.fixture
def impatient():
    """A client that does not wait for what never comes."""
    with httpx2.Client(trust_env=False, timeout=0.2) as client:
        yield client


def test_there_is_none_at_first(auth_server, ask):
    assert auth_server.trouble == ()
    assert ask().status_code == 200


class TestAnswers:
    def test_a_status_is_answered_instead(self, auth_server, ask):
        auth_server.trouble = Trouble(status=503)
        response = ask()
        assert (response.status_code, response.content) == (503, b"")

    def test_the_request_has_no_effect_then(self, auth_server, ask, key, assertion):
        auth_server.add_client("ci-bot", public_key=key)
        auth_server.trouble = Trouble(status=503, times=1)
        form = {
            "auth": None,
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": assertion(),
        }
        assert [ask(**form).status_code for _ in range(3)] == [503, 200, 401]

    @pytest.mark.parametrize("retry_after", [0, 7, "Mon, 23 Nov 2026 12:00:00 GMT"])
    def test_a_retry_after_comes_along(self, auth_server, ask, retry_after):
        auth_server.trouble = Trouble(status=429, retry_after=retry_after)
        assert ask().headers["retry-after"] == str(retry_after)

    def test_a_real_answer_may_have_one_too(self, auth_server, ask):
        auth_server.trouble = Trouble(retry_after=0)
        assert (ask().status_code, ask().headers["retry-after"]) == (200, "0")

    def test_an_error_of_your_own(self, auth_server, ask):
        auth_server.trouble = Trouble(status=400, body={"error": "invalid_grant"})
        response = ask()
        assert (response.status_code, response.json()) == (400, {"error": "invalid_grant"})
        assert response.headers["content-type"] == "application/json"

    def test_a_raw_body_of_your_own(self, auth_server, ask):
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        auth_server.trouble = Trouble(body=b"access_token=abc&token_type=bearer", headers=headers)
        response = ask()
        assert (response.status_code, response.text) == (200, "access_token=abc&token_type=bearer")
        assert response.headers["content-type"] == "application/x-www-form-urlencoded"

    def test_broken_json(self, auth_server, ask):
        auth_server.trouble = Trouble(body="broken_json")
        response = ask()
        assert response.headers["content-type"] == "application/json"
        with pytest.raises(ValueError, match="Unterminated"):
            response.json()

    def test_an_html_page(self, auth_server, ask):
        auth_server.trouble = Trouble(body="html")
        response = ask()
        assert response.headers["content-type"].startswith("text/html")
        assert "<html>" in response.text

    def test_a_huge_body(self, auth_server, http):
        auth_server.trouble = Trouble(body="huge")
        size = 0
        with http.stream("POST", auth_server.token_endpoint) as response:
            for piece in response.iter_bytes():
                size += len(piece)
                if size > 1024 * 1024:
                    break
        assert size > 1024 * 1024

    def test_members_may_be_replaced_and_left_out(self, auth_server, ask):
        auth_server.trouble = Trouble(replace={"token_type": "mac", "extra": None}, without=("access_token", "scope"))
        assert ask().json() == {"token_type": "mac", "expires_in": 300, "extra": None}

    def test_headers_may_be_replaced_and_taken_away(self, auth_server, ask):
        auth_server.trouble = Trouble(headers={"Cache-Control": "max-age=60", "Pragma": "", "X-Absent": ""})
        headers = ask().headers
        assert headers["cache-control"] == "max-age=60"
        assert not {"pragma", "x-absent"} & headers.keys()

    def test_the_metadata_may_name_a_wrong_issuer(self, auth_server, http, ask):
        auth_server.trouble = Trouble(paths=("metadata",), replace={"issuer": "https://evil.example"})
        document = http.get(auth_server.origin + OAUTH).json()
        assert document["issuer"] == "https://evil.example"
        assert document["token_endpoint"] == auth_server.token_endpoint
        assert ask().status_code == 200


class TestConnections:
    def test_a_delay(self, auth_server, ask, impatient):
        auth_server.trouble = Trouble(delay_s=0.001)
        assert ask().status_code == 200
        auth_server.trouble = Trouble(delay_s=NEVER_S)
        with pytest.raises(httpx2.ReadTimeout):
            impatient.post(auth_server.token_endpoint)

    def test_no_answer_at_all(self, auth_server, impatient):
        auth_server.trouble = Trouble(connection="hang")
        with pytest.raises(httpx2.ReadTimeout):
            impatient.post(auth_server.token_endpoint)
        assert auth_server.requests[0].status is None

    def test_a_reset(self, auth_server, ask):
        auth_server.trouble = Trouble(connection="reset")
        with pytest.raises(httpx2.ReadError):
            ask()

    def test_a_truncated_body(self, auth_server, ask):
        auth_server.trouble = Trouble(connection="truncate")
        with pytest.raises(httpx2.RemoteProtocolError, match="complete message body"):
            ask()

    def test_drops(self, auth_server, ask, impatient):
        auth_server.trouble = Trouble(drip_s=0.0001)
        assert ask().json()["token_type"] == "Bearer"
        auth_server.trouble = Trouble(drip_s=NEVER_S)
        with impatient.stream("POST", auth_server.token_endpoint) as response:
            assert response.status_code == 400
            with pytest.raises(httpx2.ReadTimeout):
                response.read()


class TestClock:
    @pytest.mark.parametrize("offset_s", [-7200.0, 7200.0])
    def test_the_date_header_is_off(self, auth_server, ask, offset_s):
        auth_server.trouble = Trouble(clock_offset_s=offset_s)
        date = parsedate_to_datetime(ask().headers["date"]).timestamp()
        assert abs(date - time.time() - offset_s) < 60

    def test_the_date_header_is_right_without_trouble(self, ask):
        assert abs(parsedate_to_datetime(ask().headers["date"]).timestamp() - time.time()) < 60

    @pytest.mark.parametrize(("offset_s", "fault"), [(7200.0, "expired"), (-7200.0, "ahead")])
    def test_assertions_are_checked_against_it(self, auth_server, ask, key, assertion, offset_s, fault):
        auth_server.add_client("ci-bot", public_key=key)
        auth_server.trouble = Trouble(clock_offset_s=offset_s, times=1)
        form = {
            "auth": None,
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": assertion(),
        }
        assert fault in ask(**form).json()["error_description"]
        assert ask(**form).status_code == 200

    def test_tokens_are_issued_by_it(self, auth_server, resource):
        auth_server.trouble = Trouble(clock_offset_s=-7200)
        token = auth_server.issue_token("ci-bot", audience=resource)
        assert auth_server.verify(token, audience=resource) is not None
        assert auth_server.verify(token, audience=resource, now=time.time()) is None

    def test_a_resource_may_have_the_wrong_time_too(self, auth_server, mcp_server, http):
        token = auth_server.issue_token("ci-bot", audience=mcp_server.url, scopes=("mcp:read",))
        url, headers = f"{mcp_server.url}/plain/hello", {"Authorization": f"Bearer {token}"}
        assert http.get(url, headers=headers).status_code == 200
        mcp_server.trouble = Trouble(clock_offset_s=7200)
        assert http.get(url, headers=headers).status_code == 401


class TestReach:
    def test_it_strikes_the_token_endpoint_by_default(self, auth_server, ask, http):
        auth_server.trouble = Trouble(status=500)
        assert ask().status_code == 500
        assert http.get(auth_server.origin + OAUTH).status_code == 200
        assert http.get(auth_server.jwks_uri).status_code == 200

    @pytest.mark.parametrize("path", ["", "/tenant1"])
    @pytest.mark.parametrize("place", ["token", "/token", "jwks", "metadata"])
    def test_places_have_names_whatever_the_issuers_path(self, http, path, place):
        with AuthorizationServer(path=path) as server:
            server.trouble = Trouble(paths=(place,), status=500)
            answers = {
                "token": http.post(server.token_endpoint).status_code,
                "jwks": http.get(server.jwks_uri).status_code,
                "metadata": http.get(server.origin + OAUTH + path).status_code,
            }
            assert [name for name, status in answers.items() if status == 500] == [place.removeprefix("/")]
            assert server.count(place) == 1

    def test_it_strikes_the_resource_by_default(self, mcp_server, http):
        mcp_server.trouble = Trouble(status=500)
        assert http.post(mcp_server.url).status_code == 500
        assert http.get(f"{mcp_server.url}/plain/hello").status_code == 500
        assert http.get(mcp_server.metadata_url).status_code == 200
        assert http.get(f"{mcp_server.origin}/other").status_code == 200

    def test_the_resource_metadata_may_have_trouble(self, mcp_server, http):
        mcp_server.trouble = Trouble(paths=("metadata",), without=("authorization_servers",))
        assert "authorization_servers" not in http.get(mcp_server.metadata_url).json()

    def test_it_ends_after_so_many_requests(self, auth_server, ask):
        auth_server.trouble = Trouble(status=503, times=2)
        assert [ask().status_code for _ in range(4)] == [503, 503, 200, 200]
        assert auth_server.trouble == ()

    def test_it_ends_when_it_is_taken_away(self, auth_server, ask):
        auth_server.trouble = Trouble(status=503)
        assert ask().status_code == 503
        auth_server.trouble = None
        assert ask().status_code == 200

    def test_several_come_one_after_the_other(self, auth_server, ask):
        auth_server.trouble = [Trouble(status=503, times=1), Trouble(status=429, times=1)]
        assert [ask().status_code for _ in range(3)] == [503, 429, 200]

    def test_several_may_be_in_different_places(self, auth_server, ask, http):
        auth_server.trouble = [Trouble(paths=("metadata",), status=500), Trouble(status=503)]
        assert ask().status_code == 503
        assert http.get(auth_server.origin + OAUTH).status_code == 500


def test_it_shows_itself_in_a_repr():
    assert "status=503" in repr(Trouble(status=503))


def test_a_server_in_trouble_stops_at_once(auth_server):
    with ProtectedServer(auth_server) as mcp_server, httpx2.Client(trust_env=False, timeout=0.2) as client:
        for server in (auth_server, mcp_server):
            server.trouble = Trouble(connection="hang", paths=("metadata",))
        for server in (auth_server, mcp_server):
            with pytest.raises(httpx2.ReadTimeout):
                client.get(server.origin + OAUTH)
