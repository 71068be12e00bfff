"""`gatepass token`: the access token, alone, for scripts."""

from __future__ import annotations

import sys

from gatepass.cli.access import Access, Url, Way
from gatepass.cli.identity import Who  # noqa: TC001 - typer reads the annotations
from gatepass.cli.voice import Voice  # noqa: TC001 - typer reads the annotations

__all__ = ["token"]


def token(url: Url, who: Who, way: Way, voice: Voice) -> None:  # noqa: ARG001 - `voice` is for who reports
    """Print an access token, and nothing else.

    It comes from the store while it is fresh; a second call makes no request at all.

    \b
    $ gatepass token https://mcp.example.com/mcp --client-id ci-bot \\
          --private-key-file ci-bot.pem --issuer https://auth.example.com
    $ curl -H "Authorization: Bearer $(gatepass token $URL)" $URL/health
    """
    sys.stdout.write(Access.to(url, who, way).auth.token() + "\n")
