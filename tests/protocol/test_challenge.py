"""WWW-Authenticate: the grammar's own examples, what servers get wrong, and properties of any input."""

from __future__ import annotations

import json
import string
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gatepass.errors import ConfigurationError
from gatepass.protocol.challenge import (
    Challenge,
    ResourceChallenge,
    build_challenges,
    dpop_error,
    parse_challenges,
    resource_challenge,
)

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "challenges.json").read_text(encoding="utf-8"))
TOKEN_CHARS = string.ascii_letters + string.digits + "!#$%&'*+-.^_`|~"
TOKEN68_CHARS = string.ascii_letters + string.digits + "-._~+/"
VALUE_CHARS = "".join(map(chr, [9, *range(0x20, 0x7F), *range(0x80, 0x100)]))

names = st.text(TOKEN_CHARS, min_size=1, max_size=12).map(str.lower)
token68s = st.builds(str.__add__, st.text(TOKEN68_CHARS, min_size=1, max_size=20), st.sampled_from(["", "=", "=="]))
values = st.text(VALUE_CHARS, max_size=30)
challenges = st.builds(
    Challenge,
    scheme=names,
    token68=st.none() | token68s,
    params=st.dictionaries(names, values, max_size=5),
)


def triples(lines):
    return [(one.scheme, one.token68, dict(one.params)) for one in parse_challenges(lines)]


@pytest.mark.parametrize("vector", VECTORS, ids=[vector["source"] for vector in VECTORS])
def test_the_examples_of_the_rfcs_are_read_as_the_rfcs_mean_them(vector):
    assert triples(vector["lines"]) == [tuple(expected) for expected in vector["challenges"]]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([], []),
        ([""], []),
        ([" , ,\t,"], []),
        (["Bearer"], [("bearer", None, {})]),
        (["bEaReR SCOPE=a"], [("bearer", None, {"scope": "a"})]),
        ([',, Bearer\t  a = "b" ,\t, c=d ,'], [("bearer", None, {"a": "b", "c": "d"})]),
        (["Bearer , a=b"], [("bearer", None, {"a": "b"})]),
        (["Negotiate YWI=, Bearer"], [("negotiate", "YWI=", {}), ("bearer", None, {})]),
        (["Negotiate YWI= \t"], [("negotiate", "YWI=", {})]),
        (["Negotiate abc/+~.-_=="], [("negotiate", "abc/+~.-_==", {})]),
        (["Negotiate, NTLM"], [("negotiate", None, {}), ("ntlm", None, {})]),
        (["Basic realm=x", "Bearer scope=y"], [("basic", None, {"realm": "x"}), ("bearer", None, {"scope": "y"})]),
        (["Bearer realm=x", "scope=y"], [("bearer", None, {"realm": "x", "scope": "y"})]),
        (['Bearer a="x, Basic b=c", d=e'], [("bearer", None, {"a": "x, Basic b=c", "d": "e"})]),
        (['Bearer a="\\"\\\\\\x"'], [("bearer", None, {"a": '"\\x'})]),
        (['Bearer a=""'], [("bearer", None, {"a": ""})]),
    ],
)
def test_what_the_grammar_allows_is_read(lines, expected):
    assert triples(lines) == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('Bearer realm="x" scope="y"', [("bearer", None, {"realm": "x", "scope": "y"})]),
        ("Bearer u=https://h/x?y=z, a=b", [("bearer", None, {"u": "https://h/x?y=z", "a": "b"})]),
        ("Bearer e=The token expired, a=b", [("bearer", None, {"e": "The", "a": "b"})]),
        ('Bearer a="x"junk, b=c', [("bearer", None, {"a": "x", "b": "c"})]),
        ('Bearer a="unterminated, b=c', [("bearer", None, {"a": "unterminated, b=c"})]),
        ('Bearer a="trailing\\', [("bearer", None, {"a": "trailing"})]),
        ("Bearer a=1, a=2, A=3", [("bearer", None, {"a": "1"})]),
        ("Bearer a=, b=c", [("bearer", "a=", {"b": "c"})]),
        ("Bearer b=c, a=, d=e", [("bearer", None, {"b": "c", "a": "", "d": "e"})]),
        ("Bearer abc, realm=x", [("bearer", "abc", {"realm": "x"})]),
        ("Bearer abc realm=x", [("bearer", None, {"realm": "x"})]),
        ('="x", "y", = , (, Bearer a=b', [("bearer", None, {"a": "b"})]),
        ('a="b", Bearer', [("bearer", None, {})]),
        ("Bearer a=b, \x00\x01\ufffd, c=d", [("bearer", None, {"a": "b", "c": "d"})]),
    ],
)
def test_a_slip_of_the_server_costs_only_itself(line, expected):
    assert triples([line]) == expected


def test_an_unterminated_quote_does_not_reach_into_the_next_line():
    assert triples(['Basic realm="x', "Bearer scope=y"]) == [
        ("basic", None, {"realm": "x"}),
        ("bearer", None, {"scope": "y"}),
    ]


@pytest.mark.parametrize(
    ("lines", "count"),
    [(["a, " * 1000], 32), (["a"] * 1000, 32), ([" " * 70_000, "Bearer"], 0), ([" " * 65_535 + "Bearer"], 1)],
)
def test_no_more_is_read_than_any_server_means(lines, count):
    assert len(parse_challenges(lines)) == count


def test_of_many_parameters_the_first_are_kept():
    (challenge,) = parse_challenges(["Bearer " + ", ".join(f"p{i}=v" for i in range(1000))])
    assert list(challenge.params) == [f"p{i}" for i in range(64)]


@given(st.lists(challenges, max_size=5))
def test_what_was_built_is_parsed_back(built):
    assert list(parse_challenges([build_challenges(built)])) == built


@given(st.lists(challenges, max_size=5))
def test_one_line_a_challenge_means_the_same_as_one_line(built):
    assert parse_challenges([build_challenges([one]) for one in built]) == tuple(built)


@given(st.lists(st.text() | st.text('aB= \t,"\\'), max_size=4))
@example(["Bearer =", '"', "\\", "="])
def test_no_text_makes_the_parser_raise_and_what_it_reads_can_be_written(lines):
    for challenge in parse_challenges(lines):
        assert challenge.scheme == challenge.scheme.lower() != ""
        assert all(name == name.lower() for name in challenge.params)
    found = resource_challenge(lines)
    assert found is None or found.scheme in {"bearer", "dpop"}


@given(st.binary())
def test_no_bytes_make_the_parser_raise(data):
    assert isinstance(parse_challenges([data.decode("latin-1")]), tuple)


@given(st.lists(challenges, max_size=3), st.text('=, \t"', max_size=10))
def test_what_follows_never_changes_what_was_read_before(built, noise):
    line = build_challenges(built)
    parsed = parse_challenges([line, noise])
    assert [one.scheme for one in parsed][: len(built)] == [one.scheme for one in built]


@pytest.mark.parametrize(
    "challenge",
    [
        Challenge(scheme=""),
        Challenge(scheme="two words"),
        Challenge(scheme="bearer", params={"bad name": "x"}),
        Challenge(scheme="bearer", params={"a": "line\r\nSet-Cookie: x"}),
        Challenge(scheme="bearer", params={"a": "\u20ac"}),
        Challenge(scheme="bearer", token68="a b"),
        Challenge(scheme="bearer", token68=""),
    ],
)
def test_what_would_break_the_header_is_not_built(challenge):
    with pytest.raises(ConfigurationError) as caught:
        build_challenges([challenge])
    assert caught.value.code == "challenge_invalid"


def test_known_schemes_are_written_as_the_rfcs_spell_them():
    written = build_challenges([Challenge(scheme="bearer", params={"a": "b"}), Challenge(scheme="dpop")])
    assert written == 'Bearer a="b", DPoP'


META = "https://h.example/.well-known/oauth-protected-resource"


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["Basic realm=x"], None),
        (["Basic realm=x, Bearer"], ResourceChallenge(scheme="bearer")),
        (["DPoP algs=ES256"], ResourceChallenge(scheme="dpop")),
        (["DPoP algs=ES256, Bearer"], ResourceChallenge(scheme="bearer")),
        (['DPoP error="invalid_token", Bearer'], ResourceChallenge(scheme="dpop", error="invalid_token")),
        (
            [f'Bearer error="invalid_token", DPoP resource_metadata="{META}"'],
            ResourceChallenge(scheme="dpop", resource_metadata=META),
        ),
        (
            ["Bearer scope=a", f'Bearer resource_metadata="{META}"'],
            ResourceChallenge(scheme="bearer", resource_metadata=META),
        ),
        (
            [f'Bearer resource_metadata="{META}", scope="b a b", error=insufficient_scope, error_description="No way"'],
            ResourceChallenge(
                scheme="bearer",
                resource_metadata=META,
                scope=("b", "a"),
                error="insufficient_scope",
                error_description="No way",
            ),
        ),
    ],
)
def test_the_challenge_that_helps_most_is_chosen(lines, expected):
    assert resource_challenge(lines) == expected


@pytest.mark.parametrize(
    "url",
    ["", "/relative", "ftp://h/x", "https://h/a b", "https://u:p@h/x", "https://h/" + "x" * 2048, "https://h/\x7f"],
)
def test_a_metadata_address_that_is_no_usable_url_counts_as_unsaid(url):
    assert resource_challenge([f'Bearer resource_metadata="{url}"']) == ResourceChallenge(scheme="bearer")


@pytest.mark.parametrize("scope", ["", "   ", '\\"', "\u20ac"])
def test_a_scope_parameter_without_a_scope_counts_as_unsaid(scope):
    assert resource_challenge([f'Bearer scope="{scope}"']) == ResourceChallenge(scheme="bearer")


def test_the_servers_words_are_cleaned_and_bounded():
    found = resource_challenge(['Bearer error="a\x1b[31mb", error_description="' + "x" * 5000 + '"'])
    assert found.error == "a [31mb"
    assert found.error_description == "x" * 197 + "..."


@pytest.mark.parametrize(
    ("lines", "error"),
    [
        ([], None),
        (['DPoP algs="ES256"'], None),
        (['DPoP error="use_dpop_nonce"'], "use_dpop_nonce"),
        (['dpop ERROR=use_dpop_nonce, error_description="x"'], "use_dpop_nonce"),
        (['Bearer error="invalid_token"'], None),
        (['Bearer error="invalid_token", DPoP error="use_dpop_nonce"'], "use_dpop_nonce"),
        (['Bearer error="invalid_token"', 'DPoP error="invalid_dpop_proof"'], "invalid_dpop_proof"),
        (['DPoP algs="ES256"', 'DPoP error="", DPoP error="invalid_token"'], "invalid_token"),
        (['DPoP error="invalid_token", DPoP error="use_dpop_nonce"'], "invalid_token"),
        (['Bearer realm="DPoP error=use_dpop_nonce"'], None),
    ],
)
def test_the_error_of_a_dpop_challenge_is_found_beside_whatever_else_is_offered(lines, error):
    assert dpop_error(lines) == error


@given(st.lists(challenges, max_size=5), st.text(VALUE_CHARS, min_size=1, max_size=20))
def test_the_first_error_of_a_dpop_challenge_is_the_one(others, error):
    own = Challenge(scheme="dpop", params={"error": error})
    before = [one for one in others if one.scheme != "dpop"]
    assert dpop_error([build_challenges([*before, own, *others])]) == error
