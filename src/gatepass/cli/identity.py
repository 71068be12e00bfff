"""Who the program is: from options, or else from the environment, to a client authentication.

A secret is never an argument: it would stand in the shell's history and in the list of processes. What is given is
where it stands, and the library reads it there when a token is made.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import TYPE_CHECKING, Annotated, Literal

import typer

import gatepass
from gatepass.cli.exits import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gatepass.client_auth.base import ClientAuthentication

__all__ = ["Who", "authentication", "refuse_secrets"]

_CLIENT_ID = "GATEPASS_CLIENT_ID"
_CLIENT_SECRET = "GATEPASS_CLIENT_SECRET"  # noqa: S105 - the name of a variable
_PRIVATE_KEY_FILE = "GATEPASS_PRIVATE_KEY_FILE"

_PANEL = "Who you are"

_NEVER = {
    "--client-secret": f"Give --client-secret-file PATH or --client-secret-env NAME, or set {_CLIENT_SECRET}.",
    "--private-key": f"Give --private-key-file PATH, or set {_PRIVATE_KEY_FILE}.",
    "--private-key-password": "Give --private-key-password-file PATH or --private-key-password-env NAME.",
    "--assertion": "Give --assertion-file PATH.",
}


class AuthMethod(enum.StrEnum):
    """How the client proves itself at the token endpoint, by the names of RFC 7591 §2."""

    AUTO = "auto"
    BASIC = "client_secret_basic"
    POST = "client_secret_post"
    JWT = "private_key_jwt"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Who:
    """Who the program is, as options say it."""

    client_id: Annotated[
        str | None,
        typer.Option(metavar="ID", help=f"The client id, as registered. Else {_CLIENT_ID}.", rich_help_panel=_PANEL),
    ] = None
    client_secret_file: Annotated[
        Path | None, typer.Option(metavar="PATH", help="The file that holds the client secret.", rich_help_panel=_PANEL)
    ] = None
    client_secret_env: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help=f"The environment variable that holds the client secret. Else {_CLIENT_SECRET}.",
            rich_help_panel=_PANEL,
        ),
    ] = None
    private_key_file: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help=f"The private key, in PEM or as a JWK. Else {_PRIVATE_KEY_FILE}.",
            rich_help_panel=_PANEL,
        ),
    ] = None
    private_key_password_file: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH", help="The file that holds the password of an encrypted key.", rich_help_panel=_PANEL
        ),
    ] = None
    private_key_password_env: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The environment variable that holds it.", rich_help_panel=_PANEL),
    ] = None
    key_id: Annotated[
        str | None, typer.Option(metavar="KID", help="The kid that the key has there.", rich_help_panel=_PANEL)
    ] = None
    algorithm: Annotated[
        str | None,
        typer.Option(
            metavar="ALG",
            help="What to sign with, such as ES256; else what the key and the server can.",
            rich_help_panel=_PANEL,
        ),
    ] = None
    assertion_audience: Annotated[
        str | None,
        typer.Option(
            metavar="AUD",
            help="Whom the JWT is for: issuer (usual), token_endpoint, or any other text.",
            rich_help_panel=_PANEL,
        ),
    ] = None
    assertion_file: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH", help="A ready-made JWT that proves the client, instead of a key.", rich_help_panel=_PANEL
        ),
    ] = None
    auth_method: Annotated[
        AuthMethod,
        typer.Option(
            metavar="METHOD",
            help=f"How to prove it: {', '.join(AuthMethod)}.",
            show_default=False,
            rich_help_panel=_PANEL,
        ),
    ] = AuthMethod.AUTO


@dataclass(frozen=True, slots=True, kw_only=True)
class _Proof:
    """Something that proves the client, and where it was named."""

    named: str
    kind: Literal["secret", "key", "assertion"]
    at: gatepass.Secret


def authentication(who: Who, environ: Mapping[str, str]) -> ClientAuthentication:
    """The client and its proof. What options say goes before what the environment says.

    Raises:
        UsageError: there is no client id, no proof or more than one, or an option that does not go with it.
        ConfigurationError: a value does not fit.
    """
    client_id = who.client_id or environ.get(_CLIENT_ID)
    if not client_id:
        msg = f"Which client is this? Give --client-id ID, or set {_CLIENT_ID}."
        raise UsageError(msg)
    proof = _proof(who, environ)
    _check_companions(who, proof)
    if proof is None:
        return gatepass.PublicClient(client_id)
    if proof.kind == "secret":
        return _client_secret(client_id, proof, who)
    if who.auth_method not in (AuthMethod.AUTO, AuthMethod.JWT):
        msg = f"--auth-method {who.auth_method} does not go with {proof.named}: it is always private_key_jwt."
        raise UsageError(msg)
    if proof.kind == "assertion":
        return gatepass.ClientAssertion(client_id, proof.at, audience=who.assertion_audience or "issuer")
    return gatepass.PrivateKeyJwt(
        client_id,
        proof.at,
        password=_password(who),
        algorithm=who.algorithm,
        key_id=who.key_id,
        audience=who.assertion_audience or "issuer",
    )


def refuse_secrets(arguments: Sequence[str]) -> None:
    """Nobody gives a secret as an argument.

    Raises:
        UsageError: somebody did; says how to give it, and not what was given.
    """
    for argument in arguments:
        if argument == "--":
            return
        name = argument.partition("=")[0]
        if name in _NEVER:
            msg = f"{name} does not exist, because others can see a program's arguments. {_NEVER[name]}"
            raise UsageError(msg)


def _proof(who: Who, environ: Mapping[str, str]) -> _Proof | None:
    """The one proof; None if the client has none and says so."""
    named = _from_options(who)
    if who.auth_method is AuthMethod.NONE:
        if named:
            msg = f"--auth-method none proves nothing, so {named[0].named} does not go with it: leave one out."
            raise UsageError(msg)
        return None
    named = named or _from_environment(environ)
    if len(named) > 1:
        msg = f"{' and '.join(proof.named for proof in named)} both prove the client: leave one out."
        raise UsageError(msg)
    if not named:
        raise UsageError(_no_proof(environ))
    return named[0]


def _from_options(who: Who) -> list[_Proof]:
    proofs: list[_Proof] = []
    if who.client_secret_file:
        secret = gatepass.Secret.file(who.client_secret_file)
        proofs.append(_Proof(named="--client-secret-file", kind="secret", at=secret))
    if who.client_secret_env:
        secret = gatepass.Secret.env(who.client_secret_env)
        proofs.append(_Proof(named="--client-secret-env", kind="secret", at=secret))
    if who.private_key_file:
        key = gatepass.Secret.file(who.private_key_file)
        proofs.append(_Proof(named="--private-key-file", kind="key", at=key))
    if who.assertion_file:
        assertion = gatepass.Secret.file(who.assertion_file)
        proofs.append(_Proof(named="--assertion-file", kind="assertion", at=assertion))
    return proofs


def _from_environment(environ: Mapping[str, str]) -> list[_Proof]:
    """An empty variable counts as none: that is what a CI system makes of a secret that it does not have."""
    proofs: list[_Proof] = []
    if environ.get(_CLIENT_SECRET):
        proofs.append(_Proof(named=_CLIENT_SECRET, kind="secret", at=gatepass.Secret.env(_CLIENT_SECRET)))
    if path := environ.get(_PRIVATE_KEY_FILE):
        proofs.append(_Proof(named=_PRIVATE_KEY_FILE, kind="key", at=gatepass.Secret.file(path)))
    return proofs


def _no_proof(environ: Mapping[str, str]) -> str:
    empty = f" ({_CLIENT_SECRET} is set, but empty.)" if environ.get(_CLIENT_SECRET) == "" else ""
    return (
        f"What proves the client? Give --client-secret-file, --client-secret-env or --private-key-file,\n"
        f"or set {_CLIENT_SECRET} or {_PRIVATE_KEY_FILE}.{empty}"
    )


def _check_companions(who: Who, proof: _Proof | None) -> None:
    """Options that say more about a private key need one, and so does whom a JWT is for, or a ready-made one."""
    about_a_key = {
        "--private-key-password-file": who.private_key_password_file,
        "--private-key-password-env": who.private_key_password_env,
        "--key-id": who.key_id,
        "--algorithm": who.algorithm,
    }
    if proof is None or proof.kind != "assertion":
        about_a_key["--assertion-audience"] = who.assertion_audience
    given = [option for option, value in about_a_key.items() if value is not None]
    if given and (proof is None or proof.kind != "key"):
        instead = f", not with {proof.named}" if proof else ""
        msg = f"{given[0]} goes with --private-key-file{instead}."
        raise UsageError(msg)


def _client_secret(client_id: str, proof: _Proof, who: Who) -> gatepass.ClientSecret:
    match who.auth_method:
        case AuthMethod.BASIC:
            return gatepass.ClientSecret(client_id, proof.at, "client_secret_basic")
        case AuthMethod.POST:
            return gatepass.ClientSecret(client_id, proof.at, "client_secret_post")
        case AuthMethod.AUTO:
            return gatepass.ClientSecret(client_id, proof.at)
        case _:
            msg = f"--auth-method {who.auth_method} needs --private-key-file, not {proof.named}."
            raise UsageError(msg)


def _password(who: Who) -> gatepass.Secret | None:
    if who.private_key_password_file and who.private_key_password_env:
        msg = "--private-key-password-file and --private-key-password-env both give the password: leave one out."
        raise UsageError(msg)
    if who.private_key_password_file:
        return gatepass.Secret.file(who.private_key_password_file)
    return gatepass.Secret.env(who.private_key_password_env) if who.private_key_password_env else None
