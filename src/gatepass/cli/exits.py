"""How a command ends: its exit code, and the line or two that say what happened and what to do."""

from __future__ import annotations

import enum

from gatepass.cli.wording import as_options
from gatepass.errors import ConfigurationError, GatepassError, RemoteError, StoreError, UnreachableError

__all__ = ["TABLE", "Exit", "ToolError", "UsageError", "check_text", "exit_of", "explain", "who_knows_more"]


class Exit(enum.IntEnum):
    """What the exit code tells a script."""

    DONE = 0
    TOOL_ERROR = 1
    USAGE = 2
    CONFIGURATION = 3
    REFUSED_BY_AUTHORIZATION_SERVER = 4
    REFUSED_BY_SERVER = 5
    UNREACHABLE = 6
    BUG = 70
    NOT_RUNNABLE = 126
    NOT_FOUND = 127
    INTERRUPTED = 130
    BROKEN_PIPE = 141


_MEANINGS = {
    Exit.DONE: "done",
    Exit.TOOL_ERROR: "the tool said that it failed",
    Exit.USAGE: "usage: an option or argument does not fit",
    Exit.CONFIGURATION: "configuration: a key, a secret, a URL or the store can't be used",
    Exit.REFUSED_BY_AUTHORIZATION_SERVER: "refused by the authorization server",
    Exit.REFUSED_BY_SERVER: "refused by the MCP server",
    Exit.UNREACHABLE: "unreachable, or no answer in time",
    Exit.BUG: "a bug of gatepass's own",
    Exit.NOT_RUNNABLE: "of `run`: the program can't be run",
    Exit.NOT_FOUND: "of `run`: there is no such program",
    Exit.INTERRUPTED: "interrupted with Ctrl-C",
    Exit.BROKEN_PIPE: "whoever read the output has closed it",
}

TABLE = "\n".join(f"  {code:>3}  {meaning}" for code, meaning in _MEANINGS.items())
"""The exit codes, for people."""


_PLAIN = frozenset({"answer_lost", "mcp_error", "mcp_answer_invalid", "tool_unknown"})
"""Codes of what has nothing to do with the way in."""


class UsageError(Exception):
    """The command was called in a way that can't be meant."""


def check_text(text: str, named: str) -> None:
    """Text that goes into JSON is UTF-8; what a shell hands over may be any bytes.

    Raises:
        UsageError: it is not.
    """
    if any("\ud800" <= character <= "\udfff" for character in text):
        msg = f"{named} is not text in UTF-8."
        raise UsageError(msg)


class ToolError(Exception):
    """A tool was called, and answered that it failed; or a claim of the demo did not hold."""


def exit_of(error: Exception) -> Exit:
    """The exit code of a command that ends with this error."""
    match error:
        case ToolError():
            return Exit.TOOL_ERROR
        case UsageError():
            return Exit.USAGE
        case ConfigurationError() | StoreError():
            return Exit.CONFIGURATION
        case RemoteError(by="resource_server"):
            return Exit.REFUSED_BY_SERVER
        case RemoteError():
            return Exit.REFUSED_BY_AUTHORIZATION_SERVER
        case UnreachableError():
            return Exit.UNREACHABLE
        case _:
            return Exit.BUG


def explain(error: Exception) -> str:
    """What happened and what to do, in the words of the command line. An error that is not ours is not quoted."""
    match error:
        case GatepassError():
            return as_options(error)
        case ToolError() | UsageError():
            return str(error)
        case _:
            return f"failed unexpectedly ({type(error).__name__}). Run it again with --debug, and please report this."


def who_knows_more(error: Exception) -> str:
    """Where to go with an error of the way in; nothing for another one."""
    if not isinstance(error, RemoteError | UnreachableError) or error.code in _PLAIN:
        return ""
    return "\n`gatepass doctor`, given the same server and options, looks at each step of the way in."
