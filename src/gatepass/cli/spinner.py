"""A sign of life for a person while a server takes its time; for whatever runs in no event loop."""

from __future__ import annotations

import os
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from gatepass.cli.voice import printable

if TYPE_CHECKING:
    from collections.abc import Generator

    from rich.status import Status

    from gatepass.cli.voice import Voice

__all__ = ["spinning"]

_UNNOTICED_S = 1.0
"""What is over within that time needs none."""


@contextmanager
def spinning(text: str, voice: Voice) -> Generator[None]:
    """Show on a terminal what is waited for, once the wait is long."""
    if voice.quiet or voice.verbose or not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield
        return
    spinner = _Spinner(printable(text))
    timer = threading.Timer(_UNNOTICED_S, spinner.start)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        spinner.stop()


class _Spinner:
    """Is started by a timer, if it comes to that, and stopped by whoever waited; in whatever order."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._lock = threading.Lock()
        self._over = False
        self._status: Status | None = None

    def start(self) -> None:
        from rich.console import Console
        from rich.markup import escape

        with self._lock:
            if not self._over:
                self._status = Console(stderr=True).status(escape(self._text))
                self._status.start()

    def stop(self) -> None:
        with self._lock:
            self._over = True
            if self._status is not None:
                self._status.stop()
