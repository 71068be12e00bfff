"""Scopes: the algebra as properties, the choice as a table."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepass.errors import ConfigurationError
from gatepass.protocol.scope import check_scopes, format_scope, parse_scope, select, step_up, union, valid_scope

SCOPE_CHARS = "".join(chr(c) for c in range(0x21, 0x7F) if chr(c) not in '"\\')

scope_tokens = st.sampled_from(["a", "b", "c", "mcp:read", "mcp:write"]) | st.text(SCOPE_CHARS, min_size=1, max_size=8)
scope_lists = st.lists(scope_tokens, unique=True, max_size=6).map(tuple)
maybe = st.none() | scope_lists


@given(scope_lists)
def test_what_was_formatted_is_parsed_back(scopes):
    assert parse_scope(format_scope(scopes)) == scopes


@given(st.text())
def test_parsing_gives_valid_scopes_without_repeats_and_is_stable(text):
    scopes = parse_scope(text)
    assert all(valid_scope(scope) for scope in scopes)
    assert len(set(scopes)) == len(scopes)
    assert parse_scope(format_scope(scopes)) == scopes


@given(scope_lists, scope_lists, scope_lists)
def test_union_is_an_ordered_union(a, b, c):
    both = union(a, b)
    assert both[: len(a)] == a
    assert set(both) == {*a, *b}
    assert len(both) == len(set(both))
    assert union(both, b) == union(a, both) == both
    assert union(a, a) == a
    assert union(a, ()) == union((), a) == a
    assert union(both, c) == union(a, union(b, c))


@given(maybe, maybe, maybe)
def test_the_first_who_says_something_selects(pinned, challenged, supported):
    selected = select(pinned, challenged, supported)
    if pinned is not None:
        assert selected == pinned
    elif challenged:
        assert selected == challenged
    else:
        assert selected == (supported or ())


def test_pinning_no_scope_at_all_asks_for_none():
    assert select((), ("a",), ("b",)) == ()


@given(scope_lists, scope_lists, maybe)
def test_a_step_up_adds_what_was_asked_and_stays_under_the_ceiling(asked, challenged, ceiling):
    stepped = step_up(asked, challenged, ceiling)
    new = set(challenged) - set(asked)
    if not new or (ceiling is not None and not new <= set(ceiling)):
        assert stepped is None
    else:
        assert stepped == union(asked, challenged)
        assert set(stepped) > set(asked)
        assert step_up(stepped, challenged, ceiling) is None


@pytest.mark.parametrize(
    ("asked", "challenged", "ceiling", "expected"),
    [
        (("a",), ("b",), None, ("a", "b")),
        ((), ("b",), None, ("b",)),
        (("a",), ("b", "a"), ("a", "b", "c"), ("a", "b")),
        (("a",), ("b",), ("a",), None),
        (("a",), ("b", "c"), ("a", "b"), None),
        (("a",), ("a",), None, None),
        (("a", "b"), ("a",), None, None),
        (("a",), (), None, None),
        (("a",), ("b",), (), None),
    ],
)
def test_a_step_up_is_the_union_or_nothing(asked, challenged, ceiling, expected):
    assert step_up(asked, challenged, ceiling) == expected


@pytest.mark.parametrize("scope", ["a", "mcp:read", "https://x/y", "!#[]^~", "'"])
def test_printable_ascii_makes_a_scope(scope):
    assert valid_scope(scope)


@pytest.mark.parametrize("scope", ["", " ", "a b", 'a"', "a\\", "\t", "a\n", "\x7f", "é", "\u3000"])
def test_what_rfc_6749_excludes_is_no_scope(scope):
    assert not valid_scope(scope)


def test_a_server_may_separate_with_any_space_and_repeat_itself():
    assert parse_scope(" b\ta  b\n") == ("b", "a")
    assert parse_scope('ok "bad" é') == ("ok",)


def test_the_users_scopes_are_kept_in_order_and_once():
    assert check_scopes(["b", "a", "b"], "scopes") == ("b", "a")
    assert check_scopes(iter(["b", "a"]), "scopes") == ("b", "a")
    assert check_scopes([], "scopes") == ()


@pytest.mark.parametrize(
    ("scopes", "named"),
    [("a b", "scopes is a single string"), (["a", "b c"], "scopes[1]"), ([""], "scopes[0]"), (["a", 3], "scopes[1]")],
)
def test_the_users_own_mistake_is_named(scopes, named):
    with pytest.raises(ConfigurationError) as caught:
        check_scopes(scopes, "scopes")
    assert caught.value.code == "scope_invalid"
    assert named in str(caught.value)
