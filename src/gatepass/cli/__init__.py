"""The command line: one file a command."""

from __future__ import annotations

import os
import sys

__all__ = ["main"]

_NEEDED = ("typer", "rich")
_IN_A_HURRY = ("token", "headers")
_CONFIGURATION = 3
_INTERRUPTED = 130


def main() -> None:
    """Run the command that the program's arguments name, and exit with its code (`gatepass.cli.exits`)."""
    try:
        code = _code(sys.argv[1:])
    except KeyboardInterrupt:
        code = _INTERRUPTED
    sys.exit(code)


def _code(arguments: list[str]) -> int:
    _open_what_is_closed()
    if _is_at_hand(arguments):
        return 0
    if any(_is_missing(package) for package in _NEEDED):
        sys.stderr.write("gatepass's command line needs pip install 'gatepass[cli]'\n")
        return _CONFIGURATION
    import signal

    from gatepass.cli.app import run

    code = run(arguments)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # all is done: Ctrl-C comes too late
    return code


def _open_what_is_closed() -> None:
    """Let no file of ours take the number of a standard stream that whoever started this has closed."""
    for descriptor, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(descriptor)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest number that is free: this one
        if getattr(sys, name) is None:
            setattr(sys, name, open(descriptor, mode, encoding="utf-8", closefd=False))  # noqa: SIM115


def _is_at_hand(arguments: list[str]) -> bool:
    if not arguments or arguments[0] not in _IN_A_HURRY:
        return False
    from gatepass.cli.quick import hand_out

    return hand_out(arguments)


def _is_missing(package: str) -> bool:
    from importlib.util import find_spec

    try:
        return find_spec(package) is None
    except ValueError:  # it was struck from the modules
        return True
