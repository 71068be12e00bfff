"""`gatepass keys client-metadata`: the document behind a client id that is a URL.

draft-ietf-oauth-client-id-metadata-document, and the members that the MCP specification (2026-07-28, Client
Registration) wants besides.
"""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import msgspec
import typer

from gatepass.cli.exits import UsageError, check_text
from gatepass.cli.keys.password import Password  # noqa: TC001 - typer reads the annotations
from gatepass.cli.keys.public import PublicHalf, jwk_set, read_public_halves
from gatepass.cli.screen import write_json
from gatepass.cli.voice import Voice, note
from gatepass.protocol.urls import covers, is_http_url, is_loopback

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["client_metadata"]

_MAX_BYTES = 5 * 1024
"""As much of a document as servers are told to read (§8.7)."""


class _Document(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The members of RFC 7591 §2, and of OpenID Connect Registration §2, that are written."""

    client_id: str
    client_name: str
    application_type: str | None = None
    redirect_uris: tuple[str, ...]
    grant_types: tuple[str, ...]
    response_types: tuple[str, ...]
    token_endpoint_auth_method: str
    token_endpoint_auth_signing_alg: str | None = None
    jwks: dict[str, list[PublicHalf]] | None = None
    jwks_uri: str | None = None
    scope: str | None = None


def client_metadata(
    url: Annotated[str, typer.Argument(metavar="URL", help="Where the document will stand: the client id.")],
    password: Password,
    voice: Voice,
    *,
    name: Annotated[str, typer.Option(metavar="TEXT", help="What people are shown.")],
    key: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="A key, private or public, whose public half goes into the document."),
    ] = None,
    jwks_uri: Annotated[
        str | None, typer.Option(metavar="URL", help="Where a JWK set stands instead: see `gatepass keys jwks`.")
    ] = None,
    redirect_uri: Annotated[
        list[str] | None, typer.Option(metavar="URI", help="People sign in, and are sent back here.")
    ] = None,
    scopes: Annotated[str | None, typer.Option(metavar="'A B'", help="The scopes that it may ask for.")] = None,
) -> None:
    """Print a client ID metadata document.

    It is what a client says of itself, at the URL that is its client id; at a server that reads such documents it needs
    no registration. Publish it at exactly that URL, as application/json, without a redirect. With a key it is for a
    program that gets in by itself; with a redirect URI, for one that people sign in with.

    \b
    $ gatepass keys client-metadata https://example.com/ci-bot.json \\
          --name 'The nightly report' --jwks-uri https://example.com/jwks.json
    $ gatepass keys client-metadata https://example.com/client.json \\
          --name 'The nightly report' --redirect-uri http://127.0.0.1/callback
    """
    _check_url(url)
    if key and jwks_uri:
        msg = "--key and --jwks-uri both say which keys are the client's: leave one out (RFC 7591 §2)."
        raise UsageError(msg)
    if not (key or jwks_uri or redirect_uri):
        msg = (
            "What proves the client? Give --key FILE or --jwks-uri URL.\n"
            "Or, for a program that people sign in with and that proves nothing, --redirect-uri URI."
        )
        raise UsageError(msg)
    _check_links(jwks_uri, redirect_uri or [])
    check_text(name, "--name")
    check_text(scopes or "", "--scopes")
    halves = [half for path in key or () for half in read_public_halves(path, password.secret)]
    document = _Document(
        client_id=url,
        client_name=name,
        application_type=_application_type(redirect_uri) if redirect_uri else None,
        redirect_uris=tuple(redirect_uri or ()),
        grant_types=("authorization_code", "refresh_token") if redirect_uri else ("client_credentials",),
        response_types=("code",) if redirect_uri else (),
        token_endpoint_auth_method="private_key_jwt" if key or jwks_uri else "none",
        token_endpoint_auth_signing_alg=_only_algorithm(halves),
        jwks=jwk_set(halves) if halves else None,
        jwks_uri=jwks_uri,
        scope=scopes,
    )
    write_json(document)
    note(voice, _advice(document))


def _check_url(url: str) -> None:
    """§3: https, with a path, and with nothing that two programs might read in two ways."""
    if is_http_url(url) and url.startswith("https://") and covers(url, url) and urlsplit(url).path not in ("", "/"):
        return
    msg = (
        "URL must be https, with a path, and without a user, a fragment or dots for folders, such as "
        "https://example.com/client.json."
    )
    raise UsageError(msg)


def _check_links(jwks_uri: str | None, redirect_uris: Sequence[str]) -> None:
    if jwks_uri is not None and not (is_http_url(jwks_uri) and jwks_uri.startswith("https://")):
        msg = "--jwks-uri must be an https URL, such as https://example.com/jwks.json."
        raise UsageError(msg)
    for uri in redirect_uris:
        if "#" in uri or not urlsplit(uri).scheme or (uri.startswith("http:") and not is_loopback(uri)):
            msg = (
                f"--redirect-uri {uri} must be https, or http on loopback, such as http://127.0.0.1/callback, "
                "and have no fragment."
            )
            raise UsageError(msg)


def _application_type(redirect_uris: Sequence[str]) -> str:
    """What has its users come back to their own machine is an app there, and all else is a web site."""
    return "web" if all(uri.startswith("https:") and not is_loopback(uri) for uri in redirect_uris) else "native"


def _only_algorithm(halves: Sequence[PublicHalf]) -> str | None:
    """What all of the keys sign with, if that is one thing: a server may then refuse everything else."""
    algorithms = {half.get("alg") for half in halves}
    only = algorithms.pop() if len(algorithms) == 1 else None
    return only if isinstance(only, str) else None


def _advice(document: _Document) -> str:
    size = len(msgspec.json.encode(document))
    advice = [f"Publish it at {document.client_id}, and nowhere else: the URL is the client id, letter by letter."]
    if size > _MAX_BYTES:
        advice.append(f"It has {size} bytes, and servers read {_MAX_BYTES} at the most: give --jwks-uri instead.")
    advice.append(f"Then: gatepass token URL --client-id {document.client_id} --private-key-file FILE")
    return "\n".join(advice)
