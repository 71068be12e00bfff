"""`gatepass keys check`: whether an authorization server takes such a key, found out without sending anything of it."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import TYPE_CHECKING, Annotated

import typer

import gatepass
from gatepass.cli.configuration.document import is_name
from gatepass.cli.configuration.place import read_config
from gatepass.cli.exits import UsageError
from gatepass.cli.keys.password import Password  # noqa: TC001 - typer reads the annotations
from gatepass.cli.layers import environment, options, settle
from gatepass.cli.screen import write_facts, write_json
from gatepass.cli.voice import Voice, note
from gatepass.cli.way import Way
from gatepass.client_auth.base import listed
from gatepass.core.target import Target
from gatepass.discovery import discover, discover_server
from gatepass.engine.world import RealWorld
from gatepass.errors import ConfigurationError
from gatepass.protocol.urls import canonical_resource, check_issuer, origin
from gatepass.signers.key_ring import KeyRing

if TYPE_CHECKING:
    from gatepass.protocol.server import ServerMetadata

__all__ = ["check"]

_TIMEOUT_S = 10.0


def check(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="The private key, in PEM or as a JWK.")],
    password: Password,
    voice: Voice,
    *,
    issuer: Annotated[
        str | None,
        typer.Option(metavar="URL|NAME", help="The authorization server, or a server by its name in gatepass.toml."),
    ] = None,
    algorithm: Annotated[
        str | None, typer.Option(metavar="ALG", help="What to sign with; else what the key and the server can.")
    ] = None,
    config: Annotated[Path | None, typer.Option(metavar="FILE", help="Look for NAME here only.")] = None,
    ca_file: Annotated[
        Path | None, typer.Option(metavar="PATH", help="Trust the certificates in this PEM file.")
    ] = None,
    timeout: Annotated[
        float | None, typer.Option(metavar="SECONDS", min=0.001, max=3600, help="How long to wait for one answer.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="What was found out, as JSON.")] = False,
) -> None:
    """Check a key against an authorization server.

    What the server says that it takes is read, and one JWT is signed to see that the key can. It is sent to nobody.
    Whether the key is registered there shows when a token is asked for.

    \b
    $ gatepass keys check ci-bot.pem --issuer https://auth.example.com
    $ gatepass keys check ci-bot.pem --issuer reports
    """
    client = gatepass.PrivateKeyJwt("its-id", path, password=password.secret, algorithm=algorithm)
    url, way = _way_to(issuer, Way(config=config, ca_file=ca_file, timeout=timeout))
    http = gatepass.TokenHttp(verify=way.ca_file or True, proxy=way.proxy, timeout_s=way.timeout or _TIMEOUT_S)
    world = RealWorld(http, KeyRing())
    able = world.signer(client.key).algorithms
    server = _server(world, url, way)
    problem = _problem(world, client, server)
    offered = server.token_endpoint_auth_signing_alg_values_supported
    used = algorithm or next((name for name in able if not offered or name in offered), None)
    found = {
        "issuer": server.issuer,
        "methods offered": list(server.token_endpoint_auth_methods_supported or ()),
        "algorithms offered": list(offered or ()),
        "algorithms of the key": list(able),
        "would sign with": None if problem else used,
    }
    if as_json:
        write_json({name.replace(" ", "_"): value for name, value in found.items()})
    else:
        write_facts([(name, _shown(value)) for name, value in found.items()])
    if problem is not None:
        raise problem
    note(voice, f"The server takes such keys. Is this one registered?\n  gatepass token URL --private-key-file {path}")


def _way_to(issuer: str | None, given: Way) -> tuple[str | None, Way]:
    """The MCP server that a name stands for, if one was given; and what is known of the way.

    Raises:
        UsageError: nothing says which authorization server it is.
        ConfigurationError: the configuration has no such server.
    """
    if issuer is not None and is_name(issuer):
        server = read_config(given.config).server(issuer)
        return server.url, settle(options(given), environment(os.environ), server.layer).way
    way = settle(options(replace(given, issuer=issuer)), environment(os.environ)).way
    if way.issuer is None:
        msg = "Which authorization server? Give --issuer URL, or the NAME of a server of gatepass.toml."
        raise UsageError(msg)
    return None, way


def _server(world: RealWorld, url: str | None, way: Way) -> ServerMetadata:
    """What the authorization server says of itself; where none is pinned, it is the one that the MCP server names."""
    if way.issuer is not None or url is None:
        check_issuer(way.issuer or "", field="--issuer")
        return discover_server(world, way.issuer or "").server
    target = Target(
        endpoint=canonical_resource(url),
        allow_metadata_origins=tuple(map(origin, way.allow_metadata_origin or ())),
        allow_endpoint_origins=tuple(map(origin, way.allow_endpoint_origin or ())),
        allow_legacy_discovery=way.allow_legacy_discovery,
        tolerate_issuer_slash=way.tolerate_issuer_slash,
    )
    return discover(world, target, None).server


def _problem(world: RealWorld, client: gatepass.PrivateKeyJwt, server: ServerMetadata) -> ConfigurationError | None:
    """Why a token request would end before it is sent; None if it would not."""
    try:
        client.authenticate(world, server)
    except ConfigurationError as error:
        return error.again()
    return None


def _shown(value: str | list[str] | None) -> str:
    match value:
        case None:
            return "-"
        case str():
            return value
        case _:
            return listed(value) if value else "the server does not say"
