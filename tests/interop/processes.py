"""Programs that serve: started, asked where, and stopped. And one that visits."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from interop.place import Place

HERE = Path(__file__).parent
START_TIMEOUT_S = 60
VISIT_TIMEOUT_S = 120


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


def keeper(place: Place, store: Path, *, client: str, generations: int, browser: bool = False) -> subprocess.Popen[str]:
    """`keeper.py`, at work. With a browser it has one that signs in by itself; else it runs as in CI, with nobody."""
    person = shlex.join([sys.executable, str(HERE / "person.py"), "%s"]).replace("'%s'", "%s")
    given = {
        "client": client,
        "generations": generations,
        "issuer": place.issuer,
        "store": str(store),
        "url": place.url,
    }
    return subprocess.Popen(
        [sys.executable, "-m", "interop.keeper", json.dumps(given)],
        cwd=HERE.parent,
        env={**os.environ, "CI": "", "GITHUB_ACTIONS": "", **({"BROWSER": person} if browser else {"CI": "true"})},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def kept(process: subprocess.Popen[str]) -> list[str]:
    """The tokens that a keeper had, once it is done."""
    with process:
        try:
            out, err = process.communicate(timeout=VISIT_TIMEOUT_S)
        finally:
            process.kill()
    assert process.returncode == 0, err
    return json.loads(out)
