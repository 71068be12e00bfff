"""Dynamic registration: what a client says of itself, and what is believed of the answer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from canary import assert_hidden
from hypothesis import given
from hypothesis import strategies as st

from gatepass.core.http import HttpResponse
from gatepass.core.world import Instant
from gatepass.errors import RemoteError
from gatepass.lifecycle.record import decode, encode
from gatepass.protocol.registration import (
    ClientMetadata,
    Registration,
    build_registration_request,
    parse_registration_response,
)

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "registration.json").read_text(encoding="utf-8"))
AS = "https://as.example.com"
BACK = "http://127.0.0.1:5000/callback"
NOW = Instant(wall=1000.0, mono=1.0)
ASKED = ClientMetadata(
    client_name="gatepass",
    redirect_uris=(BACK,),
    token_endpoint_auth_method="none",
    application_type="native",
    grant_types=("authorization_code", "refresh_token"),
    response_types=("code",),
)


def parse(body, *, status=201, headers=()) -> Registration:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    response = HttpResponse(status=status, headers=(("Content-Type", "application/json"), *headers), body=raw)
    return parse_registration_response(response, issuer=AS, asked=ASKED, now=NOW)


def refused(body, **options) -> RemoteError:
    with pytest.raises(RemoteError) as caught:
        parse(body, **options)
    assert caught.value.by == "authorization_server"
    assert_hidden(caught.value, "canary")
    return caught.value


def outcome(body, **options) -> Registration | RemoteError:
    try:
        return parse(body, **options)
    except RemoteError as error:
        return error


def test_a_request_is_what_rfc_7591_asks_for():
    request = build_registration_request(f"{AS}/register", ASKED)
    assert (request.method, request.url) == ("POST", f"{AS}/register")
    assert request.headers == (("Accept", "application/json"), ("Content-Type", "application/json"))
    assert json.loads(request.body) == {
        "client_name": "gatepass",
        "redirect_uris": [BACK],
        "token_endpoint_auth_method": "none",
        "application_type": "native",
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
    }


@pytest.mark.parametrize("vector", VECTORS, ids=[vector["source"] for vector in VECTORS])
def test_the_examples_of_rfc_7591_are_read(vector):
    answer = outcome(vector["document"], status=vector["status"])
    assert {name: getattr(answer, name) for name in vector["expected"]} == vector["expected"]


@pytest.mark.parametrize("status", [200, 201])
@pytest.mark.parametrize(
    ("answer", "secret", "method", "expires_at"),
    [
        ({}, None, "none", None),
        (
            {"client_secret": None, "client_secret_expires_at": None, "token_endpoint_auth_method": None},
            None,
            "none",
            None,
        ),
        ({"client_secret": "", "client_secret_expires_at": 5}, None, "none", None),
        ({"client_secret_expires_at": 5}, None, "none", None),
        ({"client_secret": "s", "client_secret_expires_at": 0}, "s", "none", None),
        ({"client_secret": "s", "client_secret_expires_at": 5}, "s", "none", 5.0),
        (
            {"client_secret": "s", "token_endpoint_auth_method": "client_secret_post"},
            "s",
            "client_secret_post",
            None,
        ),
    ],
)
def test_what_the_server_says_holds_and_else_what_was_asked_for(status, answer, secret, method, expires_at):
    assert parse({"client_id": "c-1"} | answer, status=status) == Registration(
        issuer=AS, client_id="c-1", client_secret=secret, method=method, redirect_uri=BACK, expires_at=expires_at
    )


@pytest.mark.parametrize(
    ("body", "flaw"),
    [
        (b"<html>canary", "not JSON"),
        (b"", "not JSON"),
        ([], "expected object"),
        ({"client_secret": "canary"}, "client_id"),
        ({"client_id": "", "client_secret": "canary"}, "client_id is empty"),
        ({"client_id": 5, "client_secret": "canary"}, "client_id: expected str"),
        ({"client_id": "canary\nforged log line", "client_secret": "canary"}, "client_id"),
        ({"client_id": "c\u00e4nary", "client_secret": "canary"}, "client_id"),
        ({"client_id": "c-1", "client_secret": "canary\r\n"}, "client_secret"),
        (
            {"client_id": "c-1", "client_secret": "canary", "client_secret_expires_at": "soon"},
            "client_secret_expires_at",
        ),
    ],
)
def test_a_success_that_makes_no_sense_is_an_error_that_quotes_nothing(body, flaw):
    error = refused(body)
    assert (error.code, error.status, error.retryable) == ("registration_invalid", 201, False)
    assert flaw in str(error)


@pytest.mark.parametrize("status", [302, 400, 401, 403, 404])
@pytest.mark.parametrize(
    ("body", "error", "description"),
    [
        (
            {"error": "invalid_client_metadata", "error_description": 'No "none"\n'},
            "invalid_client_metadata",
            "No 'none'",
        ),
        ({"error": {"canary": 1}, "error_description": ["canary"], "x": "canary"}, None, None),
        (b"<html>canary", None, None),
        (b"", None, None),
    ],
)
def test_a_refusal_says_to_register_by_hand(status, body, error, description):
    failure = refused(body, status=status, headers=(("Retry-After", "30"),))
    assert (failure.code, failure.status, failure.retryable) == ("registration_refused", status, False)
    assert (failure.error, failure.error_description, failure.retry_at) == (error, description, None)
    assert "client=..." in str(failure)


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_trouble_of_the_server_is_retryable_and_says_when(status):
    failure = refused({"error": "canary"[:0]}, status=status, headers=(("Retry-After", "30"),))
    assert (failure.code, failure.retryable, failure.retry_at) == ("registration_busy", True, 1030.0)


def test_a_registration_comes_back_from_a_store_and_does_not_show_its_secret():
    kept = parse({"client_id": "c-1", "client_secret": "canary", "client_secret_expires_at": 5})
    assert decode(encode(kept), Registration) == kept
    assert "canary" not in repr(kept)


@given(st.binary(max_size=100), st.sampled_from([200, 201, 400, 503]))
def test_any_answer_is_a_registration_or_a_clear_error(body, status):
    result = outcome(body, status=status)
    if isinstance(result, RemoteError):
        assert result.code.startswith("registration_")
    else:
        assert result.client_id.isprintable()
