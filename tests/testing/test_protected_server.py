"""The protected MCP server: who is let in, what the others are told, and the tools and routes behind the gate."""

from __future__ import annotations

import asyncio
import logging

import httpx2
import mcp
import pytest
from mcp.client.streamable_http import streamable_http_client

from gatepass.testing import AuthorizationServer, ProtectedServer


@pytest.fixture
def bearer(auth_server, mcp_server):
    """Headers with a token for the server."""

    def bearer(*scopes, server=mcp_server, **options):
        token = auth_server.issue_token("ci-bot", scopes=scopes, **{"audience": server.url, **options})
        return {"Authorization": f"Bearer {token}"}

    return bearer


def challenge_of(response):
    scheme, _, params = response.headers["www-authenticate"].partition(" ")
    assert scheme == "Bearer"
    return dict(param.split("=", 1) for param in params.replace('"', "").split(", ")) if params else {}


class TestGate:
    PROTECTED = ("/mcp", "/mcp/", "/mcp/plain/hello", "/mcp/plain/stream", "/mcp/nowhere")

    @pytest.mark.parametrize("path", PROTECTED)
    def test_nobody_gets_in_without_a_token(self, http, mcp_server, path):
        response = http.get(mcp_server.origin + path)
        assert response.status_code == 401
        assert challenge_of(response) == {"resource_metadata": mcp_server.metadata_url, "scope": "mcp:read"}

    @pytest.mark.parametrize("path", ["/other", "/.well-known/oauth-protected-resource/mcp"])
    def test_what_is_not_the_resource_is_open(self, http, mcp_server, path):
        assert http.get(mcp_server.origin + path).status_code == 200

    def test_a_sibling_with_the_same_beginning_is_not_the_resource(self, http, mcp_server):
        assert http.get(mcp_server.origin + "/mcpx").status_code == 404

    def test_a_good_token_gets_in(self, http, mcp_server, bearer):
        response = http.get(f"{mcp_server.url}/plain/hello", headers=bearer("mcp:read"))
        assert (response.status_code, response.json()) == (200, {"hello": "ci-bot"})

    def test_the_scheme_has_no_case(self, http, mcp_server, bearer):
        headers = {"Authorization": bearer("mcp:read")["Authorization"].replace("Bearer", "bEARER")}
        assert http.get(f"{mcp_server.url}/plain/hello", headers=headers).status_code == 200

    @pytest.mark.parametrize("options", [{"audience": "https://other.example/mcp"}, {"lifetime_s": -1}])
    def test_a_token_for_another_or_past_its_end_is_invalid(self, http, mcp_server, bearer, options):
        response = http.get(mcp_server.url, headers=bearer("mcp:read", **options))
        assert response.status_code == 401
        assert challenge_of(response)["error"] == "invalid_token"
        assert response.json()["error"] == "invalid_token"

    @pytest.mark.parametrize("value", ["Bearer abc", "Bearer", "Basic YTpi", "abc"])
    def test_garbage_is_an_invalid_token(self, http, mcp_server, value):
        response = http.get(mcp_server.url, headers={"Authorization": value})
        assert challenge_of(response)["error"] == "invalid_token"

    def test_a_revoked_token_is_refused(self, http, auth_server, mcp_server, bearer):
        headers = bearer("mcp:read")
        auth_server.revoke_all()
        assert http.get(f"{mcp_server.url}/plain/hello", headers=headers).status_code == 401

    def test_an_opaque_token_is_looked_up(self, http, auth_server, mcp_server, bearer):
        auth_server.token_format = "opaque"
        assert http.get(f"{mcp_server.url}/plain/hello", headers=bearer("mcp:read")).status_code == 200

    def test_a_token_of_another_authorization_server_is_refused(self, http, mcp_server):
        token = AuthorizationServer().issue_token("ci-bot", audience=mcp_server.url, scopes=("mcp:read",))
        assert http.get(mcp_server.url, headers={"Authorization": f"Bearer {token}"}).status_code == 401

    def test_the_authorization_server_may_change(self, http, mcp_server, bearer):
        headers = bearer("mcp:read")
        mcp_server.authorization_server = other = AuthorizationServer()
        assert http.get(f"{mcp_server.url}/plain/hello", headers=headers).status_code == 401
        assert http.get(mcp_server.metadata_url).json()["authorization_servers"] == [other.issuer]

    def test_a_token_that_allows_too_little_is_told_what_is_needed(self, http, mcp_server, bearer):
        response = http.get(f"{mcp_server.url}/plain/hello", headers=bearer("other"))
        assert response.status_code == 403
        challenge = challenge_of(response)
        assert (challenge["error"], challenge["scope"]) == ("insufficient_scope", "mcp:read")

    def test_a_path_may_need_more(self, http, mcp_server, bearer):
        mcp_server.scopes_for = {"/mcp/plain/echo": ("mcp:write",)}
        url = f"{mcp_server.url}/plain/echo"
        response = http.post(url, headers=bearer("mcp:read"), content="x")
        assert (response.status_code, challenge_of(response)["scope"]) == (403, "mcp:read mcp:write")
        assert http.post(url, headers=bearer("mcp:read", "mcp:write"), content="x").text == "x"
        assert http.get(f"{mcp_server.url}/plain/hello", headers=bearer("mcp:read")).status_code == 200

    def test_it_may_reject_everybody(self, http, mcp_server, bearer):
        mcp_server.reject_all = True
        assert http.get(f"{mcp_server.url}/plain/hello", headers=bearer("mcp:read")).status_code == 401
        assert mcp_server.rejected == 1


class TestChallenge:
    @pytest.mark.parametrize("names", [("resource_metadata",), ("scope",), ("scope", "error"), ()])
    def test_its_parameters_may_be_left_out(self, http, mcp_server, names):
        mcp_server.challenge = names
        challenge = challenge_of(http.get(mcp_server.url, headers={"Authorization": "Bearer abc"}))
        assert tuple(challenge) == names

    def test_there_may_be_none(self, http, mcp_server):
        mcp_server.challenge = None
        response = http.get(mcp_server.url)
        assert response.status_code == 401
        assert "www-authenticate" not in response.headers

    def test_it_asks_for_no_scope_where_none_is_needed(self, http, mcp_server):
        mcp_server.scopes = ()
        assert challenge_of(http.get(mcp_server.url)) == {"resource_metadata": mcp_server.metadata_url}


class TestMetadata:
    ROOT = "/.well-known/oauth-protected-resource"

    @pytest.mark.parametrize(
        ("form", "served"), [("path", {f"{ROOT}/mcp"}), ("root", {ROOT}), ("none", set())], ids=["path", "root", "none"]
    )
    def test_it_stands_in_the_place_of_its_form_and_nowhere_else(self, http, auth_server, form, served):
        with ProtectedServer(auth_server, metadata=form) as server:
            places = (self.ROOT, f"{self.ROOT}/mcp", f"/mcp{self.ROOT}")
            answers = {place: http.get(server.origin + place).status_code for place in places}
            assert {place for place, status in answers.items() if status == 200} == served
            assert server.metadata_url == (server.origin + min(served) if served else None)

    def test_it_names_the_resource_and_its_authorization_server(self, http, auth_server, mcp_server):
        assert http.get(mcp_server.metadata_url).json() == {
            "resource": mcp_server.url,
            "authorization_servers": [auth_server.issuer],
            "bearer_methods_supported": ["header"],
        }

    def test_it_may_list_scopes(self, http, mcp_server):
        mcp_server.scopes_supported = ("mcp:read", "mcp:write")
        assert http.get(mcp_server.metadata_url).json()["scopes_supported"] == ["mcp:read", "mcp:write"]

    def test_the_challenge_may_send_one_elsewhere(self, http, mcp_server):
        mcp_server.metadata_at = "https://elsewhere.example/metadata"
        assert challenge_of(http.get(mcp_server.url))["resource_metadata"] == "https://elsewhere.example/metadata"

    def test_a_challenge_names_no_metadata_where_there_is_none(self, http, auth_server):
        with ProtectedServer(auth_server, metadata="none", scopes=("a",)) as server:
            assert challenge_of(http.get(server.url)) == {"scope": "a"}

    def test_the_authorization_server_knows_the_resource(self, ask, mcp_server):
        assert ask(resource=mcp_server.url).status_code == 200


class TestPlainRoutes:
    @pytest.fixture
    def plain(self, mcp_server, bearer):
        with httpx2.Client(base_url=mcp_server.url + "/plain/", headers=bearer("mcp:read"), trust_env=False) as client:
            yield client

    def test_sleep(self, plain):
        assert plain.get("sleep", params={"ms": 1}).json() == {"slept_ms": 1.0}

    def test_echo(self, plain):
        response = plain.post("echo", content=b"\x00\x01", headers={"Content-Type": "application/octet-stream"})
        assert response.content == b"\x00\x01"
        assert response.headers["content-type"] == "application/octet-stream"

    def test_a_stream_comes_event_by_event_and_ends(self, plain):
        with plain.stream("GET", "stream", params={"seconds": 0.01}) as response:
            assert response.headers["content-type"].startswith("text/event-stream")
            lines = list(response.iter_lines())
        assert [line for line in lines if line.startswith("id")][:2] == ["id: 0", "id: 1"]

    @pytest.mark.parametrize("params", [{}, {"to": ""}, {"to": "/x", "status": "200"}, {"to": "/x", "status": "x"}])
    def test_a_redirect_to_nowhere_says_what_is_needed(self, plain, params):
        response = plain.get("redirect", params=params)
        assert (response.status_code, response.text[:7]) == (400, "to=URL ")

    @pytest.mark.parametrize("status", [None, 302, 308])
    def test_a_redirect_goes_where_it_is_told(self, plain, status):
        response = plain.get(
            "redirect", params={"to": "https://other.example/x", **({"status": status} if status else {})}
        )
        assert (response.status_code, response.headers["location"]) == (status or 307, "https://other.example/x")

    def test_the_sibling_tells_what_it_got(self, http, mcp_server):
        response = http.get(f"{mcp_server.origin}/other", headers={"Authorization": "Bearer leaked"})
        assert response.json()["headers"]["authorization"] == "Bearer leaked"


@pytest.mark.parametrize("stateless", [False, True], ids=["stateful", "stateless"])
@pytest.mark.parametrize("mode", ["auto", "legacy", "2026-07-28"])
class TestTools:
    @pytest.fixture
    def talk(self, auth_server, mode, stateless):
        """Runs a conversation with the server, as the official client."""
        with ProtectedServer(auth_server, stateless=stateless) as server:

            def talk(conversation, *scopes):
                token = auth_server.issue_token("ci-bot", audience=server.url, scopes=scopes)

                async def main():
                    http = httpx2.AsyncClient(headers={"Authorization": f"Bearer {token}"}, trust_env=False)
                    async with (
                        http,
                        mcp.Client(streamable_http_client(server.url, http_client=http), mode=mode) as client,
                    ):
                        return await conversation(client)

                return asyncio.run(main())

            talk.server = server
            yield talk

    def test_they_are_listed(self, talk):
        async def conversation(client):
            return [tool.name for tool in (await client.list_tools()).tools]

        assert talk(conversation) == ["echo", "add", "whoami", "slow"]

    def test_they_work(self, talk):
        async def conversation(client):
            echo = await client.call_tool("echo", {"text": "hello"})
            add = await client.call_tool("add", {"a": 1, "b": 2})
            return echo.content[0].text, add.content[0].text

        assert talk(conversation) == ("hello", "3")

    def test_whoami_knows_the_token(self, talk):
        async def conversation(client):
            return (await client.call_tool("whoami")).structured_content

        assert talk(conversation, "a", "b") == {"client_id": "ci-bot", "scopes": ["a", "b"]}

    def test_slow_reports_its_progress(self, talk):
        progress = []

        async def conversation(client):
            async def note(done, total, message):
                progress.append((done, total))

            return (await client.call_tool("slow", {"seconds": 0.01}, progress_callback=note)).content[0].text

        assert talk(conversation) == "0.01 s later"
        assert progress[-1] == (10, 10)

    def test_a_tool_may_need_more(self, talk):
        talk.server.scopes_for = {"add": ("mcp:write",)}

        async def conversation(client):
            return (await client.call_tool("add", {"a": 1, "b": 2})).content[0].text

        assert talk(conversation, "mcp:write") == "3"
        with pytest.raises(BaseException):  # noqa: B017, PT011 - what the client makes of a 403 is its own affair
            talk(conversation)
        assert talk.server.count(status=403) == 1


def test_it_leaves_the_root_logger_alone(auth_server):
    root = logging.getLogger()
    before = root.level, list(root.handlers)
    with ProtectedServer(auth_server):
        assert (root.level, root.handlers) == before


class TestMove:
    """The authorization server moves while the resource stays (SEP-2352)."""

    @pytest.fixture
    def new_home(self, mcp_server):
        with AuthorizationServer() as server:
            server.add_client("ci-bot", secret="s3cret", scopes=("mcp:read",))
            mcp_server.authorization_server = server
            yield server

    def test_the_metadata_and_the_tokens_that_are_good_follow(self, http, ask, bearer, mcp_server, request):
        before = bearer("mcp:read")
        new_home = request.getfixturevalue("new_home")
        document = http.get(mcp_server.metadata_url).json()
        assert document["authorization_servers"] == [new_home.issuer]
        url = f"{mcp_server.url}/plain/hello"
        assert http.get(url, headers=before).status_code == 401
        token = ask(new_home, resource=mcp_server.url).json()["access_token"]
        assert http.get(url, headers={"Authorization": f"Bearer {token}"}).status_code == 200

    def test_so_does_what_is_said_of_dpop(self, http, mcp_server, new_home):
        assert len(http.get(mcp_server.url).headers.get_list("www-authenticate")) == 1
        new_home.dpop = "optional"
        assert len(http.get(mcp_server.url).headers.get_list("www-authenticate")) == 2
