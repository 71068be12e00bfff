"""`gatepass keys new`: a key pair, its private half in a file, its public half on stdout."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import Annotated

import typer

from gatepass.cli.keys.key_file import create, read_signer, replace
from gatepass.cli.keys.pair import RSA_BITS, RSA_MAX_BITS, RSA_MIN_BITS, Algorithm, new_pem
from gatepass.cli.keys.password import Password  # noqa: TC001 - typer reads the annotations
from gatepass.cli.keys.public import Form, PublicHalf, kind_of, public_half, write_public
from gatepass.cli.voice import Voice, note

__all__ = ["new"]


def new(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="Where the private key goes, such as ci-bot.pem.")],
    password: Password,
    voice: Voice,
    *,
    algorithm: Annotated[
        Algorithm,
        typer.Option(metavar="ALG", case_sensitive=False, help=f"What it signs with: {', '.join(Algorithm)}."),
    ] = Algorithm.ES256,
    bits: Annotated[
        int | None,
        typer.Option(metavar="N", min=RSA_MIN_BITS, max=RSA_MAX_BITS, help=f"The size of an RSA key; else {RSA_BITS}."),
    ] = None,
    form: Annotated[
        Form, typer.Option("--format", metavar="FORM", help=f"How to print the public half: {', '.join(Form)}.")
    ] = Form.PEM,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the key that is there; it is gone then.")] = False,
) -> None:
    """Make a key pair.

    The private half is written to FILE (PEM, PKCS#8), which nobody else can read. The public half is printed: register
    it at the authorization server, as PEM, as a JWK, or as a JWK set.

    \b
    $ gatepass keys new ci-bot.pem > ci-bot.pub.pem
    $ gatepass keys new ci-bot.pem --format jwks > jwks.json
    $ gatepass keys new ci-bot.pem --private-key-password-env CI_BOT_PASSWORD
    """
    problem = (replace if force else create)(path, new_pem(algorithm, bits, password.read()))
    if problem is not None:
        raise problem
    half = public_half(read_signer(path, password.secret), algorithm)
    write_public(half, form)
    note(voice, _next_steps(path, half, password))


def _next_steps(path: Path, half: PublicHalf, password: Password) -> str:
    return (
        f"{path} holds a new private key ({kind_of(half)}), which only you can read. Back it up, "
        "and send it to nobody.\n"
        f"Register at the authorization server the public half, which is on stdout, and:\n"
        f"  token_endpoint_auth_method       private_key_jwt\n"
        f"  token_endpoint_auth_signing_alg  {half['alg']}\n"
        f"  kid, if it asks for one          {half['kid']}\n"
        f"See whether the server takes such a key, then get in:\n"
        f"  gatepass keys check {path} --issuer URL{password.options}\n"
        f"  gatepass token URL --client-id ID --private-key-file {path}{password.options}"
    )
