"""What the measures share: how thorough to be, a folder for the run, and servers that start when first needed."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Self

from benchmarks.servers import ROOT, Servers

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Bench"]


class Bench:
    """One run of the benchmark.

    Args:
        quick: few rounds, to see that everything works.
    """

    def __init__(self, *, quick: bool) -> None:
        self._quick = quick
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self.folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="gatepass-bench-")))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def rounds(self, thorough: int) -> int:
        """How many rounds to take where a thorough run takes that many."""
        return max(1, thorough // 5) if self._quick else thorough

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

    def start_python(self, code: str) -> subprocess.Popen[bytes]:
        """Run code in a fresh interpreter."""
        return subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, env=self._environment)

    def time_python(self, code: str) -> float:
        """How long a fresh interpreter takes for it, in seconds."""
        start = time.perf_counter()
        finish([self.start_python(code)])
        return time.perf_counter() - start


def finish(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """Wait for processes that must succeed."""
    statuses = [process.wait() for process in processes]
    if any(statuses):
        raise RuntimeError("A measured process failed; its last words are above.")
