"""How a command ends when something goes wrong that nobody foresaw."""

from __future__ import annotations

import logging
import os
import subprocess
import sys

import pytest
import typer

from gatepass.cli.voice import Voice, reporting


@pytest.fixture(autouse=True)
def _logging_as_it_was():
    handlers = list(logging.getLogger().handlers)
    yield
    logging.getLogger().handlers = handlers


class TestReporting:
    def test_a_bug_is_a_line_and_a_code_and_quotes_nothing(self, capsys):
        with pytest.raises(typer.Exit) as ended, reporting(Voice(quiet=True)):
            raise KeyError("canary")
        assert ended.value.exit_code == 70
        shown = capsys.readouterr().err
        assert shown.startswith("gatepass: failed unexpectedly (KeyError).")
        assert shown.count("\n") == 1
        assert "canary" not in shown

    def test_debug_shows_where_it_happened(self, capsys):
        with pytest.raises(typer.Exit), reporting(Voice(quiet=True, debug=True)):
            raise KeyError
        assert "Traceback (most recent call last)" in capsys.readouterr().err

    def test_a_reader_that_leaves_ends_it_without_a_word(self, url, environment):
        reader, writer = os.pipe()
        os.close(reader)
        command = [sys.executable, "-m", "gatepass", "token", url]
        done = subprocess.run(command, env=environment, stdout=writer, stderr=subprocess.PIPE, check=False)
        os.close(writer)
        assert (done.returncode, done.stderr) == (141, b"")
