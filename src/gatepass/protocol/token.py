"""Token requests and their answers (RFC 6749 §5), with the errors in words that say what to do.

The body of an answer may hold a token and the request's secret: nothing of it but the three fields of §5.2 gets into an
error, cleaned, and no error is raised where a local variable shows more.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal, TypeVar
from urllib.parse import parse_qsl, quote, quote_plus, urlencode

import msgspec

from gatepass.core.http import Headers, HttpRequest
from gatepass.core.secret import Secret
from gatepass.core.value import Value
from gatepass.errors import RemoteError
from gatepass.protocol.dates import clock_skew_s, retry_at
from gatepass.protocol.document import REQUEST_TIMEOUT, SERVER_ERROR, TOO_MANY_REQUESTS, Flaw, decode, media_type
from gatepass.protocol.scope import parse_scope
from gatepass.protocol.text import clean

if TYPE_CHECKING:
    from gatepass.core.http import HttpResponse
    from gatepass.core.world import Instant

__all__ = [
    "Form",
    "TokenResponse",
    "build_token_request",
    "clean",
    "clock_skew_s",
    "parse_token_response",
    "refusal_of",
]

T = TypeVar("T")

Form = tuple[tuple[str, str | Secret], ...]
"""Parameters of a request, in order; those that must not be shown are `Secret`s."""

MAX_TOKEN_CHARS = 65_536
LONGEST_LIFE_S = 315_360_000.0  # ten years: arithmetic on any later date stays exact and storable

_SUCCESS = (200, 201)
_REDIRECTS = range(300, 400)
_MISSING_ENDPOINT = (404, 405, 410)
_NO_ENTRY = (401, 403)
_FORM_TYPES = ("application/x-www-form-urlencoded", "text/plain", "")
_FORM_START = re.compile(rb"[a-z_]+=")
_MAX_FORM_FIELDS = 100
_VISIBLE = re.compile(r"[\x21-\x7e]+")
_NUMBER = re.compile(r"[0-9]{1,18}(?:\.[0-9]{1,18})?")
_BINDING = {
    "bearer": ", but Bearer: the server does not bind this client's tokens to a key (RFC 9449 §5)",
    "dpop": ", but DPoP: the server binds this client's tokens to a key, which dpop=True makes",
}
_RETRYABLE_ERRORS = frozenset({"server_error", "temporarily_unavailable"})

_ADVICE = {
    "invalid_client": (
        "Check the client id, and that its secret or key is the one registered there for this way of authenticating."
    ),
    "invalid_grant": "The grant is expired, revoked or meant for someone else: get a new one.",
    "unauthorized_client": "Have this grant allowed for the client where it is registered.",
    "unsupported_grant_type": "The server does not offer this grant: use another, or have it switched on.",
    "invalid_scope": "Ask only for scopes that this client was granted, or leave `scopes` out.",
    "invalid_target": (
        "The server does not know this resource: check the MCP server's URL, and that it is registered there."
    ),
    "invalid_request": "The server misses or rejects a parameter: compare its documentation with the options given.",
    "invalid_dpop_proof": "Check this machine's clock, and that the server accepts the proof's algorithm.",
    "use_dpop_nonce": "The proof needs the nonce from the answer's DPoP-Nonce header.",
    "server_error": "The server failed by itself: try again later.",
    "temporarily_unavailable": "The server is overloaded or in maintenance: try again later.",
}


class TokenResponse(Value, frozen=True, kw_only=True):
    """A successful answer (RFC 6749 §5.1).

    Attributes:
        access_token: the token, or the assertion that a token exchange gave.
        token_type: the entry of the accepted `token_types` that the server named, whatever its case.
        expires_in_s: seconds of life, counted from when the request was sent; None if unsaid.
        scope: what was granted; None means what was asked for.
        refresh_token: for the next time, if one was issued.
        refresh_in_s: when the server suggests to renew, in seconds; None if unsaid.
        issued_token_type: what a token exchange issued (RFC 8693 §2.2.1).
    """

    access_token: Secret
    token_type: str
    expires_in_s: float | None = None
    scope: tuple[str, ...] | None = None
    refresh_token: Secret | None = None
    refresh_in_s: float | None = None
    issued_token_type: str | None = None


class _Grant(msgspec.Struct, frozen=True, kw_only=True):
    """The answer as it stands on the wire. Its repr shows nothing, since a traceback may show its repr."""

    access_token: str | None = None
    token_type: str | None = None
    expires_in: int | float | str | None = None
    scope: str | tuple[str, ...] | None = None
    refresh_token: str | None = None
    refresh_in: int | float | str | None = None
    issued_token_type: str | None = None
    error: object = None

    def __repr__(self) -> str:
        return "_Grant(***)"


class _Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """The fields of RFC 6749 §5.2, of whatever type a server gives them."""

    error: object = None
    error_description: object = None
    error_uri: object = None


def build_token_request(*, endpoint: str, form: Form, headers: Headers = ()) -> HttpRequest:
    """The POST of RFC 6749 §3.2: the form as the body, plus the headers of the client authentication."""
    return HttpRequest(
        method="POST",
        url=endpoint,
        headers=(
            ("Accept", "application/json"),
            ("Content-Type", "application/x-www-form-urlencoded"),
            *headers,
        ),
        body=urlencode([(name, _clear(value)) for name, value in form]).encode("ascii"),
    )


def _clear(value: str | Secret) -> str:
    return value.reveal() if isinstance(value, Secret) else value


def parse_token_response(
    response: HttpResponse,
    *,
    now: Instant,
    token_types: tuple[str, ...] = ("Bearer", "DPoP"),
    hide: tuple[str | Secret, ...] = (),
) -> TokenResponse:
    """The token of an answer (RFC 6749 §5.1), or its refusal (§5.2) as an error.

    Args:
        response: the answer.
        now: when it came, for `retry_at`.
        token_types: the token types that can be used, as they are to be spelled.
        hide: secrets of the request, masked wherever the server's own words repeat them.

    Raises:
        RemoteError: the server refuses (code ``token_refused``), is in trouble (``token_endpoint_busy``, retryable),
            or its success makes no sense (``token_response_invalid``; retryable if it broke off or is no JSON).
    """
    masked = tuple(Secret.of(secret) for secret in hide)
    hide = ()  # from here on a traceback that shows local variables shows none of them
    if response.status not in _SUCCESS:
        raise _refusal(response, now, masked)
    grant = _decode(response, _Grant)
    if isinstance(grant, Flaw):
        raise _invalid(response, grant.text, retryable=not grant.is_json)
    if not grant.access_token and grant.error is not None:
        raise _refusal(response, now, masked)
    flaw = _flaw(grant, token_types)
    if flaw is not None:
        raise _invalid(response, flaw, retryable=False)
    return _token(grant, token_types)


def _decode(response: HttpResponse, kind: type[T]) -> T | Flaw:
    """The body, from JSON or from the form that some old servers answer with."""
    if media_type(response) not in _FORM_TYPES or not _FORM_START.match(response.body):
        return decode(response.body, kind)
    try:
        fields = dict(parse_qsl(response.body.decode(), max_num_fields=_MAX_FORM_FIELDS))
        return msgspec.convert(fields, kind)
    except ValueError:
        return Flaw(text="it is a form that can't be read")


def _flaw(grant: _Grant, token_types: tuple[str, ...]) -> str | None:
    """What makes a well-formed answer unusable, without a word of it."""
    if not grant.access_token:
        return "access_token is missing"
    if len(grant.access_token) > MAX_TOKEN_CHARS or len(grant.refresh_token or "") > MAX_TOKEN_CHARS:
        return f"a token is longer than {MAX_TOKEN_CHARS} characters"
    if not _VISIBLE.fullmatch(grant.access_token):
        return "access_token holds characters that can't stand in a header"
    if not grant.token_type:
        return "token_type is missing"
    if _token_type(grant, token_types) is None:
        return f"token_type is not {' or '.join(token_types)}{_BINDING.get(grant.token_type.lower(), '')}"
    for name, value in (("expires_in", grant.expires_in), ("refresh_in", grant.refresh_in)):
        if value is not None and _seconds(value) is None:
            return f"{name} is not a number of seconds"
    return None


def _token(grant: _Grant, token_types: tuple[str, ...]) -> TokenResponse:
    return TokenResponse(
        access_token=Secret(grant.access_token or ""),
        token_type=_token_type(grant, token_types) or "",
        expires_in_s=_seconds(grant.expires_in),
        scope=_scope(grant.scope),
        refresh_token=Secret(grant.refresh_token) if grant.refresh_token else None,
        refresh_in_s=_seconds(grant.refresh_in),
        issued_token_type=grant.issued_token_type,
    )


def _token_type(grant: _Grant, token_types: tuple[str, ...]) -> str | None:
    named = (grant.token_type or "").lower()
    return next((spelling for spelling in token_types if spelling.lower() == named), None)


def _scope(scope: str | tuple[str, ...] | None) -> tuple[str, ...] | None:
    if scope is None:
        return None
    return parse_scope(scope if isinstance(scope, str) else " ".join(scope))


def _seconds(value: float | str | None) -> float | None:
    if isinstance(value, str):
        value = float(value) if _NUMBER.fullmatch(value) else None
    if value is None or value < 0:
        return None
    return float(min(value, LONGEST_LIFE_S))


def _invalid(response: HttpResponse, flaw: str, *, retryable: bool) -> RemoteError:
    advice = "Try again later" if retryable else "Ask whoever runs the authorization server to correct it"
    return RemoteError(
        f"The authorization server's token response can't be used: {flaw}. {advice}.",
        by="authorization_server",
        code="token_response_invalid",
        status=response.status,
        retryable=retryable,
    )


def refusal_of(
    response: HttpResponse, *, now: Instant, hide: tuple[str | Secret, ...], what: Literal["token", "revocation"]
) -> RemoteError:
    """The error that an answer is, in the form of RFC 6749 §5.2, of one of the two endpoints that answer in it.

    Its code is ``{what}_refused``, or ``{what}_endpoint_busy`` (retryable).
    """
    masked = tuple(Secret.of(secret) for secret in hide)
    hide = ()  # from here on a traceback that shows local variables shows none of them
    return _refusal(response, now, masked, what)


def _refusal(response: HttpResponse, now: Instant, masked: tuple[Secret, ...], what: str = "token") -> RemoteError:
    """The error for an answer without a token (RFC 6749 §5.2)."""
    body = _decode(response, _Refusal)
    said = _Refusal() if isinstance(body, Flaw) else body
    error = _words(said.error, masked)
    description = _words(said.error_description, masked)
    status = response.status
    retryable = _is_trouble(status) or error in _RETRYABLE_ERRORS
    outcome = f"can't answer the {what} request now" if retryable else f"refused the {what} request"
    reason = f": {error}" if error else ""
    words = f' ("{description}")' if description else ""
    return RemoteError(
        f"The authorization server {outcome}{reason}{words}, status {status}. {_advice(error, status, what)}",
        by="authorization_server",
        code=(
            ("token_endpoint_busy" if retryable else "token_refused")
            if what == "token"
            else ("revocation_endpoint_busy" if retryable else "revocation_refused")
        ),
        error=error,
        error_description=description,
        error_uri=_words(said.error_uri, masked),
        status=status,
        retryable=retryable,
        retry_at=retry_at(response, now) if retryable else None,
    )


def _is_trouble(status: int) -> bool:
    return status in (REQUEST_TIMEOUT, TOO_MANY_REQUESTS) or status >= SERVER_ERROR


def _advice(error: str | None, status: int, what: str) -> str:
    if error in _ADVICE:
        return _ADVICE[error]
    if _is_trouble(status):
        return "Try again later."
    if status in _REDIRECTS:
        return f"The {what} endpoint redirects, which is never followed: configure or publish the URL it leads to."
    if status in _MISSING_ENDPOINT:
        return f"There is no {what} endpoint at this URL: check the server's metadata or the one configured."
    if status in _NO_ENTRY:
        return _ADVICE["invalid_client"]
    return "Ask whoever runs the authorization server what it expects."


def _words(said: object, masked: tuple[Secret, ...]) -> str | None:
    """A field of a refusal, cleaned, with every masked secret replaced, as it stands or form-encoded."""
    if not isinstance(said, str):
        return None
    for secret in masked:
        if secret.reference is None and (value := secret.reveal()):
            for form in (value, quote_plus(value, errors="replace"), quote(value, safe="", errors="replace")):
                said = said.replace(form, "***")
    return clean(said)
