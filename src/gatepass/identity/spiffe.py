"""SPIFFE: a JWT-SVID from the Workload API of an agent on this machine, such as SPIRE's, by `spiffe`."""

from __future__ import annotations

import os
from typing import Any, ClassVar
from urllib.parse import urlsplit

from gatepass.client_auth.base import check_text
from gatepass.errors import ConfigurationError, GatepassError, UnreachableError
from gatepass.identity.base import Platform, library
from gatepass.identity.machine import any_set

__all__ = ["Spiffe"]

_SOCKET = "SPIFFE_ENDPOINT_SOCKET"
_LATER = {"UNAVAILABLE", "RESOURCE_EXHAUSTED", "ABORTED", "INTERNAL", "UNKNOWN"}


class Spiffe(Platform, frozen=True):
    """A JWT-SVID of this workload.

    Here: ``SPIFFE_ENDPOINT_SOCKET`` is set, or `socket` given.

    Arguments:
        socket: where the Workload API listens, such as ``"unix:///run/spire/agent.sock"``.
        spiffe_id: which identity, where the workload has several; else the agent's first.
    """

    name: ClassVar[str] = "SPIFFE"

    socket: str | None = None
    spiffe_id: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        for field in ("socket", "spiffe_id"):
            if getattr(self, field) is not None:
                check_text(getattr(self, field), field=field)

    def here(self) -> bool:
        """Whether a Workload API is named."""
        return self.socket is not None or any_set(_SOCKET)

    def _fetch(self, audience: str) -> object:
        spiffe = library("spiffe", extra="spiffe")
        problems = library("spiffe.errors", extra="spiffe")
        address = self.socket or os.environ[_SOCKET]
        try:
            subject = None if self.spiffe_id is None else spiffe.SpiffeId(self.spiffe_id)
        except problems.PySpiffeError:
            msg = f"spiffe_id is {self.spiffe_id!r}; it must be one such as spiffe://example.com/ci-bot."
            raise ConfigurationError(msg, code="spiffe_id_invalid") from None
        try:
            if address.startswith("unix:") and not os.access(urlsplit(address).path, os.F_OK):
                raise self._unreachable("can't be reached: no agent listens at its socket")
            with spiffe.WorkloadApiClient(address) as agent:
                return agent.fetch_jwt_svid({audience}, subject, timeout=self.timeout_s).token
        except problems.ArgumentError:
            msg = f"{_SOCKET} or socket=... is no address of a Workload API: unix:///path is one."
            raise ConfigurationError(msg, code="socket_invalid") from None
        except problems.PySpiffeError as problem:
            raise self._problem(audience, problem) from None

    def _problem(self, audience: str, problem: Any) -> GatepassError:
        cause = problem.__cause__
        kind = type(cause).__name__
        if kind == "TokenExpiredError":
            return self._expired()
        if kind == "InvalidClaimError" and "audience" in str(cause):
            return self._for_another(audience, ["somebody else"])
        status = cause.code().name if hasattr(cause, "code") else ""
        if status == "DEADLINE_EXCEEDED":
            return self._late()
        if status in _LATER:
            msg = f"{self.name} gives no token now: the agent answered {status}."
            return UnreachableError(msg, code="workload_token_unavailable", retryable=True)
        if status:
            msg = f"{self.name} refuses to give a token: the agent answered {status}. Register this workload with it."
            return ConfigurationError(msg, code="workload_token_refused")
        return self._invalid()
