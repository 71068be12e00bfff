"""Key files when the system says no: nothing half is left, and nothing that was there is lost."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import key_material
import pytest
from canary import assert_hidden

from gatepass.cli.keys.key_file import create, replace
from gatepass.cli.keys.password import Password
from gatepass.cli.keys.rotate import _Rotation
from gatepass.errors import ConfigurationError

FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def failing(*_args, **_options):
    raise FULL


@pytest.fixture
def rotation(tmp_path):
    """A rotation whose next key is made."""
    current = tmp_path / "bot.pem"
    current.write_text(key_material.pem("P-256"))
    rotation = _Rotation(current, Password())
    assert rotation.start(None)
    return rotation


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


class TestAFileThatCanNotBeWritten:
    def test_a_new_one_is_not_left_half_written(self, tmp_path, monkeypatch):
        monkeypatch.setattr("os.fsync", failing)
        problem = create(tmp_path / "key.pem", b"canary")
        assert (problem.code, contents(tmp_path)) == ("key_file_unwritable", {})
        assert "No space left on device" in str(problem)
        assert_hidden(problem, "canary")

    @pytest.mark.parametrize("fails", ["os.fsync", "pathlib.Path.replace"])
    def test_the_one_that_was_there_stays(self, tmp_path, monkeypatch, fails):
        (tmp_path / "key.pem").write_bytes(b"old")
        monkeypatch.setattr(fails, failing)
        problem = replace(tmp_path / "key.pem", b"canary")
        assert (problem.code, contents(tmp_path)) == ("key_file_unwritable", {"key.pem": b"old"})
        assert_hidden(problem, "canary")


class TestARotationThatCanNotGoOn:
    def test_a_next_key_that_can_not_be_written_is_told_of(self, tmp_path, monkeypatch):
        (tmp_path / "bot.pem").write_text(key_material.pem("P-256"))
        monkeypatch.setattr("os.fsync", failing)
        with pytest.raises(ConfigurationError, match=r"bot\.next\.pem can't be written: No space left"):
            _Rotation(tmp_path / "bot.pem", Password()).start(None)
        assert list(contents(tmp_path)) == ["bot.pem"]

    @pytest.mark.parametrize(
        ("fails", "names"),
        [
            ("os.fsync", {"bot.next.pem", "bot.pem"}),
            ("pathlib.Path.replace", {"bot.next.pem", "bot.old.pem", "bot.pem"}),
        ],
    )
    def test_the_key_in_use_stays_in_use_and_the_step_can_be_taken_again(
        self, rotation, tmp_path, monkeypatch, fails, names
    ):
        in_use, to_come = rotation.current.read_bytes(), rotation.next.read_bytes()
        with monkeypatch.context() as broken:
            broken.setattr(fails, failing)
            with pytest.raises(ConfigurationError) as caught:
                rotation.finish()
        assert caught.value.code == "key_file_unwritable"
        assert contents(tmp_path).keys() == names
        assert rotation.current.read_bytes() == in_use
        rotation.finish()
        assert contents(tmp_path) == {"bot.pem": to_come, "bot.old.pem": in_use}

    def test_an_old_key_that_can_not_be_deleted_is_told_of(self, rotation, monkeypatch):
        rotation.finish()
        monkeypatch.setattr("pathlib.Path.unlink", failing)
        with pytest.raises(ConfigurationError, match=r"bot\.old\.pem can't be written"):
            rotation.drop_old()
        assert rotation.old.exists()

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
    def test_a_key_of_somebody_elses_stays_theirs(self, rotation):
        os.chown(rotation.current, 12345, 54321)
        rotation.finish()
        found = Path(rotation.current).stat()
        assert (found.st_uid, found.st_gid) == (12345, 54321)
