"""The command line: one file a command."""

from __future__ import annotations

import sys
from importlib.util import find_spec

__all__ = ["main"]

_NEEDED = ("typer", "rich")
_CONFIGURATION = 3


def main() -> None:
    """Run the command that the program's arguments name, and exit with its code (`gatepass.cli.exits`)."""
    if any(_is_missing(package) for package in _NEEDED):
        sys.stderr.write("gatepass's command line needs pip install 'gatepass[cli]'\n")
        sys.exit(_CONFIGURATION)
    from gatepass.cli.app import run

    sys.exit(run(sys.argv[1:]))


def _is_missing(package: str) -> bool:
    try:
        return find_spec(package) is None
    except ValueError:  # it was struck from the modules
        return True
