"""Token requests and their answers: what is accepted, how a refusal reads, and that no secret gets into an error."""

from __future__ import annotations

import json
import traceback
from pathlib import Path
from urllib.parse import parse_qsl, quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepass.core.http import HttpResponse
from gatepass.core.secret import Secret
from gatepass.core.world import Instant
from gatepass.errors import RemoteError
from gatepass.protocol.token import TokenResponse, build_token_request, parse_token_response

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "token_responses.json").read_text(encoding="utf-8"))
NOW = Instant(wall=1000.0, mono=1.0)
ENDPOINT = "https://as.example/token?tenant=a"
CANARY = "s3cret/+canary value"
GOOD = {"access_token": "abc.DEF-1~2+3/4==", "token_type": "Bearer", "expires_in": 3600}


def answer(body, *, status=200, kind="application/json", headers=()):
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return HttpResponse(status=status, headers=(("Content-Type", kind), *headers), body=raw)


def parse(body, *, token_types=("Bearer", "DPoP"), hide=(), **options):
    return parse_token_response(answer(body, **options), now=NOW, token_types=token_types, hide=hide)


def refused(body, **options):
    with pytest.raises(RemoteError) as caught:
        parse(body, **options)
    assert caught.value.by == "authorization_server"
    assert caught.value.__context__ is None
    return caught.value


def outcome(body, **options):
    try:
        return parse(body, **options)
    except RemoteError as error:
        return error


form_pairs = st.lists(st.tuples(st.text(max_size=8), st.text(max_size=20)), max_size=6)


@given(form_pairs)
def test_a_request_is_a_form_that_reads_back_as_it_was_given(form):
    request = build_token_request(endpoint=ENDPOINT, form=form)
    assert parse_qsl(request.body.decode("ascii"), keep_blank_values=True) == form


def test_a_request_says_what_it_sends_and_wants_and_carries_the_clients_headers():
    request = build_token_request(
        endpoint=ENDPOINT, form=[("grant_type", "client_credentials")], headers=(("Authorization", "Basic eDp5"),)
    )
    assert (request.method, request.url) == ("POST", ENDPOINT)
    assert request.headers == (
        ("Accept", "application/json"),
        ("Content-Type", "application/x-www-form-urlencoded"),
        ("Authorization", "Basic eDp5"),
    )
    assert request.body == b"grant_type=client_credentials"


@pytest.mark.parametrize("vector", VECTORS, ids=[vector["source"] for vector in VECTORS])
def test_the_examples_of_the_rfcs_are_read(vector):
    token = parse(vector["document"], token_types=tuple(vector["token_types"]))
    assert {
        "token": token.access_token.reveal(),
        "token_type": token.token_type,
        "expires_in_s": token.expires_in_s,
        "refresh": token.refresh_token and token.refresh_token.reveal(),
        "issued_token_type": token.issued_token_type,
    } == vector["expected"]


@pytest.mark.parametrize("status", [200, 201])
def test_success_is_200_or_201(status):
    assert parse(GOOD, status=status).access_token.reveal() == GOOD["access_token"]


@pytest.mark.parametrize(
    ("said", "accepted", "token_type"),
    [
        ("bearer", ("Bearer", "DPoP"), "Bearer"),
        ("BEARER", ("Bearer", "DPoP"), "Bearer"),
        ("dpop", ("Bearer", "DPoP"), "DPoP"),
        ("n_a", ("N_A",), "N_A"),
    ],
)
def test_the_token_type_is_compared_without_case_and_spelled_our_way(said, accepted, token_type):
    assert parse(GOOD | {"token_type": said}, token_types=accepted).token_type == token_type


@pytest.mark.parametrize("said", ["mac", "Bearer ", "N_A", "", None, CANARY])
def test_another_token_type_is_never_used(said):
    error = refused(GOOD | {"token_type": said})
    assert (error.code, error.retryable) == ("token_response_invalid", False)
    assert "token_type" in str(error)
    assert CANARY not in str(error)


@pytest.mark.parametrize(
    ("said", "accepted", "reason"),
    [("DPoP", "Bearer", "dpop=True"), ("dpop", "Bearer", "dpop=True"), ("bearer", "DPoP", "does not bind")],
)
def test_a_token_that_is_bound_or_not_against_expectation_says_what_to_do(said, accepted, reason):
    error = refused(GOOD | {"token_type": said}, token_types=(accepted,))
    assert f"token_type is not {accepted}" in str(error)
    assert reason in str(error)


@pytest.mark.parametrize(
    ("expires_in", "seconds"),
    [
        (3600, 3600.0),
        (0, 0.0),
        (3599.5, 3599.5),
        ("3600", 3600.0),
        ("3599.5", 3599.5),
        ("0", 0.0),
        (-0.0, 0.0),
        (None, None),
        (10**12, 315_360_000.0),
        (10**300, 315_360_000.0),
        (1e300, 315_360_000.0),
        ("9" * 18, 315_360_000.0),
    ],
)
@pytest.mark.parametrize(("member", "attribute"), [("expires_in", "expires_in_s"), ("refresh_in", "refresh_in_s")])
def test_a_lifetime_is_a_number_in_whatever_form_within_ten_years(member, attribute, expires_in, seconds):
    assert getattr(parse(GOOD | {member: expires_in}), attribute) == seconds


def test_a_missing_lifetime_is_unsaid():
    token = parse({"access_token": "a", "token_type": "Bearer"})
    assert token.expires_in_s is token.refresh_in_s is token.scope is token.refresh_token is None


@pytest.mark.parametrize(
    "expires_in",
    [
        -1,
        -0.5,
        "-1",
        "",
        " 5",
        "1e3",
        "0x10",
        "NaN",
        "inf",
        "Infinity",
        "soon",
        "\u0661",
        "5\n",
        "9" * 19,
        True,
        False,
        [5],
        {},
    ],
)
@pytest.mark.parametrize("member", ["expires_in", "refresh_in"])
def test_a_lifetime_that_is_no_number_is_an_error(member, expires_in):
    error = refused(GOOD | {member: expires_in})
    assert (error.code, error.retryable, error.status) == ("token_response_invalid", False, 200)
    assert member in str(error)


def test_a_lifetime_beyond_any_number_is_an_error():
    assert refused(b'{"access_token": "a", "token_type": "Bearer", "expires_in": 1e999}').retryable is False


@given(st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8))
def test_a_lifetime_is_between_zero_and_ten_years_or_an_error(expires_in):
    result = outcome(GOOD | {"expires_in": expires_in})
    if isinstance(result, RemoteError):
        assert "expires_in" in str(result)
    else:
        assert 0 <= result.expires_in_s <= 315_360_000


@pytest.mark.parametrize(
    ("scope", "scopes"),
    [("b a b", ("b", "a")), ("", ()), (["a", "b"], ("a", "b")), (None, None)],
)
def test_the_granted_scope_is_a_set_or_unsaid(scope, scopes):
    assert parse(GOOD | {"scope": scope}).scope == scopes


@pytest.mark.parametrize("refresh_token", [None, ""])
def test_an_empty_refresh_token_is_none(refresh_token):
    assert parse(GOOD | {"refresh_token": refresh_token}).refresh_token is None


@pytest.mark.parametrize(
    ("access_token", "flaw"),
    [
        (None, "missing"),
        ("", "missing"),
        ("two words", "header"),
        ("line\r\nSet-Cookie: x", "header"),
        ("tail\n", "header"),
        ("nul\x00", "header"),
        ("\u00e9", "header"),
        ("x" * 65_537, "longer"),
        (7, "expected str"),
        (["x"], "expected str"),
    ],
)
def test_a_token_that_cannot_stand_in_a_header_is_refused(access_token, flaw):
    error = refused(GOOD | {"access_token": access_token})
    assert (error.code, error.retryable) == ("token_response_invalid", False)
    assert flaw in str(error)


def test_a_refresh_token_without_end_is_refused():
    assert "longer" in str(refused(GOOD | {"refresh_token": "x" * 65_537}))


def test_the_longest_token_is_accepted():
    assert len(parse(GOOD | {"access_token": "x" * 65_536}).access_token.reveal()) == 65_536


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "text/plain; charset=UTF-8", ""])
def test_the_form_of_old_servers_is_read(kind):
    token = parse(b"access_token=a%2Bb&token_type=bearer&expires_in=60&scope=x+y&refresh_token=", kind=kind)
    assert token.access_token.reveal() == "a+b"
    assert (token.token_type, token.expires_in_s, token.scope, token.refresh_token) == (
        "Bearer",
        60.0,
        ("x", "y"),
        None,
    )


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "text/plain", "", "text/html"])
def test_json_under_another_name_is_read(kind):
    assert parse(GOOD, kind=kind).token_type == "Bearer"


@pytest.mark.parametrize("body", [b"a=\xff", b"a=1" + b"&a=1" * 200])
def test_a_form_that_cannot_be_read_is_an_error(body):
    assert refused(body, kind="text/plain").code == "token_response_invalid"


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", "application/json"),
        (b'{"access_token": "canary', "application/json"),
        (b"<html>canary</html>", "text/html"),
        (b"<html lang=canary>", ""),
        (b"{'access_token': 'canary'}", "application/json"),
        (b'{"access_token": "\xff canary", "token_type": "Bearer"}', "application/json"),
        (b'{"access_token": "a", "token_type": "Bearer", "expires_in": NaN}', "application/json"),
    ],
)
def test_a_success_that_broke_off_or_is_no_json_may_succeed_later(body, kind):
    error = refused(body, kind=kind)
    assert (error.code, error.retryable, error.status) == ("token_response_invalid", True, 200)
    assert "canary" not in str(error)


@pytest.mark.parametrize("body", [[], "canary", 7, None, [GOOD]])
def test_well_formed_json_that_is_no_token_response_is_final(body):
    error = refused(body)
    assert (error.code, error.retryable) == ("token_response_invalid", False)
    assert "canary" not in str(error)


@pytest.mark.parametrize(
    "code",
    [
        "invalid_client",
        "invalid_grant",
        "unauthorized_client",
        "unsupported_grant_type",
        "invalid_scope",
        "invalid_target",
        "invalid_request",
        "invalid_dpop_proof",
        "use_dpop_nonce",
        "something_of_their_own",
    ],
)
@pytest.mark.parametrize("status", [200, 400, 401, 403])
def test_a_refusal_is_final_and_keeps_the_three_fields(code, status):
    said = {"error": code, "error_description": 'It is "wrong"\n', "error_uri": "https://as.example/help"}
    error = refused(said | {"other": CANARY}, status=status, headers=(("Retry-After", "5"),))
    assert error.code == "token_refused"
    assert (error.error, error.error_description, error.error_uri) == (code, "It is 'wrong'", "https://as.example/help")
    assert (error.status, error.retryable, error.retry_at) == (status, False, None)
    assert f"refused the token request: {code} (\"It is 'wrong'\"), status {status}. " in str(error)
    assert str(error).endswith(".")
    assert CANARY not in str(error)


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        ("invalid_client", "client id"),
        ("invalid_grant", "new one"),
        ("unauthorized_client", "allowed for the client"),
        ("unsupported_grant_type", "does not offer this grant"),
        ("invalid_scope", "scopes"),
        ("invalid_target", "resource"),
        ("invalid_request", "parameter"),
        ("invalid_dpop_proof", "clock"),
        ("use_dpop_nonce", "DPoP-Nonce"),
        ("temporarily_unavailable", "later"),
        ("something_of_their_own", "Ask whoever runs"),
    ],
)
def test_each_error_says_what_to_do(code, advice):
    assert advice in str(refused({"error": code}, status=400))


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        (302, "redirects"),
        (307, "redirects"),
        (400, "Ask whoever runs"),
        (401, "client id"),
        (403, "client id"),
        (404, "no token endpoint"),
        (405, "no token endpoint"),
        (410, "no token endpoint"),
        (422, "Ask whoever runs"),
        (204, "Ask whoever runs"),
    ],
)
@pytest.mark.parametrize(
    "body", [b"", b"<html>canary", b'{"error": {"canary": 1}}', b'{"error": null}', b"[]", b"\xff"]
)
def test_a_refusal_without_an_error_code_is_final_and_explained_by_its_status(status, advice, body):
    error = refused(body, status=status)
    assert (error.code, error.error, error.retryable, error.status) == ("token_refused", None, False, status)
    assert advice in str(error)
    assert "canary" not in str(error)


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (408, None),
        (429, None),
        (500, None),
        (502, None),
        (503, None),
        (599, None),
        (429, "invalid_request"),
        (400, "server_error"),
        (400, "temporarily_unavailable"),
        (200, "temporarily_unavailable"),
    ],
)
@pytest.mark.parametrize(("headers", "retry_at"), [((), None), ((("Retry-After", "30"),), 1030.0)])
def test_trouble_of_the_server_is_retryable_and_says_when(status, said, headers, retry_at):
    error = refused({"error": said} if said else b"<html>", status=status, headers=headers)
    assert (error.code, error.error, error.status) == ("token_endpoint_busy", said, status)
    assert (error.retryable, error.retry_at) == (True, retry_at)
    assert "can't answer the token request now" in str(error)


def test_a_refusal_as_a_form_is_read():
    error = refused(b"error=invalid_client&error_description=no+way", status=400, kind="text/plain")
    assert (error.error, error.error_description) == ("invalid_client", "no way")


def test_the_words_of_a_refusal_are_cleaned_and_bounded():
    error = refused({"error": "x" * 999, "error_description": "\x1b[2J" + "y" * 999, "error_uri": "\n"}, status=400)
    assert len(error.error) == len(error.error_description) == 200
    assert "\x1b" not in str(error)
    assert error.error_uri is None


@pytest.mark.parametrize("spell", [str, quote_plus, lambda text: quote(text, safe="")])
@pytest.mark.parametrize("wrap", [str, Secret])
@pytest.mark.parametrize("status", [200, 400, 503])
def test_a_secret_that_the_server_repeats_is_masked(spell, wrap, status):
    echoed = f"x{spell(CANARY)}y"
    said = {"error": echoed, "error_description": "z" * 190 + echoed, "error_uri": f"https://as.example/{echoed}"}
    error = refused(said, status=status, hide=("", wrap(CANARY), Secret.env("UNREAD")))
    shown = f"{error} {vars(error)}"
    assert "canary" not in shown
    assert "s3cret" not in shown
    assert error.error == "x***y"


@pytest.mark.parametrize(
    "body",
    [
        GOOD | {"access_token": CANARY},
        GOOD | {"access_token": "canary", "token_type": "canary"},
        GOOD | {"access_token": "canary", "refresh_token": "canary", "expires_in": "canary"},
        GOOD | {"access_token": "canary", "expires_in": True},
        {"error": "invalid_client", "x": "canary"},
        b'{"access_token": "canary", ',
        b'{"access_token": "canary\xff"}',
    ],
)
@pytest.mark.parametrize("status", [200, 400])
def test_a_traceback_that_shows_local_variables_shows_no_secret(body, status):
    response = answer(body, status=status)
    hide = ("canary",)
    try:
        parse_token_response(response, now=NOW, hide=hide)
    except RemoteError as error:
        inside = traceback.TracebackException.from_exception(error, capture_locals=True)
        inside.stack.pop(0)  # this test's own frame, which holds what it gave
        assert len(inside.stack) >= 1
        assert "canary" not in "".join(inside.format())
    else:
        pytest.fail("the answer was accepted")


def test_a_token_does_not_show_itself():
    token = parse(GOOD | {"refresh_token": "canary"})
    assert isinstance(token, TokenResponse)
    assert "canary" not in repr(token)
    assert GOOD["access_token"] not in repr(token)


@given(st.binary(), st.sampled_from([200, 400, 503]), st.sampled_from(["application/json", "text/plain", ""]))
def test_any_answer_is_a_token_or_a_clear_error(body, status, kind):
    result = outcome(body, status=status, kind=kind)
    if isinstance(result, RemoteError):
        assert result.code in {"token_response_invalid", "token_refused", "token_endpoint_busy"}
    else:
        assert result.token_type in {"Bearer", "DPoP"}
