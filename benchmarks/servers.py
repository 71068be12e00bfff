"""The other side, in a process of its own, so that its Python does not compete with the client's.

It runs an authorization server and a protected MCP server of `gatepass.testing`, and beside them a server that does
nothing but answer late, at next to no cost. It says where they are, then takes one order a line.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from gatepass.testing import AuthorizationServer, ProtectedServer

__all__ = ["ROOT", "Servers", "Site"]

ROOT = Path(__file__).parent.parent
CLIENT_ID, CLIENT_SECRET, SCOPE = "bench", "bench-secret", "bench"
KEY_CLIENT_ID = "bench-key"
LONG_LIFE_S = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where everything is.

    Attributes:
        url: the protected MCP endpoint.
        hello: something small behind the same gate, for plain HTTP.
        issuer: the authorization server.
        late: the late server; ``{late}/50`` answers after 50 ms, to anybody.
        token: a token for the resource that outlives the run.
    """

    url: str
    hello: str
    issuer: str
    late: str
    token: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """The requests that came since the last `Servers.reset`.

    Attributes:
        token: to the token endpoint.
        discovery: for metadata of the resource and of the authorization server.
        resource: to the resource.
        refused: of those, answered 401.
    """

    token: int
    discovery: int
    resource: int
    refused: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.token + self.discovery + self.resource


class Servers:
    """The servers, as the measuring process sees them.

    Args:
        key_file: the private key of the client that proves itself with one.
    """

    def __init__(self, key_file: Path) -> None:
        self._key_file = key_file

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "benchmarks.servers", str(self._key_file)]
        self._process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        self.site = Site(**self._answer())
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()  # the end of its orders is the end of it

    def reset(self) -> None:
        """Forget the requests so far."""
        self._order("reset")

    def counts(self) -> Counts:
        """The requests since then."""
        return Counts(**self._order("counts"))

    def issue_short_tokens(self, lifetime_s: float | None) -> None:
        """How long tokens live from now on; None: long ones."""
        self._order("lifetime", lifetime_s=lifetime_s or LONG_LIFE_S)

    def trouble_token_endpoint(self, **trouble: float) -> None:
        """What goes wrong at the token endpoint from now on, as `gatepass.testing.Trouble` says it; nothing: peace."""
        self._order("trouble", trouble=trouble)

    def refuse_everybody(self, refuse: bool) -> None:
        """Whether the resource answers 401 whatever the token."""
        self._order("refuse", refuse=refuse)

    def _order(self, order: str, **arguments: object) -> Any:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"order": order, **arguments}) + "\n")
        return self._answer()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("The server process ended; its last words are above.")
        return json.loads(line)


class LateAnswers(asyncio.Protocol):
    """Just enough HTTP/1.1 to answer ``GET /mcp/50`` after 50 milliseconds."""

    ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"

    def __init__(self) -> None:
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        while b"\r\n\r\n" in self._received:
            head, _, self._received = self._received.partition(b"\r\n\r\n")
            path = head.split(b" ", 2)[1]
            delay_s = int(path.rpartition(b"/")[2]) / 1000
            asyncio.get_running_loop().call_later(delay_s, self._transport.write, self.ANSWER)


def late_server() -> str:
    """Start the late server in a thread of its own; where it is."""
    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(loop.create_server(LateAnswers, "127.0.0.1", 0, backlog=256))
    threading.Thread(target=loop.run_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/mcp"


def serve(key_file: Path) -> None:
    """Run the servers until there are no more orders."""
    from cryptography.hazmat.primitives import serialization

    from gatepass.testing import AuthorizationServer, ProtectedServer

    private = serialization.load_pem_private_key(key_file.read_bytes(), None)
    public = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    # The SDK takes no metadata without an authorization endpoint, which a server for machines need not have.
    issuer = AuthorizationServer(token_lifetime_s=LONG_LIFE_S, authorization_endpoint=True)
    with issuer, ProtectedServer(issuer, scopes=[SCOPE]) as resource:
        issuer.add_client(CLIENT_ID, secret=CLIENT_SECRET, scopes=[SCOPE])
        issuer.add_client(KEY_CLIENT_ID, public_key=public, scopes=[SCOPE])
        site = Site(
            url=resource.url,
            hello=f"{resource.url}/plain/hello",
            issuer=issuer.issuer,
            late=late_server(),
            token=issuer.issue_token(CLIENT_ID, scopes=(SCOPE,), audience=resource.url, lifetime_s=LONG_LIFE_S),
        )
        print(json.dumps(asdict(site)), flush=True)
        for line in sys.stdin:
            print(json.dumps(obey(json.loads(line), issuer, resource)), flush=True)


def obey(order: dict[str, Any], issuer: AuthorizationServer, resource: ProtectedServer) -> object:
    """Carry out one order."""
    from gatepass.testing import Trouble

    match order:
        case {"order": "reset"}:
            issuer.reset_counters()
            resource.reset_counters()
        case {"order": "counts"}:
            counts = Counts(
                token=issuer.count("token"),
                discovery=issuer.count("metadata") + resource.count("metadata"),
                resource=resource.count("resource"),
                refused=resource.count("resource", status=401),
            )
            return asdict(counts)
        case {"order": "lifetime", "lifetime_s": lifetime_s}:
            issuer.token_lifetime_s = lifetime_s
        case {"order": "trouble", "trouble": trouble}:
            issuer.trouble = Trouble(**trouble)
        case {"order": "refuse", "refuse": refuse}:
            resource.reject_all = refuse
        case _:
            raise ValueError(order)
    return None


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
