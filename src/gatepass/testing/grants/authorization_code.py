"""What a person allowed: RFC 6749 §4.1.3, RFC 7636 §4.6, RFC 9449 §10."""

from __future__ import annotations

import hmac
import re
from typing import TYPE_CHECKING

from gatepass.testing.allowance import narrowed
from gatepass.testing.jose import hashed
from gatepass.testing.refusal import Refusal
from gatepass.testing.token_request import GrantType
from gatepass.testing.token_response import token_response

if TYPE_CHECKING:
    from gatepass.testing.token_request import TokenRequest

__all__ = ["GRANT_TYPE"]

VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")


def _answer(request: TokenRequest) -> dict[str, object]:
    server, books, form = request.server, request.server.books, request.form
    value, redirect_uri, verifier = form.require("code"), form.require("redirect_uri"), form.require("code_verifier")
    code = books.codes.get(value)
    if code is None or code.grant.client_id != request.client.client_id:
        raise Refusal("invalid_grant", "the code is unknown, or not this client's")
    if value in books.spent_codes:
        books.revoke_family(code.grant.family)
        raise Refusal("invalid_grant", "the code was used before: all that came of it is revoked")
    if server.now() >= code.expires_at:
        raise Refusal("invalid_grant", "the code has expired")
    if redirect_uri != code.redirect_uri:
        raise Refusal("invalid_grant", "redirect_uri is not the one that the code was sent to")
    if not VERIFIER.fullmatch(verifier) or not hmac.compare_digest(hashed(verifier.encode()), code.challenge):
        raise Refusal("invalid_grant", "code_verifier does not fit the challenge")
    if code.jkt not in (None, request.binding.jkt):
        raise Refusal("invalid_grant", "the code is bound to another key")
    grant = narrowed(server, code.grant, form, scope=None)
    books.spent_codes.add(value)
    return token_response(request, grant)


GRANT_TYPE = GrantType(name="authorization_code", answer=_answer, offered=lambda server: server.authorization_endpoint)
