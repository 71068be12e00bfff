"""A JWT of somebody trusted in place of a person's consent: RFC 7523 §2.1, §3.

Two kinds come here. A workload shows the JWT of its platform (SEP-1933). An application shows what the enterprise's
identity provider gave it for this server: an identity assertion grant, or ID-JAG (SEP-990).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from gatepass.testing.allowance import granted_audience, granted_scopes, narrowed
from gatepass.testing.assertions import audiences, normal_typ, texts, time_fault
from gatepass.testing.clients import ANONYMOUS, JWT_BEARER
from gatepass.testing.grant import Grant
from gatepass.testing.jose import InvalidJwtError, read_header, unverified_claims, verified_claims
from gatepass.testing.refusal import Refusal
from gatepass.testing.token_request import GrantType
from gatepass.testing.token_response import token_response

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gatepass.testing.authorization_server import AuthorizationServer
    from gatepass.testing.token_request import TokenRequest

__all__ = ["GRANT_TYPE", "ID_JAG_TYP"]

ID_JAG_TYP = "oauth-id-jag+jwt"
TYPS = (None, "jwt", "authorization-grant+jwt")


def _answer(request: TokenRequest) -> dict[str, object]:
    server, assertion = request.server, request.form.require("assertion")
    try:
        typ = normal_typ(read_header(assertion))
        issuer = unverified_claims(assertion).get("iss")
        keys = server.books.trusted_issuers.get(issuer) if isinstance(issuer, str) else None
        if keys is None:
            raise _refused("iss is not trusted")
        claims = verified_claims(assertion, keys, server.algorithms)
    except InvalidJwtError as error:
        raise _refused(str(error)) from None
    if typ != ID_JAG_TYP and typ not in TYPS:
        raise _refused("typ is another")
    fault = _claims_fault(server, claims)
    if fault is not None:
        raise _refused(fault)
    grant = _enterprise_grant(request, claims) if typ == ID_JAG_TYP else _workload_grant(request, claims)
    if not server.assertion_replay:
        _use_up(server, claims)
    return token_response(request, grant)


def _claims_fault(server: AuthorizationServer, claims: Mapping[str, object]) -> str | None:
    if not isinstance(claims.get("sub"), str):
        return "sub is missing"
    if server.issuer not in audiences(claims):
        return "aud is not the issuer"
    return time_fault(claims, now=server.now())


def _workload_grant(request: TokenRequest, claims: Mapping[str, object]) -> Grant:
    """What a workload may have: as the client that it authenticated as, else as the one that ``sub`` names."""
    server, client, subject = request.server, request.client, str(claims["sub"])
    if client is ANONYMOUS:
        client = server.books.clients.get(subject, replace(ANONYMOUS, client_id=subject))
        if not client.may_use(JWT_BEARER):
            raise Refusal("unauthorized_client", f"the client may not use {JWT_BEARER}")
    return Grant(
        client_id=client.client_id,
        subject=subject,
        scopes=granted_scopes(server, client, request.form.get("scope")),
        audience=granted_audience(server, client, request.form.resources),
    )


def _enterprise_grant(request: TokenRequest, claims: Mapping[str, object]) -> Grant:
    """What an ID-JAG allows (draft-ietf-oauth-identity-assertion-authz-grant §4.4): its client, at its resource."""
    server, client, form = request.server, request.client, request.form
    if client.public:
        raise Refusal("invalid_client", "an ID-JAG needs client authentication", status=401)
    if claims.get("client_id") != client.client_id:
        raise _refused("client_id is not the client that authenticated")
    if not isinstance(claims.get("jti"), str) or "iat" not in claims:
        raise _refused("jti or iat is missing")
    resources, scope = texts(claims.get("resource")), claims.get("scope", form.get("scope"))
    if not resources:
        raise _refused("resource is missing")
    if scope is not None and not isinstance(scope, str):
        raise _refused("scope is not a string")
    whole = Grant(
        client_id=client.client_id,
        subject=str(claims["sub"]),
        scopes=granted_scopes(server, client, scope),
        audience=granted_audience(server, client, resources),
    )
    return narrowed(server, whole, form, scope=form.get("scope"))


def _use_up(server: AuthorizationServer, claims: Mapping[str, object]) -> None:
    """RFC 7523 §3, 7: once, where the server insists."""
    issuer, token_id = str(claims["iss"]), claims.get("jti")
    if not isinstance(token_id, str) or not token_id:
        raise _refused("jti is missing")
    if (issuer, token_id) in server.books.assertion_ids:
        raise _refused("jti was used before")
    server.books.assertion_ids.add((issuer, token_id))


def _refused(fault: str) -> Refusal:
    return Refusal("invalid_grant", f"the assertion is refused: {fault}")


GRANT_TYPE = GrantType(
    name=JWT_BEARER,
    answer=_answer,
    offered=lambda server: bool(server.books.trusted_issuers),
    anonymous=lambda server: server.anonymous_jwt_bearer,
)
