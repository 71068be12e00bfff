"""`gatepass run`: another program with the token in its environment, and gatepass gone."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import pytest
from cli.conftest import SECRET, checked, ci_bot
from cli.entries import configure, entry

from gatepass.testing import AuthorizationServer, ProtectedServer

SHOW = (sys.executable, "-c", "import json, os, sys; print(json.dumps([dict(os.environ), sys.argv[1:]]))")
NOBODY = {"GATEPASS_CLIENT_ID": None, "GATEPASS_CLIENT_SECRET": None, "GATEPASS_ISSUER": None}


def seen(run):
    assert run.code == 0
    return json.loads(run.out)


class TestRun:
    def test_the_program_finds_the_token_in_its_environment_and_no_secret(self, gatepass, url, authority):
        environment, arguments = seen(gatepass("run", url, "--", *SHOW, "--verbose", "--", "-q"))
        token = environment["GATEPASS_ACCESS_TOKEN"]
        assert authority.verify(token, audience=url)
        assert environment["GATEPASS_AUTHORIZATION"] == f"Bearer {token}"
        assert "GATEPASS_CLIENT_SECRET" not in environment
        assert environment["GATEPASS_CLIENT_ID"] == "ci-bot"
        assert arguments == ["--verbose", "--", "-q"]

    def test_what_a_reference_names_is_gone_as_well(self, gatepass, url, authority, tmp_path):
        configure(tmp_path, entry(url, authority))
        environment, _ = seen(gatepass("run", "reports", "--", *SHOW, BOT_SECRET=SECRET, OTHER="kept", **NOBODY))
        assert "BOT_SECRET" not in environment
        assert environment["OTHER"] == "kept"

    def test_what_is_overruled_by_an_option_is_gone_as_well(self, gatepass, url, authority, tmp_path):
        configure(tmp_path, entry(url, authority))
        secrets = {"BOT_SECRET": "canary-of-the-file", "ENV_SECRET": "canary-of-a-variable", "OPTION_SECRET": SECRET}
        option = ("--client-secret-env", "OPTION_SECRET")
        changes = {**NOBODY, **secrets, "GATEPASS_CLIENT_SECRET_ENV": "ENV_SECRET"}
        environment, _ = seen(gatepass("run", "reports", *option, "--", *SHOW, **changes))
        assert not secrets.keys() & environment.keys()

    def test_the_variable_may_have_another_name(self, gatepass, url, authority):
        environment, _ = seen(gatepass("run", url, "--token-env", "MCP_TOKEN", "--", *SHOW))
        assert authority.verify(environment["MCP_TOKEN"], audience=url)
        assert not {"GATEPASS_ACCESS_TOKEN", "GATEPASS_AUTHORIZATION"} & environment.keys()

    @pytest.mark.parametrize("name", ["A=B", ""])
    def test_a_name_that_no_variable_can_have_is_refused(self, gatepass, url, authority, name):
        run = gatepass("run", url, "--token-env", name, "--", *SHOW)
        assert (run.code, run.out, authority.count()) == (2, "", 0)
        assert "--token-env is no name of a variable" in run.err

    @pytest.mark.parametrize("code", [0, 1, 7, 255])
    def test_its_exit_code_is_the_programs(self, gatepass, url, code):
        assert gatepass("run", url, "--", "sh", "-c", f"exit {code}").code == code

    def test_a_signal_reaches_the_program_itself(self, url, environment):
        program = "import os, signal; print(os.getpid(), flush=True); signal.pause()"
        command = [sys.executable, "-m", "gatepass", "run", url, "--", sys.executable, "-c", program]
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
            assert int(process.stdout.readline()) == process.pid
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == -signal.SIGTERM

    def test_signals_that_python_ignores_do_what_they_always_do(self, gatepass, url):
        run = gatepass("run", url, "--", "sh", "-c", "kill -PIPE $$; echo alive")
        assert (run.code, run.out) == (-signal.SIGPIPE, "")

    def test_it_reads_and_writes_as_if_nothing_were_between(self, url, environment):
        command = [sys.executable, "-m", "gatepass", "run", url, "--", "cat"]
        done = subprocess.run(command, env=environment, input="in and out", capture_output=True, text=True, check=True)
        assert checked(done.returncode, done.stdout, done.stderr).out == "in and out"

    def test_a_program_that_is_not_there_or_no_program_is_told_as_a_shell_does(self, gatepass, url, tmp_path):
        run = gatepass("run", url, "--", "no-such-program")
        assert (run.code, run.err) == (127, "gatepass: no-such-program: there is no such program.\n")
        (tmp_path / "text").write_text("no program")
        run = gatepass("run", url, "--", tmp_path / "text")
        assert (run.code, run.err) == (126, f"gatepass: {tmp_path}/text can't be run: Permission denied.\n")

    def test_a_token_that_is_bound_to_a_key_is_of_no_use_to_a_program(self, gatepass, tmp_path):
        with AuthorizationServer(dpop="optional") as authority, ProtectedServer(authority) as server:
            authority.add_client("ci-bot", secret=SECRET)
            identity = ci_bot(tmp_path, authority)
            run = gatepass("run", server.url, "--dpop", "--", "touch", tmp_path / "ran", **identity)
        assert run.code == 2
        assert "The token is bound to a key (DPoP)" in run.err
        assert not (tmp_path / "ran").exists()

    def test_without_a_token_nothing_is_run(self, gatepass, url, tmp_path):
        run = gatepass("run", url, "--", "touch", tmp_path / "ran", GATEPASS_CLIENT_SECRET="canary-wrong")
        assert run.code == 4
        assert not (tmp_path / "ran").exists()

    def test_without_a_program_it_says_what_is_missing(self, gatepass, url):
        run = gatepass("run", url)
        assert run.code == 2
        assert "Missing argument '-- COMMAND'" in run.err

    def test_the_token_is_in_no_argument(self, gatepass, url):
        listing = gatepass(
            "run", url, "--", "sh", "-c", "tr '\\0' ' ' < /proc/$$/cmdline; echo; echo $GATEPASS_ACCESS_TOKEN"
        )
        arguments, token = listing.out.splitlines()
        assert token.startswith("eyJ")
        assert token not in arguments

    def test_a_second_run_takes_the_token_from_the_store(self, gatepass, url, authority):
        for _ in range(2):
            assert gatepass("run", url, "--", "true").code == 0
        assert authority.count("token") == 1
