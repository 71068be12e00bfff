"""What a tool's schema says of its arguments, however it says it; and nothing a server sends makes it fail."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepass.cli.schema import kinds, signature

DEFINITIONS = {
    "$defs": {
        "Name": {"type": "string"},
        "Alias": {"$ref": "#/$defs/Name"},
        "Loop": {"$ref": "#/$defs/Loop"},
        "a/b~c": {"type": "integer"},
    }
}


class TestKinds:
    @pytest.mark.parametrize(
        ("argument", "wanted"),
        [
            ({"type": "integer"}, {"integer"}),
            ({"type": ["integer", "null"]}, {"integer", "null"}),
            ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, {"integer", "null"}),
            ({"oneOf": [{"type": "number"}, {"type": "array"}]}, {"number", "array"}),
            ({"allOf": [{"$ref": "#/$defs/Name"}]}, {"string"}),
            ({"$ref": "#/$defs/Alias"}, {"string"}),
            ({"$ref": "#/$defs/a~1b~0c"}, {"integer"}),
            ({"enum": ["a", 1, 1.5, None, True]}, {"string", "integer", "number", "null", "boolean"}),
            ({"const": {"a": 1}}, {"object"}),
            ({"anyOf": [{"type": "integer"}, {}]}, set()),
            ({"$ref": "#/$defs/Loop"}, set()),
            ({"$ref": "#/$defs/Nowhere"}, set()),
            ({"$ref": "https://example.com/schema.json"}, set()),
            ({}, set()),
            (True, set()),
        ],
    )
    def test_each_way_to_say_a_type_is_read(self, argument, wanted):
        assert kinds(argument, DEFINITIONS) == wanted

    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=8),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(["type", "enum", "const", "anyOf", "allOf", "$ref", "properties", "required"]),
                    inner,
                    max_size=4,
                )
            ),
            max_leaves=20,
        ).filter(lambda schema: isinstance(schema, dict))
    )
    def test_no_schema_is_too_odd_to_be_shown(self, schema):
        assert isinstance(signature(schema), str)
        assert isinstance(kinds(schema, schema), frozenset)


class TestSignature:
    def test_it_names_the_arguments_with_types_and_marks_what_can_be_left_out(self):
        schema = {
            "properties": {
                "query": {"type": "string"},
                "limit": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
                "more": {},
            },
            "required": ["query"],
        }
        assert signature(schema) == "query: string, limit?: integer, more?: any"
