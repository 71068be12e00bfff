"""The authorization endpoint, with a person who decides at once: RFC 6749 §4.1.1, RFC 7636, RFC 8252, RFC 9207."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlencode, urlsplit

from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse, Response

from gatepass.testing.allowance import granted_audience, granted_scopes
from gatepass.testing.forms import parse_query
from gatepass.testing.grant import Grant
from gatepass.testing.refusal import NO_STORE, Refusal

if TYPE_CHECKING:
    from starlette.requests import Request

    from gatepass.testing.authorization_server import AuthorizationServer
    from gatepass.testing.clients import Client
    from gatepass.testing.forms import Form

__all__ = ["Code", "IssInResponse", "authorization_endpoint"]

IssInResponse = Literal["correct", "wrong", "missing"]
THUMBPRINT = re.compile(r"[A-Za-z0-9_-]{43}")
"""SHA-256 in base64url: what a challenge (RFC 7636 §4.2) and a key's thumbprint (RFC 9449 §10) look like."""
LOOPBACK = ("127.0.0.1", "::1")
WRONG_ISSUER = "https://attacker.example"


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """What an authorization code stands for, and what it is bound to.

    Attributes:
        grant: what the person allowed.
        redirect_uri: where the code was sent.
        challenge: the hash of the verifier that redeems it (RFC 7636 §4.2).
        jkt: the thumbprint of the key that redeems it (RFC 9449 §10); None: any.
        expires_at: when it ends, in epoch seconds.
    """

    grant: Grant
    redirect_uri: str
    challenge: str
    jkt: str | None
    expires_at: float


async def authorization_endpoint(server: AuthorizationServer, request: Request) -> Response:
    """Sends the person back with a code, or with an error; where to is not trusted, shows a page instead."""
    if not server.authorization_endpoint:
        raise HTTPException(404)
    try:
        form = parse_query(request.scope["query_string"])
        client, redirect_uri = _trusted(server, form)
    except Refusal as refusal:
        return PlainTextResponse(f"This request goes nowhere: {refusal.description}", 400, NO_STORE)
    try:
        said = {"code": _code(server, client, redirect_uri, form)}
    except Refusal as refusal:
        said = {"error": refusal.error, "error_description": refusal.description}
    return Response(status_code=302, headers={**NO_STORE, "Location": _with(redirect_uri, _answer(server, form, said))})


def _trusted(server: AuthorizationServer, form: Form) -> tuple[Client, str]:
    """The client, and the address of its own that the answer goes to (RFC 6749 §4.1.2.1)."""
    client = server.books.clients.get(form.require("client_id"))
    if client is None:
        raise Refusal("invalid_request", "the client is unknown")
    redirect_uri = form.require("redirect_uri")
    if not any(_is_registered(redirect_uri, registered) for registered in client.redirect_uris):
        raise Refusal("invalid_request", "redirect_uri is not registered")
    return client, redirect_uri


def _is_registered(uri: str, registered: str) -> bool:
    """Whether it is the one registered, character by character; on loopback, any port (RFC 8252 §7.3)."""
    return uri == registered or (_portless(uri) is not None and _portless(uri) == _portless(registered))


def _portless(uri: str) -> tuple[str, str | None, str] | None:
    """A loopback URI without its port; None if it is none."""
    try:
        parts = urlsplit(uri)
        loopback = parts.scheme == "http" and parts.hostname in LOOPBACK and parts.port != 0
    except ValueError:
        return None
    if not loopback or parts.fragment or "@" in parts.netloc:
        return None
    return parts.path, parts.hostname, parts.query


def _code(server: AuthorizationServer, client: Client, redirect_uri: str, form: Form) -> str:
    """A code for what is asked, if nothing speaks against it (RFC 6749 §4.1.1)."""
    form.require("state")
    if form.require("response_type") != "code":
        raise Refusal("unsupported_response_type", "response_type is not code")
    if form.get("response_mode", "query") != "query":
        raise Refusal("invalid_request", "response_mode is not query")
    if not client.may_use("authorization_code"):
        raise Refusal("unauthorized_client", "the client may not use authorization_code")
    challenge = form.require("code_challenge")
    if form.get("code_challenge_method") != "S256" or not THUMBPRINT.fullmatch(challenge):
        raise Refusal("invalid_request", "the code challenge is not one of S256")
    jkt = form.get("dpop_jkt") if server.dpop != "off" else None
    if jkt is not None and not THUMBPRINT.fullmatch(jkt):
        raise Refusal("invalid_request", "dpop_jkt is not a thumbprint")
    grant = Grant(
        client_id=client.client_id,
        subject=server.person,
        scopes=granted_scopes(server, client, form.get("scope")),
        audience=granted_audience(server, client, form.resources),
    )
    if server.consent == "no":
        raise Refusal("access_denied", "the person said no")
    value = secrets.token_urlsafe(24)
    server.books.codes[value] = Code(
        grant=grant,
        redirect_uri=redirect_uri,
        challenge=challenge,
        jkt=jkt,
        expires_at=server.now() + server.code_lifetime_s,
    )
    return value


def _answer(server: AuthorizationServer, form: Form, said: dict[str, str]) -> dict[str, str]:
    """What goes back: the state as it came (RFC 6749 §4.1.2), and who answers (RFC 9207 §2)."""
    answer = dict(said)
    if "state" in form:
        answer["state"] = form["state"]
    if server.iss_in_response != "missing":
        answer["iss"] = server.issuer if server.iss_in_response == "correct" else WRONG_ISSUER
    return answer


def _with(uri: str, parameters: dict[str, str]) -> str:
    """A URI with more in its query; what was there stays (RFC 6749 §3.1.2)."""
    return f"{uri}{'&' if '?' in uri else '?'}{urlencode(parameters)}"
