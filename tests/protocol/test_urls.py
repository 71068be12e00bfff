"""The rules for URLs: what a resource is, what it reaches, where documents stand, what may see a credential."""

from __future__ import annotations

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from gatepass.errors import ConfigurationError, RemoteError
from gatepass.protocol.urls import (
    canonical_resource,
    check_issuer,
    covers,
    is_http_url,
    is_loopback,
    origin,
    require_secure,
    require_secure_endpoint,
    resource_metadata_candidates,
    same_origin,
    server_metadata_candidates,
    shown,
)

schemes = st.sampled_from(["http", "https", "HTTPS"])
hosts = st.sampled_from(["a.example", "A.example", "b.example", "a.example.evil", "127.0.0.1", "[::1]", "localhost"])
ports = st.sampled_from(["", ":80", ":443", ":8443", ":"])
segments = st.sampled_from(["mcp", "mcpx", "x", "a%2Fb", "%6Dcp", "a;b", "", "é", "%20"])
paths = st.lists(segments, max_size=4).map(lambda parts: "".join("/" + part for part in parts))
tails = st.sampled_from(["", "?", "?q=/../x", "#f"])
urls = st.builds("{}://{}{}{}{}".format, schemes, hosts, ports, paths, tails)
climbs = st.sampled_from(
    [
        "..",
        ".",
        "%2e%2e",
        "%2E.",
        ".%2e",
        "%252e%252e",
        "%25%32%65.",
        "..;a=b",
        "..%2f..",
        "x%2f..%2fy",
        "..%5c",
        "..%00",
        "..%20",
        "%25252525252e",
    ]
)

NOT_A_URL = [
    "",
    "mcp.example.com/mcp",
    "localhost:8000/mcp",
    "//mcp.example.com/mcp",
    "/mcp",
    "https:/mcp.example.com",
    "https:mcp.example.com",
    "ftp://mcp.example.com",
    "file:///etc/passwd",
    "https://",
    "https:///mcp",
    "https://?q",
    "https://:443/mcp",
    "https://user@mcp.example.com/mcp",
    "https://user:hunter2@mcp.example.com/mcp",
    "https://@mcp.example.com/mcp",
    "https://mcp.example.com:99999/mcp",
    "https://mcp.example.com:0/mcp",
    "https://mcp.example.com:x/mcp",
    "https://mcp.example.com:-1/mcp",
    "https://mcp.example.com:\u0661/mcp",
    "https://mcp.example.com\\@evil.example/mcp",
    "https://mcp.example.com/a b",
    " https://mcp.example.com",
    "https://mcp.example.com\n",
    "https://mcp.example.com/\x00",
    "https://mcp.ex\tample.com/",
    "https://m\u00fcnchen.example/mcp",
    "https://mcp\uff0eexample.com/",
    "https://mcp%2eexample.com/",
    "https://[::1/mcp",
    "https://[::1]evil/mcp",
    "https://evil[::1]/mcp",
    "https://[fe80::1%25eth0]/",
    "https://[zz]/",
    "https://[1.2.3.4]/",
    "https://h/\ud800",
    None,
    b"https://mcp.example.com",
    7,
]


@pytest.mark.parametrize(
    ("url", "canonical"),
    [
        ("https://mcp.example.com/mcp", "https://mcp.example.com/mcp"),
        ("HTTPS://MCP.Example.COM/Mcp", "https://mcp.example.com/Mcp"),
        ("https://mcp.example.com", "https://mcp.example.com"),
        ("https://mcp.example.com/", "https://mcp.example.com"),
        ("https://mcp.example.com/mcp/", "https://mcp.example.com/mcp/"),
        ("https://mcp.example.com:443/mcp?tenant=a#top", "https://mcp.example.com/mcp"),
        ("http://mcp.example.com:80/mcp", "http://mcp.example.com/mcp"),
        ("https://mcp.example.com:80/mcp", "https://mcp.example.com:80/mcp"),
        ("https://mcp.example.com:/mcp", "https://mcp.example.com/mcp"),
        ("http://127.0.0.1:08080/mcp", "http://127.0.0.1:8080/mcp"),
        ("http://[0:0:0:0:0:0:0:1]:8080/mcp", "http://[::1]:8080/mcp"),
        ("https://mcp.example.com/\u00e9/%7Ea", "https://mcp.example.com/%C3%A9/%7Ea"),
        ("https://mcp.example.com/a//b", "https://mcp.example.com/a//b"),
        ("https://mcp.example.com?x", "https://mcp.example.com"),
    ],
)
def test_a_resource_has_one_canonical_spelling(url, canonical):
    assert canonical_resource(url) == canonical
    assert canonical_resource(canonical) == canonical


@pytest.mark.parametrize("url", NOT_A_URL, ids=repr)
def test_what_is_no_resource_is_refused_by_field_and_without_quoting_it(url):
    with pytest.raises(ConfigurationError) as caught:
        canonical_resource(url, field="endpoint")
    assert caught.value.code == "resource_invalid"
    assert str(caught.value).startswith("endpoint ")
    assert "hunter2" not in str(caught.value)
    assert caught.value.__context__ is None


@given(climbs, paths)
def test_a_resource_with_a_dot_segment_is_refused(climb, path):
    with pytest.raises(ConfigurationError) as caught:
        canonical_resource(f"https://a.example{path}/{climb}")
    assert caught.value.code == "resource_invalid"


@given(urls)
def test_the_canonical_spelling_is_stable_and_covers_what_it_came_from(url):
    canonical = canonical_resource(url)
    assert canonical_resource(canonical) == canonical
    assert covers(canonical, url)
    assert same_origin(canonical, url)
    assert canonical.startswith(origin(url))


@pytest.mark.parametrize(
    ("resource", "url"),
    [
        ("https://h.example/mcp", "https://h.example/mcp"),
        ("https://h.example/mcp", "https://h.example/mcp/"),
        ("https://h.example/mcp", "https://h.example/mcp/x/y"),
        ("https://h.example/mcp", "https://h.example/mcp?session=1"),
        ("https://h.example/mcp", "https://h.example/mcp#part"),
        ("https://h.example/mcp", "HTTPS://H.EXAMPLE:443/mcp"),
        ("https://h.example/mcp", "https://h.example/mcp//x"),
        ("https://h.example/mcp", "https://h.example/mcp/a%2Fb"),
        ("https://h.example/mcp", "https://h.example/mcp/..."),
        ("https://h.example/mcp", "https://h.example/mcp/.well-known"),
        ("https://h.example/mcp", "https://h.example/mcp/100%25"),
        ("https://h.example/mcp", "https://h.example/%6dcp"),
        ("https://h.example/mcp/", "https://h.example/mcp"),
        ("https://h.example/mcp/", "https://h.example/mcp/x"),
        ("https://h.example/a%2fb", "https://h.example/a%2Fb"),
        ("https://h.example/\u00e9", "https://h.example/%c3%a9/x"),
        ("https://h.example", "https://h.example"),
        ("https://h.example", "https://h.example/anything"),
        ("https://h.example/", "https://h.example"),
        ("http://h.example", "http://h.example:80/x"),
        ("http://[::1]:8000/mcp", "http://[0::1]:8000/mcp"),
    ],
)
def test_a_resource_covers_its_path_and_what_is_below(resource, url):
    assert covers(resource, url)


@pytest.mark.parametrize(
    ("resource", "url"),
    [
        ("https://h.example/mcp", "https://h.example/mcpx"),
        ("https://h.example/mcp", "https://h.example/mcp-evil"),
        ("https://h.example/mcp", "https://h.example/mcp;x"),
        ("https://h.example/mcp", "https://h.example/mcp%2fx"),
        ("https://h.example/mcp", "https://h.example/mcp%00"),
        ("https://h.example/mcp", "https://h.example/MCP"),
        ("https://h.example/mcp", "https://h.example/"),
        ("https://h.example/mcp", "https://h.example"),
        ("https://h.example/mcp", "https://h.example//mcp"),
        ("https://h.example/mcp", "https://h.example/x/mcp"),
        ("https://h.example/mcp", "http://h.example/mcp"),
        ("https://h.example/mcp", "https://h.example:8443/mcp"),
        ("https://h.example/mcp", "https://h.example:80/mcp"),
        ("https://h.example/mcp", "https://sub.h.example/mcp"),
        ("https://h.example/mcp", "https://h.example./mcp"),
        ("https://h.example/mcp", "https://h.example.evil/mcp"),
        ("https://h.example/mcp", "https://h.example@evil.example/mcp"),
        ("https://h.example/mcp", "https://evil.example/https://h.example/mcp"),
        ("https://h.example/mcp", "https://h.example\\@evil.example/mcp"),
        ("https://h.example/mcp", "https://h.example/mcp\\..\\admin"),
        ("https://h.example/mcp", "https://h.example/mcp/\n"),
        ("https://h.example/mcp", "//h.example/mcp"),
        ("https://h.example/mcp", "/mcp"),
        ("https://h.example/mcp/x", "https://h.example/mcp"),
        ("https://h.example/mcp/..", "https://h.example/other"),
        ("https://h.example/%2e", "https://h.example/other"),
        ("https://h.example/mcp#f", "https://h.example/mcp"),
        ("h.example", "h.example/mcp"),
        ("", ""),
    ],
)
def test_a_resource_does_not_cover_anything_else(resource, url):
    assert not covers(resource, url)


@given(urls, urls)
def test_nothing_on_another_origin_is_ever_covered(resource, url):
    if covers(resource, url):
        assert same_origin(resource, url)


@given(st.text(), st.text())
@example("https://a.example", "https://a.example@b.example")
def test_any_two_texts_can_be_compared_and_only_urls_match(a, b):
    if covers(a, b) or same_origin(a, b):
        assert is_http_url(a)
        assert is_http_url(b)


@given(paths, climbs, paths)
@example("/mcp", "%2e%2e", "")
def test_a_dot_segment_in_any_spelling_is_out_of_reach(before, climb, after):
    assert not covers("https://a.example", f"https://a.example{before}/{climb}{after}")
    assert not covers(f"https://a.example{before}/{climb}{after}", f"https://a.example{before}/{climb}{after}")


@given(paths, paths, tails)
def test_below_a_covered_path_everything_is_covered(base, more, tail):
    assert covers("https://a.example" + base, f"https://a.example{base.rstrip('/')}{more}{tail}") or base.endswith("//")


@given(urls, urls, urls)
def test_covering_is_transitive(a, b, c):
    assume("#" not in b)
    if covers(a, b) and covers(b, c):
        assert covers(a, c)


@given(urls, urls)
def test_same_origin_is_what_origin_says(a, b):
    assert same_origin(a, b) == same_origin(b, a) == (origin(a) == origin(b))
    assert same_origin(a, a)


@pytest.mark.parametrize("url", NOT_A_URL, ids=repr)
def test_what_is_no_url_has_no_origin_and_no_reach(url):
    assert not is_http_url(url)
    assert not is_loopback(url)
    assert not same_origin(url, url)
    assert not covers(url, url)
    with pytest.raises(ConfigurationError) as caught:
        origin(url)
    assert caught.value.code == "url_invalid"


@pytest.mark.parametrize(
    ("endpoint", "candidates"),
    [
        (
            "https://resource.example.com/resource1",
            (
                "https://resource.example.com/.well-known/oauth-protected-resource/resource1",
                "https://resource.example.com/.well-known/oauth-protected-resource",
            ),
        ),
        ("https://h.example", ("https://h.example/.well-known/oauth-protected-resource",)),
        ("https://h.example/", ("https://h.example/.well-known/oauth-protected-resource",)),
        (
            "http://127.0.0.1:8000/a/mcp/?q",
            (
                "http://127.0.0.1:8000/.well-known/oauth-protected-resource/a/mcp/",
                "http://127.0.0.1:8000/.well-known/oauth-protected-resource/a/mcp",
                "http://127.0.0.1:8000/.well-known/oauth-protected-resource",
            ),
        ),
    ],
)
def test_resource_metadata_is_looked_for_at_the_path_first_and_then_at_the_root(endpoint, candidates):
    assert resource_metadata_candidates(endpoint) == candidates


@pytest.mark.parametrize(
    ("issuer", "candidates"),
    [
        (
            "https://example.com",
            (
                "https://example.com/.well-known/oauth-authorization-server",
                "https://example.com/.well-known/openid-configuration",
            ),
        ),
        (
            "https://example.com/",
            (
                "https://example.com/.well-known/oauth-authorization-server",
                "https://example.com/.well-known/openid-configuration",
            ),
        ),
        (
            "https://example.com/issuer1",
            (
                "https://example.com/.well-known/oauth-authorization-server/issuer1",
                "https://example.com/.well-known/openid-configuration/issuer1",
                "https://example.com/issuer1/.well-known/openid-configuration",
            ),
        ),
        (
            "https://example.com:8443/a/b/",
            (
                "https://example.com:8443/.well-known/oauth-authorization-server/a/b",
                "https://example.com:8443/.well-known/openid-configuration/a/b",
                "https://example.com:8443/a/b/.well-known/openid-configuration",
            ),
        ),
    ],
)
def test_server_metadata_is_looked_for_in_the_order_of_the_specifications(issuer, candidates):
    assert server_metadata_candidates(issuer) == candidates


@given(urls)
def test_metadata_is_looked_for_on_the_own_origin_only(url):
    for candidate in (*resource_metadata_candidates(url), *server_metadata_candidates(url)):
        assert same_origin(candidate, url)
        assert "/.well-known/" in candidate


@pytest.mark.parametrize(
    ("look", "code"),
    [(resource_metadata_candidates, "resource_invalid"), (server_metadata_candidates, "issuer_invalid")],
)
def test_there_are_no_candidates_for_what_is_no_url(look, code):
    with pytest.raises(ConfigurationError) as caught:
        look("example.com")
    assert caught.value.code == code


LOOPBACK = ["http://localhost/x", "http://LOCALHOST:1", "http://127.0.0.1:8000", "http://127.9.9.9", "http://[::1]:80"]
IN_THE_CLEAR = [
    "http://as.example/token",
    "http://localhost.evil/x",
    "http://localhost./x",
    "http://127.0.0.1.evil/x",
    "http://128.0.0.1/x",
    "http://0127.0.0.1/x",
    "http://127.1/x",
    "http://2130706433/x",
    "http://0.0.0.0/x",
    "http://[::]/x",
    "http://[::ffff:127.0.0.1]/x",
    "http://evil.example/localhost",
]


@pytest.mark.parametrize("url", [*LOOPBACK, "https://as.example/token", "HTTPS://as.example"])
def test_https_or_loopback_may_see_a_credential(url):
    require_secure(url, field="issuer")
    require_secure_endpoint(url, field="token_endpoint", document="The metadata")


@pytest.mark.parametrize("url", LOOPBACK)
def test_loopback_is_known_by_its_literal_names(url):
    assert is_loopback(url)


@pytest.mark.parametrize("url", IN_THE_CLEAR)
def test_http_elsewhere_is_refused_and_it_is_said_whose_mistake_it_is(url):
    assert not is_loopback(url)
    with pytest.raises(ConfigurationError) as ours:
        require_secure(url, field="issuer")
    assert ours.value.code == "insecure_url"
    assert "issuer" in str(ours.value)
    with pytest.raises(RemoteError) as theirs:
        require_secure_endpoint(url, field="token_endpoint", document="The metadata")
    assert theirs.value.code == "insecure_endpoint"
    assert theirs.value.by == "authorization_server"
    assert "The metadata" in str(theirs.value)
    assert "token_endpoint" in str(theirs.value)


@pytest.mark.parametrize("url", ["", "/token", "https://u:hunter2@as.example/token", "https://as.example/token#x"])
def test_an_endpoint_that_is_no_url_or_has_a_fragment_is_the_servers_mistake(url):
    with pytest.raises(RemoteError) as caught:
        require_secure_endpoint(url, field="token_endpoint", document="The metadata", by="resource_server")
    assert caught.value.code == "insecure_endpoint"
    assert caught.value.by == "resource_server"
    assert "hunter2" not in str(caught.value)


def test_a_url_of_the_users_that_is_none_is_named():
    with pytest.raises(ConfigurationError) as caught:
        require_secure("as.example", field="token_endpoint")
    assert caught.value.code == "url_invalid"
    assert str(caught.value).startswith("token_endpoint ")


@pytest.mark.parametrize("issuer", ["https://as.example", "https://as.example/", "https://as.example/t", LOOPBACK[0]])
def test_an_issuer_is_a_secure_url(issuer):
    check_issuer(issuer)


@pytest.mark.parametrize(
    ("issuer", "code"),
    [
        ("as.example", "issuer_invalid"),
        ("https://as.example?x=y", "issuer_invalid"),
        ("https://as.example#x", "issuer_invalid"),
        ("https://as.example/a/../b", "issuer_invalid"),
        ("http://as.example", "insecure_url"),
    ],
)
def test_what_can_not_be_an_issuer_is_refused(issuer, code):
    with pytest.raises(ConfigurationError) as caught:
        check_issuer(issuer, field="the_issuer")
    assert caught.value.code == code
    assert str(caught.value).startswith("the_issuer ")


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("https://h.example/path", "https://h.example/path"),
        ("https://user:hunter2@h.example/a@b?key=hunter2#hunter2", "https://h.example/a@b"),
        ("user:hunter2@h.example/x", "h.example/x"),
        ("https://h.example/\x1b[31m", "https://h.example/ [31m"),
        ("", "(empty)"),
        ("?hunter2", "(empty)"),
        ("https://h.example/" + "x" * 500, "https://h.example/" + "x" * 179 + "..."),
    ],
)
def test_a_url_is_shown_without_what_may_be_secret_in_it(url, text):
    assert shown(url) == text
