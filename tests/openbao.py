"""OpenBao, the open fork of HashiCorp Vault, as a real server: it signs with its keys, and issues JWTs to workloads."""

from __future__ import annotations

import hashlib
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2
import hvac

if TYPE_CHECKING:
    from collections.abc import Iterator

START_TIMEOUT_S = 60
ROOT_TOKEN = "root-of-openbao"
_PROGRAM = Path(sys.executable).with_name("bao")
_WORKLOAD = "workload"


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenBao:
    """A server that runs.

    Attributes:
        url: where it listens.
        issuer: who issues the JWTs of `workload_jwt`.
    """

    url: str

    @property
    def issuer(self) -> str:
        return f"{self.url}/v1/identity/oidc"

    @property
    def jwks_uri(self) -> str:
        return f"{self.issuer}/.well-known/keys"

    def client(self, token: str = ROOT_TOKEN, *, timeout: float = 30) -> hvac.Client:
        return hvac.Client(self.url, token=token, timeout=timeout)

    def token_for(self, policy: str) -> str:
        """A token that may do what a policy says, and nothing else."""
        root = self.client()
        root.sys.create_or_update_policy(named_after(policy), policy)
        return root.auth.token.create(policies=[named_after(policy)], no_default_policy=True)["auth"]["client_token"]

    def workload_jwt(self, audience: str, *, workload: str = "ci-bot") -> str:
        """A JWT that says which workload it was issued to, good for one audience.

        The workload logs in by name and password, for OpenBao speaks for those only whom it knows as entities.
        """
        root = self.client()
        where = f"/v1/identity/oidc/role/{_WORKLOAD}-{named_after(audience)}"
        root.adapter.post(where, json={"key": _WORKLOAD, "client_id": audience, "ttl": "5m"})
        root.auth.userpass.create_or_update_user(workload, password=workload, policies=[_WORKLOAD])
        visitor = self.client(token="")
        visitor.auth.userpass.login(workload, workload)
        answer = visitor.adapter.get(where.replace("/role/", "/token/"))
        return answer["data"]["token"]


@contextmanager
def openbao(directory: Path) -> Iterator[OpenBao]:
    """An OpenBao in memory for as long as the block, with a transit engine and as an issuer of workload JWTs."""
    url = f"http://127.0.0.1:{free_port()}"
    command = [_PROGRAM, "server", "-dev", "-dev-no-store-token", f"-dev-root-token-id={ROOT_TOKEN}"]
    log = directory / "openbao.txt"
    with (
        log.open("wb") as output,
        subprocess.Popen(
            [*command, f"-dev-listen-address={url.removeprefix('http://')}"],
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        ) as process,
    ):
        try:
            wait_for(f"{url}/v1/sys/health", process, log)
            bao = OpenBao(url=url)
            prepare(bao)
            yield bao
        finally:
            process.terminate()


def prepare(bao: OpenBao) -> None:
    root = bao.client()
    root.sys.enable_secrets_engine("transit")
    root.sys.enable_auth_method("userpass")
    root.sys.create_or_update_policy(_WORKLOAD, 'path "identity/oidc/token/*" { capabilities = ["read"] }')
    root.adapter.post("/v1/identity/oidc/config", json={"issuer": bao.url})
    root.adapter.post(f"/v1/identity/oidc/key/{_WORKLOAD}", json={"algorithm": "ES256", "allowed_client_ids": ["*"]})


def named_after(text: str) -> str:
    """A name for what is made for a text, the same for the same."""
    return hashlib.sha256(text.encode()).hexdigest()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Until the server answers; if it does not come to that, what it said is quoted."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while process.poll() is None and time.monotonic() < deadline:
        with suppress(httpx2.TransportError):
            if httpx2.get(url).is_success:
                return
        time.sleep(0.05)
    msg = f"{url} did not come up within {START_TIMEOUT_S} s. The server said:\n{log.read_text()}"
    raise RuntimeError(msg)
