"""Programs of this folder, started, killed and dismissed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from fleet import diary
from fleet.diary import signed_by

TESTS = Path(__file__).parent.parent
PATIENCE_S = 120.0
INTERVAL_S = 0.004


def until(condition, what):
    """Return what it gives once that is true; fail if it takes longer than any slow machine should."""
    end = time.monotonic() + PATIENCE_S
    while not (given := condition()):
        assert time.monotonic() < end, f"it never came true that {what}"
        time.sleep(INTERVAL_S)
    return given


class Member:
    """A process of a fleet."""

    def __init__(self, program, given, folder, number):
        self.number = number
        self._diary = folder / f"{number}.diary"
        self._errors = folder / f"{number}.errors"
        with self._errors.open("wb") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-m", program, json.dumps({**given, "number": number, "diary": str(self._diary)})],
                cwd=TESTS,
                env={**os.environ, "CI": "true"},  # nobody has a browser
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )

    @property
    def notes(self):
        """What it has written down so far."""
        return diary.read(self._diary)

    def noted(self, *whats):
        """Its notes of those kinds."""
        return [note for note in self.notes if note["what"] in whats]

    def order(self, word):
        """Have it do something."""
        self.process.stdin.write(f"{word}\n")
        self.process.stdin.flush()

    def answer(self):
        """What it says next."""
        return json.loads(self.process.stdout.readline())

    def freeze(self):
        """Stop it where it stands, and return when it does."""
        self.process.send_signal(signal.SIGSTOP)
        _, status = os.waitpid(self.process.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status), f"process {self.number} ended by itself: {self._errors.read_text()}"

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)

    def kill(self):
        self.process.kill()
        self.process.communicate()

    def no_more_orders(self):
        self.process.stdin.close()
        self.process.stdin = None

    def leave(self, warnings):
        """It goes, since there are no more orders, and has said nothing on stderr but those warnings."""
        self.process.communicate(timeout=PATIENCE_S)
        said = [line for line in self._errors.read_text().splitlines() if not line.startswith(warnings)]
        assert (self.process.returncode, said) == (0, []), f"{self.process.returncode}, and it said: {said}"


class Fleet:
    """Processes that run the same program, each with a number of its own. None outlives the block.

    Args:
        program: the name of the module.
        given: what each is given, besides its number and the place of its diary.
        folder: where they write.

    Attributes:
        members: those at work.
        killed: those who were killed.
    """

    def __init__(self, program, given, folder):
        folder.mkdir()
        self._given = (program, given, folder)
        self.members = []
        self.killed = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for member in self.members:
            member.kill()

    @property
    def everybody(self):
        """Those at work, and those who were killed."""
        return [*self.members, *self.killed]

    def member_of(self, lease):
        """Whose lease it is, among those at work; None if it is nobody's."""
        return next((one for one in self.members if lease is not None and one.number == signed_by(lease)), None)

    def start(self, many=1):
        """Start more of them, all at once."""
        first = len(self.everybody)
        self.members += [Member(*self._given, first + each) for each in range(many)]

    def replace(self, member):
        """Kill one, and start another in its place."""
        member.kill()
        self.members.remove(member)
        self.killed.append(member)
        self.start()

    def dismiss(self, *, warnings=()):
        """Let everybody leave in peace; all that they may have said is warnings that begin like these."""
        for member in self.members:
            member.no_more_orders()
        for member in self.members:
            member.leave(warnings)
