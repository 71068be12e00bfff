"""What can go wrong, and whose fault it was.

    GatepassError
      ConfigurationError    yours to fix, before anything was sent
      RemoteError           a server answered, and the answer was no (or made no sense)
      UnreachableError      no server answered in time
      StoreError            the place where tokens are kept failed
      SignInRequiredError   nobody's: a person has to sign in, and none can be asked here

Every error says what happened and what to do, in a text that can be pasted into a public bug report: no secret, no
token and nothing of a response but the fields of RFC 6749 §5.2 ever stands in one.
"""

from __future__ import annotations

from typing import Literal, Self

__all__ = [
    "ConfigurationError",
    "GatepassError",
    "RemoteError",
    "SignInRequiredError",
    "StoreError",
    "UnreachableError",
]

Party = Literal["authorization_server", "resource_server"]


class GatepassError(Exception):
    """The root of everything that gatepass raises.

    Attributes:
        code: a stable, machine-readable name for what went wrong, such as ``"issuer_mismatch"``.
        error: the OAuth error code, when a server gave one (RFC 6749 §5.2, RFC 6750 §3.1).
        error_description: the server's own words, cleaned of control characters and bounded.
        error_uri: a page about the error, when the server named one.
        status: the HTTP status, when a server answered.
        retryable: whether the same call can succeed later with nothing changed.
        retry_at: when it is worth trying again, in epoch seconds.
        by: which server it was, ``"authorization_server"`` or ``"resource_server"``, when one answered.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str = "error",
        error: str | None = None,
        error_description: str | None = None,
        error_uri: str | None = None,
        status: int | None = None,
        retryable: bool = False,
        retry_at: float | None = None,
        by: Party | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.error = error
        self.error_description = error_description
        self.error_uri = error_uri
        self.status = status
        self.retryable = retryable
        self.retry_at = retry_at
        self.by = by

    def again(self) -> Self:
        """A copy to raise elsewhere, without the traceback (whose frames may have held a secret) or the chain."""
        copy = type(self)(*self.args)
        copy.__dict__.update(self.__dict__)
        return copy

    def with_(self, **changes: object) -> Self:
        """A copy with some attributes changed, such as ``retry_at``."""
        copy = self.again()
        copy.__dict__.update(changes)
        return copy


class ConfigurationError(GatepassError):
    """Something the user gave does not fit: a key, a URL, a method that the server does not offer."""


class RemoteError(GatepassError):
    """A server answered and refused, or its answer breaks the protocol. `by` says which server."""


class UnreachableError(GatepassError):
    """No usable answer came: no connection, a time-out, or a deadline of the caller's that passed."""


class StoreError(GatepassError):
    """The store of tokens can't be read or written. Costs sharing and restarts, never service; but for a refresh token
    that acts for a person, which waits until the store says who may use it."""


class SignInRequiredError(GatepassError):
    """A person has to sign in, and this process can't ask one: it has no browser, or nobody waits for the token.

    Attributes:
        url: the authorization request (RFC 6749 §4.1.1), to be read: who is wanted, and for which scopes. To open it
            signs nobody in: its verifier went with the attempt. None where nothing was prepared, since nobody waits.
    """

    url: str | None = None
