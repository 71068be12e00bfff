"""`gatepass keys show`: what a private key is, without a word of it."""

from __future__ import annotations

import re
import stat
from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import Annotated, cast

import typer

from gatepass.cli.exits import UsageError
from gatepass.cli.keys.key_file import read_signer, read_text
from gatepass.cli.keys.password import Password  # noqa: TC001 - typer reads the annotations
from gatepass.cli.keys.public import Form, bits_of, kind_of, public_half, write_public
from gatepass.cli.screen import write_facts, write_json
from gatepass.cli.voice import Voice, note
from gatepass.keys.thumbprint import thumbprint

__all__ = ["show"]

_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_BEGIN = re.compile(r"-----BEGIN ((?:[A-Z0-9]+ )*)PRIVATE KEY-----")
_SYNTAX = {"": "PKCS#8", "ENCRYPTED ": "PKCS#8", "RSA ": "PKCS#1", "EC ": "SEC1"}


def show(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="The private key, in PEM or as a JWK.")],
    password: Password,
    voice: Voice,
    *,
    form: Annotated[
        Form | None,
        typer.Option("--format", metavar="FORM", help=f"Print the public half instead: {', '.join(Form)}."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="What it is, as JSON.")] = False,
) -> None:
    """Show what a private key is.

    Its kind, its kid, what it signs with, and who can read it; or its public half, which the server may know. The
    private half is never shown.

    \b
    $ gatepass keys show ci-bot.pem
    $ gatepass keys show ci-bot.pem --format pem > ci-bot.pub.pem
    """
    if form is not None and as_json:
        msg = "--format and --json contradict each other: leave one out."
        raise UsageError(msg)
    signer = read_signer(path, password.secret)
    half = public_half(signer)
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & _OTHERS:
        note(voice, f"Others can read {path}, too ({mode:04o}). Make it yours alone: chmod 600 {path}")
    if form is not None:
        write_public(half, form)
        return
    syntax, encrypted = _syntax(path)
    facts = {
        "file": str(path),
        "kind": kind_of(half),
        "bits": bits_of(half),
        "algorithms": signer.algorithms,
        "kid": half["kid"],
        "thumbprint": thumbprint(half),
        "format": syntax,
        "encrypted": encrypted,
        "permissions": f"{mode:04o}",
    }
    if as_json:
        write_json(facts)
    else:
        news = {name: value for name, value in facts.items() if name != "thumbprint" or value != half["kid"]}
        write_facts([(name, _shown(value)) for name, value in news.items()])


def _syntax(path: Path) -> tuple[str, bool]:
    """How the key is written, and whether it is encrypted."""
    text = read_text(path)
    begin = _BEGIN.search(text)
    if begin is None:
        return "JWK", False
    return _SYNTAX[begin[1]], "ENCRYPTED" in text


def _shown(value: object) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case tuple():
            return ", ".join(cast("tuple[str, ...]", value))
        case _:
            return str(value)
