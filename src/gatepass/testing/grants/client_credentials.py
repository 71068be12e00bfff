"""A client on its own: RFC 6749 §4.4."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatepass.testing.allowance import granted_audience, granted_scopes
from gatepass.testing.clients import CLIENT_CREDENTIALS
from gatepass.testing.grant import Grant
from gatepass.testing.token_request import GrantType
from gatepass.testing.token_response import token_response

if TYPE_CHECKING:
    from gatepass.testing.token_request import TokenRequest

__all__ = ["GRANT_TYPE"]


def _answer(request: TokenRequest) -> dict[str, object]:
    server, client = request.server, request.client
    grant = Grant(
        client_id=client.client_id,
        subject=client.client_id,
        scopes=granted_scopes(server, client, request.form.get("scope")),
        audience=granted_audience(server, client, request.form.resources),
    )
    return token_response(request, grant)


GRANT_TYPE = GrantType(name=CLIENT_CREDENTIALS, answer=_answer, offered=lambda server: server.client_credentials)
