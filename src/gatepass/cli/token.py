"""`gatepass token`: the access token, alone, for scripts."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from gatepass.cli.access import Access, Way, Where
from gatepass.cli.identity import Who  # noqa: TC001 - typer reads the annotations
from gatepass.cli.issued import MinTtl, issued, leave, timestamp
from gatepass.cli.screen import write_json
from gatepass.cli.shortcut import take_down
from gatepass.cli.voice import Voice  # noqa: TC001 - typer reads the annotations
from gatepass.lifecycle.record import expires_at

__all__ = ["token"]


def token(
    where: Where,
    who: Who,
    way: Way,
    voice: Voice,
    *,
    as_json: Annotated[
        bool, typer.Option("--json", help="As JSON: access_token, token_type, expires_at (RFC 3339) and scope.")
    ] = False,
    min_ttl: MinTtl = None,
) -> None:
    """Print an access token, and nothing else.

    It comes from the store while it is fresh; a second call makes no request at all.

    \b
    $ gatepass token https://mcp.example.com/mcp --client-id ci-bot \\
          --private-key-file ci-bot.pem --issuer https://auth.example.com
    $ gatepass token reports --min-ttl 5m
    """
    access = Access.to(where, who, way)
    record = issued(access, min_ttl, voice)
    if as_json:
        write_json(
            {
                "access_token": record.access_token,
                "token_type": record.token_type,
                "expires_at": timestamp(expires_at(record)),
                "scope": " ".join(record.requested if record.scope is None else record.scope),
            }
        )
    else:
        sys.stdout.write(record.access_token + "\n")
    sys.stdout.flush()
    if not (as_json or voice.verbose):
        take_down("token", access, record, min_ttl)
    leave(access)
