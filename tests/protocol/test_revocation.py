"""Revocation: the request of RFC 7009, and which answers are no failure."""

from __future__ import annotations

import json
from urllib.parse import parse_qsl

import pytest

from gatepass.core.http import HttpResponse
from gatepass.core.secret import Secret
from gatepass.core.world import Instant
from gatepass.protocol.revocation import build_revocation_request, revocation_refusal

NOW = Instant(wall=1000.0, mono=1.0)
URL = "https://server.example.com/revoke"


def outcome(status, body=b"", headers=()):
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    response = HttpResponse(status=status, headers=(("Content-Type", "application/json"), *headers), body=raw)
    return revocation_refusal(response, now=NOW, hide=(Secret("canary"),))


def test_the_example_of_rfc_7009_is_built_with_whatever_proves_the_client():
    request = build_revocation_request(
        endpoint=URL,
        token=Secret("45ghiukldjahdnhzdauz"),
        hint="refresh_token",
        form=(("client_id", "c-1"),),
        headers=(("Authorization", "Basic czZCaGRSa3F0MzpnWDFmQmF0M2JW"),),
    )
    assert (request.method, request.url) == ("POST", URL)
    assert dict(request.headers)["Authorization"] == "Basic czZCaGRSa3F0MzpnWDFmQmF0M2JW"
    assert dict(request.headers)["Content-Type"] == "application/x-www-form-urlencoded"
    assert parse_qsl(request.body.decode()) == [
        ("token", "45ghiukldjahdnhzdauz"),
        ("token_type_hint", "refresh_token"),
        ("client_id", "c-1"),
    ]
    assert "45ghi" not in repr(request)


@pytest.mark.parametrize("status", [200, 201, 204])
@pytest.mark.parametrize("body", [b"", b"<html>", {"error": "invalid_request"}])
def test_any_success_means_that_the_token_is_gone_or_never_was(status, body):
    assert outcome(status, body) is None


@pytest.mark.parametrize(
    ("status", "body", "error", "said"),
    [
        (400, {"error": "unsupported_token_type", "error_description": "not canary"}, "unsupported_token_type", "***"),
        (401, {"error": "invalid_client"}, "invalid_client", "client id"),
        (403, b"", None, "client id"),
        (404, b"", None, "no revocation endpoint"),
        (307, b"", None, "The revocation endpoint redirects"),
    ],
)
def test_a_refusal_is_one_of_the_revocation(status, body, error, said):
    refusal = outcome(status, body)
    assert (refusal.code, refusal.error, refusal.status) == ("revocation_refused", error, status)
    assert (refusal.retryable, refusal.by) == (False, "authorization_server")
    assert "refused the revocation request" in str(refusal)
    assert said in str(refusal)
    assert "canary" not in str(refusal)


@pytest.mark.parametrize("status", [408, 429, 503])
def test_trouble_of_the_server_is_retryable_and_says_when(status):
    refusal = outcome(status, b"<html>", (("Retry-After", "30"),))
    assert (refusal.code, refusal.retryable, refusal.retry_at) == ("revocation_endpoint_busy", True, 1030.0)
    assert "can't answer the revocation request now" in str(refusal)
