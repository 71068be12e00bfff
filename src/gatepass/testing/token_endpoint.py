"""The token endpoint: who asks, with which key, for which grant. RFC 6749 §3.2, RFC 8705 §3, RFC 9449 §5."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, Response

from gatepass.testing.allowance import resources_named
from gatepass.testing.bindings import Binding
from gatepass.testing.client_authentication import method_used
from gatepass.testing.clients import ANONYMOUS
from gatepass.testing.forms import parse_form
from gatepass.testing.grants import GRANT_TYPES
from gatepass.testing.refusal import NO_STORE, Refusal
from gatepass.testing.tls import certificate_thumbprint
from gatepass.testing.token_request import TokenRequest

if TYPE_CHECKING:
    from starlette.requests import Request

    from gatepass.testing.authorization_server import AuthorizationServer
    from gatepass.testing.forms import Form

__all__ = ["token_endpoint"]


async def token_endpoint(server: AuthorizationServer, request: Request) -> Response:
    """Answers a token request."""
    try:
        form = parse_form(request.headers.get("content-type", ""), request.url.query, await request.body())
        response: Response = JSONResponse(_answer(server, request, form), headers=NO_STORE)
    except Refusal as refusal:
        response = refusal.response()
    if server.dpop != "off" and server.dpop_nonce and "dpop" in request.headers:
        response.headers["DPoP-Nonce"] = server.books.proofs.nonce
    return response


def _answer(server: AuthorizationServer, request: Request, form: Form) -> dict[str, object]:
    grant_type = GRANT_TYPES.get(form.get("grant_type", ""))
    nameless = "client_id" not in form and method_used(request.headers.get("authorization"), form) == "none"
    if nameless and grant_type is not None and grant_type.anonymous(server):
        client = ANONYMOUS
    else:
        client = server.authenticate(request, form)
    binding = Binding(jkt=_proven_key(server, request), x5t=certificate_thumbprint(server.client_certificate(request)))
    form.require("grant_type")
    form.resources = resources_named(server, form)
    if grant_type is None or not grant_type.offered(server):
        raise Refusal("unsupported_grant_type", "this server does not know the grant type")
    if not client.may_use(grant_type.name):
        raise Refusal("unauthorized_client", f"the client may not use {grant_type.name}")
    return grant_type.answer(TokenRequest(server=server, client=client, form=form, binding=binding))


def _proven_key(server: AuthorizationServer, request: Request) -> str | None:
    """The thumbprint of the key that the request proves to have, if it does (RFC 9449 §5)."""
    proofs = request.headers.getlist("dpop")
    if server.dpop == "off" or (server.dpop == "optional" and not proofs):
        return None
    if not proofs:
        raise Refusal("invalid_request", "this server issues tokens for a DPoP proof only")
    return server.books.proofs.check(
        proofs,
        method=request.method,
        url=server.url_of(request),
        token=None,
        now=server.now(),
        algorithms=server.dpop_algorithms,
        nonce=server.dpop_nonce,
    )
