"""The resource's last word on an MCP call, and how it is told in JSON-RPC. The MCP SDK is not needed for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatepass.errors import RemoteError
from gatepass.integrations.flow import challenge_of

if TYPE_CHECKING:
    import httpx2

__all__ = ["AUTHORIZATION_FAILED", "FIELDS", "refusal"]

AUTHORIZATION_FAILED = -32011
"""The JSON-RPC error code of a call that authorization stopped."""

FIELDS = ("code", "error", "error_description", "error_uri", "status", "retryable", "retry_at", "by")
"""What of a `GatepassError` goes along as the data of such an error."""


def refusal(response: httpx2.Response) -> RemoteError:
    """The resource's last word, after whatever renewal there was (RFC 6750 §3.1)."""
    challenge = challenge_of(response)
    error = challenge.error if challenge else None
    said = challenge.error_description if challenge else None
    scopes = f" It asks for the scopes {' '.join(challenge.scope)}." if challenge and challenge.scope else ""
    msg = f"The server refused the request with {response.status_code} {error or 'and gave no reason'}.{scopes}"
    code = "insufficient_scope" if error == "insufficient_scope" else "refused_by_resource"
    return RemoteError(
        msg, code=code, error=error, error_description=said, status=response.status_code, by="resource_server"
    )
