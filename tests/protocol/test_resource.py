"""Protected resource metadata: what is here, what is not, what is broken, and whom it names."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepass.core.http import HttpResponse
from gatepass.core.world import Instant
from gatepass.errors import RemoteError
from gatepass.protocol.resource import (
    ResourceMetadata,
    build_resource_metadata,
    check_covers,
    choose_server,
    parse_resource_metadata,
)

VECTOR = json.loads((Path(__file__).parents[1] / "vectors" / "metadata.json").read_text(encoding="utf-8"))["resource"]
URL = "https://h.example/.well-known/oauth-protected-resource/mcp"
NOW = Instant(wall=1000.0, mono=1.0)
MINIMAL = b'{"resource": "https://h.example/mcp"}'
CANARY = "canary-in-the-body"

texts = st.text(max_size=10)
lists = st.none() | st.lists(texts, max_size=3).map(tuple)
flags = st.none() | st.booleans()


def answer(body, *, status=200, kind="application/json", headers=()):
    return HttpResponse(status=status, headers=(("content-type", kind), *headers), body=body)


def parse(body, **options):
    return parse_resource_metadata(answer(body, **options), url=URL, now=NOW)


def test_the_example_of_the_rfc_is_read():
    metadata = parse(json.dumps(VECTOR["document"]).encode())
    assert metadata == ResourceMetadata(
        resource="https://resource.example.com",
        authorization_servers=("https://as1.example.com", "https://as2.example.net"),
        bearer_methods_supported=("header", "body"),
        scopes_supported=("profile", "email", "phone"),
        resource_documentation="https://resource.example.com/resource_documentation.html",
    )


@given(
    st.builds(
        ResourceMetadata,
        resource=texts,
        authorization_servers=lists,
        jwks_uri=st.none() | texts,
        scopes_supported=lists,
        bearer_methods_supported=lists,
        resource_name=st.none() | texts,
        resource_documentation=st.none() | texts,
        tls_client_certificate_bound_access_tokens=flags,
        dpop_signing_alg_values_supported=lists,
        dpop_bound_access_tokens_required=flags,
    )
)
def test_what_was_built_is_parsed_back(metadata):
    assert parse(build_resource_metadata(metadata)) == metadata


def test_members_that_are_absent_are_not_built():
    assert json.loads(build_resource_metadata(ResourceMetadata(resource="x"))) == {"resource": "x"}


@pytest.mark.parametrize("kind", ["application/json", "APPLICATION/JSON; charset=utf-8", "text/plain", "", "text/html"])
def test_json_is_read_whatever_the_server_calls_it(kind):
    assert parse(MINIMAL, kind=kind) == ResourceMetadata(resource="https://h.example/mcp")


def test_a_byte_order_mark_and_null_members_do_no_harm():
    body = b'\xef\xbb\xbf{"resource": "https://h.example", "scopes_supported": null, "x": {"y": [1]}}'
    assert parse(body) == ResourceMetadata(resource="https://h.example")


@pytest.mark.parametrize("status", [204, 301, 302, 307, 400, 401, 403, 404, 405, 406, 410, 421, 451])
def test_a_status_that_serves_no_document_means_not_here(status):
    assert parse(MINIMAL, status=status) is None


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"<!doctype html><title>App</title>", "text/html"),
        (b" \n<html>", "application/json"),
        (b"\xef\xbb\xbf<html>", "application/json"),
        (b"OK", "text/plain"),
        (b"", "text/plain"),
        (b"", ""),
    ],
)
def test_a_page_that_stands_for_everything_means_not_here(body, kind):
    assert parse(body, kind=kind) is None


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_server_in_trouble_says_nothing_about_the_resource(status):
    with pytest.raises(RemoteError) as caught:
        parse(b"{}" + CANARY.encode(), status=status, headers=(("Retry-After", "30"),))
    error = caught.value
    assert (error.code, error.status, error.retryable, error.retry_at) == ("metadata_unavailable", status, True, 1030.0)
    assert error.by == "resource_server"
    assert URL in str(error)
    assert CANARY not in str(error)


def test_without_the_time_there_is_no_moment_to_try_again():
    with pytest.raises(RemoteError) as caught:
        parse_resource_metadata(answer(b"", status=503, headers=(("Retry-After", "30"),)), url=URL)
    assert caught.value.retry_at is None


@pytest.mark.parametrize(
    ("document", "named"),
    [
        ({}, "required field resource"),
        ({"resource": 7}, "resource: expected str, got int"),
        ({"resource": None}, "resource: expected str, got null"),
        ({"resource": CANARY, "authorization_servers": CANARY}, "authorization_servers: expected array"),
        ({"resource": CANARY, "authorization_servers": [CANARY, 7]}, "authorization_servers[1]: expected str"),
        ({"resource": CANARY, "scopes_supported": {CANARY: 1}}, "scopes_supported: expected array"),
        ({"resource": CANARY, "dpop_bound_access_tokens_required": "true"}, "dpop_bound_access_tokens_required: "),
        ([CANARY], "expected object, got array"),
        (CANARY, "expected object, got str"),
        (None, "expected object, got null"),
    ],
)
def test_a_document_of_the_wrong_shape_is_here_but_broken_and_the_member_is_named(document, named):
    with pytest.raises(RemoteError) as caught:
        parse(json.dumps(document).encode())
    error = caught.value
    assert (error.code, error.by, error.retryable) == ("resource_metadata_invalid", "resource_server", False)
    assert named in str(error)
    assert URL in str(error)
    assert CANARY not in str(error)
    assert error.__context__ is None


@pytest.mark.parametrize("body", [b"", b'{"resource": "https://h.exa', b"{'resource': 1}", b'{"resource": "\xff"}'])
def test_a_document_that_broke_off_may_be_whole_next_time(body):
    with pytest.raises(RemoteError) as caught:
        parse(body)
    assert (caught.value.code, caught.value.retryable) == ("resource_metadata_invalid", True)
    assert caught.value.__context__ is None


def test_a_document_that_is_nested_without_end_is_refused():
    with pytest.raises(RemoteError) as caught:
        parse(b'{"resource": "x", "y": ' + b"[" * 100_000)
    assert caught.value.code == "resource_metadata_invalid"
    assert "nested too deeply" in str(caught.value)


@given(st.binary() | st.recursive(st.none() | st.booleans() | st.text(), st.lists).map(msgspec.json.encode))
def test_any_body_is_a_document_or_absent_or_a_clear_error(body):
    try:
        result = parse(body)
    except RemoteError as error:
        result = error.code
    assert result in (None, "resource_metadata_invalid") or isinstance(result, ResourceMetadata)


@pytest.mark.parametrize("resource", ["https://h.example/mcp", "https://h.example/mcp/", "https://h.example"])
def test_metadata_of_the_endpoint_or_above_it_is_accepted(resource):
    check_covers(ResourceMetadata(resource=resource), "https://h.example/mcp")


@pytest.mark.parametrize(
    "resource",
    ["https://evil.example/mcp", "https://h.example/mc", "https://h.example/mcp/x", "h.example", "", "\x1b["],
)
def test_metadata_of_another_resource_is_refused(resource):
    with pytest.raises(RemoteError) as caught:
        check_covers(ResourceMetadata(resource=resource), "https://h.example/mcp")
    assert (caught.value.code, caught.value.by) == ("resource_mismatch", "resource_server")
    assert "https://h.example/mcp" in str(caught.value)
    assert "\x1b" not in str(caught.value)


def listing(*issuers):
    return ResourceMetadata(resource="https://h.example/mcp", authorization_servers=issuers)


@pytest.mark.parametrize(
    ("listed", "pinned", "tolerate_slash", "chosen"),
    [
        (("https://a.example", "https://b.example"), None, False, "https://a.example"),
        (("https://a.example/",), None, False, "https://a.example/"),
        (("https://a.example", "https://b.example"), "https://b.example", False, "https://b.example"),
        (("https://a.example/",), "https://a.example", True, "https://a.example"),
        (("https://a.example/t",), "https://a.example/t/", True, "https://a.example/t/"),
        (("http://127.0.0.1:9000",), None, False, "http://127.0.0.1:9000"),
    ],
)
def test_the_pinned_issuer_is_chosen_or_else_the_first(listed, pinned, tolerate_slash, chosen):
    assert choose_server(listing(*listed), pinned, tolerate_slash=tolerate_slash) == chosen


@pytest.mark.parametrize(
    "pinned", ["https://c.example", "https://a.example/", "https://A.example", "https://a.example:443"]
)
def test_a_pinned_issuer_that_is_not_listed_to_the_letter_is_refused_and_the_list_is_named(pinned):
    with pytest.raises(RemoteError) as caught:
        choose_server(listing("https://a.example", "https://b.example"), pinned)
    assert (caught.value.code, caught.value.by) == ("issuer_not_listed", "resource_server")
    for named in ("https://a.example", "https://b.example", pinned):
        assert named in str(caught.value)


def test_a_long_list_is_named_in_part():
    with pytest.raises(RemoteError) as caught:
        choose_server(listing(*(f"https://as{i}.example" for i in range(1000))), "https://a.example")
    assert "https://as4.example and 995 more" in str(caught.value)


@pytest.mark.parametrize("metadata", [listing(), ResourceMetadata(resource="https://h.example")])
@pytest.mark.parametrize("pinned", [None, "https://a.example"])
def test_a_resource_without_an_authorization_server_is_refused(metadata, pinned):
    with pytest.raises(RemoteError) as caught:
        choose_server(metadata, pinned)
    assert caught.value.code == "no_authorization_server"


@pytest.mark.parametrize(
    ("issuer", "code"),
    [
        ("http://a.example", "insecure_endpoint"),
        ("a.example", "issuer_invalid"),
        ("", "issuer_invalid"),
        ("https://a.example?x", "issuer_invalid"),
        ("https://user:hunter2@a.example", "issuer_invalid"),
    ],
)
def test_a_first_entry_that_can_be_no_issuer_is_the_resources_mistake(issuer, code):
    with pytest.raises(RemoteError) as caught:
        choose_server(listing(issuer), None)
    assert (caught.value.code, caught.value.by) == (code, "resource_server")
    assert "authorization_servers[0]" in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert caught.value.__context__ is None
