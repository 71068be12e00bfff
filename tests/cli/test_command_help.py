"""What the command says of itself, and to a call that can't be meant."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version

import pytest

from gatepass.cli.app import _COMMANDS, run


class TestHelp:
    def test_the_first_page_shows_every_command_and_exit_code(self, gatepass):
        first = gatepass()
        assert first.code == 0
        for word in (*_COMMANDS, "GATEPASS_CLIENT_ID", "  4  refused by the authorization"):
            assert word in first.out
        assert max(map(len, first.out.splitlines())) <= 80

    @pytest.mark.parametrize("command", _COMMANDS)
    def test_each_command_teaches_with_an_example(self, capsys, command):
        assert run([command, "--help"]) == 0
        shown = capsys.readouterr().out
        assert f"$ gatepass {command}" in shown
        assert max(map(len, shown.splitlines())) <= 80

    @pytest.mark.parametrize("command", ["check", "show", "trust"])
    def test_so_does_each_command_of_a_group(self, capsys, command):
        assert run(["config", command, "--help"]) == 0
        assert f"$ gatepass config {command}" in capsys.readouterr().out

    def test_a_group_alone_shows_its_help(self, capsys):
        assert run(["config"]) == 0
        assert "$ gatepass config check" in capsys.readouterr().out

    def test_the_version_is_that_of_the_package(self, capsys):
        assert run(["--version"]) == 0
        assert capsys.readouterr().out == f"gatepass {version('gatepass')}\n"

    @pytest.mark.parametrize(
        ("arguments", "says"),
        [
            (["tokn"], "No such command 'tokn'. Did you mean 'token'?\nTry: gatepass --help\n"),
            (["token"], "Missing argument 'NAME|URL'.\nTry: gatepass token --help\n"),
            (["token", "--frobnicate"], "No such option: --frobnicate\nTry: gatepass token --help\n"),
            (["token", "--timeout", "soon", "URL"], "Invalid value for '--timeout'"),
            (["token", "--client-secret", "canary"], "--client-secret does not exist"),
        ],
    )
    def test_a_call_that_cannot_be_meant_says_so_and_where_to_look(self, capsys, arguments, says):
        assert run(arguments) == 2
        shown = capsys.readouterr()
        assert shown.out == ""
        assert shown.err.startswith(f"gatepass: {says}")
        assert "canary" not in shown.err

    def test_without_its_extra_it_says_what_to_install(self):
        code = "import sys; sys.modules['typer'] = None; from gatepass.cli import main; main()"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert done.returncode == 3
        assert done.stderr == "gatepass's command line needs pip install 'gatepass[cli]'\n"
