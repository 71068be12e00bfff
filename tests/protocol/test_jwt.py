from __future__ import annotations

import json
import math

import jwt as pyjwt
import pytest
from canary import assert_hidden
from hypothesis import given
from hypothesis import strategies as st
from key_material import decoded, read_jwt

from gatepass.errors import ConfigurationError
from gatepass.protocol.jwt import (
    assertion_claims,
    assertion_header,
    compact,
    expired,
    jti,
    peek_claims,
    signing_input,
)

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.text(), JSON_VALUES, max_size=5)


def some_claims(**changes: object) -> dict[str, object]:
    given: dict[str, object] = {
        "client_id": "ci-bot",
        "audience": "https://as.example.com",
        "issued_at": 1_700_000_000,
        "lifetime_s": 60,
        "jti": "id",
        "extra": {},
    }
    return assertion_claims(**{**given, **changes})  # type: ignore[arg-type]


@given(OBJECTS, OBJECTS, st.binary(min_size=1, max_size=80))
def test_a_jwt_that_was_built_reads_back_as_it_was(header, claims, signature):
    token = compact(signing_input(header, claims), signature)
    assert read_jwt(token) == (header, claims, token.rpartition(".")[0].encode(), signature)
    assert peek_claims(token) == claims


def test_the_signed_bytes_are_those_of_rfc_7515_appendix_a_but_for_its_line_breaks():
    assert signing_input({"alg": "ES256"}, {"iss": "joe", "exp": 1300819380}) == (
        b"eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLCJleHAiOjEzMDA4MTkzODB9"
    )


@given(st.binary(min_size=1, max_size=40))
def test_a_jwt_id_is_its_random_bytes_in_base64url(random):
    assert decoded(jti(random)) == random
    assert "=" not in jti(random)


def test_another_implementation_accepts_what_was_built():
    header = assertion_header(algorithm="HS256", typ="JWT")
    data = signing_input(header, some_claims(issued_at=4_000_000_000))
    key = b"k" * 32
    token = compact(data, pyjwt.algorithms.HMACAlgorithm(pyjwt.algorithms.HMACAlgorithm.SHA256).sign(data, key))
    read = pyjwt.decode(token, key, ["HS256"], audience="https://as.example.com", options={"verify_iat": False})
    assert read["sub"] == "ci-bot"


def test_an_assertion_has_the_claims_of_rfc_7523_as_integers_and_one_audience():
    claims = some_claims(extra={"tenant": "t1"})
    assert claims == {
        "iss": "ci-bot",
        "sub": "ci-bot",
        "aud": "https://as.example.com",
        "jti": "id",
        "iat": 1_700_000_000,
        "exp": 1_700_000_060,
        "tenant": "t1",
    }
    assert type(claims["iat"]) is int
    assert type(claims["exp"]) is int


@pytest.mark.parametrize("name", ["iss", "sub", "aud", "jti", "iat", "exp"])
def test_an_extra_claim_replaces_none_that_is_set_anyway(name):
    with pytest.raises(ConfigurationError) as caught:
        some_claims(extra={name: "other", "tenant": "t1"})
    assert caught.value.code == "claims_invalid"
    assert name in str(caught.value)
    assert "tenant" not in str(caught.value)


def test_a_header_leaves_out_what_it_is_not_given():
    assert assertion_header(algorithm="ES256", typ="JWT") == {"alg": "ES256", "typ": "JWT"}
    assert assertion_header(algorithm="ES256", typ="client-authentication+jwt", key_id="k", x5t_s256="t") == {
        "alg": "ES256",
        "typ": "client-authentication+jwt",
        "kid": "k",
        "x5t#S256": "t",
    }


GOOD = compact(signing_input({"alg": "ES256"}, {"sub": "ci-bot"}), b"signature")
HEAD, BODY, SIGNATURE = GOOD.split(".")


@pytest.mark.parametrize(
    "token",
    [
        "",
        "canary-opaque-token",
        f"{HEAD}.{BODY}",
        f"{HEAD}.{BODY}.",
        f".{BODY}.{SIGNATURE}",
        f"{GOOD}.{SIGNATURE}",
        f"{HEAD}.{BODY}.{SIGNATURE}.a.b",
        f"{HEAD}.{BODY}=.{SIGNATURE}",
        f"{HEAD}.{BODY} .{SIGNATURE}",
        f"{HEAD}.{BODY}\n.{SIGNATURE}",
        f"{HEAD}.ü.{SIGNATURE}",
        f"{HEAD}.W10.{SIGNATURE}",
        f"{HEAD}.e30a.{SIGNATURE}",
        f"W10.{BODY}.{SIGNATURE}",
        f"{HEAD}.__79.{SIGNATURE}",
        f"{HEAD}.{BODY}.+/{SIGNATURE}",
    ],
)
def test_what_is_no_jwt_is_refused_and_not_quoted(token):
    with pytest.raises(ConfigurationError) as caught:
        peek_claims(token)
    assert caught.value.code == "assertion_invalid"
    if token:
        assert_hidden(caught.value, token)


@given(st.text() | st.lists(st.text(alphabet="eyJhbGciOiJ9Aw-_"), min_size=2, max_size=4).map(".".join))
def test_reading_any_text_ends_in_claims_or_a_configuration_error(token):
    try:
        found: object = peek_claims(token)
    except ConfigurationError:
        found = None
    assert found is None or isinstance(found, dict)


@pytest.mark.parametrize(
    ("exp", "now", "over"),
    [
        (100, 99.999, False),
        (100, 100.0, True),
        (100, 100.001, True),
        (100.5, 100.4, False),
        (100.5, 100.5, True),
    ],
)
def test_a_jwt_has_expired_from_its_exp_on(exp, now, over):
    assert expired({"exp": exp}, now) is over


def test_a_jwt_without_exp_does_not_expire():
    assert expired({}, math.inf) is False


@pytest.mark.parametrize("exp", ["100", None, True, [100]])
def test_an_exp_that_is_no_number_is_an_error(exp):
    with pytest.raises(ConfigurationError) as caught:
        expired({"exp": exp}, 0.0)
    assert caught.value.code == "assertion_invalid"


def test_claims_are_written_as_utf_8_without_spaces():
    body = decoded(signing_input({}, {"name": "Zoë", "n": 1}).decode().split(".")[1])
    assert body == '{"name":"Zoë","n":1}'.encode()
    assert json.loads(body) == {"name": "Zoë", "n": 1}
