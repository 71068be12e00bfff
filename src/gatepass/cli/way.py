"""The options that say where a token comes from, and how to get there."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import Annotated

import typer

from gatepass.errors import GatepassError

__all__ = ["LONGEST_S", "SHORTEST_S", "Way", "Where", "is_timeout", "server_names"]

SHORTEST_S, LONGEST_S = 0.001, 3600

_ISSUER = "GATEPASS_ISSUER"
_SCOPES = "GATEPASS_SCOPES"
_CONFIG = "GATEPASS_CONFIG"

_WAY = "The way in"
_MEANS = "How to get there"


def server_names(incomplete: str) -> list[str]:
    """For a shell that completes: the servers of the configuration. One that can't be read has none to offer."""
    from gatepass.cli.configuration.place import read_config

    with suppress(GatepassError):
        return [name for name in read_config().names if name.startswith(incomplete)]
    return []


Where = Annotated[
    str,
    typer.Argument(
        metavar="NAME|URL",
        help="A server by its name in gatepass.toml, or by its URL, such as https://host/mcp.",
        autocompletion=server_names,
    ),
]


def is_timeout(seconds: float) -> bool:
    """Whether this is a time to wait for an answer."""
    return SHORTEST_S <= seconds <= LONGEST_S


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
    dpop: Annotated[
        bool, typer.Option("--dpop", help="Bind tokens to a key that is made and kept (DPoP).", rich_help_panel=_WAY)
    ] = False
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
    extra_parameter: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE", help="One more parameter for each token request; no secret.", rich_help_panel=_WAY
        ),
    ] = None
    step_up: Annotated[
        bool,
        typer.Option(
            "--step-up", help="Ask for more scopes than --scopes when the server wants them.", rich_help_panel=_WAY
        ),
    ] = False
    whole_origin: Annotated[
        bool,
        typer.Option(
            "--whole-origin", help="The token may go to every path of the server's origin.", rich_help_panel=_WAY
        ),
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
    allow_legacy_discovery: Annotated[
        bool,
        typer.Option(
            "--allow-legacy-discovery",
            help="Without metadata, take the server's own origin for its authorization server.",
            rich_help_panel=_WAY,
        ),
    ] = False
    tolerate_issuer_slash: Annotated[
        bool,
        typer.Option(
            "--tolerate-issuer-slash",
            help="Take an issuer that differs by a slash at its end for the same.",
            rich_help_panel=_WAY,
        ),
    ] = False
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help=f"Look for NAME here only; else {_CONFIG}, else gatepass.toml of the project and yours.",
            rich_help_panel=_MEANS,
        ),
    ] = None
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
    cert_file: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="The client certificate to show, in PEM.", rich_help_panel=_MEANS),
    ] = None
    cert_key_file: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="Its key, if it stands in another file.", rich_help_panel=_MEANS),
    ] = None
    proxy: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Go through this proxy; else HTTPS_PROXY.", rich_help_panel=_MEANS),
    ] = None
    timeout: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            min=SHORTEST_S,
            max=LONGEST_S,
            help="How long to wait for one answer.",
            rich_help_panel=_MEANS,
        ),
    ] = None
