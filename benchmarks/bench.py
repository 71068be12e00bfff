"""What the measures share: how thorough to be, a folder for the run, and servers that start when first needed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from benchmarks.servers import ROOT, Servers

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Bench"]


class Bench:
    """One run of the benchmark.

    Args:
        quick: few rounds, to see that everything works.

    Attributes:
        folder: for what the run writes; gone at its end.
    """

    def __init__(self, *, quick: bool) -> None:
        self.quick = quick
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self.folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="gatepass-bench-")))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def rounds(self, thorough: int) -> int:
        """How many rounds to take where a thorough run takes that many."""
        return max(1, thorough // 5) if self.quick else thorough

    @cached_property
    def servers(self) -> Servers:
        """The other side, with every switch as it was at the start."""
        return self._stack.enter_context(Servers(self.key_file))

    @cached_property
    def key_file(self) -> Path:
        """An RSA key, as PEM."""
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import rsa

        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        path = self.folder / "key.pem"
        path.write_bytes(pem)
        return path

    @cached_property
    def _environment(self) -> dict[str, str]:
        """For fresh processes: byte code is written, or what pip did not install would be compiled at each start."""
        return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}

    def ask_python(self, module: str, *arguments: str) -> Any:
        """Run a module in a fresh interpreter; the JSON that it prints."""
        command = [sys.executable, "-m", module, *arguments]
        done = subprocess.run(command, cwd=ROOT, env=self._environment, stdout=subprocess.PIPE, check=True)
        return json.loads(done.stdout)

    def time_python(self, code: str) -> float:
        """How long a fresh interpreter takes for it, in seconds."""
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=self._environment, check=True)
        return time.perf_counter() - start

    def run_at_once(self, codes: Sequence[str]) -> None:
        """Run programs in fresh interpreters, up to where each prints a line; then let all of them go on at once."""
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        processes = [
            subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, env=self._environment, text=True, **pipes)
            for code in codes
        ]
        for process in processes:
            assert process.stdout is not None
            process.stdout.readline()
        for process in processes:
            assert process.stdin is not None
            with suppress(BrokenPipeError):  # it has failed, as its status will tell
                process.stdin.write("\n")
                process.stdin.flush()
        last_words = [process.communicate()[1] for process in processes]
        for process, words in zip(processes, last_words, strict=True):
            if process.returncode:
                raise RuntimeError(f"A measured process failed. Its last words:\n{words}")
