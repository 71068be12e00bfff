"""The short way of `gatepass token` and `headers`: when it answers, and that it answers in no other case."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cli.conftest import SECRET, bare_environment
from cli.entries import configure, entry

import gatepass
from gatepass.cli import quick
from gatepass.cli.app import run

DEAR = {"typer", "rich", "httpx2", "msgspec", "asyncio", "pathlib", "tomllib", "platformdirs", "filelock", "mcp"}
LIFETIME_S = 300


class Place:
    """A folder, a home, and a call of `gatepass token reports` that was made there."""

    def __init__(self, home, monkeypatch, capfd):
        self.home = home
        self.arguments = ["token", "reports"]
        self._monkeypatch = monkeypatch
        self._capfd = capfd

    def call(self, *more):
        """The whole command; its standard output."""
        arguments = [*self.arguments, *more]
        self._monkeypatch.setattr("sys.argv", ["gatepass", *arguments])
        assert run(arguments) == 0
        return self._capfd.readouterr().out

    def short(self, *more):
        """What the short way prints; None if it leaves the answer to the command."""
        handed_out = quick.hand_out([*self.arguments, *more])
        out = self._capfd.readouterr().out
        assert bool(out) == handed_out
        return out if handed_out else None

    @property
    def record(self):
        (path,) = (self.home / ".local" / "state" / "gatepass").glob("token.*.record")
        return path

    @property
    def shortcuts(self):
        return list((self.home / ".cache" / "gatepass" / "tokens").glob("*"))

    def at(self, seconds):
        """Let the clock stand so far from now."""
        now = time.time() + seconds
        self._monkeypatch.setattr("time.time", lambda: now)


@pytest.fixture
def place(url, authority, tmp_path, monkeypatch, capfd):
    for name in os.environ:
        if name.startswith(("GATEPASS_", "XDG_")):
            monkeypatch.delenv(name)
    for name, value in {"HOME": str(tmp_path), "BOT_SECRET": SECRET, "GATEPASS_CLIENT_SECRET": ""}.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "project" / "sub").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "project" / "sub")
    configure(tmp_path, entry(url, authority))
    return Place(tmp_path, monkeypatch, capfd)


@pytest.fixture
def known(place):
    """A place where the call was made once, and what it gave."""
    place.token = place.call()
    assert place.short() == place.token
    return place


class TestWhenItAnswers:
    def test_the_second_call_is_answered_without_a_request(self, known, authority):
        requests = authority.count()
        for _ in range(3):
            assert known.short() == known.token
        assert authority.count() == requests

    def test_a_secret_is_of_no_concern_where_none_is_needed(self, known, monkeypatch):
        monkeypatch.setenv("BOT_SECRET", "canary-other")
        assert known.short() == known.token
        monkeypatch.delenv("BOT_SECRET")
        assert known.short() == known.token

    def test_another_token_in_the_same_place_is_as_good(self, known):
        known.at(100)
        renewed = known.call("--min-ttl=4m")
        assert renewed != known.token
        assert known.short() == renewed

    def test_headers_are_the_same_text_as_the_commands(self, place):
        place.arguments = ["headers", "reports"]
        headers = place.call()
        assert place.short() == headers
        assert json.loads(headers)["Authorization"].startswith("Bearer eyJ")

    def test_a_token_that_lives_long_enough_is_handed_out_and_no_other(self, known):
        assert known.call("--min-ttl", "2m") == known.token == known.short("--min-ttl", "2m")
        known.at(LIFETIME_S - 121)
        assert known.short("--min-ttl", "2m") == known.token
        known.at(2)
        assert known.short("--min-ttl", "2m") is None
        assert known.short() == known.token

    def test_it_is_what_the_command_does_first(self, known):
        program = (
            "import sys; sys.argv = ['gatepass', 'token', 'reports']; from gatepass.cli import main; main();"
            "sys.stderr.write(' '.join({name.partition('.')[0] for name in sys.modules}))"
        )
        bare = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
        done = subprocess.run([sys.executable, "-c", program], env=bare, capture_output=True, text=True, check=True)
        assert done.stdout == known.token
        assert not DEAR & set(done.stderr.split())

    def test_a_reader_that_has_left_ends_it_without_a_word(self, known):
        reader, writer = os.pipe()
        os.close(reader)
        command = [sys.executable, "-m", "gatepass", "token", "reports"]
        done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, check=False)
        os.close(writer)
        assert (done.returncode, done.stderr) == (141, b"")

    def test_an_output_that_takes_nothing_is_a_line_and_a_code(self, known):
        command = [sys.executable, "-m", "gatepass", "token", "reports"]
        with Path("/dev/full").open("wb") as full:
            done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, check=False)
        assert (done.returncode, done.stderr.count(b"\n")) == (3, 1)
        assert done.stderr.startswith(b"gatepass: The output can't be written: ")

    def test_it_lasts_no_longer_than_the_trust_in_a_project(self, place, url, authority):
        path = place.home / "project" / "gatepass.toml"
        path.write_text(entry(url, authority))
        assert run(["config", "trust", "--yes", "-q"]) == 0
        token = place.call()
        assert place.short() == token
        (place.home / ".local" / "state" / "gatepass" / "trusted").write_text("")
        assert place.short() is None


def append(path, text):
    path.write_text(path.read_text() + text)


def replaced(path, old, new):
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new))


def elsewhere(path):
    """The file itself stands elsewhere, and is linked to."""
    path.rename(path.with_suffix(".moved"))
    path.symlink_to(path.with_suffix(".moved"))


CHANGES = {
    "a variable says something": lambda place, monkeypatch: monkeypatch.setenv("GATEPASS_SCOPES", "x"),
    "another proof": lambda place, monkeypatch: monkeypatch.setenv("GATEPASS_CLIENT_SECRET", "canary"),
    "another file": lambda place, monkeypatch: monkeypatch.setenv("GATEPASS_CONFIG", "x.toml"),
    "another home": lambda place, monkeypatch: monkeypatch.setenv("HOME", "/"),
    "no home": lambda place, monkeypatch: monkeypatch.delenv("HOME"),
    "another folder": lambda place, monkeypatch: monkeypatch.chdir(".."),
    "the file changed": lambda place, _: append(place.home / ".config" / "gatepass" / "gatepass.toml", "#"),
    "the file is gone": lambda place, _: (place.home / ".config" / "gatepass" / "gatepass.toml").unlink(),
    "the project has one": lambda place, _: (place.home / "project" / "gatepass.toml").write_text(""),
    "the token is gone": lambda place, _: place.record.unlink(),
    "it was signed out": lambda place, _: run(["logout", "reports", "-q"]),
    "a damaged record": lambda place, _: replaced(place.record, b'"generation":1', b'"generation":2'),
    "a cut record": lambda place, _: place.record.write_bytes(place.record.read_bytes()[:-1]),
    "an empty record": lambda place, _: place.record.write_bytes(b""),
    "an open record": lambda place, _: place.record.chmod(0o644),
    "a link": lambda place, _: elsewhere(place.record),
    "an open folder": lambda place, _: place.record.parent.chmod(0o777),
    "an open shortcut": lambda place, _: place.shortcuts[0].chmod(0o644),
    "a damaged shortcut": lambda place, _: place.shortcuts[0].write_text("{"),
    "a shortcut that is none": lambda place, _: place.shortcuts[0].write_text("[]"),
    "another issuer": lambda place, _: replaced(place.shortcuts[0], b'"issuer":"http', b'"issuer":"https'),
    "no shortcut": lambda place, _: place.shortcuts[0].unlink(),
}


class TestWhenItDoesNot:
    @pytest.mark.parametrize("change", CHANGES)
    def test_after_a_change_the_command_answers(self, known, monkeypatch, change):
        CHANGES[change](known, monkeypatch)
        assert known.short() is None

    @pytest.mark.parametrize(
        ("seconds", "answers"),
        [(-LIFETIME_S, False), (0.69 * LIFETIME_S, True), (0.71 * LIFETIME_S, False), (2 * LIFETIME_S, False)],
    )
    def test_only_a_token_that_is_fresh_whoever_looks_is_handed_out(self, known, seconds, answers):
        known.at(seconds)
        assert (known.short() is not None) is answers

    @pytest.mark.parametrize("more", [("--json",), ("-v",), ("--no-store",), ("--scopes", "mcp:read", "--json")])
    def test_what_asks_for_more_than_the_token_has_no_short_way(self, place, more):
        place.call(*more)
        assert place.short(*more) is None
        assert place.shortcuts == []

    def test_other_arguments_are_another_question(self, known):
        assert known.short("--scopes", "mcp:read") is None
        assert known.short("-q") is None
        assert quick.hand_out([]) is False

    def test_what_cannot_be_kept_is_left(self, place):
        (place.home / ".cache").write_text("in the way")
        assert place.call()
        assert place.short() is None


class TestWhatIsKept:
    def test_it_holds_no_secret_and_nobody_else_can_read_it(self, known):
        (path,) = known.shortcuts
        assert path.stat().st_mode & 0o777 == 0o600
        text = path.read_text()
        assert "eyJ" not in text
        assert "canary" not in text
        assert "GATEPASS_CLIENT_SECRET" in json.loads(text)["secrets"]

    def test_it_does_not_grow_without_end(self, known):
        (path,) = known.shortcuts
        for number in range(201):
            (path.parent / str(number)).touch()
        known.call("-q")
        assert len(known.shortcuts) == 1

    def test_the_names_of_records_are_those_of_this_format(self):
        """If this fails, records have other names now: then what was taken down before leads to old ones."""
        client = gatepass.ClientSecret("ci-bot", gatepass.Secret.env("X"))
        auth = gatepass.Auth("https://mcp.example.com/mcp", gatepass.ClientCredentials(client), scopes=["a"])
        name = auth._source.shelf.names[0]
        assert (quick.FORMAT, name) == (2, "token.e76d6d243099899266f04ce91de64531")


def test_a_home_without_anything_has_no_short_way(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "gatepass", "token"], env=bare_environment(tmp_path), capture_output=True, check=False
    )
    assert done.returncode == 2
    assert list(tmp_path.iterdir()) == []
