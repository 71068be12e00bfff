"""What may be shown of an exchange: of a request all but its secrets, of an answer the members that matter."""

from __future__ import annotations

import re
from html import unescape
from http import HTTPStatus
from typing import TYPE_CHECKING, cast
from urllib.parse import parse_qsl, urlsplit

import msgspec

from gatepass.cli.doctor.overhear import SECRET_PARAMETERS, Heard
from gatepass.cli.doctor.report import Exchange, Fields, Party, Side, Verdict
from gatepass.cli.voice import printable
from gatepass.errors import ConfigurationError
from gatepass.protocol.document import media_type
from gatepass.protocol.jwt import peek_claims
from gatepass.protocol.urls import shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from gatepass.core.http import HttpRequest, HttpResponse

__all__ = ["answer", "claims_of", "exchange", "is_page", "line", "members", "token_fields"]

_MAX_CHARS = 300
_MAX_TITLE = 60
_MAX_LISTED = 12
_MILLI = 1000
_SLOW_S = 0.2

_TITLE = re.compile(rb"<title[^>]*>([^<]{1,500})", re.IGNORECASE)
_PUBLIC_PARAMETERS = frozenset(
    {
        "audience",
        "client_assertion_type",
        "client_id",
        "grant_type",
        "requested_token_type",
        "resource",
        "scope",
        "subject_token_type",
    }
)
_HEADERS = ("WWW-Authenticate", "Location", "Retry-After")
_TOKENS = frozenset({"access_token", "refresh_token", "id_token"})
_ASSERTION_CLAIMS = ("iss", "sub", "aud")
_TOKEN_CLAIMS = ("iss", "sub", "aud", "client_id", "azp", "scope", "scp", "exp", "iat", "nbf")
_DOCUMENT = (
    "resource",
    "authorization_servers",
    "issuer",
    "token_endpoint",
    "grant_types_supported",
    "token_endpoint_auth_methods_supported",
    "token_endpoint_auth_signing_alg_values_supported",
    "scopes_supported",
    "dpop_signing_alg_values_supported",
    "dpop_bound_access_tokens_required",
)
_PAGES = ("text/html", "application/xhtml+xml")
_REFUSAL = ("error", "error_description", "error_uri")
_TOKEN_RESPONSE = ("token_type", "expires_in", "scope", "issued_token_type")


def exchange(heard: Heard, *, to: Party, verdict: Verdict = Verdict.OK, about: str = "") -> Exchange:
    """An exchange, fit to be shown.

    Args:
        heard: what was heard.
        to: whom it is with.
        verdict: how it went.
        about: what the request is, in a few words.
    """
    request = heard.request
    path = urlsplit(request.url).path or "/"
    asked = Side(
        text=f"{request.method} {shown(request.url)}{f' ({about})' if about else ''}",
        fields=(*_headers_sent(request), *_form(request)),
        short=f"{request.method} {path}",
    )
    if heard.response is None:
        return Exchange(to=to, asked=asked, answered=_no_answer(heard), verdict=Verdict.FAILED)
    answered = answer(heard.response, took_s=heard.received.mono - heard.sent.mono)
    return Exchange(to=to, asked=asked, answered=answered, verdict=verdict)


def answer(response: HttpResponse, *, took_s: float = 0.0) -> Side:
    """An answer: its status, what kind of thing it is, and the members of it that matter."""
    status = line(response.status)
    kind = media_type(response)
    took = f", after {took_s * _MILLI:.0f} ms" if took_s > _SLOW_S else ""
    return Side(text=f"{status}{f' {kind}' if kind else ''}{took}", fields=_fields(response), short=status)


def line(status: int) -> str:
    """A status with its name."""
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def is_page(response: HttpResponse) -> bool:
    """Whether this is a web page, whatever it says it is."""
    start = response.body.lstrip()[:_MAX_CHARS].lower()
    return media_type(response) in _PAGES or start.startswith((b"<!doctype html", b"<html"))


def members(response: HttpResponse) -> Mapping[str, object]:
    """The members of a JSON object; none for anything else."""
    try:
        return msgspec.json.decode(response.body, type=dict[str, object])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return {}


def claims_of(token: str) -> Mapping[str, object] | None:
    """What a token says, if it is a JWT that can be read."""
    try:
        return peek_claims(token)
    except ConfigurationError:
        return None


def token_fields(kind: str, token: str) -> Fields:
    """What may be shown of a token: its kind, its length, and what it says if it is a JWT."""
    claims = claims_of(token)
    form = "opaque" if claims is None else "a JWT"
    said = () if claims is None else _claims(claims, _TOKEN_CLAIMS)
    return (("access token", f"{kind}, {form} of {len(token)} characters"), *said)


def _no_answer(heard: Heard) -> Side:
    said = str(heard.error)
    return Side(text=f"no answer: {said}", short=heard.error.code if heard.error else "")


def _headers_sent(request: HttpRequest) -> Fields:
    sent: list[tuple[str, str]] = []
    for name, value in request.headers:
        if name.lower() == "authorization":
            sent.append((name, f"{value.partition(' ')[0]} ***"))
        elif name.lower() == "dpop":
            sent.append((name, "a proof ***"))
    return tuple(sent)


def _form(request: HttpRequest) -> Fields:
    if dict(request.headers).get("Content-Type") != "application/x-www-form-urlencoded":
        return ()
    return tuple((name, _parameter(name, value)) for name, value in parse_qsl(request.body.decode("ascii")))


def _parameter(name: str, value: str) -> str:
    if name in _PUBLIC_PARAMETERS:
        return _cut(value)
    claims = claims_of(value) if name in SECRET_PARAMETERS else None
    if claims is None:
        return "***"
    said = ", ".join(f"{each} {text}" for each, text in _claims(claims, _ASSERTION_CLAIMS))
    header = _jose_header(value)
    how = "".join(f", {each} {_cut(str(header[each]))}" for each in ("alg", "kid") if each in header)
    return f"a JWT: {said}{how}"


def _jose_header(jwt: str) -> Mapping[str, object]:
    from base64 import urlsafe_b64decode

    head = jwt.partition(".")[0]
    try:
        return msgspec.json.decode(urlsafe_b64decode(head + "=" * (-len(head) % 4)), type=dict[str, object])
    except (ValueError, msgspec.MsgspecError):
        return {}


def _claims(claims: Mapping[str, object], wanted: Iterable[str]) -> Fields:
    return tuple((name, _readable(name, claims[name])) for name in wanted if name in claims)


def _readable(name: str, value: object) -> str:
    if name in {"exp", "iat", "nbf"} and isinstance(value, int | float) and not isinstance(value, bool):
        return _moment(value)
    return _text(value)


def _moment(epoch_s: float) -> str:
    import datetime as dt

    try:
        return dt.datetime.fromtimestamp(epoch_s, dt.UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (OverflowError, OSError, ValueError):
        return "not a date"


def _fields(response: HttpResponse) -> Fields:
    headers = [(name, _cut(value)) for name in _HEADERS for value in response.header_values(name)]
    if response.header("DPoP-Nonce"):
        headers.append(("DPoP-Nonce", "a nonce"))
    if is_page(response):
        title = _TITLE.search(response.body)
        said = unescape(title[1].decode("utf-8", "replace")) if title else ""
        page = f'a web page, titled "{_cut(said, _MAX_TITLE)}"' if said.strip() else "a web page"
        return (*headers, ("body", page))
    return (*headers, *_members(response))


def _members(response: HttpResponse) -> Fields:
    found = members(response)
    wanted = (*_REFUSAL, *_TOKEN_RESPONSE) if "access_token" in found or "error" in found else _DOCUMENT
    tokens = [(name, f"*** ({len(str(found[name]))} characters)") for name in found if name in _TOKENS]
    return (*tokens, *((name, _text(found[name])) for name in wanted if name in found))


def _text(value: object) -> str:
    match value:
        case list():
            listed = cast("list[object]", value)
            more = ["..."] if len(listed) > _MAX_LISTED else []
            return _cut(", ".join([*(_word(each) for each in listed[:_MAX_LISTED]), *more]) or "(none)")
        case _:
            return _cut(_word(value))


def _word(value: object) -> str:
    match value:
        case str():
            return value
        case bool() | None:
            return {True: "true", False: "false", None: "null"}[value]
        case int() | float():
            return f"{value}"
        case _:
            return "..."


def _cut(text: str, most: int = _MAX_CHARS) -> str:
    """One line of it, without what would steer a terminal."""
    text = " ".join(printable(text).split())
    return text if len(text) <= most else f"{text[: most - 3]}..."
