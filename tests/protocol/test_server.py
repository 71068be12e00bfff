"""Authorization server metadata: whose it is, and where it may send a credential."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepass.core.http import HttpResponse
from gatepass.core.world import Instant
from gatepass.errors import RemoteError
from gatepass.protocol.server import (
    EndpointAliases,
    ServerMetadata,
    build_server_metadata,
    parse_server_metadata,
    same_issuer,
)

VECTOR = json.loads((Path(__file__).parents[1] / "vectors" / "metadata.json").read_text(encoding="utf-8"))["server"]
ISSUER = "https://as.example"
URL = "https://as.example/.well-known/oauth-authorization-server"
NOW = Instant(wall=1000.0, mono=1.0)
CANARY = "canary-in-the-body"
ENDPOINTS = [
    "token_endpoint",
    "authorization_endpoint",
    "registration_endpoint",
    "revocation_endpoint",
    "introspection_endpoint",
]


def answer(document, *, status=200):
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return HttpResponse(status=status, headers=(("Content-Type", "application/json"), ("Retry-After", "9")), body=body)


def parse(document, *, status=200, issuer=ISSUER, pinned=True, **options):
    return parse_server_metadata(
        answer(document, status=status), url=URL, issuer=issuer, pinned=pinned, now=NOW, **options
    )


@pytest.mark.parametrize("pinned", [True, False])
def test_the_example_of_the_rfc_is_read(pinned):
    assert parse(VECTOR["document"], issuer="https://server.example.com", pinned=pinned) == ServerMetadata(
        issuer="https://server.example.com",
        authorization_endpoint="https://server.example.com/authorize",
        token_endpoint="https://server.example.com/token",
        token_endpoint_auth_methods_supported=("client_secret_basic", "private_key_jwt"),
        token_endpoint_auth_signing_alg_values_supported=("RS256", "ES256"),
        jwks_uri="https://server.example.com/jwks.json",
        registration_endpoint="https://server.example.com/register",
        scopes_supported=("openid", "profile", "email", "address", "phone", "offline_access"),
        response_types_supported=("code", "code token"),
    )


urls = st.none() | st.sampled_from(["https://as.example/a", "https://mtls.example/b", "http://127.0.0.1:1/c"])
lists = st.none() | st.lists(st.text(max_size=8), max_size=3).map(tuple)
flags = st.none() | st.booleans()
aliases = st.builds(
    EndpointAliases,
    token_endpoint=urls,
    registration_endpoint=urls,
    revocation_endpoint=urls,
    introspection_endpoint=urls,
)


@given(
    st.builds(
        ServerMetadata,
        issuer=st.just(ISSUER),
        token_endpoint=urls,
        authorization_endpoint=urls,
        registration_endpoint=urls,
        revocation_endpoint=urls,
        introspection_endpoint=urls,
        jwks_uri=urls,
        scopes_supported=lists,
        response_types_supported=lists,
        grant_types_supported=lists,
        token_endpoint_auth_methods_supported=lists,
        token_endpoint_auth_signing_alg_values_supported=lists,
        code_challenge_methods_supported=lists,
        authorization_response_iss_parameter_supported=flags,
        client_id_metadata_document_supported=flags,
        dpop_signing_alg_values_supported=lists,
        mtls_endpoint_aliases=st.none() | aliases,
        tls_client_certificate_bound_access_tokens=flags,
    )
)
def test_what_was_built_is_parsed_back(metadata):
    assert parse(build_server_metadata(metadata)) == metadata


def test_a_server_for_machines_only_needs_no_authorization_endpoint():
    metadata = parse({"issuer": ISSUER, "token_endpoint": ISSUER + "/token"}, pinned=False)
    assert metadata == ServerMetadata(issuer=ISSUER, token_endpoint=ISSUER + "/token")


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404])
def test_a_status_that_serves_no_document_means_not_here(status):
    assert parse({"issuer": ISSUER}, status=status) is None


def test_a_web_page_means_not_here():
    assert parse(b"<html>") is None


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_a_server_in_trouble_may_answer_later(status):
    with pytest.raises(RemoteError) as caught:
        parse({}, status=status)
    error = caught.value
    assert (error.code, error.by, error.status) == ("metadata_unavailable", "authorization_server", status)
    assert (error.retryable, error.retry_at) == (True, 1009.0)


@pytest.mark.parametrize(
    ("document", "named"),
    [
        ({}, "required field issuer"),
        ({"issuer": ISSUER, "token_endpoint": [CANARY]}, "token_endpoint: expected str"),
        ({"issuer": ISSUER, "grant_types_supported": CANARY}, "grant_types_supported: expected array"),
        ({"issuer": ISSUER, "mtls_endpoint_aliases": {"token_endpoint": 7}}, "mtls_endpoint_aliases.token_endpoint:"),
        ({"issuer": ISSUER, "client_id_metadata_document_supported": 1}, "client_id_metadata_document_supported:"),
    ],
)
def test_a_document_of_the_wrong_shape_is_broken_and_the_member_is_named(document, named):
    with pytest.raises(RemoteError) as caught:
        parse(document)
    assert (caught.value.code, caught.value.by) == ("server_metadata_invalid", "authorization_server")
    assert named in str(caught.value)
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize(
    "other",
    [
        "https://evil.example",
        "https://as.example/",
        "https://AS.example",
        "https://as.example:443",
        "http://as.example",
    ],
)
@pytest.mark.parametrize("pinned", [True, False])
def test_a_document_of_another_issuer_is_refused_and_both_are_named(other, pinned):
    with pytest.raises(RemoteError) as caught:
        parse({"issuer": other, "token_endpoint": ISSUER + "/token"}, pinned=pinned)
    assert (caught.value.code, caught.value.by) == ("issuer_mismatch", "authorization_server")
    assert f'"{other}"' in str(caught.value)
    assert f'"{ISSUER}"' in str(caught.value)


@pytest.mark.parametrize(
    ("a", "b", "tolerant", "same"),
    [
        (ISSUER, ISSUER, False, True),
        (ISSUER, ISSUER + "/", False, False),
        (ISSUER, ISSUER + "/", True, True),
        (ISSUER + "/t", ISSUER + "/t/", True, True),
        (ISSUER, ISSUER + "//", True, False),
        (ISSUER, "https://AS.example", True, False),
        (ISSUER + "/a", ISSUER + "/b", True, False),
    ],
)
def test_issuers_are_compared_as_strings_but_for_a_slash_where_asked(a, b, tolerant, same):
    assert same_issuer(a, b, tolerate_slash=tolerant) is same_issuer(b, a, tolerate_slash=tolerant) is same


def test_a_slash_is_tolerated_where_asked_and_the_servers_own_spelling_is_kept():
    assert parse({"issuer": ISSUER + "/"}, tolerate_slash=True) == ServerMetadata(issuer=ISSUER + "/")


def naming(field, url):
    path = field.split(".")
    return {"issuer": ISSUER, path[0]: {path[1]: url} if len(path) > 1 else url}


UNUSED = [
    *(name for name in ENDPOINTS if name != "token_endpoint"),
    *(f"mtls_endpoint_aliases.{name}" for name in ENDPOINTS if name != "authorization_endpoint"),
]
IN_THE_CLEAR = ["http://as.example/x", "/token", "", "https://as.example/x#y", "https://u:p@as.example"]
ELSEWHERE = ["https://login.example/x", "https://as.example:8443/x", "https://sub.as.example"]


def kept(metadata, field):
    for name in field.split("."):
        metadata = getattr(metadata, name)
    return metadata


@pytest.mark.parametrize("url", IN_THE_CLEAR)
@pytest.mark.parametrize("pinned", [True, False])
def test_the_token_endpoint_may_not_be_in_the_clear_or_no_url(url, pinned):
    with pytest.raises(RemoteError) as caught:
        parse(naming("token_endpoint", url), pinned=pinned)
    assert (caught.value.code, caught.value.by) == ("insecure_endpoint", "authorization_server")
    assert "token_endpoint" in str(caught.value)


@pytest.mark.parametrize("url", ELSEWHERE)
def test_a_token_endpoint_elsewhere_is_for_pinned_issuers_or_allowed_origins_only(url):
    document = naming("token_endpoint", url)
    assert parse(document).token_endpoint == url
    allowed = ("https://x.example", url)
    assert parse(document, pinned=False, allow_endpoint_origins=allowed).token_endpoint == url
    with pytest.raises(RemoteError) as caught:
        parse(document, pinned=False)
    assert (caught.value.code, caught.value.by) == ("endpoint_origin", "authorization_server")
    assert "token_endpoint" in str(caught.value)
    assert url in str(caught.value)
    assert ISSUER in str(caught.value)


@pytest.mark.parametrize("url", [*IN_THE_CLEAR, *ELSEWHERE])
@pytest.mark.parametrize("pinned", [True, False])
def test_a_token_endpoint_of_the_users_own_takes_the_place_of_whatever_the_document_names(url, pinned):
    own = "https://mine.example/token"
    metadata = parse(naming("token_endpoint", url), pinned=pinned, token_endpoint=own)
    assert metadata == ServerMetadata(issuer=ISSUER, token_endpoint=own)


BESIDE_THE_TOKEN_ENDPOINT = [field for field in UNUSED if "authorization" not in field and "token" not in field]


@pytest.mark.parametrize("pinned", [True, False])
@pytest.mark.parametrize("alias", ["https://as.example/mtls", "https://mine.example/mtls"])
def test_a_token_endpoint_of_the_users_own_is_the_one_for_certificates_too(alias, pinned):
    document = naming("mtls_endpoint_aliases.token_endpoint", alias)
    metadata = parse(document, pinned=pinned, token_endpoint="https://mine.example/token")
    assert metadata.token_endpoint == "https://mine.example/token"
    assert metadata.mtls_endpoint_aliases == EndpointAliases()


@pytest.mark.parametrize("field", BESIDE_THE_TOKEN_ENDPOINT)
def test_beside_a_token_endpoint_of_the_users_own_an_unpinned_issuer_takes_no_secret_elsewhere(field):
    own = "https://mine.example/token"
    for url in (f"{ISSUER}/x", *ELSEWHERE):
        assert kept(parse(naming(field, url), pinned=False, token_endpoint=own), field) is None
        assert kept(parse(naming(field, url), pinned=True, token_endpoint=own), field) == url
        allowed = parse(naming(field, url), pinned=False, token_endpoint=own, allow_endpoint_origins=(url,))
        assert kept(allowed, field) == url
    url = "https://mine.example/x"
    assert kept(parse(naming(field, url), pinned=False, token_endpoint=own), field) == url


def test_beside_a_token_endpoint_of_the_users_own_a_person_still_signs_in_at_the_issuer():
    document = naming("authorization_endpoint", f"{ISSUER}/authorize")
    metadata = parse(document, pinned=False, token_endpoint="https://mine.example/token")
    assert metadata.authorization_endpoint == f"{ISSUER}/authorize"


@pytest.mark.parametrize("field", UNUSED)
@pytest.mark.parametrize("url", IN_THE_CLEAR)
@pytest.mark.parametrize("pinned", [True, False])
def test_an_endpoint_that_is_not_used_and_could_not_be_is_left_out(field, url, pinned):
    metadata = parse(naming(field, url) | {"token_endpoint": ISSUER + "/token"}, pinned=pinned)
    assert kept(metadata, field) is None
    assert metadata.token_endpoint == ISSUER + "/token"


@pytest.mark.parametrize("field", UNUSED)
@pytest.mark.parametrize("url", ELSEWHERE)
def test_an_endpoint_elsewhere_that_is_not_used_is_kept_only_of_pinned_issuers_and_on_allowed_origins(field, url):
    document = naming(field, url)
    assert kept(parse(document), field) == url
    assert kept(parse(document, pinned=False, allow_endpoint_origins=("https://x.example", url)), field) == url
    assert kept(parse(document, pinned=False), field) is None


def test_what_is_fit_stays_beside_what_is_left_out():
    aliases = {"token_endpoint": ISSUER + "/mtls", "revocation_endpoint": "http://as.example/revoke"}
    document = {"issuer": ISSUER, "registration_endpoint": ISSUER + "/register", "mtls_endpoint_aliases": aliases}
    assert parse(document, pinned=False) == ServerMetadata(
        issuer=ISSUER,
        registration_endpoint=ISSUER + "/register",
        mtls_endpoint_aliases=EndpointAliases(token_endpoint=ISSUER + "/mtls"),
    )


def test_what_never_sees_a_credential_may_stand_anywhere():
    document = {"issuer": ISSUER, "jwks_uri": "https://keys.example/jwks", "userinfo_endpoint": "http://x.example"}
    assert parse(document, pinned=False) == ServerMetadata(issuer=ISSUER, jwks_uri="https://keys.example/jwks")
