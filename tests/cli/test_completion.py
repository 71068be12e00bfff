"""Completion, in a real shell where there is one: commands, options, and the servers of the configuration."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cli.conftest import bare_environment
from cli.entries import configure

BASH = """
eval "$(gatepass completion bash)"
COMP_WORDS=({words}) COMP_CWORD={index}
_gatepass_completion gatepass
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


@pytest.fixture
def complete(tmp_path):
    """What bash offers for a line of words, the last of which is being typed."""
    configure(tmp_path, '[servers.reports]\nurl = "https://a.example"\n[servers.tickets]\nurl = "https://b.example"\n')
    environment = bare_environment(tmp_path)
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"

    def complete(*words):
        line = " ".join(("gatepass", *(word or "''" for word in words)))
        script = BASH.format(words=line, index=len(words))
        done = subprocess.run(
            ["bash", "-c", script], env=environment, cwd=tmp_path, capture_output=True, text=True, check=True
        )
        return done.stdout.split()

    return complete


class TestBash:
    @pytest.mark.parametrize(
        ("words", "offered"),
        [
            (("lo",), {"logout"}),
            (("token", "rep"), {"reports"}),
            (("status", ""), {"reports", "tickets"}),
            (("status", "reports", "ti"), {"tickets"}),
            (("run", "reports", "--min"), {"--min-ttl"}),
            (("config", ""), {"check", "show", "trust"}),
            (("config", "show", "t"), {"tickets"}),
            (("completion", "f"), {"fish"}),
            (("token", "--auth-method", "client_secret_b"), {"client_secret_basic"}),
        ],
    )
    def test_it_offers_what_could_follow(self, complete, words, offered):
        assert set(complete(*words)) == offered

    def test_a_broken_configuration_offers_nothing_and_says_nothing(self, complete, tmp_path):
        configure(tmp_path, "[servers.")
        assert complete("token", "rep") == []


class TestOtherShells:
    @pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
    def test_the_script_is_one_that_the_shell_can_read(self, tmp_path, shell):
        command = [sys.executable, "-m", "gatepass", "completion", shell]
        done = subprocess.run(command, env=bare_environment(tmp_path), capture_output=True, text=True, check=True)
        assert f"_GATEPASS_COMPLETE=complete_{shell}" in done.stdout
        if shutil.which(shell):
            subprocess.run([shell, "-n"], input=done.stdout, text=True, check=True)

    @pytest.mark.parametrize(
        ("shell", "offered"),
        [("zsh", """_arguments '*: :(("reports"))'\n"""), ("fish", "reports\n")],
    )
    def test_names_of_servers_are_offered_in_the_form_of_the_shell(self, tmp_path, shell, offered):
        configure(tmp_path, '[servers.reports]\nurl = "https://a.example"\n')
        environment = {
            **bare_environment(tmp_path),
            "_GATEPASS_COMPLETE": f"complete_{shell}",
            "_TYPER_COMPLETE_ARGS": "gatepass token rep",
            "_TYPER_COMPLETE_FISH_ACTION": "get-args",
        }
        command = [sys.executable, "-m", "gatepass"]
        done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=True)
        assert (done.stdout, done.stderr) == (offered, "")
