"""What went wrong, as the error response to the call that it concerns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatepass.bridge.message import error_line
from gatepass.errors import RemoteError, UnreachableError
from gatepass.integrations.flow import challenge_of

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx2

    from gatepass.bridge.message import Id
    from gatepass.errors import GatepassError

__all__ = ["AUTHORIZATION_FAILED", "INTERNAL_ERROR", "METHOD_NOT_FOUND", "NOT_ANSWERED", "failed", "refusal", "unknown"]

AUTHORIZATION_FAILED = -32011
"""There is no token, or the server refused it: the same code as `gatepass.connect` gives."""
NOT_ANSWERED = -32012
"""The server could not be reached, or its answer was lost on the way."""
INTERNAL_ERROR = -32603
METHOD_NOT_FOUND = -32601

_FIELDS = ("code", "error", "error_description", "error_uri", "status", "retryable", "retry_at", "by")


def failed(request: Id | None, failure: GatepassError, code: int, explain: Callable[[GatepassError], str]) -> bytes:
    """The error response to a request.

    Args:
        request: its id.
        failure: why it failed; its fields go along as the error's data.
        code: the error code of JSON-RPC.
        explain: what a failure says, in the words of whoever started the bridge.
    """
    fields = {field: getattr(failure, field) for field in _FIELDS}
    data = {"kind": type(failure).__name__} | {field: value for field, value in fields.items() if value is not None}
    return error_line(request, code, explain(failure), data)


def refusal(response: httpx2.Response) -> RemoteError:
    """The server's last word, after whatever renewal there was (RFC 6750 §3.1)."""
    challenge = challenge_of(response)
    error = challenge.error if challenge else None
    wanted = f" It asks for the scopes {' '.join(challenge.scope)}." if challenge and challenge.scope else ""
    return RemoteError(
        f"The MCP server refused the request with {response.status_code} {error or 'and gave no reason'}.{wanted}",
        code="insufficient_scope" if error == "insufficient_scope" else "refused_by_resource",
        error=error,
        error_description=challenge.error_description if challenge else None,
        status=response.status_code,
        by="resource_server",
    )


def unknown(method: str, failure: GatepassError) -> UnreachableError:
    """A request was sent and its answer is lost: repeated, it might be done twice."""
    msg = f"{failure} The MCP server may or may not have done {method}: look before you ask for it again."
    return UnreachableError(msg, code="answer_lost", status=failure.status)
