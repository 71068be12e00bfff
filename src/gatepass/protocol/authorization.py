"""The authorization request and its answer: RFC 6749 §4.1 with PKCE (RFC 7636) and `iss` (RFC 9207).

Both travel through a person's browser, so the answer could be anybody's: `state` says that it belongs to our request,
then `iss` that it comes from the server that was asked, and only then is anything of it looked at.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode, urlsplit

from gatepass.core.secret import Secret
from gatepass.core.value import Value
from gatepass.errors import RemoteError
from gatepass.protocol.jwt import base64url
from gatepass.protocol.text import clean
from gatepass.protocol.urls import shown

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Asked", "build_authorization_url", "code_challenge", "parse_authorization_response"]

_MAX_FIELDS = 100
_ADVICE = {
    "access_denied": "The person, or a policy of the server's, said no.",
    "invalid_scope": "Ask only for scopes that this client may have, or leave `scopes` out.",
    "invalid_target": "The server does not know this resource: check the MCP server's URL.",
    "server_error": "The server failed by itself: try again later.",
    "temporarily_unavailable": "The server is overloaded or in maintenance: try again later.",
    "unauthorized_client": "Have the authorization code grant allowed for the client where it is registered.",
}
_RETRYABLE = frozenset({"server_error", "temporarily_unavailable"})


class Asked(Value, frozen=True, kw_only=True):
    """What must be remembered of a request until its answer comes.

    Attributes:
        state: ties the answer to the request (RFC 6749 §10.12).
        issuer: who was asked.
        iss_supported: the server says that it names itself in each answer (RFC 9207 §3).
    """

    hidden = ("state",)

    state: str
    issuer: str
    iss_supported: bool


def code_challenge(verifier: str) -> str:
    """The S256 challenge of a code verifier (RFC 7636 §4.2)."""
    return base64url(hashlib.sha256(verifier.encode("ascii")).digest())


def build_authorization_url(endpoint: str, parameters: Sequence[tuple[str, str]]) -> str:
    """Where the person goes (RFC 6749 §4.1.1); a query that the endpoint has already is kept (§3.1)."""
    return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(parameters)}"


def parse_authorization_response(url: str, asked: Asked) -> Secret:
    """The code that the person was sent back with (RFC 6749 §4.1.2), for one use.

    Args:
        url: where the person was sent back to, with its query.
        asked: what the request said.

    Raises:
        RemoteError: it is no answer to our request (code ``state_mismatch``), comes from another server or one that
            does not say so (``iss_mismatch``), is a refusal (``authorization_refused``) or makes no sense
            (``authorization_response_invalid``).
    """
    problem, code = _read(url, asked)
    del url  # it holds the code
    if problem is not None:
        raise problem
    return code


def _read(url: str, asked: Asked) -> tuple[RemoteError | None, Secret]:
    nothing = Secret("")
    answer = _parameters(url)
    if answer is None:
        return _invalid("it can't be read, or says something twice"), nothing
    if answer.get("state") != asked.state:
        msg = "The answer to the authorization request is not one to ours: its state is another. Try again."
        return RemoteError(msg, code="state_mismatch", by="authorization_server"), nothing
    problem = _issuer_problem(answer.get("iss"), asked) or _refusal(answer)
    if problem is not None:
        return problem, nothing
    code = answer.get("code")
    return (None, Secret(code)) if code else (_invalid("it has no code"), nothing)


def _parameters(url: str) -> dict[str, str] | None:
    try:
        fields = parse_qsl(urlsplit(url).query, keep_blank_values=True, max_num_fields=_MAX_FIELDS)
    except ValueError:
        return None
    answer = dict(fields)
    return answer if len(answer) == len(fields) else None


def _issuer_problem(iss: str | None, asked: Asked) -> RemoteError | None:
    """RFC 9207 §2.4: the same, character by character; missing only where it was not promised."""
    if iss == asked.issuer or (iss is None and not asked.iss_supported):
        return None
    said = "does not say who it comes from" if iss is None else f"comes from {shown(iss)}"
    msg = f"The answer to the authorization request to {shown(asked.issuer)} {said}; it is not used (RFC 9207)."
    return RemoteError(msg, code="iss_mismatch", by="authorization_server")


def _refusal(answer: dict[str, str]) -> RemoteError | None:
    """RFC 6749 §4.1.2.1."""
    if "error" not in answer:
        return None
    error = clean(answer["error"])
    description = clean(answer.get("error_description", ""))
    words = f' ("{description}")' if description else ""
    advice = _ADVICE.get(error or "", "Ask whoever runs the authorization server what it expects.")
    return RemoteError(
        f"The authorization server refused: {error or 'an error without a name'}{words}. {advice}",
        code="authorization_refused",
        error=error,
        error_description=description,
        error_uri=clean(answer.get("error_uri", "")),
        retryable=error in _RETRYABLE,
        by="authorization_server",
    )


def _invalid(flaw: str) -> RemoteError:
    msg = f"The answer to the authorization request can't be used: {flaw}. Ask whoever runs the authorization server."
    return RemoteError(msg, code="authorization_response_invalid", by="authorization_server")
