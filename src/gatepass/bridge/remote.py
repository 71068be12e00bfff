"""The way to the MCP server: one HTTP client that gets in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import httpx2

from gatepass.engine.token_http import unreachable
from gatepass.integrations.client import AuthorizedAsyncClient

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from gatepass.errors import UnreachableError
    from gatepass.integrations.auth import Auth

__all__ = ["UNSENT", "Remote"]

UNSENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.ProxyError)
"""What a client raises before a request has left it."""

_TIMEOUT = httpx2.Timeout(30.0, read=300.0)
_LIMITS = httpx2.Limits(max_keepalive_connections=20, keepalive_expiry=3.0)
"""Many servers close a connection that was idle for 5 s. Whoever sends at that moment can't know what became of it."""

_MAX_REDIRECTS = 5


class Remote:
    """An MCP server behind its gate, for requests that are made by hand. Use it as ``async with Remote(auth)``.

    Args:
        auth: the way in.
        http_options: keyword options of `httpx2.AsyncClient`; its time-outs are MCP's (30 s, and 300 s to read) if
            left out.

    Attributes:
        url: of the MCP endpoint.
        reached: whether it has ever answered.
    """

    def __init__(self, auth: Auth, http_options: Mapping[str, Any] | None = None) -> None:
        options = {"timeout": _TIMEOUT, "limits": _LIMITS, **(http_options or {})}
        self._http = AuthorizedAsyncClient(auth, **options)
        self._covers = auth.reach.covers
        self.url = httpx2.URL(auth.url)
        self.reached = False

    async def __aenter__(self) -> Self:
        await self._http.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.__aexit__(kind, error, trace)

    def timeout(self, *, silence_s: float = 0.0) -> httpx2.Timeout:
        """How long to wait.

        Args:
            silence_s: how long nothing may come at least, in seconds, whatever the client was made with.
        """
        usual = self._http.timeout
        read_s = None if usual.read is None else max(usual.read, silence_s)
        return httpx2.Timeout(connect=usual.connect, read=read_s, write=usual.write, pool=usual.pool)

    def request(
        self, method: str, headers: Mapping[str, str], content: bytes | None = None, *, silence_s: float = 0.0
    ) -> httpx2.Request:
        """A request to the endpoint."""
        timeout = self.timeout(silence_s=silence_s)
        return self._http.build_request(method, self.url, headers=dict(headers), content=content, timeout=timeout)

    async def send(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request; the answer's body is still to be read, and the answer to be closed.

        A redirect is followed if it repeats the request within the resource. Any other one is the answer.

        Raises:
            GatepassError: there is no token.
            httpx2.RequestError: there is no answer; one of `UNSENT` if the request has not left.
        """
        response = await self._http.send(request, stream=True, follow_redirects=False)
        for _ in range(_MAX_REDIRECTS):
            onward = response.next_request
            if onward is None or onward.method != request.method or not self._covers(onward.url):
                break
            await response.aclose()
            response = await self._http.send(_repeated(request, onward), stream=True, follow_redirects=False)
        self.reached = True
        return response

    def why(self, problem: httpx2.RequestError) -> UnreachableError:
        """Why no answer came."""
        return unreachable(problem, self.url.netloc.decode("ascii"), trust="http_options={'verify': ...}")


def _repeated(request: httpx2.Request, onward: httpx2.Request) -> httpx2.Request:
    """The request again at another place, whole, so that it can be sent once more with a new token."""
    return httpx2.Request(
        request.method, onward.url, headers=onward.headers, content=request.content, extensions=request.extensions
    )
