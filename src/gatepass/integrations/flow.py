"""How one request gets in: written once, driven by synchronous and asynchronous clients, of httpx2 and of httpx.

    covered by the resource? -> a token at hand (or a bare request, whose 401 says what to ask for)
                             -> send -> 401? -> one renewal, one replay -> whatever comes is the caller's

The flow is a generator: it yields a request to be sent, or `Need` where it wants a token, and is given the response or
the token.
"""

from __future__ import annotations

import enum
from collections.abc import AsyncGenerator, Generator
from time import monotonic, time
from typing import TYPE_CHECKING, Any, Protocol

from gatepass.core.world import Notice
from gatepass.protocol.challenge import resource_challenge
from gatepass.protocol.urls import covers, origin, same_origin

if TYPE_CHECKING:
    from gatepass.engine.source import Source
    from gatepass.lifecycle.policy import Held

__all__ = ["Flow", "Need", "Reach", "adrive", "authorize", "drive", "outside", "withdraw"]

_UNAUTHORIZED = 401
_MARK = "gatepass"


class Url(Protocol):
    """A URL of httpx2 or httpx."""

    @property
    def scheme(self) -> str: ...
    @property
    def host(self) -> str: ...
    @property
    def port(self) -> int | None: ...
    @property
    def raw_path(self) -> bytes: ...


class Request(Protocol):
    """A request of httpx2 or httpx."""

    @property
    def url(self) -> Any: ...
    @property
    def headers(self) -> Any: ...
    @property
    def content(self) -> bytes: ...

    extensions: Any


class Response(Protocol):
    """A response of httpx2 or httpx."""

    status_code: int

    @property
    def request(self) -> Any: ...

    @property
    def headers(self) -> Any: ...


class Need(enum.Enum):
    """What the flow yields when it wants a token."""

    TOKEN = enum.auto()
    TOKEN_OR_BARE = enum.auto()
    """It would rather send a bare request than ask for the wrong scopes."""


Flow = Generator[Any, Any, None]


class Reach:
    """Which requests a token goes to: those of the resource, and no other.

    Args:
        endpoint: the MCP endpoint, in canonical form.
        whole_origin: siblings of the endpoint belong to the resource, too (the old HTTP+SSE transport needs it).
    """

    def __init__(self, endpoint: Any, *, whole_origin: bool) -> None:
        self._resource = origin(str(endpoint)) if whole_origin else str(endpoint)
        self._usual = (endpoint.scheme, endpoint.host, endpoint.port, endpoint.raw_path)
        self._usual_host = [(b"Host", endpoint.netloc)]

    def covers(self, url: Any) -> bool:
        """Whether a token may go there; the endpoint itself is recognised without parsing."""
        return (url.scheme, url.host, url.port, url.raw_path) == self._usual or covers(self._resource, str(url))

    def admits(self, request: Any) -> bool:
        """Whether a token may go along: the URL is covered, and no Host header leads on to another site behind it."""
        if not self.covers(request.url):
            return False
        return request.headers.raw[:1] == self._usual_host or _names_its_own_host(request)


def authorize(source: Source, reach: Reach, request: Request, unread: type[Exception]) -> Flow:
    """Get one request in.

    Args:
        source: where the token comes from.
        reach: where it may go to.
        request: what is to be sent.
        unread: what the client's library raises for a body that can be sent only once.
    """
    if not reach.admits(request):
        withdraw(request)
        source.world.notice(outside(reach, request.url))
        yield request
        return
    held = source.ready
    if held is None or not (monotonic() < held.fresh_until.mono and time() < held.fresh_until.wall):
        held = yield (Need.TOKEN_OR_BARE if _replayable(request, unread) else Need.TOKEN)
        if held is None:
            withdraw(request)
            response = yield request
            if not _refused(reach, response, None):
                return
            source.challenged(_challenge(response))
            held = yield Need.TOKEN
    _attach(request, held)
    response = yield request
    if not _refused(reach, response, held):
        return
    source.challenged(_challenge(response))
    if not source.reject(held.generation) or not _replayable(request, unread):
        return
    held = yield Need.TOKEN
    _attach(request, held)
    response = yield request
    if _refused(reach, response, held):
        source.reject(held.generation)


def drive(flow: Flow, source: Source, patience_s: float) -> Generator[Any, Any, None]:
    """Run the flow for a synchronous client."""
    try:
        step = next(flow)
        while True:
            if isinstance(step, Need):
                bare_ok = step is Need.TOKEN_OR_BARE
                answer = (source.get_or_bare if bare_ok else source.get)(patience_s)
            else:
                answer = yield step
            step = flow.send(answer)
    except StopIteration:
        return


async def adrive(flow: Flow, source: Source, patience_s: float) -> AsyncGenerator[Any, Any]:
    """Run the flow for an asynchronous client."""
    try:
        step = next(flow)
        while True:
            if isinstance(step, Need):
                bare_ok = step is Need.TOKEN_OR_BARE
                answer = await (source.aget_or_bare if bare_ok else source.aget)(patience_s)
            else:
                answer = yield step
            step = flow.send(answer)
    except StopIteration:
        return


def withdraw(request: Request) -> None:
    """Take our token off a request that inherited it from the one that was redirected to it."""
    if request.extensions.pop(_MARK, None):
        for name in ("Authorization", "DPoP"):
            request.headers.pop(name, None)


def _refused(reach: Reach, response: Response, held: Held | None) -> bool:
    """Whether the resource refused what it was sent: that token, or none. Where a redirect led is another matter."""
    if response.status_code != _UNAUTHORIZED or not reach.admits(response.request):
        return False
    return held is None or response.request.headers.get("Authorization") == held.authorization


def _names_its_own_host(request: Request) -> bool:
    """Whether each Host header says what the URL says, in whatever spelling (RFC 9110 §7.2)."""
    url = request.url
    here = f"{url.scheme}://{url.netloc.decode('ascii')}"
    return all(same_origin(f"{url.scheme}://{host}", here) for host in request.headers.get_list("Host"))


def _replayable(request: Request, unread: type[Exception]) -> bool:
    try:
        request.content  # noqa: B018 - it raises for a stream
    except unread:
        return False
    return True


def _attach(request: Request, held: Held) -> None:
    request.headers["Authorization"] = held.authorization
    request.extensions[_MARK] = True


def _challenge(response: Response) -> Any:
    return resource_challenge(response.headers.get_list("WWW-Authenticate"))


def outside(reach: Reach, url: Any) -> Notice:
    """Says once of each place that a request there goes out without a token."""
    why = "has a Host header of another site" if reach.covers(url) else "is outside the resource"
    text = f"A request to {url.scheme}://{url.netloc.decode('ascii')} {why}; it goes out without a token."
    return Notice(code="outside_resource", text=text, once=True)
