"""At the token endpoint: what is offered and wanted, the token, and what it says."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import gatepass
from gatepass.cli.doctor.causes import admission as causes
from gatepass.cli.doctor.exchanges import claims_of, exchange, members, token_fields
from gatepass.cli.doctor.outline import skipped, step
from gatepass.cli.doctor.report import Exchange, Side, Trouble, Verdict
from gatepass.cli.exits import exit_of
from gatepass.client_auth.assertion import named_audiences
from gatepass.dpop import proof_key
from gatepass.errors import ConfigurationError, GatepassError
from gatepass.profiles.obtain import obtain
from gatepass.profiles.workload_identity import WorkloadIdentity
from gatepass.protocol.server import same_issuer
from gatepass.protocol.urls import covers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gatepass.cli.doctor.case import Case
    from gatepass.cli.doctor.report import Fields, Step
    from gatepass.client_auth.base import ClientAuthentication
    from gatepass.core.http import HttpResponse
    from gatepass.profiles.base import Obtained
    from gatepass.protocol.server import ServerMetadata

__all__ = ["contents", "offer", "token"]

_JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_CLIENT_CREDENTIALS = "client_credentials"


# What is offered.


def offer(case: Case) -> Step:
    """What the authorization server offers, against what the client wants. Nothing is sent."""
    server = case.server
    if server is None:
        return skipped("offer", "Nothing is known of what the authorization server offers.")
    troubles: list[Trouble] = []
    error = None if case.anonymous else _stopped(case, server)
    if error is not None:
        case.barred = case.barred or "What the client wants is not offered."
        troubles.append(causes.offer(error, case, server))
    troubles += _doubts(case, server)
    fits = "fits" if error is None else "does not fit"
    asked = Side(
        "what the client wants", () if case.anonymous else _wanted(case, server), "what is wanted and what is offered"
    )
    answered = Side("what the authorization server offers", _offered(server), short=fits)
    verdict = troubles[0].verdict if troubles else Verdict.OK
    exchanges = [Exchange(to="here", asked=asked, answered=answered, verdict=verdict)]
    return step("offer", exchanges, troubles, exit_code=exit_of(error) if error else 0)


def _stopped(case: Case, server: ServerMetadata) -> GatepassError | None:
    """Why the library would ask for no token. A key signs an assertion for that, which is not sent."""
    try:
        if case.client is not None:
            case.client.choose(server)
        if isinstance(case.client, gatepass.PrivateKeyJwt) and case.barred is None:
            case.client.authenticate(case.world, server)
        signer = case.source.binding.signer()
        bound = case.metadata is not None and case.metadata.dpop_bound_access_tokens_required is True
        if signer is not None:
            algorithms = case.metadata.dpop_signing_alg_values_supported if case.metadata else None
            case.proof_key = proof_key(signer, server.dpop_signing_alg_values_supported, algorithms)
        elif bound:
            return ConfigurationError(
                "The MCP server takes only tokens that are bound to a key (RFC 9449).", code="dpop_required"
            )
    except GatepassError as error:
        return error.again()
    return None


def _doubts(case: Case, server: ServerMetadata) -> list[Trouble]:
    troubles: list[Trouble] = []
    grants, scopes = server.grant_types_supported, server.scopes_supported
    if grants is not None and _grant(case) not in grants:
        troubles.append(causes.grant_not_listed(_grant(case), grants))
    strange = [scope for scope in case.asked_scopes if scopes and scope not in scopes]
    if strange:
        troubles.append(causes.scope_not_listed(strange))
    if case.proof_key is not None and not server.dpop_signing_alg_values_supported:
        troubles.append(causes.dpop_not_offered())
    return troubles


def _wanted(case: Case, server: ServerMetadata) -> Fields:
    algorithm = getattr(case.client, "algorithm", None)
    fields = [
        ("grant", _grant(case)),
        ("client authentication", _method(case.client, server) if case.client else ""),
        ("algorithm", algorithm or " or ".join(case.algorithms)),
        ("scopes", " ".join(case.asked_scopes)),
        ("DPoP", case.proof_key.algorithm if case.proof_key else ""),
    ]
    return tuple((name, value) for name, value in fields if value)


def _method(client: ClientAuthentication, server: ServerMetadata) -> str:
    """How the client would prove itself there, or could."""
    try:
        return client.choose(server)
    except ConfigurationError:
        return _METHODS.get(type(client), "")


_METHODS: Mapping[type[object], str] = {
    gatepass.ClientSecret: "client_secret_basic or client_secret_post",
    gatepass.PrivateKeyJwt: "private_key_jwt",
    gatepass.ClientAssertion: "private_key_jwt",
    gatepass.TlsClient: "tls_client_auth or self_signed_tls_client_auth",
    gatepass.PublicClient: "none",
}


def _offered(server: ServerMetadata) -> Fields:
    offers = [
        ("grant", server.grant_types_supported),
        ("client authentication", server.token_endpoint_auth_methods_supported),
        ("algorithm", server.token_endpoint_auth_signing_alg_values_supported),
        ("scopes", server.scopes_supported),
        ("DPoP", server.dpop_signing_alg_values_supported),
    ]
    return tuple((name, "not said" if offer is None else ", ".join(offer)) for name, offer in offers)


def _grant(case: Case) -> str:
    return _JWT_BEARER if isinstance(case.profile, WorkloadIdentity) else _CLIENT_CREDENTIALS


# The token.


def token(case: Case) -> Step:
    """Client authentication and the token (RFC 6749 §2.3, §5). Only where all that the library checks is in order."""
    known = case.known
    if known is None:
        return skipped("token", "The library sends no credential there: see what failed above.")
    if case.barred is not None:
        return skipped("token", f"{case.barred} No token is asked for.")
    before = len(case.world.heard)
    try:
        case.obtained = obtained = obtain(case.world, case.profile, known)
    except GatepassError as error:
        failure = error.again()
    else:
        heard = case.world.heard[before:]
        exchanges = [exchange(each, to="authorization_server") for each in heard]
        return step("token", exchanges, _oddities(obtained, heard[-1].response))
    heard = case.world.heard[before:]
    trouble = causes.token(failure, case, heard[-1] if heard else None)
    exchanges = [exchange(each, to="authorization_server", verdict=Verdict.FAILED) for each in heard]
    return step("token", exchanges, [trouble], exit_code=exit_of(failure))


def _oddities(obtained: Obtained, answer: HttpResponse | None) -> list[Trouble]:
    """What the library copes with."""
    troubles: list[Trouble] = []
    issued = obtained.issued.token
    if issued.expires_in_s is None:
        troubles.append(causes.expiry_missing())
    elif answer is not None and isinstance(members(answer).get("expires_in"), str):
        troubles.append(causes.expiry_is_text())
    lost = [scope for scope in obtained.requested if issued.scope is not None and scope not in issued.scope]
    if lost:
        troubles.append(causes.scope_reduced(lost))
    return troubles


# What it says.


def contents(case: Case) -> Step:
    """What the token says of itself, if it is a JWT (RFC 9068). It is the MCP server's to judge; this is a hint."""
    obtained = case.obtained
    if obtained is None:
        return skipped("contents", "There is no token.")
    issued = obtained.issued.token
    value = issued.access_token.reveal()
    claims = claims_of(value)
    asked = Side("the token, read", short="the token")
    answered = Side(
        "it is opaque: only the servers can read it" if claims is None else "it can be read",
        (*token_fields(issued.token_type, value), *_terms(obtained)),
        short="opaque" if claims is None else "a JWT",
    )
    troubles = [] if claims is None else _misfits(case, claims, obtained.discovery.server.issuer)
    verdict = troubles[0].verdict if troubles else Verdict.OK
    return step("contents", [Exchange(to="here", asked=asked, answered=answered, verdict=verdict)], troubles)


def _terms(obtained: Obtained) -> Fields:
    issued = obtained.issued.token
    life = "not said" if issued.expires_in_s is None else f"{issued.expires_in_s:g} s"
    scopes = obtained.requested if issued.scope is None else issued.scope
    return (("lifetime", life), ("scopes granted", " ".join(scopes) or "not said"))


def _misfits(case: Case, claims: Mapping[str, object], expected: str) -> list[Trouble]:
    """What the token says, and should not."""
    troubles: list[Trouble] = []
    audiences = named_audiences(claims) or []
    if not any(_is_for(audience, case.resource, case.endpoint) for audience in audiences):
        case.foreign = ", ".join(audiences) or "nobody in particular"
        troubles.append(causes.foreign_audience(case.foreign, case.resource))
    issuer, expires_at = claims.get("iss"), claims.get("exp")
    if isinstance(issuer, str) and not same_issuer(issuer, expected, tolerate_slash=True):
        troubles.append(causes.foreign_issuer(issuer, expected))
    if isinstance(expires_at, int | float) and expires_at <= time.time():
        troubles.append(causes.born_expired())
    return troubles


def _is_for(audience: str, resource: str, endpoint: str) -> bool:
    return audience.rstrip("/") == resource.rstrip("/") or covers(audience, endpoint)
