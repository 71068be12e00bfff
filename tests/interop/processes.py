"""Programs that serve: started, asked where, and stopped."""

from __future__ import annotations

import json
import subprocess
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

START_TIMEOUT_S = 60


@contextmanager
def serving(command: Sequence[str], given: Mapping[str, object], *, directory: Path, log: Path) -> Iterator[str]:
    """The issuer of an authorization server that runs for as long as the block.

    The program is given one JSON line, and answers with one, ``{"issuer": ...}``, when it is ready. What it has to say
    besides goes into the file `log`, which is quoted if it does not start.
    """
    with (
        log.open("wb") as stderr,
        subprocess.Popen(
            command, cwd=directory, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, text=True
        ) as process,
    ):
        assert process.stdin
        assert process.stdout
        too_late = threading.Timer(START_TIMEOUT_S, process.kill)
        too_late.start()
        try:
            process.stdin.write(json.dumps(given) + "\n")
            process.stdin.flush()
            ready = process.stdout.readline()
            too_late.cancel()
            if not ready:
                msg = f"{command[-1]} did not start within {START_TIMEOUT_S} s. It said:\n{log.read_text()}"
                raise RuntimeError(msg)
            yield json.loads(ready)["issuer"]
        finally:
            too_late.cancel()
            process.terminate()
