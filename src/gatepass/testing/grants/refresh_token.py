"""Another token for the same grant: RFC 6749 §6, RFC 9700 §4.14.2."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatepass.testing.allowance import narrowed
from gatepass.testing.refusal import Refusal
from gatepass.testing.token_request import GrantType
from gatepass.testing.token_response import access_token_response

if TYPE_CHECKING:
    from gatepass.testing.token_request import TokenRequest

__all__ = ["GRANT_TYPE"]


def _answer(request: TokenRequest) -> dict[str, object]:
    server, books = request.server, request.server.books
    token = books.refresh_tokens.find(request.form.require("refresh_token"))
    if token is None or token.grant.client_id != request.client.client_id:
        raise Refusal("invalid_grant", "the refresh token is unknown, or not this client's")
    if token.spent:
        books.refresh_tokens.reuses += 1
        books.revoke_family(token.grant.family)
        raise Refusal("invalid_grant", "the refresh token was used before: all that came of it is revoked")
    if not token.binding.fits(request.binding):
        raise Refusal("invalid_grant", "the refresh token is bound to another key")
    response = access_token_response(
        request, narrowed(server, token.grant, request.form, scope=request.form.get("scope"))
    )
    if server.refresh_tokens == "rotating":
        response["refresh_token"] = books.refresh_tokens.rotate(token).value
    return response


GRANT_TYPE = GrantType(name="refresh_token", answer=_answer, offered=lambda server: server.refresh_tokens != "none")
