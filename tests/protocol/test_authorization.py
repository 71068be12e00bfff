"""The authorization request and its answer: whose it is, before what it says."""

from __future__ import annotations

import json
import string
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from canary import assert_hidden
from hypothesis import given
from hypothesis import strategies as st

from gatepass.core.secret import Secret
from gatepass.errors import RemoteError
from gatepass.protocol.authorization import Asked, build_authorization_url, code_challenge, parse_authorization_response

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "authorization.json").read_text(encoding="utf-8"))
AS = "https://as.example.com"
BACK = "http://127.0.0.1:5000/callback"
ASKED = Asked(state="s-1", issuer=AS, iss_supported=False)


def back(**answer: str) -> str:
    return f"{BACK}?{urlencode({'state': 's-1', 'code': 'canary-code'} | answer)}"


def refused(url: str, asked: Asked = ASKED) -> RemoteError:
    with pytest.raises(RemoteError) as caught:
        parse_authorization_response(url, asked)
    assert caught.value.by == "authorization_server"
    assert_hidden(caught.value, "canary")
    return caught.value


def outcome(url: str, asked: Asked) -> Secret | RemoteError:
    try:
        return parse_authorization_response(url, asked)
    except RemoteError as error:
        return error


# the request


@pytest.mark.parametrize("vector", VECTORS["pkce"], ids=[vector["source"] for vector in VECTORS["pkce"]])
def test_the_challenge_is_the_hash_of_the_verifier(vector):
    assert code_challenge(vector["verifier"]) == vector["challenge"]


@pytest.mark.parametrize(
    ("endpoint", "url"),
    [
        (f"{AS}/authorize", f"{AS}/authorize?a=1&b=x+y"),
        (f"{AS}/authorize?tenant=t", f"{AS}/authorize?tenant=t&a=1&b=x+y"),
        (f"{AS}/authorize?", f"{AS}/authorize?&a=1&b=x+y"),
    ],
)
def test_a_query_that_the_endpoint_has_is_kept(endpoint, url):
    assert build_authorization_url(endpoint, (("a", "1"), ("b", "x y"))) == url


@given(
    st.lists(st.tuples(st.text(min_size=1, max_size=8), st.text(max_size=20)), max_size=6),
    st.sampled_from(["", "?", "?tenant=a%26b"]),
)
def test_the_parameters_read_back_as_they_were_given(parameters, query):
    url = build_authorization_url(f"{AS}/authorize{query}", parameters)
    before = parse_qsl(query.removeprefix("?"), keep_blank_values=True)
    assert parse_qsl(urlsplit(url).query, keep_blank_values=True) == [*before, *parameters]
    assert url.startswith(f"{AS}/authorize?")


# the answer


@pytest.mark.parametrize("vector", VECTORS["responses"], ids=[vector["source"] for vector in VECTORS["responses"]])
def test_the_examples_of_the_rfcs_are_read(vector):
    asked = Asked(state=vector["state"], issuer=vector["issuer"], iss_supported="iss=" in vector["url"])
    if vector["error"]:
        assert refused(vector["url"], asked).error == vector["error"]
    else:
        assert parse_authorization_response(vector["url"], asked).reveal() == vector["code"]


CODES = st.text(string.printable + "äß€😀", min_size=1, max_size=30)


@given(CODES, CODES)
def test_a_code_comes_out_as_the_server_made_it_whatever_its_characters(code, state):
    url = f"{BACK}?{urlencode({'code': code, 'state': state})}"
    assert parse_authorization_response(url, Asked(state=state, issuer=AS, iss_supported=False)).reveal() == code


def test_a_plus_is_a_space_and_what_else_the_server_says_is_its_own_affair():
    url = f"{BACK}?code=a+b%2Bc&state=s-1&session_state=x&scope=a+b#fragment"
    assert parse_authorization_response(url, ASKED).reveal() == "a b+c"


ISSUERS = [
    # the server promises `iss`, what it says, whether the answer is used (RFC 9207 §2.4)
    (True, AS, True),
    (True, None, False),
    (True, "https://evil.example", False),
    (False, AS, True),
    (False, None, True),
    (False, "https://evil.example", False),
    # the same, character by character
    (True, f"{AS}/", False),
    (False, f"{AS}/", False),
    (False, "https://AS.example.com", False),
    (False, "https://as.example.com:443", False),
    (False, "", False),
]


@pytest.mark.parametrize(("promised", "iss", "used"), ISSUERS)
def test_the_answer_is_used_only_if_it_comes_from_whoever_was_asked(promised, iss, used):
    asked = Asked(state="s-1", issuer=AS, iss_supported=promised)
    url = back() if iss is None else back(iss=iss)
    if used:
        assert parse_authorization_response(url, asked).reveal() == "canary-code"
    else:
        assert refused(url, asked).code == "iss_mismatch"


@pytest.mark.parametrize(("promised", "iss"), [row[:2] for row in ISSUERS if not row[2]])
def test_who_it_comes_from_is_looked_at_before_its_error(promised, iss):
    said = {"error": "access_denied", "error_description": "canary"} | ({} if iss is None else {"iss": iss})
    error = refused(back(**said), Asked(state="s-1", issuer=AS, iss_supported=promised))
    assert (error.code, error.error, error.error_description) == ("iss_mismatch", None, None)


@pytest.mark.parametrize("state", [None, "", "s-2", "S-1", "s-1 "])
def test_whose_answer_it_is_is_looked_at_before_anything_else(state):
    said = {"code": "canary-code", "iss": "https://evil.example/canary", "error": "canary"}
    url = f"{BACK}?{urlencode(said if state is None else said | {'state': state})}"
    assert (refused(url).code, refused(url).error) == ("state_mismatch", None)


@pytest.mark.parametrize("url", ["", BACK, f"{BACK}?", f"{BACK}#code=canary-code&state=s-1", "canary-code"])
def test_what_has_no_query_is_no_answer_to_ours(url):
    assert refused(url).code == "state_mismatch"


@pytest.mark.parametrize(
    "url",
    [
        f"{back()}&code=other",
        f"{back()}&state=s-1",
        f"{back()}&iss={AS}&iss={AS}",
        f"{back()}&x=1&x=",
        f"{back()}&{'&'.join(f'p{i}=1' for i in range(100))}",
        "http://[canary/?state=s-1&code=x",
    ],
)
def test_what_says_something_twice_or_cannot_be_read_is_not_used(url):
    assert refused(url).code == "authorization_response_invalid"


@pytest.mark.parametrize("code", [None, ""])
def test_an_answer_without_a_code_is_an_error(code):
    answer = {"state": "s-1"} | ({} if code is None else {"code": code})
    assert refused(f"{BACK}?{urlencode(answer)}").code == "authorization_response_invalid"


@pytest.mark.parametrize(
    ("error", "retryable", "advice"),
    [
        ("access_denied", False, "said no"),
        ("invalid_scope", False, "scopes"),
        ("invalid_target", False, "resource"),
        ("unauthorized_client", False, "registered"),
        ("server_error", True, "later"),
        ("temporarily_unavailable", True, "later"),
        ("something_of_their_own", False, "Ask whoever runs"),
    ],
)
def test_a_refusal_says_who_said_no_and_what_to_do(error, retryable, advice):
    url = back(error=error, error_description='It is "wrong"\n', error_uri="https://as.example.com/help")
    failure = refused(url)
    assert (failure.code, failure.error, failure.retryable) == ("authorization_refused", error, retryable)
    assert (failure.error_description, failure.error_uri) == ("It is 'wrong'", "https://as.example.com/help")
    assert f"refused: {error} (\"It is 'wrong'\"). " in str(failure)
    assert advice in str(failure)


@pytest.mark.parametrize("error", ["", "\x1b\n"])
def test_an_error_without_a_name_is_one_all_the_same(error):
    failure = refused(back(error=error))
    assert (failure.code, failure.error, failure.error_description) == ("authorization_refused", None, None)
    assert "an error without a name" in str(failure)


def test_the_words_of_a_refusal_are_cleaned_and_bounded():
    failure = refused(back(error="x" * 999, error_description="\x1b[2J" + "y" * 999))
    assert len(failure.error) == len(failure.error_description) == 200
    assert "\x1b" not in str(failure)


def test_neither_state_nor_code_shows_itself():
    assert "s-1" not in repr(ASKED)
    assert isinstance(code := parse_authorization_response(back(), ASKED), Secret)
    assert "canary" not in repr(code)


CODES_OF_ERRORS = {"state_mismatch", "iss_mismatch", "authorization_refused", "authorization_response_invalid"}


@given(st.text(max_size=60), st.booleans())
def test_any_url_is_a_code_or_a_clear_error(text, promised):
    result = outcome(text, Asked(state="s-1", issuer=AS, iss_supported=promised))
    assert result.code in CODES_OF_ERRORS if isinstance(result, RemoteError) else result.reveal()
