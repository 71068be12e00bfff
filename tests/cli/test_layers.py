"""Options before variables, variables before the file; and what hides what."""

from __future__ import annotations

from pathlib import Path

import pytest

from gatepass.cli.exits import UsageError
from gatepass.cli.identity import AuthMethod, Who
from gatepass.cli.layers import KINDS, Layer, as_options, environment, options, settle, variable
from gatepass.cli.reference import Reference
from gatepass.cli.way import Way

SECRET = Reference("env", ("S",))
KEY = Reference("file", ("k.pem",))


def from_file(**values):
    return Layer(values=values, named={name: f"{name} of x" for name in values})


class TestSettling:
    def test_an_option_goes_before_a_variable_and_a_variable_before_the_file(self):
        said = settle(
            options(Way(issuer="https://option.example")),
            environment({"GATEPASS_ISSUER": "https://env.example", "GATEPASS_SCOPES": "env"}),
            from_file(issuer="https://file.example", scopes="file", audience="file"),
        )
        assert said.way == Way(issuer="https://option.example", scopes="env", audience="file")
        assert said.named == {"issuer": "--issuer", "scopes": "GATEPASS_SCOPES", "audience": "audience of x"}

    @pytest.mark.parametrize(
        ("upper", "lower", "left"),
        [
            ({"private_key_from": KEY}, {"client_secret_from": SECRET}, {"private_key_from": KEY}),
            (
                {"client_secret_from": SECRET},
                {"private_key_from": KEY, "key_id": "k", "auth_method": AuthMethod.JWT},
                {"client_secret_from": SECRET},
            ),
            ({"auth_method": AuthMethod.NONE}, {"client_secret_from": SECRET}, {"auth_method": AuthMethod.NONE}),
            ({"auth_method": AuthMethod.TLS}, {"client_secret_from": SECRET}, {"auth_method": AuthMethod.TLS}),
            (
                {"auth_method": AuthMethod.POST},
                {"client_secret_from": SECRET},
                {"auth_method": AuthMethod.POST, "client_secret_from": SECRET},
            ),
            ({"key_id": "new"}, {"private_key_from": KEY, "key_id": "old"}, {"private_key_from": KEY, "key_id": "new"}),
            ({"no_store": True}, {"store": Path("s")}, {"no_store": True}),
            ({"no_store": False}, {"store": Path("s")}, {"no_store": False, "store": Path("s")}),
            ({"store": Path("s")}, {"no_store": True}, {"store": Path("s")}),
            ({"resource_indicator": "urn:x"}, {"no_resource_indicator": True}, {"resource_indicator": "urn:x"}),
        ],
    )
    def test_ways_to_say_one_thing_hide_each_other(self, upper, lower, left):
        assert settle(as_options(upper), from_file(**lower)).values == left


class TestTheEnvironment:
    def test_every_option_has_a_variable(self):
        assert variable("token_endpoint") == "GATEPASS_TOKEN_ENDPOINT"
        assert len({variable(name) for name in KINDS}) == len(KINDS)

    def test_each_kind_of_value_is_read(self):
        said = environment(
            {
                "GATEPASS_AUTH_METHOD": "client_secret_post",
                "GATEPASS_WORKLOAD": "github-actions",
                "GATEPASS_DPOP": "yes",
                "GATEPASS_STEP_UP": "0",
                "GATEPASS_TIMEOUT": "2.5",
                "GATEPASS_CA_FILE": "ca.pem",
                "GATEPASS_ALLOW_METADATA_ORIGIN": "https://a.example https://b.example",
            }
        )
        assert said.values == {
            "auth_method": AuthMethod.POST,
            "workload": Reference("platform", ("github-actions",)),
            "dpop": True,
            "step_up": False,
            "timeout": 2.5,
            "ca_file": Path("ca.pem"),
            "allow_metadata_origin": ["https://a.example", "https://b.example"],
        }

    @pytest.mark.parametrize(
        ("name", "text", "place"),
        [
            ("GATEPASS_CLIENT_SECRET", "canary", Reference("env", ("GATEPASS_CLIENT_SECRET",))),
            ("GATEPASS_CLIENT_SECRET_FILE", "s", Reference("file", ("s",))),
            ("GATEPASS_CLIENT_SECRET_ENV", "S", Reference("env", ("S",))),
            ("GATEPASS_CLIENT_SECRET_FROM", "keyring:a/b", Reference("keyring", ("a", "b"))),
        ],
    )
    def test_a_secret_becomes_the_place_where_it_stands(self, name, text, place):
        said = environment({name: text})
        assert said.values == {"client_secret_from": place}
        assert said.named == {"client_secret_from": name}

    @pytest.mark.parametrize(
        ("name", "says"),
        [
            ("GATEPASS_DPOP", "GATEPASS_DPOP is neither true nor false."),
            ("GATEPASS_TIMEOUT", "GATEPASS_TIMEOUT is no number of seconds from 0.001 to 3600."),
            ("GATEPASS_AUTH_METHOD", "GATEPASS_AUTH_METHOD is none of auto"),
            ("GATEPASS_CLIENT_SECRET_FROM", "GATEPASS_CLIENT_SECRET_FROM can't be meant: it says where"),
            ("GATEPASS_CLIENT_SECRET_ENV", "GATEPASS_CLIENT_SECRET_ENV takes the name of an environment variable"),
        ],
    )
    def test_what_cannot_be_meant_is_not_quoted(self, name, says):
        with pytest.raises(UsageError) as caught:
            environment({name: "canary!"})
        assert str(caught.value).startswith(says)
        assert "canary" not in str(caught.value)

    def test_a_secret_in_two_places_is_refused(self):
        with pytest.raises(UsageError, match="GATEPASS_CLIENT_SECRET and GATEPASS_CLIENT_SECRET_FILE both prove"):
            environment({"GATEPASS_CLIENT_SECRET": "canary", "GATEPASS_CLIENT_SECRET_FILE": "s"})
        with pytest.raises(UsageError, match="--private-key-password-env and --private-key-password-from both give"):
            options(Who(private_key_password_env="P", private_key_password_from=SECRET))
