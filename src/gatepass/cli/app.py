"""The commands, put together: what `gatepass` alone says, and how a wrong call of it ends."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from inspect import getdoc
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from gatepass.cli.completion import COMPLETE
from gatepass.cli.exits import TABLE, Exit, UsageError
from gatepass.cli.group import Group
from gatepass.cli.identity import refuse_secrets
from gatepass.cli.spread import spread
from gatepass.cli.voice import say, writing

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["run"]

_CLUMSY = "Value error, "
"""What typer says of a choice, and nobody else."""

_COMMANDS = (
    "demo",
    "init",
    "token",
    "headers",
    "run",
    "tools",
    "call",
    "proxy",
    "status",
    "doctor",
    "logout",
    "config",
    "keys",
    "testserver",
    "completion",
)
"""In the order of the help. Each is a function, or a group of them, in a module of its own name."""

_EPILOG = f"Exit codes:\n\n\b\n{TABLE}"


def run(arguments: Sequence[str]) -> int:
    """Run a command; its exit code."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # a text stream of the process
    try:
        refuse_secrets(arguments)
        with writing():
            return int(_app(arguments)(list(arguments) or ["--help"], prog_name="gatepass", standalone_mode=False) or 0)
    except typer.Exit as ended:
        return ended.exit_code
    except UsageError as error:
        say(str(error))
    except typer.TyperException as error:  # what typer found wrong with the call
        say(f"{error.format_message().replace(_CLUMSY, '')}\n{_where_to_look(error)}")
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    return Exit.USAGE


def _app(arguments: Sequence[str]) -> typer.Typer:
    """All commands, or only the one that is called: each costs time to put together."""
    styled = sys.stdout.isatty()
    app = typer.Typer(
        cls=_Commands,
        rich_markup_mode="rich" if styled else None,
        add_completion=COMPLETE in os.environ,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
        epilog=_laid_out(_EPILOG, styled=styled),
    )
    app.callback(help=_laid_out(getdoc(gatepass) or "", styled=styled))(gatepass)
    for name in arguments[:1] if arguments and arguments[0] in _COMMANDS else _COMMANDS:
        command: Callable[..., None] | Group = getattr(import_module(f"gatepass.cli.{name}"), name)
        if isinstance(command, Group):
            group = typer.Typer(cls=_Commands, rich_markup_mode=app.rich_markup_mode, invoke_without_command=True)
            app.add_typer(group, name=name, help=_laid_out(command.help, styled=styled), callback=_show_help)
            for each in command.commands:
                _add(each, group, styled=styled)
        else:
            _add(command, app, styled=styled)
    return app


def _add(command: Callable[..., None], app: typer.Typer, *, styled: bool) -> None:
    app.command(cls=_Command, help=_laid_out(getdoc(command) or "", styled=styled))(spread(command))


class _Command(TyperCommand):
    """A command whose help does not give the type of an option that takes no value."""

    def get_params(self, ctx: Any) -> list[Any]:
        return _without_type(super().get_params(ctx))


class _Commands(TyperGroup):
    """Several of them."""

    def get_params(self, ctx: Any) -> list[Any]:
        return _without_type(super().get_params(ctx))


def _without_type(parameters: list[Any]) -> list[Any]:
    for each in parameters:
        if getattr(each, "is_flag", False) or getattr(each, "count", False):
            each.metavar = ""
    return parameters


def _show_help(context: typer.Context) -> None:
    """What a group does that is called without one of its commands."""
    if context.invoked_subcommand is None:
        sys.stdout.write(context.get_help() + "\n")


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        sys.stdout.write(f"gatepass {version('gatepass')}\n")
        raise typer.Exit


def gatepass(
    *,
    show_version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    """Gets a program past the gate of a protected MCP server, with OAuth client credentials.

    \b
    gatepass demo                            see it work, on this machine
    gatepass init https://host/mcp reports   write down how to get into a server
    gatepass tools reports                   list its tools
    gatepass call reports add a=1 b=2        call one of them
    gatepass token reports                   the access token, for a script

    Where a NAME of gatepass.toml will do, a URL will, too. Then who you are comes from options or the environment:
    GATEPASS_CLIENT_ID, with GATEPASS_CLIENT_SECRET or GATEPASS_PRIVATE_KEY_FILE; GATEPASS_ISSUER and GATEPASS_SCOPES
    say where and for what. Every option about the server or who you are has such a variable.
    """
    del show_version


def _laid_out(text: str, *, styled: bool) -> str:
    """Help as typer wants it: for rich each paragraph on one line, but for those that a backspace marks."""
    if not styled:
        return text
    paragraphs = text.split("\n\n")
    return "\n\n".join(each[2:] if each.startswith("\b\n") else each.replace("\n", " ") for each in paragraphs)


def _where_to_look(error: Any) -> str:
    context = getattr(error, "ctx", None)
    return f"Try: {context.command_path if context else 'gatepass'} --help"
