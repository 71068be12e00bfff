"""Tokens given back by their client: RFC 7009."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException
from starlette.responses import Response

from gatepass.testing.forms import parse_form
from gatepass.testing.refusal import NO_STORE, Refusal

if TYPE_CHECKING:
    from starlette.requests import Request

    from gatepass.testing.authorization_server import AuthorizationServer

__all__ = ["revocation_endpoint"]


async def revocation_endpoint(server: AuthorizationServer, request: Request) -> Response:
    """Revokes an access token, or a refresh token with all that came of its grant; what is unknown is no error."""
    if not server.revocation:
        raise HTTPException(404)
    try:
        form = parse_form(request.headers.get("content-type", ""), request.url.query, await request.body())
        client = server.authenticate(request, form)
        _revoke(server, client.client_id, form.require("token"))
    except Refusal as refusal:
        return refusal.response()
    return Response(status_code=200, headers=NO_STORE)


def _revoke(server: AuthorizationServer, client_id: str, value: str) -> None:
    """RFC 7009 §2.1. The ``token_type_hint`` would only save a look into the other book."""
    books = server.books
    refresh_token, access_token = books.refresh_tokens.find(value), books.mint.find(value)
    owner = refresh_token.grant.client_id if refresh_token else access_token.client_id if access_token else client_id
    if owner != client_id:
        raise Refusal("invalid_grant", "the token was issued to another client")
    if refresh_token is not None:
        books.revoke_family(refresh_token.grant.family)
    elif access_token is not None:
        books.mint.revoke(value)
