"""Servers at next to no cost, so that what is measured is the client: one that answers late, and a crowd's.

A crowd has resources that let in whoever has a token, and for each an authorization server that gives one to whoever
asks, a moment later. They run in one event loop, in a thread of its own.
"""

from __future__ import annotations

import asyncio
import json
import re
import threading
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

from benchmarks.servers import SCOPE, Site

if TYPE_CHECKING:
    from collections.abc import Callable

    Respond = Callable[[str], tuple[float, bytes]]
    """How many seconds after the head of a request the answer goes out, and the answer."""

__all__ = ["TOKEN_MS", "LeanServers"]

CROWD = 16
TOKEN_MS = 5
LIFETIME_S = 3600
_BODY = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


@dataclass(slots=True)
class Tally:
    """What came to the authorization servers of the crowd.

    Attributes:
        token_requests: to all of them.
        connections: that are open.
        most_connections: that were open at the same moment.
    """

    token_requests: int = 0
    connections: int = 0
    most_connections: int = 0

    def met(self, difference: int) -> None:
        """A connection more, or one less."""
        self.connections += difference
        self.most_connections = max(self.most_connections, self.connections)


class LeanServers:
    """The late server, and those of the crowd, from now on.

    Attributes:
        late: where the late server is.
        crowd: resources, each with an authorization server.
        tally: of the connections that were opened since `reset`.
    """

    def __init__(self) -> None:
        self.tally = Tally()
        self._loop = asyncio.new_event_loop()
        self.late = f"{self._listen(_late)}/mcp"
        self.crowd = [self._pair() for _ in range(CROWD)]
        threading.Thread(target=self._loop.run_forever, daemon=True).start()

    def reset(self) -> None:
        """Count from here on; what is still open is no concern of what comes."""
        self.tally = Tally()

    def _pair(self) -> Site:
        origins: list[str] = []

        def authorize(head: str) -> tuple[float, bytes]:
            issuer = origins[0]
            if "/.well-known/" in head:
                return 0, _json(_server_metadata(issuer))
            self.tally.token_requests += 1
            token = f"{'x' * 700}{self.tally.token_requests}"
            return TOKEN_MS / 1000, _json({"access_token": token, "token_type": "Bearer", "expires_in": LIFETIME_S})

        def guard(head: str) -> tuple[float, bytes]:
            issuer, origin = origins
            if "/.well-known/" in head:
                return 0, _json({"resource": f"{origin}/mcp", "authorization_servers": [issuer]})
            if "\r\nauthorization:" in head.lower():
                return 0, _json({})
            metadata = f"{origin}/.well-known/oauth-protected-resource/mcp"
            challenge = f'WWW-Authenticate: Bearer resource_metadata="{metadata}", scope="{SCOPE}"\r\n'
            return 0, _answer(HTTPStatus.UNAUTHORIZED, b"", challenge)

        origins += [self._listen(authorize, counted=True), self._listen(guard)]
        issuer, origin = origins
        url = f"{origin}/mcp"
        return Site(url=url, hello=url, issuer=issuer, token_endpoint=f"{issuer}/token", token="x" * 700)

    def _listen(self, respond: Respond, *, counted: bool = False) -> str:
        """Serve on a free port; the origin."""
        make = lambda: _Connection(respond, self.tally if counted else Tally())  # noqa: E731
        serving = self._loop.create_server(make, "127.0.0.1", 0, backlog=256)
        server = self._loop.run_until_complete(serving)
        return f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


class _Connection(asyncio.Protocol):
    """Just enough HTTP/1.1."""

    def __init__(self, respond: Respond, tally: Tally) -> None:
        self._respond = respond
        self._tally = tally
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._tally.met(1)

    def connection_lost(self, problem: Exception | None) -> None:  # noqa: ARG002
        self._tally.met(-1)

    def data_received(self, data: bytes) -> None:
        self._received += data
        while b"\r\n\r\n" in self._received:
            head, _, rest = self._received.partition(b"\r\n\r\n")
            length = int(match[1]) if (match := _BODY.search(head)) else 0
            if len(rest) < length:
                return
            self._received = rest[length:]
            delay_s, answer = self._respond(head.decode("latin-1"))
            last = b"\r\nconnection: close" in head.lower()
            asyncio.get_running_loop().call_later(delay_s, self._send, answer, last)

    def _send(self, answer: bytes, last: bool) -> None:
        self._transport.write(answer)
        if last:
            self._transport.close()


def _late(head: str) -> tuple[float, bytes]:
    """``GET /mcp/50`` is answered after 50 milliseconds."""
    path = head.split(" ", 2)[1]
    return int(path.rpartition("/")[2]) / 1000, _answer(HTTPStatus.OK, b"ok")


def _server_metadata(issuer: str) -> dict[str, object]:
    return {
        "issuer": issuer,
        "token_endpoint": f"{issuer}/token",
        "authorization_endpoint": f"{issuer}/authorize",  # the SDK takes no metadata without it
        "response_types_supported": ["code"],
        "grant_types_supported": ["client_credentials"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
    }


def _json(document: object) -> bytes:
    return _answer(HTTPStatus.OK, json.dumps(document).encode(), "Content-Type: application/json\r\n")


def _answer(status: HTTPStatus, body: bytes, headers: str = "") -> bytes:
    head = f"HTTP/1.1 {status.value} {status.phrase}\r\n{headers}Content-Length: {len(body)}\r\n\r\n"
    return head.encode("latin-1") + body
