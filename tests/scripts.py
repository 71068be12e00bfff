"""Python scripts in a process of their own, for what must not happen in the process of the tests: forks and exits."""

from __future__ import annotations

import subprocess
import sys
import textwrap


def run_script(text: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run a script to its end, with a limit for one that hangs."""
    command = [sys.executable, "-X", "dev", *options, "-c", textwrap.dedent(text)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def succeeds(text: str, *options: str) -> None:
    """Run a script that ends well and says nothing but what it was told to say: ``ok``."""
    done = run_script(text, *options)
    assert (done.returncode, done.stdout, done.stderr) == (0, "ok\n", "")
