"""Registration: how a client becomes known to an authorization server, in MCP's order.

    registered beforehand -> client ID metadata document -> dynamic registration (RFC 7591)

The first of the three is a client authentication that the user gives; the other two are here. What one server issued is
kept under its issuer, and shown to no other: once under the program's name, for the next sign-in, and once under the
client id, for as long as a token that was issued to it lives.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import msgspec

from gatepass.client_auth.client_secret import ClientSecret, SecretMethod
from gatepass.client_auth.public_client import PublicClient
from gatepass.core.value import Value
from gatepass.core.world import Notice
from gatepass.errors import ConfigurationError
from gatepass.protocol.registration import (
    ClientMetadata,
    Registration,
    build_registration_request,
    parse_registration_response,
)
from gatepass.protocol.text import clean
from gatepass.protocol.urls import is_loopback, shown

if TYPE_CHECKING:
    from gatepass.client_auth.base import ClientAuthentication
    from gatepass.core.world import World
    from gatepass.protocol.server import ServerMetadata

__all__ = ["Applicant", "disown", "enrolled", "enrolled_as", "register", "registered_redirect_uri", "start_over"]

_OF_ID = "client_id"
_ABLE = ("none", "client_secret_basic", "client_secret_post")
"""How a client that registers itself can authenticate, what it likes best first: it has no secret worth the name."""


class Applicant(Value, frozen=True, kw_only=True):
    """A program that has no client id of its own yet.

    Attributes:
        name: what people are shown.
        metadata_url: the address of its client ID metadata document, if it publishes one: its client id everywhere.
        dpop: its tokens are bound to a key; a server may give a client that says so no others (RFC 9449 §5.2).
    """

    name: str
    metadata_url: str | None = None
    dpop: bool = False


def enrolled(world: World, applicant: Applicant, server: ServerMetadata) -> ClientAuthentication | None:
    """The client as this server knows it already; None if it must register first.

    Raises:
        ConfigurationError: there is no way to become known to the server (code ``client_unknown``).
    """
    if applicant.metadata_url is not None and server.client_id_metadata_document_supported:
        return PublicClient(applicant.metadata_url)
    known = _registration(world, applicant, server)
    if known is not None:
        return _client(known)
    if server.registration_endpoint is not None:
        return None
    supports = "supports neither client ID metadata documents nor dynamic registration"
    if server.client_id_metadata_document_supported:
        supports = (
            "knows clients by their client ID metadata documents: give the address of yours (client_metadata_url)"
        )
    msg = f"The authorization server {shown(server.issuer)} {supports}. Or register a client there: client=..."
    raise ConfigurationError(msg, code="client_unknown")


def enrolled_as(
    world: World, applicant: Applicant, server: ServerMetadata, client_id: str | None
) -> ClientAuthentication | None:
    """The client to which this server gave that id; None if it is not known here any more."""
    if client_id is not None and client_id == applicant.metadata_url:
        return PublicClient(client_id)
    known = None if client_id is None else _kept(world, server, _OF_ID, client_id)
    return _client(known) if known else None


def register(world: World, applicant: Applicant, server: ServerMetadata, redirect_uri: str) -> ClientAuthentication:
    """Register at this server (RFC 7591 §3), and keep what it answers.

    Args:
        world: the way out.
        applicant: who registers.
        server: the authorization server, which has a registration endpoint.
        redirect_uri: where a person is sent back to.

    Raises:
        RemoteError, UnreachableError: the server does not do it.
    """
    metadata = ClientMetadata(
        client_name=applicant.name,
        redirect_uris=(redirect_uri,),
        token_endpoint_auth_method=_method(server),
        application_type="native" if is_loopback(redirect_uri) or not redirect_uri.startswith("http") else "web",
        grant_types=("authorization_code", "refresh_token"),
        response_types=("code",),
        dpop_bound_access_tokens=applicant.dpop,
    )
    response = world.send(build_registration_request(server.registration_endpoint or "", metadata))
    registration = parse_registration_response(response, issuer=server.issuer, asked=metadata, now=world.now())
    world.keep(registration, server.issuer, _OF_ID, registration.client_id)
    world.keep(registration, server.issuer, _name(applicant), applicant.name)
    text = f"Registered at {shown(server.issuer)} as the client {clean(registration.client_id)}."
    world.notice(Notice(code="client_registered", text=text))
    return _client(registration)


def registered_redirect_uri(world: World, applicant: Applicant, server: ServerMetadata) -> str | None:
    """Where a person was to be sent back to when the client registered; many servers insist on it, port and all.

    None where it did not register, or is known by its metadata document.
    """
    if applicant.metadata_url is not None and server.client_id_metadata_document_supported:
        return None
    known = _registration(world, applicant, server)
    return known.redirect_uri if known else None


def start_over(world: World, applicant: Applicant, server: ServerMetadata) -> None:
    """Register anew for the next sign-in. Tokens of before, and the client they were issued to, stay as they are."""
    world.drop(Registration, server.issuer, _name(applicant), applicant.name)


def disown(world: World, applicant: Applicant, server: ServerMetadata, client_id: str | None) -> None:
    """The server does not know the client with that id any more."""
    if client_id is None:
        return
    for dpop in (False, True):
        alike = msgspec.structs.replace(applicant, dpop=dpop)
        known = _registration(world, alike, server)
        if known is not None and known.client_id == client_id:
            start_over(world, alike, server)
    world.drop(Registration, server.issuer, _OF_ID, client_id)


def _name(applicant: Applicant) -> str:
    return "dpop_client_name" if applicant.dpop else "client_name"


def _registration(world: World, applicant: Applicant, server: ServerMetadata) -> Registration | None:
    return _kept(world, server, _name(applicant), applicant.name)


def _kept(world: World, server: ServerMetadata, kind: str, name: str) -> Registration | None:
    """A registration, unless it has ended."""
    known = world.recall(Registration, server.issuer, kind, name)
    ended = known is not None and known.expires_at is not None and known.expires_at <= world.now().wall
    return known if known is not None and known.issuer == server.issuer and not ended else None


def _method(server: ServerMetadata) -> str:
    """How to authenticate, of the ways that the server offers (RFC 8414 §2); it may decide otherwise."""
    offered = server.token_endpoint_auth_methods_supported
    return next((method for method in _ABLE if not offered or method in offered), _ABLE[0])


def _client(registration: Registration) -> ClientAuthentication:
    if registration.client_secret is None or registration.method not in _ABLE[1:]:
        return PublicClient(registration.client_id)
    return ClientSecret(registration.client_id, registration.client_secret, cast("SecretMethod", registration.method))
