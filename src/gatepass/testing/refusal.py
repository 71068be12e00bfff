"""A request that a server refuses."""

from __future__ import annotations

from starlette.responses import JSONResponse, Response

__all__ = ["NO_STORE", "Refusal"]

NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}


class Refusal(Exception):  # noqa: N818 - it is an answer, not a failure of the server
    """An error response (RFC 6749 §5.2, RFC 6750 §3.1, RFC 7591 §3.2.2, RFC 8707 §2, RFC 9449 §5).

    Attributes:
        error: the error code.
        description: what was wrong, for the person who debugs a client. It never quotes a credential.
        status: the HTTP status.
        challenge: the ``WWW-Authenticate`` header, which HTTP authentication that failed must be answered with.
    """

    def __init__(self, error: str, description: str, *, status: int = 400, challenge: str | None = None) -> None:
        super().__init__(f"{error}: {description}")
        self.error = error
        self.description = description
        self.status = status
        self.challenge = challenge

    def response(self) -> Response:
        """The answer of an authorization server."""
        challenge = {"WWW-Authenticate": self.challenge} if self.challenge else {}
        body = {"error": self.error, "error_description": self.description}
        return JSONResponse(body, self.status, {**NO_STORE, **challenge})
