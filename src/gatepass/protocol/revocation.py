"""Token revocation (RFC 7009)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from gatepass.protocol.token import build_token_request, refusal_of

if TYPE_CHECKING:
    from gatepass.core.http import Headers, HttpRequest, HttpResponse
    from gatepass.core.secret import Secret
    from gatepass.core.world import Instant
    from gatepass.errors import RemoteError
    from gatepass.protocol.token import Form

__all__ = ["build_revocation_request", "revocation_refusal"]

_SUCCESS = range(200, 300)


def build_revocation_request(
    *,
    endpoint: str,
    token: Secret,
    hint: Literal["access_token", "refresh_token"],
    form: Form = (),
    headers: Headers = (),
) -> HttpRequest:
    """The POST of RFC 7009 §2.1, with the client authentication's parameters and headers."""
    about = (("token", token), ("token_type_hint", hint))
    return build_token_request(endpoint=endpoint, form=(*about, *form), headers=headers)


def revocation_refusal(response: HttpResponse, *, now: Instant, hide: tuple[str | Secret, ...]) -> RemoteError | None:
    """Why the token was not revoked (RFC 7009 §2.2.1); None if it was, or never was known there (§2.2)."""
    return None if response.status in _SUCCESS else refusal_of(response, now=now, hide=hide, what="revocation")
