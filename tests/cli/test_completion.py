"""Completion, in a real shell where there is one: commands, options, and the servers of the configuration."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cli.conftest import bare_environment
from cli.entries import configure
from cli.terminal import Screen, plain

OFFERED = [
    (("lo",), {"logout"}),
    (("token", "rep"), {"reports"}),
    (("status", ""), {"reports", "tickets"}),
    (("status", "reports", "ti"), {"tickets"}),
    (("run", "reports", "--min"), {"--min-ttl"}),
    (("token", "--d"), {"--debug", "--dpop"}),
    (("token", "--thumb"), {"--thumbprint-key-id"}),
    (("config", ""), {"check", "show", "trust"}),
    (("config", "show", "t"), {"tickets"}),
    (("completion", "f"), {"fish"}),
    (("token", "--auth-method", "client_secret_b"), {"client_secret_basic"}),
]
"""What is typed after the command, and what could follow."""

BASH = """
eval "$(gatepass completion bash)"
COMP_WORDS=({words}) COMP_CWORD={index}
_gatepass_completion gatepass
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


ZSHRC = """
PROMPT='% '
autoload -Uz compinit
compinit -D -u
eval "$(gatepass completion zsh)"
show() { zle -I; print -r -- "=[$BUFFER]="; BUFFER=; }
zle -N show
bindkey '^X' show
print -r -- ready
"""
TAB, SHOW = "\t", "\x18"


def furnish(home):
    """Servers, a file and a folder of programs; gives the environment."""
    configure(home, '[servers.reports]\nurl = "https://a.example"\n[servers.tickets]\nurl = "https://b.example"\n')
    (home / "letter.txt").touch()
    environment = bare_environment(home)
    return {**environment, "PATH": f"{Path(sys.executable).parent}:{environment['PATH']}"}


@pytest.fixture
def complete(tmp_path):
    """What bash offers for a line of words, the last of which is being typed."""
    environment = furnish(tmp_path)

    def complete(*words):
        line = " ".join(("gatepass", *(word or "''" for word in words)))
        script = BASH.format(words=line, index=len(words))
        done = subprocess.run(
            ["bash", "-c", script], env=environment, cwd=tmp_path, capture_output=True, text=True, check=True
        )
        return done.stdout.split()

    return complete


class TestBash:
    @pytest.mark.parametrize(("words", "offered"), OFFERED)
    def test_it_offers_what_could_follow(self, complete, words, offered):
        assert set(complete(*words)) == offered

    def test_a_broken_configuration_offers_nothing_and_says_nothing(self, complete, tmp_path):
        configure(tmp_path, "[servers.")
        assert complete("token", "rep") == []


@pytest.fixture(scope="module")
def zsh(tmp_path_factory):
    """Types a line at a zsh, and presses Tab; gives what is shown then, and what the line has become."""
    home = tmp_path_factory.mktemp("zsh")
    environment = {**furnish(home), "LC_ALL": "C.UTF-8"}
    (home / ".zshrc").write_text(ZSHRC)
    with Screen(["zsh", "-d", "-i"], environment, cwd=home) as screen:
        screen.waits_for("ready")

        def zsh(line):
            screen.types(f"{line}{TAB}{SHOW}")
            shown, _, becomes = screen.waits_for("]=").rpartition("=[")
            return plain(shown), becomes.removesuffix("]=")

        yield zsh
        screen.types("exit\n")
        screen.ends()


@pytest.mark.skipif(not shutil.which("zsh"), reason="zsh is not installed (apt-get install zsh)")
class TestZsh:
    @pytest.mark.parametrize(("words", "offered"), OFFERED)
    def test_it_offers_what_could_follow(self, zsh, words, offered):
        shown, becomes = zsh(" ".join(("gatepass", *words)))
        if len(offered) == 1:
            assert becomes.split() == ["gatepass", *words[:-1], *offered]
        else:
            assert offered <= set(shown.split())

    def test_a_file_is_completed_where_one_is_wanted(self, zsh):
        assert zsh("gatepass keys show let")[1].split() == ["gatepass", "keys", "show", "letter.txt"]

    def test_what_each_option_does_is_told(self, zsh):
        assert "--dpop   -- Bind tokens to a key that is made and kept (DPoP)." in zsh("gatepass token --d")[0]


@pytest.fixture(scope="module")
def fish(tmp_path_factory):
    """What fish offers for a line."""
    home = tmp_path_factory.mktemp("fish")
    environment = furnish(home)
    script = home / ".config" / "fish" / "completions" / "gatepass.fish"
    script.parent.mkdir(parents=True)
    with script.open("w") as file:
        subprocess.run(["gatepass", "completion", "fish"], env=environment, stdout=file, check=True)

    def fish(line):
        command = ["fish", "-c", "complete -C $argv[1]", line]
        done = subprocess.run(command, env=environment, cwd=home, capture_output=True, text=True, check=True)
        assert done.stderr == ""
        return done.stdout.splitlines()

    return fish


@pytest.mark.skipif(not shutil.which("fish"), reason="fish is not installed (apt-get install fish)")
class TestFish:
    @pytest.mark.parametrize(("words", "offered"), OFFERED)
    def test_it_offers_what_could_follow(self, fish, words, offered):
        assert {line.split("\t")[0] for line in fish(" ".join(("gatepass", *words)))} == offered

    def test_a_file_is_completed_where_one_is_wanted(self, fish):
        assert fish("gatepass keys show let") == ["letter.txt"]

    def test_what_each_option_does_is_told(self, fish):
        assert "--dpop\tBind tokens to a key that is made and kept (DPoP)." in fish("gatepass token --d")


class TestScripts:
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
