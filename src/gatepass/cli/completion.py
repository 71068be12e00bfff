"""`gatepass completion`: what makes a shell complete commands, options and the names of servers."""

from __future__ import annotations

import enum
import sys
from typing import Annotated

import typer

from gatepass.cli.voice import Voice  # noqa: TC001 - typer reads the annotations

__all__ = ["COMPLETE", "completion"]

COMPLETE = "_GATEPASS_COMPLETE"
"""The variable by which the script asks the command."""


class Shell(enum.StrEnum):
    """The shells that are known."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


def completion(
    shell: Annotated[Shell, typer.Argument(metavar="SHELL", help="bash, zsh or fish.")],
    voice: Voice,  # noqa: ARG001 - `voice` is for who reports
) -> None:
    """Print the script that makes a shell complete commands, options and names of servers.

    \b
    $ eval "$(gatepass completion bash)"               in ~/.bashrc
    $ eval "$(gatepass completion zsh)"                in ~/.zshrc, after compinit
    $ gatepass completion fish > ~/.config/fish/completions/gatepass.fish
    """
    from typer.completion import get_completion_script  # type: ignore[attr-defined]  # pyright: ignore[reportPrivateImportUsage]  # it is what --show-completion prints

    sys.stdout.write(get_completion_script(prog_name="gatepass", complete_var=COMPLETE, shell=shell) + "\n")
