"""The cleaning of a server's words."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepass.protocol.text import clean

NQSCHAR = re.compile(r"[\x20-\x21\x23-\x5b\x5d-\x7e]{1,200}")


@given(st.text())
def test_what_is_left_is_in_the_characters_of_rfc_6749_and_bounded(text):
    cleaned = clean(text)
    assert cleaned is None or NQSCHAR.fullmatch(cleaned)


@given(st.text())
def test_cleaning_twice_changes_nothing(text):
    cleaned = clean(text)
    assert cleaned is None or clean(cleaned) == cleaned


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("Client not found.", "Client not found."),
        ('say "hello"', "say 'hello'"),
        ("two\r\nlines\tand\x00more", "two lines and more"),
        ("back\\slash", "back slash"),
        ("  spaced   out  ", "spaced out"),
        ("\u202egnp.exe \u00fc", "gnp.exe"),
        ("x" * 200, "x" * 200),
        ("x" * 201, "x" * 197 + "..."),
        ("", None),
        (" \n\u00e9", None),
    ],
)
def test_words_are_cleaned(text, cleaned):
    assert clean(text) == cleaned
