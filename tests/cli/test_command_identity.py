"""Who the program is: what options and environment say, which goes first, and what can't be."""

from __future__ import annotations

from pathlib import Path

import pytest

import gatepass
from gatepass.cli.exits import UsageError
from gatepass.cli.identity import AuthMethod, Who, authentication, refuse_secrets
from gatepass.cli.layers import environment, options, settle

SECRET_ENV = {"GATEPASS_CLIENT_SECRET": "canary"}
KEY_ENV = {"GATEPASS_PRIVATE_KEY_FILE": "env.pem"}


def client(environ=(), **given):
    said = settle(options(Who(**{"client_id": "ci-bot", **given})), environment(dict(environ)))
    return authentication(said.who, said.named)


class TestTheProof:
    @pytest.mark.parametrize(
        ("options", "environ", "wanted"),
        [
            ({"client_secret_file": Path("s")}, {}, "Secret(file s)"),
            ({"client_secret_env": "S"}, {}, "Secret(environment variable S)"),
            ({}, SECRET_ENV, "Secret(environment variable GATEPASS_CLIENT_SECRET)"),
            ({"client_secret_file": Path("s")}, {**SECRET_ENV, **KEY_ENV}, "Secret(file s)"),
            ({"private_key_file": Path("k.pem")}, SECRET_ENV, "Secret(file k.pem)"),
            ({}, KEY_ENV, "Secret(file env.pem)"),
            ({}, {**KEY_ENV, "GATEPASS_CLIENT_SECRET": ""}, "Secret(file env.pem)"),
            ({"assertion_file": Path("jwt")}, SECRET_ENV, "Secret(file jwt)"),
        ],
    )
    def test_it_is_a_reference_that_nobody_has_read(self, options, environ, wanted):
        assert [repr(secret) for secret in client(environ, **options).secrets] == [wanted]

    @pytest.mark.parametrize(
        ("method", "wanted"),
        [
            (AuthMethod.AUTO, "auto"),
            (AuthMethod.BASIC, "client_secret_basic"),
            (AuthMethod.POST, "client_secret_post"),
        ],
    )
    def test_a_secret_travels_as_asked_for(self, method, wanted):
        assert client(SECRET_ENV, auth_method=method).method == wanted

    def test_a_key_gets_what_goes_with_it(self):
        found = client(
            KEY_ENV,
            private_key_password_env="PW",
            key_id="k1",
            algorithm="PS256",
            assertion_audience="token_endpoint",
            auth_method=AuthMethod.JWT,
        )
        assert (found.key_id, found.algorithm, found.audience) == ("k1", "PS256", "token_endpoint")
        assert [repr(secret) for secret in found.secrets] == ["Secret(file env.pem)", "Secret(environment variable PW)"]

    def test_a_ready_made_jwt_is_for_whom_it_is_said_to_be(self):
        assert client({}, assertion_file=Path("jwt")).audience == "issuer"
        assert client({}, assertion_file=Path("jwt"), assertion_audience="api://x").audience == "api://x"

    def test_a_client_may_prove_nothing_if_it_says_so(self):
        assert client(SECRET_ENV, auth_method=AuthMethod.NONE) == gatepass.PublicClient("ci-bot")

    def test_the_client_id_may_come_from_the_environment(self):
        environ = {"GATEPASS_CLIENT_ID": "env-bot", **SECRET_ENV}
        assert client(environ, client_id=None).client_id == "env-bot"
        assert client(environ).client_id == "ci-bot"

    @pytest.mark.parametrize(
        ("options", "environ", "says"),
        [
            ({"client_id": None}, SECRET_ENV, "Give --client-id ID, or set GATEPASS_CLIENT_ID"),
            ({}, {}, "What proves the client?"),
            ({}, {"GATEPASS_CLIENT_SECRET": ""}, "GATEPASS_CLIENT_SECRET is set, but empty"),
            ({}, {**SECRET_ENV, **KEY_ENV}, "GATEPASS_CLIENT_SECRET and GATEPASS_PRIVATE_KEY_FILE both prove"),
            (
                {"client_secret_file": Path("s"), "private_key_file": Path("k")},
                {},
                "--client-secret-file and --private-key-file both prove",
            ),
            ({"client_secret_file": Path("s"), "client_secret_env": "S"}, {}, "both prove the client"),
            ({"auth_method": AuthMethod.NONE, "client_secret_env": "S"}, {}, "proves nothing, so --client-secret-env"),
            ({"auth_method": AuthMethod.JWT}, SECRET_ENV, "private_key_jwt needs --private-key-file"),
            ({"auth_method": AuthMethod.BASIC}, KEY_ENV, "client_secret_basic does not go with GATEPASS_PRIVATE_KEY"),
            ({"key_id": "k1"}, SECRET_ENV, "--key-id goes with --private-key-file, not with GATEPASS_CLIENT_SECRET"),
            ({"algorithm": "ES256", "auth_method": AuthMethod.NONE}, {}, "--algorithm goes with --private-key-file."),
            ({"assertion_audience": "x"}, SECRET_ENV, "--assertion-audience goes with --private-key-file, not with"),
            ({"assertion_file": Path("jwt"), "key_id": "k1"}, {}, "--key-id goes with --private-key-file, not with"),
            (
                {"private_key_password_env": "P", "private_key_password_file": Path("p")},
                KEY_ENV,
                "both give the password",
            ),
        ],
    )
    def test_what_contradicts_itself_is_refused(self, monkeypatch, options, environ, says):
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        with pytest.raises(UsageError) as caught:
            client(environ, **options)
        assert says in str(caught.value)
        assert "canary" not in str(caught.value)


class TestSecretsAsArguments:
    @pytest.mark.parametrize(
        ("arguments", "says"),
        [
            (["token", "--client-secret", "canary"], "Give --client-secret-file PATH or --client-secret-env NAME"),
            (["--client-secret=canary"], "or set GATEPASS_CLIENT_SECRET"),
            (["token", "--private-key", "canary"], "Give --private-key-file PATH"),
            (["token", "--private-key-password=canary"], "Give --private-key-password-file PATH"),
            (["token", "--assertion=canary"], "Give --assertion-file PATH"),
        ],
    )
    def test_they_are_refused_with_the_way_to_give_them(self, arguments, says):
        with pytest.raises(UsageError) as caught:
            refuse_secrets(arguments)
        assert says in str(caught.value)
        assert "canary" not in str(caught.value)

    def test_other_options_and_what_follows_the_end_of_options_are_let_through(self):
        refuse_secrets(["call", "--client-secret-file", "f", "url", "tool", "--", "--client-secret=x"])
