"""Dynamic client registration (RFC 7591): what a client says of itself, and who it is from then on."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from gatepass.core.http import HttpRequest
from gatepass.errors import RemoteError
from gatepass.protocol.dates import retry_at
from gatepass.protocol.document import REQUEST_TIMEOUT, SERVER_ERROR, TOO_MANY_REQUESTS, Flaw, decode
from gatepass.protocol.text import clean

if TYPE_CHECKING:
    from gatepass.core.http import HttpResponse
    from gatepass.core.world import Instant

__all__ = ["ClientMetadata", "Registration", "build_registration_request", "parse_registration_response"]

_SUCCESS = (200, 201)
_VSCHARS = re.compile(r"[\x20-\x7e]+")
"""What a client id and a client secret are made of (RFC 6749, appendix A.1 and A.2)."""


class ClientMetadata(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a client says of itself (RFC 7591 §2, OpenID Connect Registration §2, RFC 9449 §5.2)."""

    client_name: str
    redirect_uris: tuple[str, ...]
    token_endpoint_auth_method: str
    application_type: str
    grant_types: tuple[str, ...] = ()
    response_types: tuple[str, ...] = ()
    dpop_bound_access_tokens: bool = False


class Registration(msgspec.Struct, frozen=True, kw_only=True):
    """A client as one authorization server knows it. It is never shown to another one.

    Attributes:
        issuer: who knows it.
        client_id: its identifier there.
        client_secret: its secret, if it was given one.
        method: how it authenticates.
        redirect_uri: what was registered.
        expires_at: when the secret ends, in epoch seconds; None if it does not.
    """

    issuer: str
    client_id: str
    client_secret: str | None
    method: str
    redirect_uri: str
    expires_at: float | None = None

    def __repr__(self) -> str:
        return f"Registration(issuer={self.issuer!r}, client_id={self.client_id!r})"


class _Answer(msgspec.Struct, frozen=True, kw_only=True):
    """RFC 7591 §3.2.1. Its repr shows nothing, since a traceback may show its repr."""

    client_id: str
    client_secret: str | None = None
    client_secret_expires_at: float | None = None
    token_endpoint_auth_method: str | None = None

    def __repr__(self) -> str:
        return "_Answer(***)"


class _Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """RFC 7591 §3.2.2, of whatever type a server gives it."""

    error: object = None
    error_description: object = None


def build_registration_request(endpoint: str, metadata: ClientMetadata) -> HttpRequest:
    """The POST of RFC 7591 §3.1."""
    headers = (("Accept", "application/json"), ("Content-Type", "application/json"))
    return HttpRequest(method="POST", url=endpoint, headers=headers, body=msgspec.json.encode(metadata))


def parse_registration_response(
    response: HttpResponse, *, issuer: str, asked: ClientMetadata, now: Instant
) -> Registration:
    """Who the client is from now on (RFC 7591 §3.2.1).

    Args:
        response: the answer.
        issuer: who gave it.
        asked: what was asked for, which holds where the answer does not say.
        now: when it came, for `retry_at`.

    Raises:
        RemoteError: the server refuses (code ``registration_refused``), is in trouble (``registration_busy``,
            retryable), or its success makes no sense (``registration_invalid``).
    """
    if response.status not in _SUCCESS:
        raise _refusal(response, now)
    answer = decode(response.body, _Answer)
    flaw = answer.text if isinstance(answer, Flaw) else _flaw(answer)
    if isinstance(answer, Flaw) or flaw is not None:
        msg = f"The authorization server's registration response can't be used: {flaw}. Register the client yourself."
        raise RemoteError(msg, code="registration_invalid", status=response.status, by="authorization_server")
    return Registration(
        issuer=issuer,
        client_id=answer.client_id,
        client_secret=answer.client_secret or None,
        method=answer.token_endpoint_auth_method or asked.token_endpoint_auth_method,
        redirect_uri=asked.redirect_uris[0],
        expires_at=(answer.client_secret_expires_at or None) if answer.client_secret else None,
    )


def _flaw(answer: _Answer) -> str | None:
    """What makes a well-formed answer unusable, without a word of it."""
    if not _VSCHARS.fullmatch(answer.client_id):
        return "client_id is empty, or holds what is no printable ASCII"
    if answer.client_secret and not _VSCHARS.fullmatch(answer.client_secret):
        return "client_secret holds what is no printable ASCII"
    return None


def _refusal(response: HttpResponse, now: Instant) -> RemoteError:
    body = decode(response.body, _Refusal)
    said = _Refusal() if isinstance(body, Flaw) else body
    error = clean(said.error) if isinstance(said.error, str) else None
    description = clean(said.error_description) if isinstance(said.error_description, str) else None
    status = response.status
    busy = status in (REQUEST_TIMEOUT, TOO_MANY_REQUESTS) or status >= SERVER_ERROR
    reason = f": {error}" if error else ""
    words = f' ("{description}")' if description else ""
    advice = "Try again later." if busy else "Register the client there yourself, and give it with client=..."
    return RemoteError(
        f"The authorization server did not register the client{reason}{words}, status {status}. {advice}",
        code="registration_busy" if busy else "registration_refused",
        error=error,
        error_description=description,
        status=status,
        retryable=busy,
        retry_at=retry_at(response, now) if busy else None,
        by="authorization_server",
    )
