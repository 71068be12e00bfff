"""The key of local callers: where it comes from, and who can read it."""

from __future__ import annotations

import os
import stat

import pytest

import gatepass
from gatepass.bridge.key import key_for_now, key_in, key_named

KEY = "canary-key-of-local-callers"


def test_a_file_that_is_not_there_is_made_for_its_owner_alone_and_kept(tmp_path):
    file = tmp_path / "a" / "reports.key"
    key = key_in(file)
    assert len(key) >= 32
    assert key_in(file) == key
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert key_in(tmp_path / "another.key") != key


def test_a_file_that_is_there_holds_the_key(tmp_path):
    file = tmp_path / "key"
    file.write_text(f"{KEY}\n")
    file.chmod(0o600)
    assert key_in(file) == KEY


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_a_file_that_others_can_open_is_refused(mode, tmp_path):
    file = tmp_path / "key"
    file.write_text(f"{KEY}\n")
    file.chmod(mode)
    with pytest.raises(gatepass.ConfigurationError, match=f"Run `chmod 600 {file}`") as caught:
        key_in(file)
    assert caught.value.code == "proxy_key_invalid"


def test_a_file_of_somebody_elses_is_refused(tmp_path, monkeypatch):
    file = tmp_path / "key"
    key_in(file)
    monkeypatch.setattr(os, "geteuid", lambda: file.stat().st_uid + 1)
    with pytest.raises(gatepass.ConfigurationError, match="belongs to user") as caught:
        key_in(file)
    assert caught.value.code == "proxy_key_invalid"


def test_a_key_for_now_is_new_each_time_and_goes_with_its_file(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    left = tmp_path / "gatepass" / "a.key"
    left.parent.mkdir()
    left.write_text("left by a process that was killed")
    with key_for_now("a.key") as (key, file):
        assert file == left
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert file.read_text().strip() == key
    assert not file.exists()
    with key_for_now("a.key") as (another, _):
        assert another != key


def test_a_variable_holds_the_key(monkeypatch):
    monkeypatch.setenv("REPORTS_KEY", KEY)
    assert key_named("REPORTS_KEY") == KEY


@pytest.mark.parametrize(
    ("key", "code"),
    [
        (None, "secret_missing"),
        ("", "secret_empty"),
        ("canary", "proxy_key_invalid"),
        (f"{KEY} {KEY}", "proxy_key_invalid"),
    ],
)
def test_what_is_no_key_is_refused_and_not_shown(key, code, monkeypatch):
    monkeypatch.delenv("REPORTS_KEY", raising=False)
    if key is not None:
        monkeypatch.setenv("REPORTS_KEY", key)
    with pytest.raises(gatepass.ConfigurationError, match="REPORTS_KEY") as caught:
        key_named("REPORTS_KEY")
    assert caught.value.code == code
    assert "canary" not in str(caught.value)


def test_a_key_that_can_not_be_written_is_an_error_that_says_where(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(gatepass.ConfigurationError, match="can't be written to") as caught:
        key_in(tmp_path / "file" / "reports.key")
    assert caught.value.code == "key_file_failed"
