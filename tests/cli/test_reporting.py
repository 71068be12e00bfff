"""How a command ends when something goes wrong that nobody foresaw."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

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

    @pytest.mark.parametrize("arguments", [("token",), ("tools",), ("token", "--json"), ("--help",), ("--version",)])
    def test_an_output_that_takes_nothing_is_a_line_and_a_code(self, url, environment, arguments):
        where = () if arguments[0].startswith("--") else (url,)
        command = [sys.executable, "-m", "gatepass", *arguments, *where]
        for _ in range(2):  # the second time, the token is at hand
            with Path("/dev/full").open("wb") as full:
                done = subprocess.run(command, env=environment, stdout=full, stderr=subprocess.PIPE, check=False)
            said = b"gatepass: The output can't be written: No space left on device.\n"
            assert (done.returncode, done.stderr) == (3, said)

    @pytest.mark.parametrize("arguments", [("token",), ("tools",)])
    @pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
    def test_a_stream_that_is_closed_is_as_good_as_none(self, url, environment, arguments, closed):
        command = ["sh", "-c", f'exec "$@" {closed}', "sh", sys.executable, "-m", "gatepass", *arguments, url]
        for _ in range(2):
            done = subprocess.run(command, env=environment, capture_output=True, check=False)
            assert (done.returncode, done.stderr) == (0, b"")
            assert bool(done.stdout) == (">&-" not in closed.split())

    def test_a_program_inherits_no_file_of_ours_as_a_stream(self, url, environment):
        show = "import os; os.write(2, ' '.join(os.readlink(f'/proc/self/fd/{number}') for number in (0, 1)).encode())"
        command = ["sh", "-c", 'exec "$@" <&- >&-', "sh", sys.executable, "-m", "gatepass", "run", url, "--"]
        done = subprocess.run([*command, sys.executable, "-c", show], env=environment, capture_output=True, check=False)
        assert (done.returncode, done.stderr) == (0, b"/dev/null /dev/null")
