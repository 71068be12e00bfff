"""The way in that options describe: an `Auth`, and an MCP client that goes through it."""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass, field
from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import TYPE_CHECKING, Annotated, Any

import typer

import gatepass
from gatepass.cli.exits import UsageError
from gatepass.cli.identity import Who, authentication

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mcp.client import Client

__all__ = ["Access", "Url", "Way"]

_ISSUER = "GATEPASS_ISSUER"
_SCOPES = "GATEPASS_SCOPES"

_WAY = "The way in"
_MEANS = "How to get there"

_TIMEOUT_S = 10.0
_GRACE_S = 1.0
"""A caller waits a little longer than one request may take, and so hears which request it was."""

Url = Annotated[str, typer.Argument(metavar="URL", help="The URL of the MCP server, such as https://host/mcp.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """Where the token comes from, and how to get there."""

    issuer: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help=f"The authorization server that the credentials belong to. Else {_ISSUER}.",
            rich_help_panel=_WAY,
        ),
    ] = None
    scopes: Annotated[
        str | None,
        typer.Option(
            metavar="'A B'",
            help=f"What to ask for; else {_SCOPES}, else what the server wants.",
            rich_help_panel=_WAY,
        ),
    ] = None
    token_endpoint: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="Ask here for tokens; with --issuer, nothing is discovered.", rich_help_panel=_WAY
        ),
    ] = None
    audience: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="An audience parameter, for servers that want one.", rich_help_panel=_WAY),
    ] = None
    resource_indicator: Annotated[
        str | None,
        typer.Option(metavar="URI", help="Send this as resource (RFC 8707).", rich_help_panel=_WAY),
    ] = None
    no_resource_indicator: Annotated[
        bool,
        typer.Option("--no-resource-indicator", help="Send none, for servers that refuse it.", rich_help_panel=_WAY),
    ] = False
    allow_http: Annotated[
        bool,
        typer.Option(
            "--allow-http",
            help="Take a URL that is http and not on loopback: the token travels in the clear.",
            rich_help_panel=_WAY,
        ),
    ] = False
    allow_metadata_origin: Annotated[
        list[str] | None,
        typer.Option(metavar="URL", help="Another origin that may serve the server's metadata.", rich_help_panel=_WAY),
    ] = None
    allow_endpoint_origin: Annotated[
        list[str] | None,
        typer.Option(
            metavar="URL",
            help="Another origin that endpoints of an issuer not pinned may have.",
            rich_help_panel=_WAY,
        ),
    ] = None
    tolerate_issuer_slash: Annotated[
        bool,
        typer.Option(
            "--tolerate-issuer-slash",
            help="Take an issuer that differs by a slash at its end for the same.",
            rich_help_panel=_WAY,
        ),
    ] = False
    store: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Keep tokens here; else in your state directory.", rich_help_panel=_MEANS),
    ] = None
    no_store: Annotated[
        bool, typer.Option("--no-store", help="Keep no token when the command ends.", rich_help_panel=_MEANS)
    ] = False
    ca_file: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="Trust the certificates in this PEM file, too.", rich_help_panel=_MEANS),
    ] = None
    timeout: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS", min=0.001, max=3600, help="How long to wait for one answer.", rich_help_panel=_MEANS
        ),
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """The way in, ready to use.

    Attributes:
        auth: makes and keeps the token.
        http_options: for the client that talks to the MCP server.
        timeout_s: how long to wait for one answer of it, in seconds.
    """

    auth: gatepass.Auth
    http_options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    timeout_s: float | None = None

    @classmethod
    def to(cls, url: str, who: Who, way: Way) -> Access:
        """The way in to the MCP server at `url`.

        Raises:
            UsageError: options contradict each other, or one is missing.
            ConfigurationError: one does not fit.
        """
        if way.resource_indicator and way.no_resource_indicator:
            msg = "--resource-indicator and --no-resource-indicator contradict each other: leave one out."
            raise UsageError(msg)
        client = authentication(who, os.environ)
        trust = _trust(way.ca_file) if way.ca_file else None
        auth = gatepass.Auth(
            url,
            gatepass.ClientCredentials(client),
            issuer=way.issuer or os.environ.get(_ISSUER) or None,
            scopes=(way.scopes or os.environ.get(_SCOPES) or "").split() or None,
            store=_store(way),
            http=gatepass.TokenHttp(verify=trust or True, timeout_s=way.timeout or _TIMEOUT_S),
            deadline_s=(way.timeout or _TIMEOUT_S) + _GRACE_S,
            token_endpoint=way.token_endpoint,
            resource_indicator=way.resource_indicator,
            send_resource=not way.no_resource_indicator,
            audience=way.audience,
            allow_http=way.allow_http,
            allow_metadata_origins=way.allow_metadata_origin or (),
            allow_endpoint_origins=way.allow_endpoint_origin or (),
            tolerate_issuer_slash=way.tolerate_issuer_slash,
        )
        options = {"verify": trust, "timeout": way.timeout}
        return cls(
            auth=auth,
            http_options={name: value for name, value in options.items() if value is not None},
            timeout_s=way.timeout,
        )

    def connect(self) -> Client:
        """An MCP client that goes this way; see `gatepass.connect`."""
        from importlib.metadata import version

        from mcp_types import Implementation

        return gatepass.connect(
            self.auth,
            http_options=self.http_options,
            read_timeout_seconds=self.timeout_s,
            client_info=Implementation(name="gatepass", version=version("gatepass")),
        )


def _store(way: Way) -> gatepass.Store:
    if way.store and way.no_store:
        msg = "--store and --no-store contradict each other: leave one out."
        raise UsageError(msg)
    return gatepass.MemoryStore() if way.no_store else gatepass.FileStore(way.store)


def _trust(ca_file: Path) -> ssl.SSLContext:
    """The system's trust store, and the certificates of a file."""
    import httpx2

    context = httpx2.create_ssl_context()
    try:
        context.load_verify_locations(cafile=ca_file)
    except OSError as problem:  # ssl.SSLError is one, too
        reason = "it holds no certificate in PEM" if isinstance(problem, ssl.SSLError) else problem.strerror
    else:
        return context
    msg = f"--ca-file {ca_file} can't be used: {reason}."
    raise gatepass.ConfigurationError(msg, code="tls_invalid")
