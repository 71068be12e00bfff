"""Troubles with the signposts: the challenge, the metadata of the resource and that of the authorization server."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from gatepass.cli.doctor.causes.network import lost, portal
from gatepass.cli.doctor.exchanges import is_page, line
from gatepass.cli.doctor.report import Fix, Options, Trouble, Verdict
from gatepass.cli.exits import explain
from gatepass.errors import UnreachableError
from gatepass.protocol.server import same_issuer
from gatepass.protocol.urls import covers, is_http_url, origin, same_origin, shown

if TYPE_CHECKING:
    from gatepass.cli.doctor.case import Case
    from gatepass.cli.doctor.overhear import Heard
    from gatepass.core.http import HttpResponse
    from gatepass.errors import GatepassError

__all__ = [
    "endpoint_elsewhere",
    "issuer_not_pinned",
    "no_challenge",
    "resource_metadata",
    "resource_metadata_missing",
    "server_metadata",
]

_MISSING = (HTTPStatus.NOT_FOUND, HTTPStatus.GONE)
_BARRED = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
_REDIRECTS = range(300, 400)

_LATER = Fix("Try again later; see whether the server is well.")


# The challenge.


def no_challenge(response: HttpResponse, case: Case) -> Trouble:
    """The MCP server answered somebody without a token in another way than by a 401 that says what is wanted."""
    status, url = response.status, shown(case.endpoint)
    if status == HTTPStatus.UNAUTHORIZED:
        return Trouble(
            id="challenge_missing",
            cause="The 401 has no WWW-Authenticate header for Bearer or DPoP. gatepass copes: it looks for "
            "the metadata at its well-known address.",
            fix=Fix("Have the header added: other clients find no way without."),
            verdict=Verdict.WARNING,
        )
    if status == HTTPStatus.NETWORK_AUTHENTICATION_REQUIRED:
        return portal(url)
    if status in _REDIRECTS:
        return _redirected(response, case)
    if status in _MISSING:
        return Trouble(
            id="endpoint_missing",
            cause=f"There is nothing at {url} ({line(status)}).",
            fix=Fix("Give the full URL of the MCP endpoint; whoever runs the server knows it.", {"url": "URL"}),
        )
    if status == HTTPStatus.METHOD_NOT_ALLOWED or (status < _REDIRECTS.start and is_page(response)):
        return Trouble(
            id="not_mcp",
            cause=f"{url} is no MCP endpoint: it answers an MCP message with "
            f"{'a web page' if is_page(response) else line(status)}.",
            fix=Fix("Give the full URL of the MCP endpoint, with its path.", {"url": "URL"}),
        )
    if status < _REDIRECTS.start:
        return Trouble(
            id="not_protected",
            cause="The MCP server lets in who has no token.",
            fix=Fix("Nothing, if everybody may use it: then no token is needed. Else have its gate switched on."),
            verdict=Verdict.WARNING,
        )
    if status == HTTPStatus.FORBIDDEN:
        return Trouble(
            id="challenge_is_403",
            cause="Without a token the MCP server answers 403, and not 401: it may also be a firewall in front of it.",
            fix=Fix("Have it answer 401 with WWW-Authenticate, so that clients know that a token helps."),
            verdict=Verdict.WARNING,
        )
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return Trouble(id="rate_limited", cause=f"{url} has had too many requests.", fix=_LATER)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Trouble(
            id="mcp_server_fails",
            cause=f"The MCP server fails by itself: {line(status)}.",
            fix=Fix("Look into its log; it is nothing that a client could mend."),
        )
    return Trouble(
        id="challenge_is_other",
        cause=f"Without a token the MCP server answers {line(status)}, and not 401.",
        fix=Fix("Have it answer 401 with WWW-Authenticate before it looks at a message."),
        verdict=Verdict.WARNING,
    )


def endpoint_elsewhere(trouble: Trouble, url: str) -> Trouble:
    """There is nothing at the URL, and somebody who wants a token at another one."""
    cause = f"{trouble.cause} At {shown(url)} there is a server that wants a token."
    return Trouble(id=trouble.id, cause=cause, fix=Fix("Give that URL.", {"url": url}))


def _redirected(response: HttpResponse, case: Case) -> Trouble:
    here, to = case.endpoint, _location(response, case.endpoint)
    if to is not None and urlsplit(to).hostname != urlsplit(here).hostname:
        return Trouble(
            id="sign_in_in_front",
            cause=f"Instead of the MCP server, something in front of it answers, and redirects to "
            f"{shown(to)}: a gateway that wants people to sign in.",
            fix=Fix("Have the gateway let the MCP endpoint and /.well-known/ through: they have a gate of their own."),
        )
    slash = to is not None and to.rstrip("/") == here.rstrip("/")
    why = " They differ by the slash at the end." if slash else ""
    downgrade = to is None or (here.startswith("https:") and not to.startswith("https:"))
    return Trouble(
        id="endpoint_redirects",
        cause=f"{shown(here)} redirects to {shown(to) if to else 'nowhere'}.{why} No token is taken along.",
        fix=Fix(
            "Have the public https URL put into the redirect: the server does not know what is in front of it."
            if downgrade
            else "Give the URL that it leads to; whoever runs the server should publish that one.",
            {} if downgrade or to is None else {"url": to},
        ),
    )


def _location(response: HttpResponse, base: str) -> str | None:
    location = response.header("Location")
    url = urljoin(base, location) if location else ""
    return url if is_http_url(url) else None


# The metadata of the resource.


def resource_metadata_missing(case: Case) -> Trouble:
    """Nothing at any place, and the library goes on all the same."""
    how = "the issuer is configured" if case.target.issuer else "it takes the server's own origin, as you allowed"
    return Trouble(
        id="resource_metadata_missing",
        cause=f"The MCP server publishes no resource metadata (RFC 9728). gatepass copes: {how}.",
        fix=Fix("Have it published: MCP wants it, and other clients need it."),
        verdict=Verdict.WARNING,
    )


def issuer_not_pinned(issuer: str) -> Trouble:
    """The resource chose who gets the credential."""
    return Trouble(
        id="issuer_not_pinned",
        cause="The MCP server says whom the credential is sent to; one that was taken over could name anybody.",
        fix=Fix("Pin the issuer, if this is the right one.", {"issuer": issuer}),
        verdict=Verdict.WARNING,
    )


def resource_metadata(error: GatepassError, case: Case) -> Trouble:
    """Why the library goes no further than to the resource's metadata."""
    if isinstance(error, UnreachableError):
        return lost(case, error, case.endpoint)
    match error.code:
        case "metadata_unavailable" if error.status == HTTPStatus.NETWORK_AUTHENTICATION_REQUIRED:
            return portal(shown(case.endpoint))
        case "metadata_unavailable":
            return Trouble(id=error.code, cause=explain(error), fix=_LATER)
        case "issuer_unknown":
            options: Options = {"issuer": "URL"}
            fix = Fix("Name the issuer that the client is registered with; have the metadata published.", options)
        case "issuer_not_listed":
            return _not_listed(error, case)
        case "resource_metadata_origin":
            named = case.challenge.resource_metadata if case.challenge else None
            elsewhere = origin(named) if named else "URL"
            options = {"allow_metadata_origin": elsewhere}
            fix = Fix("Have it served by the MCP server itself; or, if that host is right, allow it.", options)
        case "resource_mismatch":
            return _mismatch(error, case)
        case "no_authorization_server" | "resource_metadata_invalid":
            fix = Fix("Have the document corrected; until then, name the token endpoint.", _without_discovery(case))
        case _:
            fix = Fix("Ask whoever runs the MCP server to correct its metadata.")
    return Trouble(id=error.code, cause=explain(error), fix=fix)


def _not_listed(error: GatepassError, case: Case) -> Trouble:
    listed = (case.metadata.authorization_servers if case.metadata else None) or ()
    pinned = case.target.issuer or ""
    if any(same_issuer(entry, pinned, tolerate_slash=True) for entry in listed):
        return _slash(f"the MCP server lists {', '.join(map(shown, listed))}", pinned)
    options: Options = {"issuer": listed[0]} if len(listed) == 1 else {"issuer": "URL"}
    return Trouble(
        id=error.code,
        cause=explain(error),
        fix=_of_a_document(pinned)
        or Fix("Name the issuer that is listed, if that is where the client is registered.", options),
    )


def _mismatch(error: GatepassError, case: Case) -> Trouble:
    said = case.metadata.resource if case.metadata else ""
    if same_origin(said, case.endpoint) or (is_http_url(said) and covers(case.endpoint, said)):
        fix = Fix("Give the URL that the metadata is for.", {"url": said})
    else:
        fix = Fix(
            "Have `resource` corrected: behind a reverse proxy, the server must be told its public URL. Until "
            "then, name the token endpoint.",
            _without_discovery(case),
        )
    return Trouble(id=error.code, cause=explain(error), fix=fix)


# The metadata of the authorization server.


def server_metadata(error: GatepassError, case: Case, heard: list[Heard]) -> Trouble:
    """Why the authorization server's metadata can't be used."""
    if isinstance(error, UnreachableError):
        return lost(case, error, case.issuer or case.endpoint)
    match error.code:
        case "metadata_unavailable" if error.status == HTTPStatus.NETWORK_AUTHENTICATION_REQUIRED:
            return portal(shown(case.issuer or ""))
        case "metadata_unavailable":
            return Trouble(id=error.code, cause=explain(error), fix=_LATER)
        case "server_metadata_missing":
            return _no_document(error, case, heard)
        case "issuer_mismatch":
            return _another_issuer(error, case)
        case "server_metadata_invalid":
            fix = Fix("Have the document corrected; until then, name the token endpoint.", _without_discovery(case))
        case "token_endpoint_missing":
            fix = Fix("Name it; have the document corrected.", {"token_endpoint": "URL"})
        case "endpoint_origin":
            fix = Fix(
                "Pin the issuer, if this is the right one: whom you trust may have its token endpoint anywhere.",
                {"issuer": case.issuer or "URL"},
            )
        case "insecure_endpoint":
            fix = Fix(
                "Have an https URL put there: behind a proxy that ends TLS, the server must be told its "
                "public URL. Until then, name the token endpoint.",
                _https_endpoint(case),
            )
        case _:
            fix = Fix("Ask whoever runs the authorization server to correct its metadata.")
    return Trouble(id=error.code, cause=explain(error), fix=fix)


def _no_document(error: GatepassError, case: Case, heard: list[Heard]) -> Trouble:
    answers = [each.response for each in heard if each.response is not None]
    pages = [answer for answer in answers if answer.status == HTTPStatus.OK and is_page(answer)]
    redirects = [answer for answer in answers if answer.status in _REDIRECTS]
    barred = [answer for answer in answers if answer.status in _BARRED]
    options = _without_discovery(case)
    if pages or redirects:
        to = _location(redirects[0], heard[0].request.url) if redirects else None
        what = f"a redirect to {shown(to)}" if to else "a web page"
        return Trouble(
            id="metadata_login_page",
            cause=f"Where the metadata of {shown(case.issuer or '')} should be, there is {what}: as a rule a "
            "sign-in, put in front of everything.",
            fix=Fix("Have /.well-known/ answered without a sign-in; until then, name the token endpoint.", options),
        )
    if barred:
        return Trouble(
            id="metadata_barred",
            cause=f"{line(barred[0].status)}: the metadata of {shown(case.issuer or '')} is shown to nobody without a "
            "credential. It is public by RFC 8414.",
            fix=Fix("Have it opened; until then, name the token endpoint.", options),
        )
    fix = _of_a_document(case.issuer or "") or Fix(
        "Check the issuer: is a path missing, such as a tenant or a realm? Or name the token endpoint.", options
    )
    return Trouble(id=error.code, cause=explain(error), fix=fix)


def _another_issuer(error: GatepassError, case: Case) -> Trouble:
    asked, said = case.issuer or "", case.server.issuer if case.server else ""
    if same_issuer(asked, said, tolerate_slash=True):
        return _slash(f"the metadata says {shown(said)}", asked)
    fix = Fix(
        "Correct the issuer if the metadata is right; else have the server told its public name. Until then, name the "
        "token endpoint.",
        _without_discovery(case),
    )
    return Trouble(id=error.code, cause=explain(error), fix=fix)


# What both may be.


def _slash(said: str, pinned: str) -> Trouble:
    return Trouble(
        id="issuer_slash",
        cause=f"Two issuers differ by the slash at the end: {said}, and {shown(pinned)} is wanted. "
        "By RFC 8414 §3.3 they are compared character by character.",
        fix=Fix("Have the two written alike; until then, tolerate the slash.", {"tolerate_issuer_slash": True}),
    )


def _of_a_document(issuer: str) -> Fix | None:
    """The address of the metadata in the place of the issuer, which is the beginning of it."""
    name, mark, _ = issuer.partition("/.well-known/")
    return Fix("Give the issuer, and not the address of its metadata.", {"issuer": name}) if mark else None


def _without_discovery(case: Case) -> Options:
    """The options with which nothing is discovered, as far as they are known."""
    endpoint = case.server.token_endpoint if case.server else None
    issuer: Options = {} if case.target.issuer else {"issuer": case.issuer or "URL"}
    return {**issuer, "token_endpoint": endpoint or "URL"}


def _https_endpoint(case: Case) -> Options:
    """The document's own names an endpoint in the clear, which must not be used."""
    return {**_without_discovery(case), "token_endpoint": "URL"}
