"""What a token may be bound to: a key that proofs are made with, a certificate, or nothing."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["UNBOUND", "Binding"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """The confirmation of a token (RFC 7800 §3.1), and what a request shows of it.

    Attributes:
        jkt: the thumbprint of a DPoP key (RFC 9449 §6.1).
        x5t: the SHA-256 thumbprint of a client certificate (RFC 8705 §3.1).
    """

    jkt: str | None = None
    x5t: str | None = None

    def cnf(self) -> dict[str, str]:
        """The ``cnf`` claim; empty for a bearer token."""
        members = {"jkt": self.jkt, "x5t#S256": self.x5t}
        return {name: value for name, value in members.items() if value is not None}

    def fits(self, shown: Binding) -> bool:
        """Whether a request that shows so much may use what is bound to this."""
        return self.jkt in (None, shown.jkt) and self.x5t in (None, shown.x5t)


UNBOUND = Binding()
