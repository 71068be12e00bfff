"""key=value, key:=json and @file: what a tool gets of them, and what a wrong one is told."""

from __future__ import annotations

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepass.cli.arguments import read_words, typed, undeclared
from gatepass.cli.exits import UsageError

SCHEMA = {
    "type": "object",
    "properties": {
        "text": {"type": "string"},
        "count": {"type": "integer"},
        "share": {"type": "number"},
        "flag": {"type": "boolean"},
        "tags": {"type": "array", "items": {"type": "string"}},
        "where": {"type": "object"},
        "limit": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
        "colour": {"$ref": "#/$defs/Colour"},
        "level": {"enum": [1, 2, 3]},
        "either": {"type": ["integer", "string"]},
        "anything": {},
    },
    "$defs": {"Colour": {"enum": ["red", "green"]}},
}


def value(word: str) -> object:
    (only,) = typed(read_words([word]), SCHEMA, tool="tool").values()
    return only


class TestAValue:
    @pytest.mark.parametrize(
        ("word", "wanted"),
        [
            ("text=a=b", "a=b"),
            ("text=12", "12"),
            ("text=", ""),
            ("text=true", "true"),
            ("count=-3", -3),
            ("count=3.0", 3),
            ("count=123456789012345678901234567890", 123456789012345678901234567890),
            ("share=0.5", 0.5),
            ("share=1", 1),
            ("share=1e-3", 0.001),
            ("flag=true", True),
            ("flag=false", False),
            ('tags=["a", "b"]', ["a", "b"]),
            ('where={"x": 1}', {"x": 1}),
            ("limit=5", 5),
            ("limit=null", None),
            ("colour=red", "red"),
            ("level=2", 2),
            ("either=5", "5"),
            ("either:=5", 5),
            ("anything=5", "5"),
            ("anything:=[1, null]", [1, None]),
            ("undeclared=5", "5"),
            ("text:=null", None),
            ("text=a@b", "a@b"),
            ('text:="@b"', "@b"),
            ("@text=5", "5"),
        ],
    )
    def test_it_becomes_what_the_schema_declares(self, word, wanted):
        assert value(word) == wanted
        assert type(value(word)) is type(wanted)

    @pytest.mark.parametrize(
        ("word", "says"),
        [
            ("count=canary", "count is declared as integer: write it like count=3"),
            ("count=1.5", "count is declared as integer"),
            ("count=true", "count is declared as integer"),
            ("count=", "count is declared as integer"),
            ("share=NaN", "share is declared as number: write it like share=2.5"),
            ("flag=yes", "flag is declared as boolean: write it like flag=true"),
            ("flag=1", "flag is declared as boolean"),
            ("tags=a,b", "tags is declared as array"),
            ("where=[]", "where is declared as object"),
            ("limit=many", "limit is declared as integer or null"),
            ("anything:={canary", "anything:= takes JSON"),
            ("canary", "Argument 1 of the tool is not key=value"),
            ("=canary", "Argument 1 of the tool is not key=value"),
            ("text=canary\udcff", "Argument 1 of the tool is not text in UTF-8"),
            (":=3", "Argument 1 of the tool is not key=value"),
        ],
    )
    def test_what_does_not_fit_is_named_and_not_quoted(self, word, says):
        with pytest.raises(UsageError) as caught:
            value(word)
        assert says in str(caught.value)
        assert "canary" not in str(caught.value)

    @given(st.text().filter(lambda text: not text.startswith("@")))
    def test_any_text_arrives_as_it_is_where_text_is_declared(self, text):
        assert value(f"text={text}") == text

    @given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=5))
    def test_any_json_arrives_as_it_is(self, anything):
        assert value(f"anything:={json.dumps(anything)}") == anything


class TestTheArguments:
    def test_a_name_is_given_once(self):
        with pytest.raises(UsageError, match="text is given twice"):
            read_words(["text=a", "text:=1"])

    def test_what_is_required_must_be_there(self):
        schema = {**SCHEMA, "required": ["text", "count"]}
        with pytest.raises(UsageError, match="search needs count besides; it takes text: string, count: integer"):
            typed(read_words(["text=a"]), schema, tool="search")

    def test_a_closed_schema_takes_no_others(self):
        schema = {"properties": {"text": {"type": "string"}}, "additionalProperties": False}
        with pytest.raises(UsageError, match="search takes no texd; it takes text\\?: string"):
            typed(read_words(["texd=a"]), schema, tool="search")
        with pytest.raises(UsageError, match="it takes no arguments"):
            typed(read_words(["texd=a"]), {"additionalProperties": False}, tool="search")

    def test_an_open_schema_takes_them_and_tells(self):
        words = read_words(["text=a", "texd=b"])
        assert undeclared(words, SCHEMA) == ["texd"]
        assert typed(words, SCHEMA, tool="search") == {"text": "a", "texd": "b"}


class TestFiles:
    @pytest.mark.parametrize(
        ("word", "content", "wanted"),
        [
            ("text=@FILE", "Grüße\n", "Grüße\n"),
            ("text=@FILE", "", ""),
            ("count=@FILE", " 12\n", 12),
            ("anything=@FILE", "12\n", "12\n"),
            ("anything:=@FILE", "[12]\n", [12]),
            ("undeclared=@FILE", "12", "12"),
        ],
    )
    def test_what_stands_in_a_file_is_taken_for_what_was_typed(self, tmp_path, word, content, wanted):
        (tmp_path / "file").write_text(content)
        assert value(word.replace("FILE", str(tmp_path / "file"))) == wanted

    def test_a_file_alone_holds_arguments_of_every_type(self, tmp_path):
        file = tmp_path / "file"
        file.write_text('{"text": "12", "count": 123456789012345678901, "anything": {"a": [null, 1.5]}}')
        words = read_words(["flag=true", f"@{file}"])
        assert typed(words, SCHEMA, tool="tool") == {
            "flag": True,
            "text": "12",
            "count": 123456789012345678901,
            "anything": {"a": [None, 1.5]},
        }

    @pytest.mark.parametrize(
        ("words", "content", "says"),
        [
            (["text=@FILE"], None, "text=@FILE can't be read: No such file or directory. A value that begins with @"),
            (["text:=@FILE"], None, "text:=@FILE can't be read"),
            (["@FILE"], None, "Argument 1 of the tool, @FILE, can't be read"),
            (["text=@FILE"], b"\xff", "text=@FILE is no text in UTF-8. A tool that takes bytes wants them in base64"),
            (["text=@\0"], b"", "text=@FILE can't be read: this is no path."),
            (["@FILE"], b"[1]", "@FILE takes a JSON object of arguments"),
            (["@FILE"], b"canary", "@FILE takes a JSON object of arguments"),
            (["text=a", "@FILE"], b'{"text": "b"}', "text is given twice"),
            (["text:=@FILE"], b"canary", "text:= takes JSON, which this is not"),
        ],
    )
    def test_one_that_can_not_be_used_is_told_of_and_not_quoted(self, tmp_path, words, content, says):
        file = tmp_path / "canary"
        if content is not None:
            file.write_bytes(content)
        with pytest.raises(UsageError) as caught:
            typed(read_words([word.replace("FILE", str(file)) for word in words]), SCHEMA, tool="tool")
        assert says in str(caught.value)
        assert "canary" not in str(caught.value)

    def test_the_standard_input_is_read_once(self, monkeypatch):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"once")))
        assert read_words(["text=@-"])[0].text == "once"
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"{}")))
        with pytest.raises(UsageError, match="text=@FILE wants the standard input, which was read already"):
            read_words(["@-", "text=@-"])
