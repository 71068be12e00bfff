"""Who the program is: from what options, environment and gatepass.toml say, to a way in.

A secret is never an argument: it would stand in the shell's history and in the list of processes. What is given is
where it stands, and the library reads it there when a token is made.
"""

from __future__ import annotations

import enum
import os
from dataclasses import dataclass
from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import TYPE_CHECKING, Annotated, Literal

import typer

import gatepass
from gatepass.cli.exits import UsageError
from gatepass.cli.reference import PLATFORMS, WAYS_TO_WRITE, Reference, from_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gatepass.client_auth.base import ClientAuthentication
    from gatepass.profiles.base import Profile

__all__ = ["AuthMethod", "Who", "authentication", "profile", "read_reference", "read_source", "refuse_secrets"]

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
    """How the client proves itself at the token endpoint, by the names of RFC 7591 §2 and RFC 8705 §2."""

    AUTO = "auto"
    BASIC = "client_secret_basic"
    POST = "client_secret_post"
    JWT = "private_key_jwt"
    TLS = "tls_client_auth"
    NONE = "none"


def read_reference(text: str) -> Reference:
    """Where a secret stands.

    Raises:
        BadParameter: this does not say it; without a word of what it is.
    """
    reference = from_text(text)
    if reference is None:
        msg = f"it says where a secret stands: {WAYS_TO_WRITE}."
        raise typer.BadParameter(msg)
    return reference


def read_source(text: str) -> Reference:
    """Where a JWT stands, or which platform gives it.

    Raises:
        BadParameter: this does not say it; without a word of what it is.
    """
    reference = from_text(text, platforms=True)
    if reference is None:
        msg = f"it says where a JWT stands ({WAYS_TO_WRITE}), or names a platform: {', '.join(PLATFORMS)}."
        raise typer.BadParameter(msg)
    return reference


@dataclass(frozen=True, slots=True, kw_only=True)
class Who:
    """Who the program is."""

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
    client_secret_from: Annotated[
        Reference | None,
        typer.Option(
            metavar="REF",
            parser=read_reference,
            help=f"Where else it stands: {WAYS_TO_WRITE}.",
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
    private_key_from: Annotated[
        Reference | None,
        typer.Option(metavar="REF", parser=read_reference, help="Where else it stands.", rich_help_panel=_PANEL),
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
    private_key_password_from: Annotated[
        Reference | None,
        typer.Option(metavar="REF", parser=read_reference, help="Where else it stands.", rich_help_panel=_PANEL),
    ] = None
    key_id: Annotated[
        str | None, typer.Option(metavar="KID", help="The kid that the key has there.", rich_help_panel=_PANEL)
    ] = None
    thumbprint_key_id: Annotated[
        bool,
        typer.Option(
            "--thumbprint-key-id", help="Its kid is its thumbprint, as `gatepass keys` has it.", rich_help_panel=_PANEL
        ),
    ] = False
    algorithm: Annotated[
        str | None,
        typer.Option(
            metavar="ALG",
            help="What to sign with, such as ES256; else what the key and the server can.",
            rich_help_panel=_PANEL,
        ),
    ] = None
    assertion_file: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH", help="A ready-made JWT that proves the client, instead of a key.", rich_help_panel=_PANEL
        ),
    ] = None
    assertion_from: Annotated[
        Reference | None,
        typer.Option(
            metavar="REF", parser=read_source, help="Where else it stands, or a platform.", rich_help_panel=_PANEL
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
    auth_method: Annotated[
        AuthMethod,
        typer.Option(
            metavar="METHOD",
            help=f"How to prove it: {', '.join(AuthMethod)}.",
            show_default=False,
            rich_help_panel=_PANEL,
        ),
    ] = AuthMethod.AUTO
    workload: Annotated[
        Reference | None,
        typer.Option(
            metavar="PLATFORM",
            parser=read_source,
            help=f"Get in by the JWT of a platform: {', '.join(PLATFORMS)}; or by one that stands at a REF.",
            rich_help_panel=_PANEL,
        ),
    ] = None
    subject: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT",
            help="For whom the JWT speaks, in your words; needed to keep tokens.",
            rich_help_panel=_PANEL,
        ),
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Proof:
    """Something that proves the client, and how it is called where it was given."""

    named: str
    kind: Literal["secret", "key", "assertion"]
    at: Reference


def profile(who: Who, named: Mapping[str, str]) -> Profile:
    """The way in. With a workload's JWT, the client may have no id of its own, and no proof.

    Args:
        who: who the program is.
        named: how each field of it is called where it was given.

    Raises:
        UsageError: there is no client id, no proof or more than one, or an option that does not go with it.
        ConfigurationError: a value does not fit.
    """
    if who.workload is None:
        return gatepass.ClientCredentials(authentication(who, named))
    proves = bool(_proofs(who, named)) or who.auth_method is not AuthMethod.AUTO
    return gatepass.WorkloadIdentity(
        who.workload.source,
        client=authentication(who, named) if proves else who.client_id,
        audience=who.assertion_audience or "issuer",
        subject=who.subject,
    )


def authentication(who: Who, named: Mapping[str, str]) -> ClientAuthentication:
    """The client and its proof. Of the ways to say where a secret stands, only ``..._from`` is looked at.

    Raises:
        UsageError: there is no client id, no proof or more than one, or an option that does not go with it.
        ConfigurationError: a value does not fit.
    """
    if not who.client_id:
        msg = f"Which client is this? Give --client-id ID, or set {_CLIENT_ID}."
        raise UsageError(msg)
    proof = _proof(who, named)
    _check_companions(who, proof, named)
    if proof is None:
        return _unproven(who)
    if proof.kind == "secret":
        return _client_secret(who.client_id, proof, who)
    if who.auth_method not in (AuthMethod.AUTO, AuthMethod.JWT):
        msg = f"--auth-method {who.auth_method} does not go with {proof.named}: it is always private_key_jwt."
        raise UsageError(msg)
    audience = (who.assertion_audience if who.workload is None else None) or "issuer"
    if proof.kind == "assertion":
        return gatepass.ClientAssertion(who.client_id, proof.at.source, audience=audience, subject=who.subject)
    return gatepass.PrivateKeyJwt(
        who.client_id,
        proof.at.secret,
        password=None if who.private_key_password_from is None else who.private_key_password_from.secret,
        algorithm=who.algorithm,
        key_id=who.key_id,
        thumbprint_key_id=who.thumbprint_key_id,
        audience=audience,
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


def _proof(who: Who, named: Mapping[str, str]) -> _Proof | None:
    """The one proof; None if the client has none that is given here, and says so."""
    proofs = _proofs(who, named)
    if who.auth_method in (AuthMethod.NONE, AuthMethod.TLS):
        if proofs:
            proves = "nothing" if who.auth_method is AuthMethod.NONE else "by the certificate of the connection"
            msg = (
                f"--auth-method {who.auth_method} proves {proves}, so {proofs[0].named} does not go with it: "
                "leave one out."
            )
            raise UsageError(msg)
        return None
    if len(proofs) > 1:
        msg = f"{' and '.join(proof.named for proof in proofs)} both prove the client: leave one out."
        raise UsageError(msg)
    if not proofs:
        empty = f" ({_CLIENT_SECRET} is set, but empty.)" if os.environ.get(_CLIENT_SECRET) == "" else ""
        msg = (
            "What proves the client? Give --client-secret-file, --client-secret-env or --private-key-file,\n"
            f"or set {_CLIENT_SECRET} or {_PRIVATE_KEY_FILE}.{empty}"
        )
        raise UsageError(msg)
    return proofs[0]


def _proofs(who: Who, named: Mapping[str, str]) -> list[_Proof]:
    given: tuple[tuple[str, Literal["secret", "key", "assertion"], Reference | None], ...] = (
        ("client_secret_from", "secret", who.client_secret_from),
        ("private_key_from", "key", who.private_key_from),
        ("assertion_from", "assertion", who.assertion_from),
    )
    return [_Proof(named=named[name], kind=kind, at=at) for name, kind, at in given if at is not None]


def _check_companions(who: Who, proof: _Proof | None, named: Mapping[str, str]) -> None:
    """Options that say more about a private key need one, and so does whom a JWT is for, or a ready-made one."""
    about_a_key = ["private_key_password_from", "key_id", "thumbprint_key_id", "algorithm"]
    if who.workload is None and (proof is None or proof.kind != "assertion"):
        about_a_key.append("assertion_audience")
    given = [name for name in about_a_key if getattr(who, name) not in (None, False)]
    if given and (proof is None or proof.kind != "key"):
        instead = f", not with {proof.named}" if proof else ""
        msg = f"{named[given[0]]} goes with --private-key-file{instead}."
        raise UsageError(msg)


def _unproven(who: Who) -> ClientAuthentication:
    """A client whose proof is the certificate of the connection, or that has none."""
    client_id = who.client_id or ""
    return gatepass.TlsClient(client_id) if who.auth_method is AuthMethod.TLS else gatepass.PublicClient(client_id)


def _client_secret(client_id: str, proof: _Proof, who: Who) -> gatepass.ClientSecret:
    match who.auth_method:
        case AuthMethod.BASIC:
            return gatepass.ClientSecret(client_id, proof.at.secret, "client_secret_basic")
        case AuthMethod.POST:
            return gatepass.ClientSecret(client_id, proof.at.secret, "client_secret_post")
        case AuthMethod.AUTO:
            return gatepass.ClientSecret(client_id, proof.at.secret)
        case _:
            msg = f"--auth-method {who.auth_method} needs --private-key-file, not {proof.named}."
            raise UsageError(msg)
