"""What may be missing on this machine, of what a server's entry refers to. No secret is read for it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from gatepass.cli.reference import Reference

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gatepass.cli.layers import Layer

__all__ = ["doubts"]


def doubts(said: Layer) -> Mapping[str, str]:
    """For each value that may lead nowhere: its field, and why."""
    found = {name: _doubt(value) for name, value in said.values.items() if isinstance(value, Reference)}
    return {name: text for name, text in found.items() if text}


def _doubt(reference: Reference) -> str:
    place = reference.words[0]
    match reference.kind:
        case "env" if not os.environ.get(place):
            return f"the environment variable {place} is not set here."
        case "file" if not Path(place).is_file():
            return f"there is no file {place} here."
        case "command" if shutil.which(place) is None:
            return f"there is no program {place} here."
        case _:
            return ""
