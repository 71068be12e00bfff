"""A request that the authorization server refuses."""

from __future__ import annotations

__all__ = ["Refusal"]


class Refusal(Exception):  # noqa: N818 - it is an answer, not a failure of the server
    """An error response of the token endpoint (RFC 6749 §5.2, RFC 8707 §2).

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
