"""moto, which plays AWS, as a server of its own."""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3
import httpx2
from botocore.config import Config
from openbao import free_port, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

REGION = "eu-central-1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Moto:
    """A server that runs.

    Attributes:
        url: where it listens.
    """

    url: str

    def client(self, service: str = "kms", *, key_id: str = "AKIATEST", secret: str = "s3cret") -> Any:
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id=key_id,
            aws_secret_access_key=secret,
            config=Config(retries={"total_max_attempts": 1}),
        )

    @contextmanager
    def checking_permissions(self) -> Iterator[None]:
        """From now on nobody may do what no policy allows; else anybody may do anything."""
        self._let_through("0")
        try:
            yield
        finally:
            self._let_through("inf")

    def _let_through(self, requests: str) -> None:
        httpx2.post(f"{self.url}/moto-api/reset-auth", content=requests).raise_for_status()


@contextmanager
def moto_server(directory: Path) -> Iterator[Moto]:
    """A moto for as long as the block."""
    port = free_port()
    url, log = f"http://127.0.0.1:{port}", directory / "moto.txt"
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with (
        log.open("wb") as output,
        subprocess.Popen(
            command, cwd=directory, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        ) as process,
    ):
        try:
            wait_for(f"{url}/moto-api/", process, log)
            yield Moto(url=url)
        finally:
            process.terminate()
