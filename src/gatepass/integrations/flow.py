"""How one request gets in: written once, driven by synchronous and asynchronous clients, of httpx2 and of httpx.

    covered by the resource? -> a token at hand (or a bare request, whose 401 says what to ask for)
                             -> send -> 401? -> another token: one that others have, or one renewal; a replay for each
                                        403? -> a token with more scopes, a replay for each
                                     -> whatever comes is the caller's

The flow is a generator: it yields a request to be sent, or what it needs (a token, one with more scopes, a signature),
and is given the response, the token or the signature.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator
from os import urandom
from time import monotonic, time
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import msgspec

from gatepass.core.world import Notice
from gatepass.dpop import proof_input
from gatepass.errors import GatepassError
from gatepass.integrations.needs import TOKEN, TOKEN_OR_BARE, Signature, Token
from gatepass.protocol.challenge import dpop_error, resource_challenge
from gatepass.protocol.jwt import compact
from gatepass.protocol.urls import covers, origin, same_origin

if TYPE_CHECKING:
    from gatepass.dpop import ProofKey
    from gatepass.engine.source import Source
    from gatepass.lifecycle.policy import Held
    from gatepass.protocol.challenge import ResourceChallenge

__all__ = [
    "Flow",
    "Reach",
    "adrive",
    "attach",
    "authorize",
    "challenge_of",
    "drive",
    "follow",
    "operation",
    "outside",
    "withdraw",
]

_UNAUTHORIZED = 401
_FORBIDDEN = 403
_REFUSALS = (_UNAUTHORIZED, _FORBIDDEN)
_NONCE_WANTED, _PROOF_REFUSED = "use_dpop_nonce", "invalid_dpop_proof"
_REPLAYS = 2
"""With a token that others have kept meanwhile, and with a new one if that was refused, too. There is one renewal."""
_MARK = "gatepass"
_SHORTEST_MASKED = 8
"""Shorter than any token that is worth the name, and long enough not to stand in a challenge by chance."""
_NEEDS = (Token, Signature)


class _Params(msgspec.Struct, frozen=True):
    name: str = ""
    uri: str = ""


class _Message(msgspec.Struct, frozen=True):
    """A JSON-RPC message, as far as it tells what is to be done."""

    method: str = ""
    params: _Params = _Params()


class _Tried:
    """What was tried for one request that was refused.

    Attributes:
        once: its body can be sent only once.
        nonce: what stood in its last proof.
        nonce_given: it was sent again with a nonce that the resource had given.
        replays: how often it was sent again with another token.
    """

    __slots__ = ("nonce", "nonce_given", "once", "replays")

    def __init__(self, *, once: bool) -> None:
        self.once = once
        self.nonce: str | None = None
        self.nonce_given = False
        self.replays = 0


class _Proven(NamedTuple):
    """Marks a request that carries a proof: for which token, and whether it has been sent."""

    held: Held
    key: ProofKey
    sent: bool = False


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
    def method(self) -> str: ...
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


Flow = Generator[Any, Any, Any]


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
        held = yield from _first_contact(source, reach, request, unread)
    if source.watched and held is not None:
        source.used(held)
    tried: _Tried | None = None
    while held is not None:
        nonce = source.nonce
        if held.proof_key is None:
            _bear(request, held)
        else:
            yield from _prove(source, request, held, held.proof_key)
        response = yield request
        if held.proof_key is not None:
            _learn_nonce(source, reach, response)
        if response.status_code not in _REFUSALS or not _was_ours(reach, response, held):
            return
        tried = tried or _Tried(once=not _replayable(request, unread))
        tried.nonce = nonce
        held = yield from _another(source, request, response, held, tried)


def _first_contact(source: Source, reach: Reach, request: Request, unread: type[Exception]) -> Flow:
    """The token to begin with; None where a bare request has got in, or its refusal is the caller's."""
    held = yield (TOKEN_OR_BARE if _replayable(request, unread) else TOKEN)
    if held is not None:
        return held
    withdraw(request)
    response = yield request
    _learn_nonce(source, reach, response)
    if response.status_code != _UNAUTHORIZED or not reach.admits(response.request):
        return None
    source.challenged(challenge_of(response))
    return (yield TOKEN)


def _another(source: Source, request: Request, response: Response, held: Held, tried: _Tried) -> Flow:
    """The token for another try; None where the refusal is the caller's."""
    challenge = challenge_of(response)
    refusal = _of_the_proof(response) if held.proof_key is not None else None
    if refusal is not None:
        again = refusal == _NONCE_WANTED and not (tried.once or tried.nonce_given or source.nonce == tried.nonce)
        tried.nonce_given = True
        return held if again else None
    if response.status_code == _FORBIDDEN:
        return None if tried.once else (yield from _stronger(source, request, challenge, held))
    if not tried.replays:
        source.challenged(challenge)
    forced = tried.replays > 0 and source.forced == held.record.access_token
    if not source.reject(held) or forced or tried.replays == _REPLAYS or tried.once:
        return None
    tried.replays += 1
    return (yield TOKEN)


def _stronger(source: Source, request: Request, challenge: ResourceChallenge | None, held: Held) -> Flow:
    """A token with the scopes that the resource wants for this operation; None if it is no use."""
    if challenge is None or challenge.error != "insufficient_scope":
        return None
    wanted = source.step_up(held, challenge, tried := operation(request))
    if wanted is None:
        return None
    try:
        stronger: Held = yield Token(scopes=wanted)
    except GatepassError as failure:
        text = f"The resource wants a token with the scopes {' '.join(wanted)}, which can't be had. {failure}"
    else:
        source.stepped_up(stronger, tried)
        return stronger
    source.world.notice(Notice(code="step_up_failed", text=text, level="warning"))
    return None


def attach(source: Source, request: Request) -> Flow:
    """Put on a request what gets it in, for whoever sends it without an `Auth`."""
    held = yield TOKEN
    if source.watched:
        source.used(held)
    if held.proof_key is None:
        _bear(request, held)
    else:
        yield from _prove(source, request, held, held.proof_key)


def _bear(request: Request, held: Held) -> None:
    request.headers["Authorization"] = held.authorization
    request.extensions[_MARK] = True


def _prove(source: Source, request: Request, held: Held, key: ProofKey) -> Flow:
    """Attach the token with a proof for this request, like which there is no other (RFC 9449 §7.1)."""
    data = proof_input(
        key,
        method=request.method,
        url=_target(request),
        issued_at=int(time()),
        random=urandom(16),
        token_hash=held.token_hash,
        nonce=source.nonce,
    )
    sign = source.world.sign
    signature = sign(key.signer, key.algorithm, data) if key.local else (yield Signature(key=key, data=data))
    request.headers["Authorization"] = held.authorization
    request.headers["DPoP"] = compact(data, signature)
    request.extensions[_MARK] = _Proven(held, key)


def follow(source: Source, reach: Reach, request: Request) -> Flow:
    """Make a request right that another was redirected to: no token outside the resource, a new proof inside.

    It is called before each request that is sent. The first of them has a proof that was not sent yet.
    """
    mark = request.extensions.get(_MARK)
    if not reach.covers(request.url):
        withdraw(request)
    elif isinstance(mark, _Proven):
        if mark.sent:
            yield from _prove(source, request, mark.held, mark.key)
        request.extensions[_MARK] = mark._replace(sent=True)


def drive(flow: Flow, source: Source, patience_s: float) -> Generator[Any, Any, None]:
    """Run the flow for a synchronous client."""
    go_on: Callable[[Any], Any] = flow.send
    answer: Any = None
    while True:
        try:
            step = go_on(answer)
        except StopIteration:
            return
        go_on = flow.send
        if isinstance(step, _NEEDS):
            try:
                answer = step.meet(source, patience_s)
            except GatepassError as failure:
                go_on, answer = flow.throw, failure
        else:
            answer = yield step


async def adrive(flow: Flow, source: Source, patience_s: float) -> AsyncGenerator[Any, Any]:
    """Run the flow for an asynchronous client."""
    go_on: Callable[[Any], Any] = flow.send
    answer: Any = None
    while True:
        try:
            step = go_on(answer)
        except StopIteration:
            return
        go_on = flow.send
        if isinstance(step, _NEEDS):
            try:
                answer = await step.ameet(source, patience_s)
            except GatepassError as failure:
                go_on, answer = flow.throw, failure
        else:
            answer = yield step


def withdraw(request: Request) -> None:
    """Take our token off a request that inherited it from the one that was redirected to it."""
    if request.extensions.pop(_MARK, None):
        for name in ("Authorization", "DPoP"):
            request.headers.pop(name, None)


def _was_ours(reach: Reach, response: Response, held: Held) -> bool:
    """Whether the resource refused that token. Where a redirect led is another matter."""
    return reach.admits(response.request) and response.request.headers.get("Authorization") == held.authorization


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


def challenge_of(response: Response) -> ResourceChallenge | None:
    """What the resource wants, in its own words; the token and the proof that it may repeat in them are masked."""
    lines: list[str] = response.headers.get_list("WWW-Authenticate")
    for name in ("Authorization", "DPoP"):
        sent: str = response.request.headers.get(name, "").rpartition(" ")[2]
        if len(sent) >= _SHORTEST_MASKED:
            lines = [line.replace(sent, "***") for line in lines]
    return resource_challenge(lines)


def _of_the_proof(response: Response) -> str | None:
    """Why the proof is refused, if it is not the token (RFC 9449 §7.1, §9): another token would not help."""
    error = dpop_error(response.headers.get_list("WWW-Authenticate"))
    return error if error in {_NONCE_WANTED, _PROOF_REFUSED} else None


def _learn_nonce(source: Source, reach: Reach, response: Response) -> None:
    nonce = response.headers.get("DPoP-Nonce")
    if nonce and reach.covers(response.request.url):
        source.nonce = nonce


def _target(request: Request) -> str:
    """The URL as a proof names it (RFC 9449 §4.2)."""
    url = request.url
    path: bytes = url.raw_path.partition(b"?")[0]
    return f"{url.scheme}://{url.netloc.decode('ascii')}{path.decode('ascii')}"


def operation(request: Request) -> str:
    """What a request wants done: its method and path, and those of the JSON-RPC message in it."""
    path: bytes = request.url.raw_path.partition(b"?")[0]
    try:
        message = msgspec.json.decode(request.content, type=_Message)
    except (msgspec.MsgspecError, ValueError):
        message = _Message()
    what = message.params.name or message.params.uri
    return f"{request.method} {path.decode('ascii')} {message.method} {what}".rstrip()


def outside(reach: Reach, url: Any) -> Notice:
    """Says once of each place that a request there goes out without a token."""
    why = "has a Host header of another site" if reach.covers(url) else "is outside the resource"
    text = f"A request to {url.scheme}://{url.netloc.decode('ascii')} {why}; it goes out without a token."
    return Notice(code="outside_resource", text=text, once=True)
