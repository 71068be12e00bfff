"""A real terminal for the command: what a person sees at a width, with and without colours."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios

ESCAPE = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\))")
COLOUR = re.compile(r"\x1b\[(?:[0-9]+;)*(?:3[0-8]|4[0-8]|9[0-7]|10[0-7])")


def on_a_terminal(arguments, environment, *, columns=80, term="xterm-256color", code=0) -> str:
    """All that the command writes to a terminal, escape sequences and all; it ends with that exit code."""
    surroundings = {name: value for name, value in environment.items() if name not in ("COLUMNS", "LINES")}
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    with subprocess.Popen(
        [sys.executable, "-m", "gatepass", *map(str, arguments)],
        env={**surroundings, "TERM": term},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        shown = b""
        while True:
            try:
                piece = os.read(ours, 65536)
            except OSError:  # Linux says so when the other end is closed
                break
            if not piece:
                break
            shown += piece
        os.close(ours)
    text = shown.decode().replace("\r\n", "\n")
    assert process.returncode == code, text
    return text


def plain(text: str) -> str:
    """The text without escape sequences."""
    return ESCAPE.sub("", text)


def left_on_screen(text: str) -> str:
    """What is to be seen when all is over: what was wiped out or written over is gone."""
    lines, row, column = [""], 0, 0
    for escape, letter in re.findall(rf"({ESCAPE.pattern})|(.)", text, re.DOTALL):
        if escape.endswith("A"):
            row = max(0, row - int(escape[2:-1] or 1))
        elif escape.endswith("K"):
            lines[row] = ""
        elif letter == "\n":
            row += 1
            column = 0
            lines += [""] * (row + 1 - len(lines))
        elif letter == "\r":
            column = 0
        elif letter:
            lines[row] = lines[row][:column].ljust(column) + letter + lines[row][column + 1 :]
            column += 1
    return "\n".join(line.rstrip() for line in lines).rstrip("\n")


def widest(text: str) -> int:
    """How many columns the longest line takes."""
    return max(map(len, plain(text).splitlines()))
