"""A real terminal for the command: what a person sees at a width, with and without colours, and what they type."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time

ESCAPE = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\))")
COLOUR = re.compile(r"\x1b\[(?:[0-9]+;)*(?:3[0-8]|4[0-8]|9[0-7]|10[0-7])")

CTRL_C, CTRL_D = "\x03", "\x04"

PATIENCE_S = 60
GATEPASS = (sys.executable, "-m", "gatepass")

_SIT_DOWN = (
    "import os, signal, sys; os.login_tty(0); signal.signal(signal.SIGINT, signal.SIG_DFL); "
    "os.execvp(sys.argv[1], sys.argv[1:])"
)
"""Makes the terminal the one that Ctrl-C is typed at, and becomes the program."""


class Screen:
    """A terminal, and a program that runs on it."""

    def __init__(self, command, environment, *, columns=80, cwd=None):
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        surroundings = {name: value for name, value in environment.items() if name not in ("COLUMNS", "LINES")}
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _SIT_DOWN, *map(str, command)],
            env={"TERM": "xterm-256color", **surroundings},
            cwd=cwd,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
        )
        os.close(theirs)
        self._shown = b""
        self._read = 0
        """How much of it the person has taken notice of."""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self._ours)
        self.process.kill()
        self.process.wait()

    def waits_for(self, text) -> str:
        """Look at the screen until that is shown, after all that was waited for before; gives what was new."""
        end = time.monotonic() + PATIENCE_S
        while text not in self._new:
            assert self._look(end), f"{text!r} is not shown, but {self._new!r}"
        new = self._new[: self._new.index(text) + len(text)]
        self._read += len(new.encode())
        return new

    def types(self, text):
        """Press keys."""
        os.write(self._ours, text.encode())

    def ends(self, code=0) -> str:
        """All that was written to the terminal, escape sequences and all, when the program has ended with that code."""
        end = time.monotonic() + PATIENCE_S
        while self._look(end):
            pass
        text = self._shown.decode().replace("\r\n", "\n")
        assert self.process.wait(PATIENCE_S) == code, text
        return text

    @property
    def _new(self) -> str:
        return self._shown[self._read :].decode(errors="replace")

    def _look(self, end) -> bool:
        """Read what has come; whether there may be more."""
        ready, _, _ = select.select([self._ours], [], [], max(0.0, end - time.monotonic()))
        assert ready, f"nothing is shown any more after {self._shown!r}"
        try:
            piece = os.read(self._ours, 65536)
        except OSError:  # Linux says so when the other end is closed
            return False
        self._shown += piece
        return bool(piece)


def on_a_terminal(arguments, environment, *, columns=80, term="xterm-256color", code=0) -> str:
    """All that the command writes to a terminal, escape sequences and all; it ends with that exit code."""
    with Screen((*GATEPASS, *arguments), {**environment, "TERM": term}, columns=columns) as screen:
        return screen.ends(code)


def plain(text: str) -> str:
    """The text without escape sequences."""
    return ESCAPE.sub("", text)


def left_on_screen(text: str, columns: int | None = None) -> str:
    """What is to be seen when all is over: what was wiped out or written over is gone.

    With `columns`, a line that is longer goes on in the next one, as it does on a screen.
    """
    lines, row, column = [""], 0, 0
    for escape, letter in re.findall(rf"({ESCAPE.pattern})|(.)", text, re.DOTALL):
        if escape.endswith("A"):
            row = max(0, row - int(escape[2:-1] or 1))
        elif escape.endswith("K"):
            lines[row] = ""
        elif letter == "\r":
            column = 0
        elif letter == "\b":
            column = max(0, column - 1)
        elif letter:
            if letter == "\n" or column == columns:
                row += 1
                column = 0
                lines += [""] * (row + 1 - len(lines))
            if letter != "\n":
                lines[row] = lines[row][:column].ljust(column) + letter + lines[row][column + 1 :]
                column += 1
    return "\n".join(line.rstrip() for line in lines).rstrip("\n")


def widest(text: str) -> int:
    """How many columns the longest line takes."""
    return max(map(len, plain(text).splitlines()))
