"""A forked child, and what it has to tell."""

from __future__ import annotations

import os
import pickle
import select
import signal
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest

CHILD_PATIENCE_S = 20.0

NOBODY = 65_534

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
needs_root = pytest.mark.skipif(getattr(os, "geteuid", int)() != 0 or not hasattr(os, "fork"), reason="needs root")


def in_child(action, *, user=None):
    """What `action` returns in a forked child, as another user if asked for; fails if the child does not come back.

    The child sees everything that the parent has in memory, and none of its threads.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _tell(writing, action, user)
    os.close(writing)
    try:
        return _listen(reading)
    finally:
        os.close(reading)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


@contextmanager
def open_to_all():
    """A directory that another user can reach, as those of pytest can't be."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        directory.chmod(0o755)
        yield directory


def _tell(writing, action, user):
    """Run the action and leave, past everything that the parent would do at its end."""
    try:
        if user is not None:
            os.setgroups([])
            os.setgid(user)
            os.setuid(user)
        story = action()
    except BaseException as error:  # noqa: BLE001 - told to the parent
        story = f"{type(error).__name__}: {error}"
    with os.fdopen(writing, "wb") as pipe:
        pickle.dump(story, pipe)
    os._exit(0)


def _listen(reading):
    told = b""
    while select.select([reading], [], [], CHILD_PATIENCE_S)[0]:
        piece = os.read(reading, 65536)
        if not piece:
            return pickle.loads(told)
        told += piece
    raise AssertionError("the child hangs")
