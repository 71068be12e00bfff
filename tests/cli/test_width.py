"""Text that fits a terminal: folded between words, and commands so that a shell takes them as one."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import shlex
import struct
import termios
from contextlib import ExitStack

import pytest

from gatepass.cli.width import command_lines, fitting, folded, width_of

WORD = "x" * 30


class TestFolded:
    @pytest.mark.parametrize(
        ("line", "width", "pieces"),
        [
            ("a line that fits", 20, ["a line that fits"]),
            ("one that is as wide as it", 25, ["one that is as wide as it"]),
            ("one that is wider by one..", 25, ["one that is wider by", "  one.."]),
            ("no width, and however long it is", None, ["no width, and however long it is"]),
            (f"a {WORD} stays whole", 24, ["a", f"  {WORD}", "  stays whole"]),
            ("a-word-with-hyphens-and so on", 24, ["a-word-with-hyphens-and", "  so on"]),
            ("  what is laid out keeps its place", 24, ["  what is laid out keeps", "  its place"]),
            ("too narrow for any text at all", 1, ["too narrow for any", "  text at all"]),
            (" " * 30, 24, [""]),
            ("", 24, [""]),
        ],
    )
    def test_a_line_is_broken_between_words(self, line, width, pieces):
        assert folded(line, width) == pieces


class TestCommandLines:
    PARTS = ("gatepass tools URL", "--client-id ci-bot", "--client-secret-file 'a b'")

    @pytest.mark.parametrize(
        ("width", "lines"),
        [
            (None, ["gatepass tools URL --client-id ci-bot --client-secret-file 'a b'"]),
            (66, ["gatepass tools URL --client-id ci-bot --client-secret-file 'a b'"]),
            (40, ["gatepass tools URL --client-id ci-bot \\", "      --client-secret-file 'a b'"]),
            (20, ["gatepass tools URL \\", "      --client-id ci-bot \\", "      --client-secret-file 'a b'"]),
        ],
    )
    def test_an_option_stays_with_its_value(self, width, lines):
        assert command_lines(self.PARTS, width) == lines

    @pytest.mark.parametrize("width", [None, 66, 40, 20])
    def test_a_shell_takes_them_as_one_command(self, width):
        said = "\n".join(command_lines(self.PARTS, width)).replace("\\\n", "")
        assert shlex.split(said) == shlex.split(" ".join(self.PARTS))


@pytest.fixture
def terminal():
    """A terminal of that many columns; 0 are what one has that does not know."""
    with ExitStack() as stack:

        def terminal(columns):
            ours, theirs = pty.openpty()
            stack.callback(os.close, ours)
            fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
            return stack.enter_context(os.fdopen(theirs, "w"))

        yield terminal


class TestFitting:
    TEXT = f"gatepass: many words and a {WORD}\n  laid out, as {WORD}\n  gatepass token {WORD} --client-id {WORD}"

    def test_each_line_fits_a_terminal_in_its_own_way(self, terminal):
        assert fitting(self.TEXT, terminal(32)).splitlines() == [
            "gatepass: many words and a",
            f"  {WORD}",
            f"  laid out, as {WORD}",
            f"  gatepass token {WORD} \\",
            f"      --client-id {WORD}",
        ]

    def test_elsewhere_it_stays_as_it_is(self, terminal, tmp_path):
        with (tmp_path / "file").open("w") as file:
            for stream in (file, io.StringIO(), terminal(0)):
                assert width_of(stream) is None
                assert fitting(self.TEXT, stream) == self.TEXT
