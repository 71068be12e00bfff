"""`gatepass keys jwks`: the JWK set that a client publishes."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import Annotated

import typer

from gatepass.cli.keys.password import Password  # noqa: TC001 - typer reads the annotations
from gatepass.cli.keys.public import jwk_set, read_public_halves
from gatepass.cli.screen import write_json
from gatepass.cli.voice import Voice  # noqa: TC001 - typer reads the annotations

__all__ = ["jwks"]


def jwks(
    paths: Annotated[
        list[Path], typer.Argument(metavar="FILE", help="Private keys, public keys (PEM or JWK), or JWK sets.")
    ],
    password: Password,
    voice: Voice,  # noqa: ARG001 - it is for who reports
) -> None:
    """Print a JWK set of public halves.

    It is what a server wants to be given, or to find at the jwks_uri of a client. Each key has a kid: its own if it is
    a JWK that has one, else its thumbprint (RFC 7638). Who publishes needs no private key: public ones will do.

    \b
    $ gatepass keys jwks ci-bot.pem > jwks.json
    $ gatepass keys jwks keys/*.pub.pem > jwks.json
    """
    write_json(jwk_set(half for path in paths for half in read_public_halves(path, password.secret)))
