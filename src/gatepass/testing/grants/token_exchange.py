"""What an identity provider gives for an ID token: a grant for the authorization server of somebody else.

RFC 8693 §2, as draft-ietf-oauth-identity-assertion-authz-grant §4.3 and SEP-990 use it.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from gatepass.testing.allowance import granted_scopes, require_absolute
from gatepass.testing.grants.jwt_bearer import ID_JAG_TYP
from gatepass.testing.identity import ID_TOKEN, SAML2, subject_of
from gatepass.testing.refusal import Refusal
from gatepass.testing.token_request import GrantType
from gatepass.testing.token_response import lifetime

if TYPE_CHECKING:
    from gatepass.testing.token_request import TokenRequest

__all__ = ["GRANT_TYPE", "ID_JAG"]

ID_JAG = "urn:ietf:params:oauth:token-type:id-jag"


def _answer(request: TokenRequest) -> dict[str, object]:
    server, client, form = request.server, request.client, request.form
    if client.public:
        raise Refusal("invalid_client", "an identity provider wants client authentication", status=401)
    if form.require("requested_token_type") != ID_JAG:
        raise Refusal("invalid_request", "requested_token_type is not that of an ID-JAG")
    token, token_type = form.require("subject_token"), form.require("subject_token_type")
    if token_type not in (ID_TOKEN, SAML2):
        raise Refusal("invalid_request", "subject_token_type is neither that of an ID token nor of a SAML assertion")
    if "actor_token" in form or "actor_token_type" in form:
        raise Refusal("invalid_request", "nobody acts for a person here: there is no actor_token")
    audience = form.require("audience")
    if server.id_jag_audiences is not None and audience not in server.id_jag_audiences:
        raise Refusal("invalid_target", "audience is no authorization server that is known here")
    if not form.resources:
        raise Refusal("invalid_request", "resource is missing")
    for resource in form.resources:
        require_absolute(resource)
    now = server.now()
    claims: dict[str, object] = {
        "iss": server.issuer,
        "sub": subject_of(server, token, token_type, client.client_id),
        "aud": audience,
        "client_id": server.books.client_ids_at.get((client.client_id, audience), client.client_id),
        "jti": secrets.token_urlsafe(12),
        "iat": int(now),
        "exp": int(now + server.id_jag_lifetime_s),
        "resource": form.resources[0] if len(form.resources) == 1 else list(form.resources),
    }
    scopes = granted_scopes(server, client, form.get("scope"))
    if scopes:
        claims["scope"] = " ".join(scopes)
    return {
        "issued_token_type": ID_JAG,
        "access_token": server.books.mint.sign(claims, typ=ID_JAG_TYP),
        "token_type": "N_A",
        **({"scope": " ".join(scopes)} if scopes else {}),
        **lifetime(server, server.id_jag_lifetime_s),
    }


GRANT_TYPE = GrantType(
    name="urn:ietf:params:oauth:grant-type:token-exchange",
    answer=_answer,
    offered=lambda server: server.books.identity_provider,
)
