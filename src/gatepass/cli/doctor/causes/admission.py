"""Troubles with the token: the credential, what is offered, what the token endpoint says, and what the token says.

What can be tried without a doubt about whom a credential goes to is tried: the same servers, with another option.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

import gatepass
from gatepass.cli.doctor.causes.clocks import skew_of, skewed
from gatepass.cli.doctor.causes.network import lost, portal
from gatepass.cli.doctor.exchanges import is_page, line
from gatepass.cli.doctor.report import Fix, Options, Trouble, Verdict
from gatepass.cli.doctor.spelling import as_typed
from gatepass.cli.exits import explain
from gatepass.errors import ConfigurationError, UnreachableError
from gatepass.protocol.urls import shown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gatepass.cli.doctor.case import Case
    from gatepass.cli.doctor.overhear import Heard
    from gatepass.errors import GatepassError
    from gatepass.protocol.server import ServerMetadata

__all__ = [
    "born_expired",
    "dpop_not_offered",
    "expiry_is_text",
    "expiry_missing",
    "foreign_audience",
    "foreign_issuer",
    "grant_not_listed",
    "offer",
    "scope_not_listed",
    "scope_reduced",
    "stray_characters",
    "token",
    "unusable",
]

_MISSING = (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.GONE)
_NO_ENTRY = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
_REDIRECTS = range(300, 400)

_PROOFS: Mapping[type[object], tuple[str, Options]] = {
    gatepass.ClientSecret: ("secret", {"client_secret_file": "PATH"}),
    gatepass.PrivateKeyJwt: ("key", {"private_key_file": "PATH"}),
    gatepass.ClientAssertion: ("assertion", {"assertion_file": "PATH"}),
    gatepass.TlsClient: ("certificate", {"cert_file": "PATH"}),
}
"""What proves a client, and where that is given."""

_KNOWN_WORDS = {
    "AADSTS700016": "Entra ID knows no application of that id in this tenant: is it the right tenant?",
    "AADSTS7000215": "Entra ID: the secret is wrong. Is it the id of the secret, in the place of its value?",
    "AADSTS7000222": "Entra ID: the secret has expired. Make another one.",
    "AADSTS700024": "Entra ID: the assertion is out of date, or not good yet. Check this machine's clock.",
    "AADSTS700027": "Entra ID does not know the certificate of this key, or finds it by another thumbprint.",
    "AADSTS901002": "Entra ID takes no `resource`: name the API by a scope, such as api://ID/.default.",
    "AADSTS1002012": "Entra ID wants one scope for client credentials, which ends in /.default.",
}
"""Numbers of one large provider, which say more than the error."""


# The credential.


def unusable(error: GatepassError) -> Trouble:
    """It can't be read, or is none."""
    fix = Fix("Give what the authorization server has on its books for this client.")
    return Trouble(id=error.code, cause=explain(error), fix=fix)


def stray_characters(place: str) -> Trouble:
    """A secret that was copied with something around it."""
    return Trouble(
        id="secret_stray_characters",
        cause=f"The client secret ({place}) begins or ends with a space or a quotation mark. Was that copied with it?",
        fix=Fix("Take it out, unless it belongs to the secret."),
        verdict=Verdict.WARNING,
    )


# What is offered.


def offer(error: GatepassError, case: Case, server: ServerMetadata) -> Trouble:
    """Why the library asks for no token, though it knows where."""
    match error.code:
        case "method_not_offered":
            offered = server.token_endpoint_auth_methods_supported or ()
            key: Options = {"private_key_file": "PATH"} if "private_key_jwt" in offered else {}
            fix = Fix(f"Authenticate in a way that is offered: {_ways(offered)}.", key)
        case "alg_not_offered" | "key_algorithm_mismatch":
            offered = server.token_endpoint_auth_signing_alg_values_supported or ()
            fix = Fix(
                f"Make a key for {' or '.join(offered) or 'an algorithm that is offered'}, register its "
                "public half, and give that.",
                {"private_key_file": "PATH"},
            )
        case "dpop_required":
            options: Options = {"dpop": True}
            tried = case.gets_in(options)
            fix = Fix("Bind tokens to a key.", options, tried)
        case "dpop_alg_not_offered":
            fix = Fix("Use a key of a kind that both servers take.")
        case _:
            fix = Fix("Correct what is configured.")
    return Trouble(id=error.code, cause=explain(error), fix=fix)


def _ways(offered: Sequence[str]) -> str:
    options = {
        "client_secret_basic": "a secret in the header (--client-secret-file)",
        "client_secret_post": "a secret in the body (--client-secret-file)",
        "private_key_jwt": "a private key (--private-key-file)",
        "tls_client_auth": "a certificate (--cert-file, --auth-method tls_client_auth)",
        "none": "a client id alone (--auth-method none)",
    }
    return ", ".join(options.get(method, method) for method in offered)


def grant_not_listed(grant: str, listed: Sequence[str]) -> Trouble:
    """The server may know it all the same."""
    return Trouble(
        id="grant_not_listed",
        cause=f"The authorization server does not list the grant {grant}; it lists {', '.join(listed) or 'none'}. Some "
        "leave out what they do offer, so it is asked all the same.",
        fix=Fix("Have the grant switched on, or listed."),
        verdict=Verdict.WARNING,
    )


def scope_not_listed(scopes: Sequence[str]) -> Trouble:
    """The server may know them all the same."""
    return Trouble(
        id="scope_not_listed",
        cause=f"The authorization server does not list the scopes {' '.join(scopes)}.",
        fix=Fix("Check them; a server need not list all that it has."),
        verdict=Verdict.WARNING,
    )


def dpop_not_offered() -> Trouble:
    """The server may bind tokens all the same."""
    return Trouble(
        id="dpop_not_offered",
        cause="Tokens are to be bound to a key, and the authorization server does not say that it can do that.",
        fix=Fix("Leave --dpop out, unless the MCP server wants it."),
        verdict=Verdict.WARNING,
    )


# The token request.


def token(error: GatepassError, case: Case, heard: Heard | None) -> Trouble:
    """Why there is no token."""
    if isinstance(error, UnreachableError) and heard is not None:
        return lost(case, error, heard.request.url)
    if isinstance(error, ConfigurationError) or heard is None:
        return Trouble(id=error.code, cause=explain(error), fix=Fix("Correct what is configured."))
    if error.error is None:
        return _without_words(error, heard)
    match error.error:
        case "invalid_client":
            return _client_refused(error, case, heard)
        case "invalid_scope":
            return _scope_refused(error, case)
        case "invalid_target" | "invalid_request":
            return _request_refused(error, case)
        case "unsupported_grant_type":
            name = "grant_not_offered"
            fix = Fix("Have the grant switched on at the authorization server; without it, no program gets in.")
        case "unauthorized_client":
            name, fix = "grant_not_allowed", Fix("Have the grant allowed for this client, where it is registered.")
        case "invalid_grant" | "invalid_dpop_proof" if (skew := skew_of(heard)) is not None:
            return skewed("authorization server", skew, explain(error))
        case _:
            name, fix = error.code, Fix("See what the authorization server says, and ask whoever runs it.")
    return Trouble(id=name, cause=explain(error), fix=fix)


def _without_words(error: GatepassError, heard: Heard) -> Trouble:
    """No OAuth error came along: what the answer is says more than what is in it."""
    status, response = error.status or 0, heard.response
    url = shown(heard.request.url)
    if status == HTTPStatus.NETWORK_AUTHENTICATION_REQUIRED:
        return portal(url)
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        wait = response.header("Retry-After") if response else None
        said = f" It says to wait: Retry-After {wait}." if wait else ""
        fix = Fix("Wait. Keep tokens in a store, so that not every process asks for its own.")
        return Trouble(id="rate_limited", cause=f"The token endpoint has had too many requests.{said}", fix=fix)
    if status in _REDIRECTS:
        to = response.header("Location") if response else None
        where = f" to {shown(to)}" if to else ""
        fix = Fix(
            "Have the URL that it leads to published; or name it, if you trust it.", {"token_endpoint": to or "URL"}
        )
        cause = f"The token endpoint {url} redirects{where}. A credential follows no redirect."
        return Trouble(id="token_endpoint_redirects", cause=cause, fix=fix)
    if status in _MISSING:
        fix = Fix("Have the metadata corrected; until then, name the right one.", {"token_endpoint": "URL"})
        return Trouble(
            id="token_endpoint_wrong", cause=f"There is no token endpoint at {url} ({line(status)}).", fix=fix
        )
    if response is not None and is_page(response):
        fix = Fix("Is that the token endpoint? Or is there a gateway in front of it, which wants a sign-in?")
        return Trouble(id="token_response_page", cause=f"The token endpoint {url} answers with a web page.", fix=fix)
    if error.code == "token_response_invalid":
        fix = Fix("Have the token response corrected (RFC 6749 §5.1).")
        name = "token_type_invalid" if "token_type" in str(error) else error.code
        return Trouble(id=name, cause=explain(error), fix=fix)
    if status in _NO_ENTRY:
        fix = Fix("Check the client id and what proves it.", {"client_id": "ID"})
        return Trouble(id="client_refused", cause=explain(error), fix=fix)
    fix = Fix("Try again later; see whether the authorization server is well.")
    return Trouble(id=error.code, cause=explain(error), fix=fix)


def _client_refused(error: GatepassError, case: Case, heard: Heard) -> Trouble:
    """`invalid_client`: the id, the proof, the way of proving it, or the clock."""
    skew = skew_of(heard)
    signed = isinstance(case.client, gatepass.PrivateKeyJwt | gatepass.ClientAssertion)
    if skew is not None and signed:
        return skewed("authorization server", skew, explain(error))
    for name, options, cause in _other_proofs(case):
        if case.gets_in(options):
            return Trouble(id=name, cause=cause, fix=Fix("Tell the client so.", options, tried=True))
    tried = "".join(f" Nor does it get in with {as_typed(options)}." for _, options, _ in _other_proofs(case))
    what, options = _PROOFS.get(type(case.client), ("proof", {}))
    fix = Fix(
        f"Compare the client id and the {what} with what is registered at {shown(case.issuer or '')}. Was the {what} "
        "rotated? Is it that of another environment?",
        {"client_id": "ID", **options},
    )
    return Trouble(id="client_refused", cause=f"{explain(error)}{_hint(error)}{tried}", fix=fix)


def _other_proofs(case: Case) -> list[tuple[str, Options, str]]:
    """Other ways to prove the same thing to the same server, and what it means if one of them is taken."""
    match case.client:
        case gatepass.ClientSecret(method="auto" | "client_secret_basic"):
            offered = case.server.token_endpoint_auth_methods_supported if case.server else None
            if offered and "client_secret_post" not in offered:
                return []
            cause = "The authorization server does not take the secret in the header (Basic), and takes it in the body."
            return [("basic_not_accepted", {"auth_method": "client_secret_post"}, cause)]
        case gatepass.PrivateKeyJwt(audience="issuer"):
            cause = (
                "The authorization server takes assertions that are made out to its token endpoint, not to its issuer."
            )
            return [("assertion_audience", {"assertion_audience": "token_endpoint"}, cause)]
        case _:
            return []


def _scope_refused(error: GatepassError, case: Case) -> Trouble:
    """`invalid_scope`: one of those that were asked for."""
    offered = (case.server.scopes_supported if case.server else None) or ()
    asked = case.asked_scopes
    rest = [scope for scope in asked if scope in offered]
    cause = f"{explain(error)}{_hint(error)} Asked for: {' '.join(asked) or 'none'}."
    text = "Ask for the scopes that this client may have."
    if not rest or len(rest) == len(asked):
        return Trouble(id="scope_refused", cause=cause, fix=Fix(text, {"scopes": "A B"}))
    options: Options = {"scopes": " ".join(rest)}
    tried = case.gets_in(options)
    strange = " ".join(scope for scope in asked if scope not in offered)
    return Trouble(
        id="scope_refused",
        cause=f"{cause} The authorization server does not list {strange}.",
        fix=Fix(text, options, tried),
    )


def _request_refused(error: GatepassError, case: Case) -> Trouble:
    """`invalid_target` or `invalid_request`: as a rule, it is about `resource`."""
    options: Options = {"no_resource_indicator": True}
    if case.target.send_resource and case.gets_in(options):
        return Trouble(
            id="resource_parameter_refused",
            cause=f"{explain(error)}{_hint(error)} It is the parameter `resource` (RFC 8707) that it does not take.",
            fix=Fix("Leave the parameter out.", options, tried=True),
        )
    if error.error == "invalid_target":
        return Trouble(
            id="resource_unknown",
            cause=f"{explain(error)} Asked for: {shown(case.resource)}.",
            fix=Fix(
                "Have the MCP server registered at the authorization server, under its URL; or, if it has another name "
                "there, give that.",
                {"resource_indicator": "URI"},
            ),
        )
    fix = Fix(
        "Compare the request with what the server's documentation wants; --extra-parameter NAME=VALUE adds to it."
    )
    return Trouble(id="request_refused", cause=f"{explain(error)}{_hint(error)}", fix=fix)


def _hint(error: GatepassError) -> str:
    """What a large provider means by a number, and what a status that does not fit means."""
    said = error.error_description or ""
    meant = next((meaning for mark, meaning in _KNOWN_WORDS.items() if mark in said), "")
    odd = " That came with status 200, which is a mistake of the server's." if error.status == HTTPStatus.OK else ""
    return f"{meant and f' {meant}'}{odd}"


def expiry_missing() -> Trouble:
    """RFC 6749 §5.1 recommends it."""
    return Trouble(
        id="expiry_missing",
        cause="The token response has no expires_in. gatepass copes: it renews the token when it is refused, or old.",
        fix=Fix("Have it added; RFC 6749 §5.1 recommends it."),
        verdict=Verdict.WARNING,
    )


def expiry_is_text() -> Trouble:
    """RFC 6749 appendix A.14: it is a number."""
    return Trouble(
        id="expiry_is_text",
        cause="The token response has expires_in as text, and not as a number. gatepass copes; others may not.",
        fix=Fix("Have it corrected."),
        verdict=Verdict.WARNING,
    )


def scope_reduced(lost: Sequence[str]) -> Trouble:
    """RFC 6749 §3.3: the server may give less than it was asked for, and says so."""
    return Trouble(
        id="scope_reduced",
        cause=f"The token was asked for with the scopes {' '.join(lost)}, and is issued without them.",
        fix=Fix("Have the client granted these scopes, if it needs them."),
        verdict=Verdict.WARNING,
    )


# What the token says.


def foreign_audience(whom: str, resource: str) -> Trouble:
    """MCP, "Token Audience Binding": a server takes tokens only that were issued for it."""
    return Trouble(
        id="token_audience",
        cause=f"The token is for {whom}, and not for {shown(resource)}. An MCP server has to refuse it.",
        fix=Fix("See whether the call gets in."),
        verdict=Verdict.WARNING,
    )


def foreign_issuer(issuer: str, expected: str) -> Trouble:
    """RFC 9068 §2.2."""
    return Trouble(
        id="token_issuer",
        cause=f"The token says that it is from {shown(issuer)}, and it is from {shown(expected)}.",
        fix=Fix("See whether the MCP server knows it by that name."),
        verdict=Verdict.WARNING,
    )


def born_expired() -> Trouble:
    """One of two clocks is wrong."""
    return Trouble(
        id="token_expired",
        cause="The token has expired already, by this machine's clock.",
        fix=Fix("Compare the clocks, below."),
        verdict=Verdict.WARNING,
    )
