"""`gatepass run`: another program, with the token in its environment, and never in its arguments."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from gatepass.cli.access import Access, Way, Where
from gatepass.cli.exits import Exit, UsageError
from gatepass.cli.identity import Who  # noqa: TC001 - typer reads the annotations
from gatepass.cli.issued import MinTtl, issued, leave
from gatepass.cli.voice import Voice, say

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gatepass.lifecycle.record import TokenRecord

__all__ = ["run"]

_TOKEN = "GATEPASS_ACCESS_TOKEN"  # noqa: S105 - the name of a variable
_AUTHORIZATION = "GATEPASS_AUTHORIZATION"
_OURS = "GATEPASS_CLIENT_SECRET"
_BOUND = "DPoP"


def run(
    where: Where,
    command: Annotated[
        list[str], typer.Argument(metavar="-- COMMAND", help="The program and its arguments, as they are.")
    ],
    who: Who,
    way: Way,
    voice: Voice,
    *,
    token_env: Annotated[
        str | None,
        typer.Option(metavar="NAME", help=f"Give it the token as NAME, not as {_TOKEN} and {_AUTHORIZATION}."),
    ] = None,
    min_ttl: MinTtl = None,
) -> None:
    """Run a program with an access token in its environment.

    GATEPASS_ACCESS_TOKEN is the token, GATEPASS_AUTHORIZATION the value of the Authorization header. The program takes
    the place of gatepass: its exit code and its signals are its own. The secrets that gatepass itself needs are not in
    its environment.

    \b
    $ gatepass run reports -- ./nightly.sh --verbose
    $ gatepass run reports --token-env MCP_TOKEN --min-ttl 1h -- python job.py
    """
    if token_env is not None and (not token_env or "=" in token_env):
        msg = "--token-env is no name of a variable: it is empty, or has a = in it."
        raise UsageError(msg)
    access = Access.to(where, who, way)
    record = issued(access, min_ttl, voice)
    if record.token_type == _BOUND:
        msg = (
            "The token is bound to a key (DPoP), which a program can't be given. Leave --dpop out, or let the program "
            "go through `gatepass proxy`."
        )
        raise UsageError(msg)
    leave(access)
    given = {token_env: record.access_token} if token_env else _both(record)
    _become(command, {**_without_secrets(access), **given})


def _both(record: TokenRecord) -> dict[str, str]:
    return {_TOKEN: record.access_token, _AUTHORIZATION: f"{record.token_type} {record.access_token}"}


def _without_secrets(access: Access) -> dict[str, str]:
    """The environment, without the variables that a secret of this way in stands in."""
    secret = {_OURS, *access.secret_variables}
    return {name: value for name, value in os.environ.items() if name not in secret}


def _become(command: list[str], environment: Mapping[str, str]) -> None:
    """Take the program's place; what is said here is what a shell says and answers.

    Raises:
        Exit: there is no such program (127), or it can't be run (126).
    """
    sys.stdout.flush()
    for name in ("SIGPIPE", "SIGXFSZ"):  # which Python ignores, and a program would inherit that
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_DFL)
    try:
        os.execvpe(command[0], command, environment)  # noqa: S606 - the user's own program, without a shell
    except FileNotFoundError:
        say(f"{command[0]}: there is no such program.")
        code = Exit.NOT_FOUND
    except OSError as problem:
        say(f"{command[0]} can't be run: {problem.strerror}.")
        code = Exit.NOT_RUNNABLE
    raise typer.Exit(code)
