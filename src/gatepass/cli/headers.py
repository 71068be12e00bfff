"""`gatepass headers`: what gets a request in, as a JSON object, for hosts that ask a program for it."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from gatepass.cli.access import Access, Way, Where
from gatepass.cli.exits import UsageError
from gatepass.cli.identity import Who  # noqa: TC001 - typer reads the annotations
from gatepass.cli.issued import MinTtl, issued, leave
from gatepass.cli.screen import write_json
from gatepass.cli.shortcut import take_down
from gatepass.cli.voice import Voice  # noqa: TC001 - typer reads the annotations

__all__ = ["headers"]


def headers(
    where: Where,
    who: Who,
    way: Way,
    voice: Voice,
    *,
    method: Annotated[str, typer.Option(metavar="METHOD", help="The method of the request (for DPoP).")] = "POST",
    url: Annotated[
        str | None, typer.Option(metavar="URL", help="Where the request goes; else to the server itself (for DPoP).")
    ] = None,
    min_ttl: MinTtl = None,
) -> None:
    """Print the headers that get a request in, as a JSON object.

    MCP hosts that know a headers helper, such as Claude Code, take it as it is.

    \b
    $ gatepass headers reports
    {"type": "http", "url": "https://mcp.example.com/mcp",
     "headersHelper": "gatepass headers reports --min-ttl 10m"}
    """
    access = Access.to(where, who, way)
    record = issued(access, min_ttl, voice)
    found = access.auth.headers(method, url or access.auth.url)
    if not found:
        msg = f"--url lies outside of {access.auth.resource}: the token does not go there."
        raise UsageError(msg)
    write_json(found)
    sys.stdout.flush()
    if not voice.verbose:
        take_down("headers", access, record, min_ttl)
    leave(access)
