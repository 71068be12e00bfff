"""What the servers of this directory do by themselves: tests of gatepass against them prove as much as these."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from urllib.parse import quote_plus

import httpx2
import pytest
from interop import raw
from interop.place import SCOPE, SECRET, Key, Place, client_with_secret

if TYPE_CHECKING:
    from collections.abc import Mapping

ALGORITHMS = ["RS256", "PS256", "ES256", "EdDSA"]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_an_assertion_is_accepted_once(oidc: Place, keys: Mapping[str, Key], algorithm: str) -> None:
    signed = raw.assertion(oidc, keys[algorithm], algorithm)

    assert raw.ask_for_token(oidc, signed).status_code == 200
    again = raw.ask_for_token(oidc, signed)
    assert (again.status_code, again.json()["error"]) == (401, "invalid_client")


def test_an_assertion_for_anything_but_the_issuer_as_one_string_is_refused_by_the_strict_one(
    oidc: Place, keys: Mapping[str, Key]
) -> None:
    audiences = [oidc.token_endpoint, [oidc.issuer], [oidc.issuer, oidc.token_endpoint]]
    statuses = [
        raw.ask_for_token(oidc, raw.assertion(oidc, keys["ES256"], "ES256", aud=audience)).status_code
        for audience in audiences
    ]

    assert set(statuses) == ({401} if oidc.strict else {200})


@pytest.mark.parametrize(
    "wrong",
    [
        {"aud": "https://somebody.else.example"},
        {"exp": int(time.time()) - 60},
        {"iss": "bot-RS256"},
        {"jti": None},
    ],
    ids="".join,
)
def test_an_assertion_with_a_wrong_claim_is_refused(
    oidc: Place, keys: Mapping[str, Key], wrong: dict[str, object]
) -> None:
    refused = raw.ask_for_token(oidc, raw.assertion(oidc, keys["ES256"], "ES256", **wrong))

    assert (refused.status_code, refused.json()["error"]) == (401, "invalid_client")


def test_an_assertion_by_a_key_registered_for_another_algorithm_is_refused(
    oidc: Place, keys: Mapping[str, Key]
) -> None:
    names = {"iss": "bot-RS256", "sub": "bot-RS256"}
    refused = raw.ask_for_token(oidc, raw.assertion(oidc, keys["RS256"], "PS256", **names))

    assert (refused.status_code, refused.json()["error"]) == (401, "invalid_client")


def test_basic_credentials_that_are_not_form_encoded_are_refused(oidc: Place) -> None:
    client_id = client_with_secret("client_secret_basic")
    form = {"grant_type": "client_credentials", "resource": oidc.url, "scope": SCOPE}
    by_rfc_6749 = (quote_plus(client_id), quote_plus(SECRET))

    asked = [httpx2.post(oidc.token_endpoint, data=form, auth=pair) for pair in (by_rfc_6749, (client_id, SECRET))]

    assert [answer.status_code for answer in asked] == [200, 400]


def test_a_resource_nobody_knows_is_refused(oidc: Place) -> None:
    refused = raw.ask_for_token(oidc, raw.by_secret(), resource="http://127.0.0.1/nobody")

    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_target")


def test_the_mcp_server_accepts_a_token_for_itself_and_no_other(oidc: Place) -> None:
    own = raw.ask_for_token(oidc, raw.by_secret()).json()["access_token"]
    another = raw.ask_for_token(oidc, raw.by_secret(), resource=oidc.elsewhere).json()["access_token"]
    unscoped = raw.ask_for_token(oidc, raw.by_secret(), scope="mcp:write").json()["access_token"]

    assert [raw.knock(oidc, token).status_code for token in (own, another, unscoped, None)] == [200, 401, 403, 401]


def test_opaque_tokens_are_asked_about_and_count_for_their_own_resource_only(toolkit: Place) -> None:
    own = raw.ask_for_token(toolkit, raw.by_secret()).json()["access_token"]
    another = raw.ask_for_token(toolkit, raw.by_secret(), resource=toolkit.elsewhere).json()["access_token"]
    unscoped = raw.ask_for_token(toolkit, raw.by_secret(), scope="mcp:write").json()["access_token"]

    assert "." not in own
    answers = [raw.knock(toolkit, token) for token in (own, another, unscoped, own + "x")]
    assert [answer.status_code for answer in answers] == [200, 401, 403, 401]
    assert SCOPE in answers[2].json()["error_description"]
