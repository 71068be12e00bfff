"""A request and its response, as the pure part sees them."""

from __future__ import annotations

from gatepass.core.value import Value

__all__ = ["Headers", "HttpRequest", "HttpResponse"]

Headers = tuple[tuple[str, str], ...]


class HttpRequest(Value, frozen=True, kw_only=True):
    """A request to an authorization server or for metadata. Headers and body may hold a credential."""

    hidden = ("headers", "body")

    method: str
    url: str
    headers: Headers = ()
    body: bytes = b""


class HttpResponse(Value, frozen=True, kw_only=True):
    """An answer, read whole. The body may hold a token."""

    hidden = ("headers", "body")

    status: int
    headers: Headers = ()
    body: bytes = b""

    def header(self, name: str) -> str | None:
        """The first header of that name, whatever its case; None if there is none."""
        return next(iter(self.header_values(name)), None)

    def header_values(self, name: str) -> tuple[str, ...]:
        """Every header line of that name, in order."""
        wanted = name.lower()
        return tuple(value for key, value in self.headers if key.lower() == wanted)
