"""Where a program keeps and leaves things, and what it prints."""

from __future__ import annotations

import pytest


@pytest.fixture
def given(tmp_path):
    """Where a user keeps secrets in files."""
    (tmp_path / "given").mkdir()
    return tmp_path / "given"


@pytest.fixture
def around(tmp_path, monkeypatch):
    """Where a program may leave things behind: its directory, its home, the place for temporary files."""
    directory = tmp_path / "around"
    directory.mkdir()
    monkeypatch.chdir(directory)
    for name in ("HOME", "TMPDIR", "XDG_STATE_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(directory))
    return directory


@pytest.fixture(autouse=True)
def printed(capfd):
    """What came out of the program besides."""
    return lambda: "".join(capfd.readouterr())
