"""Two servers and a client that is on their books: what a client is let loose on, and what it is told."""

from __future__ import annotations

import secrets
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self, TypedDict, cast
from urllib.parse import quote

from joserfc.jwk import ECKey

from gatepass.testing.authorization_server import AuthorizationServer
from gatepass.testing.protected_server import ProtectedServer

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from gatepass.testing.loopback_server import LoopbackServer
    from gatepass.testing.tls import Tls

__all__ = ["SCOPE", "Credentials", "Mend", "Options", "Stage", "Told"]

SCOPE = "mcp:read"


class Options(TypedDict, total=False):
    """What a client may be told of the servers and of itself, by the names of the `gatepass` command's options."""

    client_secret_file: str
    private_key_file: str
    auth_method: str
    assertion_audience: str
    issuer: str
    scopes: str
    dpop: bool
    token_endpoint: str
    audience: str
    no_resource_indicator: bool
    allow_metadata_origin: str
    tolerate_issuer_slash: bool
    ca_file: str
    timeout: float


class Told(Options):
    """What a client is told."""

    url: str
    client_id: str


class Mend(Options, total=False):
    """What it has to be told beside that, or instead."""

    url: str
    client_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What a client has to prove itself with; the authorization server takes either.

    Attributes:
        client_id: its identifier.
        secret_file: the file that holds its secret.
        key_file: the file that holds its private key, in PEM.
    """

    client_id: str
    secret_file: Path
    key_file: Path


class Stage:
    """An authorization server, a protected MCP server that takes its tokens, and clients that may have some.

    As it comes, all is well. Change what you like before it starts (``with stage:``), or while it runs; that is what
    the recipes of the `gatepass.testing.gallery` do.

    Args:
        directory: where secrets and keys are written to, in files for their owner's eyes only.
        clients: the ids of the clients; the first is the one that is told of.
        port: where the MCP server listens; 0: on any port that is free.
        issuer_port: where the authorization server listens; likewise.
        token_lifetime_s: how long a token lives.
        tls: how both servers speak TLS; None: plain HTTP.

    Attributes:
        authorization_server: issues the tokens.
        mcp_server: wants them.
        clients: the clients, with their credentials.
        told: what a client is told.
        mend: what it has to be told beside that, or instead, for all to be well; None: nothing helps on its side.
        servers: those that start.
    """

    def __init__(
        self,
        directory: Path,
        *,
        clients: tuple[str, ...] = ("ci-bot",),
        port: int = 0,
        issuer_port: int = 0,
        token_lifetime_s: float = 300.0,
        tls: Tls | None = None,
    ) -> None:
        self.directory = directory
        self.authorization_server = AuthorizationServer(
            port=issuer_port, token_lifetime_s=token_lifetime_s, tls=tls, scopes=(SCOPE,)
        )
        self.mcp_server = ProtectedServer(self.authorization_server, port=port, tls=tls, scopes=(SCOPE,))
        self.clients = tuple(self.add_client(client_id) for client_id in clients)
        self.told: Told = {
            "url": self.mcp_server.url,
            "client_id": self.client.client_id,
            "client_secret_file": str(self.client.secret_file),
            "issuer": self.authorization_server.issuer,
        }
        self.mend: Mend | None = None
        self.servers: list[LoopbackServer] = [self.authorization_server, self.mcp_server]
        self._running = ExitStack()

    @property
    def url(self) -> str:
        """The URL that a client is told."""
        return self.told["url"]

    @property
    def client(self) -> Credentials:
        """The one that is told of, with what it is really registered with."""
        return self.clients[0]

    def add_client(self, client_id: str) -> Credentials:
        """Register a client with a new secret and a new key."""
        secret, key = secrets.token_urlsafe(), ECKey.generate_key("P-256")
        self.authorization_server.add_client(client_id, secret=secret, public_key=key.as_pem(private=False))
        name = quote(client_id, safe="")
        return Credentials(
            client_id=client_id,
            secret_file=self.write(f"{name}.secret", secret),
            key_file=self.write(f"{name}.key.pem", key.as_pem(private=True).decode()),
        )

    def allow(self, *methods: str, grants: tuple[str, ...] | None = None) -> None:
        """Let the client authenticate in these ways only (none: in any), and use these grants (None: any)."""
        books = self.authorization_server.books.clients
        registered = books[self.client.client_id]
        books[self.client.client_id] = replace(registered, methods=methods or registered.methods, grants=grants)

    def tell_key(self, file: Path | None = None) -> None:
        """Tell the client a private key instead of its secret: its own, or another."""
        self.told.pop("client_secret_file")
        self.told["private_key_file"] = str(file or self.client.key_file)

    @property
    def mended(self) -> Told:
        """All that a client is told once it knows better."""
        mend = self.mend or Mend()
        told = {**self.told, **mend}
        if "private_key_file" in mend:
            told.pop("client_secret_file", None)  # a client proves itself with one of the two
        return cast("Told", told)

    def write(self, name: str, text: str) -> Path:
        """A file in the directory that nobody else can read."""
        path = self.directory / name
        path.touch(mode=0o600)
        path.write_text(f"{text.rstrip()}\n")
        return path

    def __enter__(self) -> Self:
        with ExitStack() as running:
            for server in self.servers:
                running.enter_context(server)
            self._running = running.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._running.close()
