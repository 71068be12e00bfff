"""A token goes to the resource, and nowhere else: not after a redirect, not to a sibling, not by any spelling."""

from __future__ import annotations

import httpx
import httpx2
import pytest
from integration.visitors import GUARDED, PLAIN, authorized, authorized_async, httpx2_sync
from integration.ways_in import auth_for, cost, hello

import gatepass
from gatepass.testing import ProtectedServer, Trouble

everybody = pytest.mark.parametrize("visitor", PLAIN + GUARDED)
plain = pytest.mark.parametrize("visitor", PLAIN)
guarded = pytest.mark.parametrize("visitor", GUARDED)


SIBLINGS = (
    "/other", "/", "/mcpx", "/MCP", "//mcp", "/mcp/../other", "/mcp/plain/../../other", "/mcp/%2e%2e/other", "/./other",
    "/mcp/..%2fother", "/mcp/%252e%252e/other", "/mcp/..;/other", "/mcp/..%5cother", "/mcp%2f..%2fother", "/mcp%00",
)  # fmt: skip
INSIDE = (
    lambda server: server.url,
    hello,
    lambda server: f"{server.url}/",
    lambda server: f"{server.url}?a=b#c",
    lambda server: f"{server.origin}/x/../mcp",
    lambda server: server.url.replace("http://", "HTTP://"),
)
HOSTS = ("evil.example", "127.0.0.1", "127.0.0.1:1", "", "127.0.0.1@evil.example")


@pytest.fixture
def elsewhere(auth_server):
    """Another protected server of the same authorization server, on another origin."""
    with ProtectedServer(auth_server, scopes=("mcp:write",)) as server:
        yield server


@pytest.fixture
def auth(mcp_server):
    """A way in that has its token, so that every request from here on is the user's own."""
    made = auth_for(mcp_server)
    made.token()
    mcp_server.reset_counters()
    return made


def redirect(mcp_server, to, status=307):
    return str(httpx2.URL(f"{mcp_server.url}/plain/redirect", params={"to": to, "status": status}))


def tokens_seen(server, path=None):
    """The scheme of the Authorization header of each request; None where there was none."""
    return [each.header("authorization") for each in server.requests if path is None or each.path == path]


class TestWhatIsAskedFor:
    @everybody
    def test_the_resource_and_what_lies_below_it_get_the_token(self, mcp_server, auth, visitor):
        visitor(auth).fetch(*(spelling(mcp_server) for spelling in INSIDE))
        assert tokens_seen(mcp_server) == ["Bearer"] * len(INSIDE)

    @everybody
    def test_a_sibling_by_any_spelling_gets_none(self, mcp_server, auth, visitor):
        visitor(auth).fetch(*(mcp_server.origin + path for path in SIBLINGS))
        assert tokens_seen(mcp_server) == [None] * len(SIBLINGS)

    @everybody
    def test_another_origin_gets_none(self, elsewhere, auth, visitor):
        assert visitor(auth).fetch(hello(elsewhere)).status_code == 401
        assert tokens_seen(elsewhere) == [None]

    @everybody
    def test_another_name_of_the_same_machine_gets_none(self, mcp_server, auth, visitor):
        visitor(auth).fetch(hello(mcp_server).replace("127.0.0.1", "localhost"))
        assert tokens_seen(mcp_server) == [None]

    @everybody
    def test_another_host_in_the_header_gets_none(self, mcp_server, auth, visitor):
        for host in HOSTS:
            visitor(auth).fetch(hello(mcp_server), headers={"Host": host})
        assert tokens_seen(mcp_server) == [None] * len(HOSTS)

    @everybody
    def test_the_same_host_in_the_header_gets_the_token(self, mcp_server, auth, visitor):
        visitor(auth).fetch(hello(mcp_server), headers={"host": mcp_server.origin.removeprefix("http://")})
        assert tokens_seen(mcp_server) == ["Bearer"]

    @everybody
    def test_what_is_outside_is_said_once(self, mcp_server, auth, visitor, caplog):
        caplog.set_level("INFO", logger="gatepass")
        for _ in range(2):
            visitor(auth).fetch(f"{mcp_server.origin}/other")
            visitor(auth).fetch(hello(mcp_server), headers={"Host": "evil.example"})
        assert [record.getMessage() for record in caplog.records if "without a token" in record.getMessage()] == [
            f"A request to {mcp_server.origin} is outside the resource; it goes out without a token.",
            f"A request to {mcp_server.origin} has a Host header of another site; it goes out without a token.",
        ]

    @everybody
    def test_a_header_of_the_users_own_is_left_alone_outside(self, mcp_server, auth, visitor):
        visitor(auth).fetch(f"{mcp_server.origin}/other", headers={"Authorization": "Basic b3duOm93bg=="})
        assert tokens_seen(mcp_server) == ["Basic"]

    def test_headers_are_given_for_the_resource_only(self, mcp_server, elsewhere, auth):
        inside = {"Authorization": f"Bearer {auth.token()}"}
        assert auth.headers("GET", hello(mcp_server)) == inside
        for url in (
            f"{mcp_server.origin}/other",
            f"{mcp_server.url}/../other",
            elsewhere.url,
            "https://example.com/mcp",
        ):
            assert auth.headers("POST", url) == {}

    @pytest.mark.parametrize(
        "url", ["", "/mcp", "mcp.example.com/mcp", "http://[::1", "http:///mcp", "http://a\n/mcp", None]
    )
    def test_headers_for_what_is_no_url_are_refused(self, auth, url):
        with pytest.raises(gatepass.ConfigurationError, match=r"^url is not a full URL") as caught:
            auth.headers("GET", url)
        assert caught.value.code == "url_invalid"


class TestTheWholeOrigin:
    @everybody
    def test_siblings_get_the_token_where_it_is_asked_for(self, mcp_server, visitor):
        auth = auth_for(mcp_server, whole_origin=True)
        token = auth.token()
        response = visitor(auth).fetch(f"{mcp_server.origin}/other")
        assert response.json()["headers"]["authorization"] == f"Bearer {token}"

    @everybody
    def test_other_origins_still_get_none(self, mcp_server, elsewhere, visitor):
        auth = auth_for(mcp_server, whole_origin=True)
        auth.token()
        visitor(auth).fetch(elsewhere.url)
        visitor(auth).fetch(f"{mcp_server.origin}/other", headers={"Host": "evil.example"})
        assert tokens_seen(elsewhere) == tokens_seen(mcp_server, "/other") == [None]


class TestRedirects:
    @guarded
    @pytest.mark.parametrize("method", ["GET", "POST"])
    def test_a_guarded_client_takes_the_token_off_before_a_sibling(self, mcp_server, auth, visitor, method):
        urls = [redirect(mcp_server, f"{mcp_server.origin}/other", status) for status in (301, 302, 303, 307, 308)]
        response = visitor(auth, follow_redirects=True).fetch(*urls, method=method)
        assert response.status_code == 200
        assert "authorization" not in response.json()["headers"]
        assert tokens_seen(mcp_server) == ["Bearer", None] * 5

    @guarded
    def test_a_guarded_client_takes_the_token_along_inside(self, mcp_server, auth, visitor):
        response = visitor(auth, follow_redirects=True).fetch(redirect(mcp_server, hello(mcp_server)))
        assert response.json() == {"hello": "ci-bot"}
        assert tokens_seen(mcp_server) == ["Bearer"] * 2

    @guarded
    def test_a_chain_that_leaves_and_comes_back_comes_back_without_a_token(self, mcp_server, elsewhere, auth, visitor):
        elsewhere.trouble = Trouble(paths=("/out",), status=307, headers={"Location": hello(mcp_server)})
        response = visitor(auth, follow_redirects=True).fetch(redirect(mcp_server, f"{elsewhere.origin}/out"))
        assert response.status_code == 401
        assert tokens_seen(mcp_server) == ["Bearer", None]
        assert tokens_seen(elsewhere) == [None]
        assert cost(mcp_server)["token"] == 1  # nobody refused the token: it was not there

    @everybody
    def test_another_origin_gets_none(self, mcp_server, elsewhere, auth, visitor):
        visitor(auth, follow_redirects=True).fetch(redirect(mcp_server, f"{elsewhere.origin}/other"))
        assert tokens_seen(elsewhere) == [None]

    @everybody
    def test_a_refusal_from_elsewhere_is_the_callers_and_says_nothing_about_the_token(
        self, mcp_server, elsewhere, auth, visitor
    ):
        before = auth.token()
        response = visitor(auth, follow_redirects=True).fetch(redirect(mcp_server, hello(elsewhere)))
        assert response.status_code == 401
        assert (mcp_server.count("resource"), elsewhere.count("resource")) == (1, 1)  # and nothing is sent again
        assert auth.token() == before
        assert visitor(auth).fetch(hello(mcp_server)).status_code == 200
        assert cost(mcp_server)["token"] == 1

    @everybody
    def test_a_challenge_from_elsewhere_is_nothing_to_us(self, mcp_server, elsewhere, visitor):
        auth = auth_for(mcp_server)
        mcp_server.trouble = Trouble(status=307, headers={"Location": hello(elsewhere)}, times=1)
        assert visitor(auth, follow_redirects=True).fetch(hello(mcp_server)).status_code == 401
        assert cost(mcp_server)["token"] == 0
        assert visitor(auth).fetch(hello(mcp_server)).status_code == 200
        assert mcp_server.authorization_server.requests[-1].scope == "mcp:read"

    @plain
    def test_a_redirect_that_the_user_follows_is_authorized_anew(self, mcp_server, auth, visitor):
        response = visitor(auth).follow(redirect(mcp_server, f"{mcp_server.origin}/other"))
        assert "authorization" not in response.json()["headers"]
        assert visitor(auth).follow(redirect(mcp_server, hello(mcp_server))).json() == {"hello": "ci-bot"}

    @plain
    def test_a_redirect_to_another_origin_that_the_user_follows_has_no_token(
        self, mcp_server, elsewhere, auth, visitor
    ):
        visitor(auth).follow(redirect(mcp_server, f"{elsewhere.origin}/other"))
        assert tokens_seen(elsewhere) == [None]

    def test_a_user_without_auth_keeps_what_is_in_the_request(self, mcp_server, auth):
        """What leaves our hands with the token in it is the user's: nobody can take it off there."""
        with httpx2.Client(auth=auth) as http, httpx2.Client() as bare:
            response = http.get(redirect(mcp_server, f"{mcp_server.origin}/other"))
            assert "authorization" in bare.send(response.next_request).json()["headers"]


class TestHooks:
    @pytest.mark.parametrize("assign", ["the property", "an entry", "at the start", "appended"])
    @guarded
    def test_whatever_hooks_a_user_sets_the_guard_stays(self, mcp_server, auth, visitor, assign):
        seen = []

        def see(request):
            seen.append(request.url.path)

        async def asee(request):
            see(request)

        hook = see if visitor is authorized else asee
        at_the_start = {"event_hooks": {"request": [hook]}} if assign == "at the start" else {}
        visit = visitor(auth, follow_redirects=True, **at_the_start)
        if assign == "the property":
            visit.client.event_hooks = {"request": [hook]}
        elif assign == "an entry":
            visit.client.event_hooks["request"] = [hook]
        elif assign == "appended":
            visit.client.event_hooks["request"].append(hook)
        response = visit.fetch(redirect(mcp_server, f"{mcp_server.origin}/other"))
        assert "authorization" not in response.json()["headers"]
        assert seen == ["/mcp/plain/redirect", "/other"]

    def test_hooks_that_were_read_can_be_assigned_again(self, mcp_server, auth):
        with gatepass.AuthorizedClient(auth) as http:
            before = {event: list(hooks) for event, hooks in http.event_hooks.items()}
            http.event_hooks = http.event_hooks
            assert http.event_hooks == before


class TestTheBase:
    @pytest.mark.parametrize(
        ("url", "path"),
        [
            ("", "/mcp"), ("plain/hello", "/mcp/plain/hello"), ("/plain/hello", "/mcp/plain/hello"),
            ("../other", "/other"), ("plain/../../other", "/other"), ("//evil.example/mcp", "/mcp/mcp"),
        ],
    )  # fmt: skip
    @pytest.mark.parametrize("client", [gatepass.AuthorizedClient, gatepass.AuthorizedAsyncClient])
    def test_a_relative_url_stays_on_the_resources_origin(self, mcp_server, auth, client, url, path):
        request = client(auth).build_request("GET", url)
        assert (request.url.netloc.decode(), request.url.path) == (mcp_server.origin.removeprefix("http://"), path)
        assert auth.reach.covers(request.url) == path.startswith("/mcp")

    def test_an_absolute_url_elsewhere_gets_no_token(self, elsewhere, auth):
        authorized(auth).fetch(f"{elsewhere.origin}/other")
        authorized_async(auth).fetch(f"{elsewhere.origin}/other")
        assert tokens_seen(elsewhere) == [None] * 2


SPELLINGS = {
    "https://xn--bcher-kva.example/mcp": {
        "https://bücher.example/mcp/x": True,
        "https://XN--BCHER-KVA.example:443/mcp": True,
        "https://xn--bcher-kva.example./mcp": False,
    },
    "http://[::1]:8080/mcp": {
        "http://[0:0:0:0:0:0:0:1]:8080/mcp/x": True,
        "http://[::1]:8081/mcp": False,
        "http://127.0.0.1:8080/mcp": False,
    },
    "https://Example.com:443/mcp/": {
        "https://EXAMPLE.com/mcp": True,
        "https://example.com:443/mcp/x?y#z": True,
        "http://example.com/mcp": False,
        "https://example.com:444/mcp": False,
        "https://example.com.evil.example/mcp": False,
        "https://evil.example/https://example.com/mcp": False,
    },
}


@pytest.mark.parametrize(
    ("resource", "url", "inside"),
    [(resource, url, inside) for resource, urls in SPELLINGS.items() for url, inside in urls.items()],
)
@pytest.mark.parametrize("library", [httpx2, httpx])
def test_the_same_place_is_known_by_every_spelling_and_no_other_is(resource, url, inside, library):
    auth = gatepass.Auth(resource, gatepass.ClientCredentials(gatepass.ClientSecret("x", "y")))
    assert auth.reach.admits(library.Request("GET", url)) is inside


def test_two_resources_on_one_origin_do_not_share_their_tokens(mcp_server, auth):
    below = gatepass.Auth(f"{mcp_server.url}/plain", gatepass.ClientCredentials(gatepass.ClientSecret("x", "y")))
    assert not below.reach.covers(httpx2.URL(mcp_server.url))
    assert below.reach.covers(httpx2.URL(hello(mcp_server)))
    assert not auth.reach.covers(httpx.URL(f"{mcp_server.origin}/mcp2"))


def test_a_client_of_httpx2_sends_no_token_over_a_base_url_elsewhere(elsewhere, auth):
    httpx2_sync(auth, base_url=elsewhere.origin).fetch("/mcp")
    assert tokens_seen(elsewhere) == [None]
