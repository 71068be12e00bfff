"""Clients that put themselves on the books: by registering (RFC 7591), or by describing themselves."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from gatepass.testing.allowance import ABSOLUTE_URI, split_scope
from gatepass.testing.clients import CLIENT_CREDENTIALS, Client
from gatepass.testing.grants import GRANT_TYPES
from gatepass.testing.jose import public_keys_of
from gatepass.testing.refusal import NO_STORE, Refusal

if TYPE_CHECKING:
    from joserfc.jwk import Key
    from starlette.requests import Request

    from gatepass.testing.authorization_server import AuthorizationServer
    from gatepass.testing.jose import KeyMaterial

__all__ = ["Registration", "described_client", "registration_endpoint"]

SECRET_METHODS = ("client_secret_basic", "client_secret_post")
METHODS = (*SECRET_METHODS, "private_key_jwt", "none")
LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """What a client asked to be registered as, and got (RFC 7591 §2); None: it did not say.

    Attributes:
        client_id: what it is called from now on.
        application_type: ``"web"`` or ``"native"`` (OpenID Connect Registration §2).
        redirect_uris: where a person may be sent back to.
        grant_types: the grants it wants to use.
        client_name: what a person is shown.
        scope: the scopes it wants.
        method: how it wants to authenticate: its ``token_endpoint_auth_method``.
    """

    client_id: str
    application_type: str | None
    redirect_uris: tuple[str, ...]
    grant_types: tuple[str, ...] | None
    client_name: str | None
    scope: str | None
    method: str | None


async def registration_endpoint(server: AuthorizationServer, request: Request) -> Response:
    """Takes a client on the books (RFC 7591 §3)."""
    if not server.registration:
        raise HTTPException(404)
    try:
        document = _json_object(request.headers.get("content-type", ""), await request.body())
        client = _registered(server, document)
        record = _record(client.client_id, document)
    except Refusal as refusal:
        return refusal.response()
    server.books.clients[client.client_id] = client
    server.books.registrations.append(record)
    return JSONResponse(_answer(server, client, document), 201, NO_STORE)


def described_client(server: AuthorizationServer, url: str, document: Mapping[str, object]) -> Client:
    """The client that a client ID metadata document describes (draft-ietf-oauth-client-id-metadata-document §4).

    Raises:
        ValueError: the document is not one, or not for this URL.
    """
    parts = urlsplit(url)
    if parts.scheme != "https" or parts.path in ("", "/") or parts.fragment or "@" in parts.netloc:
        msg = "The client id is an https URL with a path, and with neither a fragment nor a user."
        raise ValueError(msg)
    if document.get("client_id") != url:
        msg = "The document's client_id is not its URL."
        raise ValueError(msg)
    try:
        return _client(server, document, client_id=url, methods=("private_key_jwt", "none"), secret=None)
    except Refusal as refusal:
        raise ValueError(refusal.description) from None


def _json_object(content_type: str, body: bytes) -> Mapping[str, object]:
    if content_type.partition(";")[0].strip().lower() != "application/json":
        raise Refusal("invalid_client_metadata", "the body is not application/json")
    try:
        document: object = json.loads(body)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise Refusal("invalid_client_metadata", "the body is not a JSON object")
    return cast("dict[str, object]", document)


def _registered(server: AuthorizationServer, document: Mapping[str, object]) -> Client:
    secret = secrets.token_urlsafe(24) if _method(document) in SECRET_METHODS else None
    client = _client(server, document, client_id=secrets.token_urlsafe(8), methods=METHODS, secret=secret)
    application_type = _text(document, "application_type") or "web"
    for uri in client.redirect_uris:
        if not _suits(application_type, uri):
            raise Refusal("invalid_redirect_uri", f"a redirect URI is not for an application_type {application_type}")
    return client


def _client(
    server: AuthorizationServer,
    document: Mapping[str, object],
    *,
    client_id: str,
    methods: tuple[str, ...],
    secret: str | None,
) -> Client:
    """The client with that metadata (RFC 7591 §2)."""
    method, grants = _method(document), _grants(document)
    if method not in methods:
        raise Refusal("invalid_client_metadata", "token_endpoint_auth_method is not one of this server's")
    if not set(grants) <= GRANT_TYPES.keys() or (method == "none" and CLIENT_CREDENTIALS in grants):
        raise Refusal("invalid_client_metadata", "grant_types has one that such a client cannot use")
    redirect_uris = _texts(document, "redirect_uris") or ()
    if "authorization_code" in grants:
        if not redirect_uris:
            raise Refusal("invalid_redirect_uri", "redirect_uris is missing")
        if "code" not in (_texts(document, "response_types") or ("code",)):
            raise Refusal("invalid_client_metadata", "response_types has no code for the grant")
    if not all(ABSOLUTE_URI.fullmatch(uri) for uri in redirect_uris):
        raise Refusal("invalid_redirect_uri", "a redirect URI is not absolute, or has a fragment")
    return Client(
        client_id=client_id,
        methods=(method,),
        grants=grants,
        scopes=_scopes(server, document),
        redirect_uris=redirect_uris,
        secret=secret,
        keys=_keys(document) if method == "private_key_jwt" else (),
    )


def _method(document: Mapping[str, object]) -> str:
    return _text(document, "token_endpoint_auth_method") or SECRET_METHODS[0]


def _grants(document: Mapping[str, object]) -> tuple[str, ...]:
    return _texts(document, "grant_types") or ("authorization_code",)


def _scopes(server: AuthorizationServer, document: Mapping[str, object]) -> tuple[str, ...] | None:
    scope = _text(document, "scope")
    if scope is None:
        return None
    try:
        scopes = split_scope(scope)
    except Refusal as refusal:
        raise Refusal("invalid_client_metadata", refusal.description) from None
    if server.scopes is not None and not set(scopes) <= set(server.scopes):
        raise Refusal("invalid_client_metadata", "scope has one that this server does not know")
    return scopes


def _keys(document: Mapping[str, object]) -> tuple[Key, ...]:
    jwks = document.get("jwks")
    keys = cast("Mapping[str, object]", jwks).get("keys") if isinstance(jwks, Mapping) else None
    several = cast("list[object]", keys) if isinstance(keys, list) else []
    if several and all(isinstance(key, Mapping) for key in several):
        try:
            return public_keys_of(cast("list[KeyMaterial]", several))
        except ValueError:
            pass
    raise Refusal("invalid_client_metadata", "jwks is not a set of public keys, which private_key_jwt needs")


def _suits(application_type: str, uri: str) -> bool:
    """Whether such an application may have that redirect URI (OpenID Connect Registration §2, RFC 8252 §7)."""
    parts = urlsplit(uri)
    loopback = parts.hostname in LOOPBACK
    if application_type == "native":
        return parts.scheme != "http" or loopback
    return application_type == "web" and parts.scheme == "https" and not loopback


def _text(document: Mapping[str, object], name: str) -> str | None:
    value = document.get(name)
    if value is not None and not isinstance(value, str):
        raise Refusal("invalid_client_metadata", f"{name} is not a string")
    return value


def _texts(document: Mapping[str, object], name: str) -> tuple[str, ...] | None:
    value = document.get(name)
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(each, str) for each in cast("list[object]", value)):
        raise Refusal("invalid_client_metadata", f"{name} is not a list of strings")
    return tuple(cast("list[str]", value))


def _record(client_id: str, document: Mapping[str, object]) -> Registration:
    return Registration(
        client_id=client_id,
        application_type=_text(document, "application_type"),
        redirect_uris=_texts(document, "redirect_uris") or (),
        grant_types=_texts(document, "grant_types"),
        client_name=_text(document, "client_name"),
        scope=_text(document, "scope"),
        method=_text(document, "token_endpoint_auth_method"),
    )


def _answer(server: AuthorizationServer, client: Client, document: Mapping[str, object]) -> dict[str, object]:
    """The registration as it is on the books (RFC 7591 §3.2.1)."""
    answer: dict[str, object | None] = {
        "client_id": client.client_id,
        "client_id_issued_at": int(server.now()),
        "client_secret": client.secret,
        "client_secret_expires_at": None if client.secret is None else 0,
        "token_endpoint_auth_method": client.methods[0],
        "grant_types": client.grants,
        "response_types": ["code"] if "authorization_code" in (client.grants or ()) else [],
        "redirect_uris": client.redirect_uris,
        "application_type": _text(document, "application_type") or "web",
        "client_name": _text(document, "client_name"),
        "scope": _text(document, "scope"),
    }
    return {name: value for name, value in answer.items() if value is not None}
