"""Where a secret stands, as it is written in a shell and in gatepass.toml; and that a secret is no such thing."""

from __future__ import annotations

import tomllib

import pytest
import typer

from gatepass.cli.configuration.writer import entry_text
from gatepass.cli.identity import read_reference, read_source
from gatepass.cli.reference import PLATFORMS, Reference, from_text, from_toml
from gatepass.identity import __all__ as sources

REFERENCES = [
    ("env:CI_SECRET", {"env": "CI_SECRET"}, "Secret(environment variable CI_SECRET)"),
    ("file:/run/secrets/ci", {"file": "/run/secrets/ci"}, "Secret(file /run/secrets/ci)"),
    ("keyring:a/b/ci-bot", {"keyring": ["a/b", "ci-bot"]}, "Secret(keyring entry a/b / ci-bot)"),
    ("command:vault read 'my key'", {"command": ["vault", "read", "my key"]}, "Secret(command vault)"),
]


class TestAReference:
    @pytest.mark.parametrize(("text", "table", "shown"), REFERENCES)
    def test_both_ways_to_write_it_mean_the_same(self, text, table, shown):
        reference = from_text(text)
        assert reference == from_toml(table)
        assert repr(reference.secret) == shown
        assert reference.in_toml == table

    @pytest.mark.parametrize("text", [text for text, _, _ in REFERENCES])
    def test_what_is_written_into_a_file_can_be_read_there(self, tmp_path, text):
        entry = entry_text("x", "https://a.example", {"client_secret_from": from_text(text)}, tmp_path)
        assert from_toml(tomllib.loads(entry)["servers"]["x"]["client-secret"]) == from_text(text)

    @pytest.mark.parametrize("platform", PLATFORMS)
    def test_a_platform_is_one_where_a_jwt_is_wanted(self, platform):
        reference = from_text(platform, platforms=True)
        assert reference == from_toml(platform, platforms=True)
        assert type(reference.source).__name__ in sources
        assert (from_text(platform), from_toml(platform)) == (None, None)

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "canary",
            "env:",
            "env:canary!",
            "file:",
            "keyring:",
            "keyring:user",
            "keyring:service/",
            "command:",
            "command:'",
            "x:y",
        ],
    )
    def test_what_says_no_place_is_not_quoted(self, text):
        assert from_text(text) is None
        for read in (read_reference, read_source):
            with pytest.raises(typer.BadParameter) as caught:
                read(text)
            assert "canary" not in str(caught.value)

    @pytest.mark.parametrize(
        "value",
        [
            "canary",
            7,
            [],
            {},
            {"env": ""},
            {"env": "canary!"},
            {"env": 7},
            {"env": "A", "file": "b"},
            {"keyring": ["service"]},
            {"keyring": ["service", ""]},
            {"keyring": "service"},
            {"command": "vault read"},
            {"command": []},
            {"command": ["vault", 7]},
            {"value": "canary"},
        ],
    )
    def test_a_value_in_a_file_that_says_no_place_is_none(self, value):
        assert from_toml(value) is None

    def test_the_arguments_of_a_command_are_not_shown(self):
        assert str(Reference("command", ("vault", "--token=canary"))) == "command:vault"
        assert str(Reference("keyring", ("gatepass", "ci-bot"))) == "keyring:gatepass/ci-bot"
        assert str(Reference("platform", ("spiffe",))) == "spiffe"
