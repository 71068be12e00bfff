"""How one request gets in, step by step: played by hand, with a source that is a list of tokens, for both libraries."""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx
import httpx2
import pytest
from key_material import pem
from proofs import read_proof, token_hash

from gatepass.core.world import Instant, Notice, Signer
from gatepass.dpop import ProofKey, proof_key
from gatepass.errors import ConfigurationError, GatepassError, RemoteError, UnreachableError
from gatepass.integrations import flow as flow_module
from gatepass.integrations.flow import Reach, adrive, attach, authorize, drive, follow, operation
from gatepass.integrations.needs import TOKEN
from gatepass.keys import parse_private_key
from gatepass.lifecycle.policy import Held
from gatepass.lifecycle.record import TokenRecord
from gatepass.protocol.challenge import ResourceChallenge

ENDPOINT = "https://mcp.example.com/mcp"
NOW = Instant(wall=1_700_000_000.0, mono=5_000.0)
LATER = Instant(wall=NOW.wall + 100, mono=NOW.mono + 100)


@pytest.fixture(autouse=True)
def _clocks_stand_still(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flow_module, "monotonic", lambda: NOW.mono)
    monkeypatch.setattr(flow_module, "time", lambda: NOW.wall)


@pytest.fixture(params=[httpx2, httpx], ids=["httpx2", "httpx"])
def lib(request: pytest.FixtureRequest) -> Any:
    return request.param


KEY = proof_key(parse_private_key(pem("P-256"), None, origin="key"))


class Elsewhere:
    """A key that does not live here, and remembers in which thread it signed."""

    algorithms = ("ES256",)

    def __init__(self, problem: GatepassError | None = None) -> None:
        self.public_jwk = KEY.signer.public_jwk
        self.problem = problem
        self.threads: list[int] = []

    def sign(self, algorithm: str, data: bytes) -> bytes:
        self.threads.append(threading.get_ident())
        if self.problem:
            raise self.problem
        return KEY.signer.sign(algorithm, data)


def token(generation: int, fresh_until: Instant = LATER, key: ProofKey | None = None) -> Held:
    scheme, access_token = "DPoP" if key else "Bearer", f"t{generation}"
    record = TokenRecord(
        generation=generation, access_token=access_token, token_type=scheme, obtained_at=NOW.wall,
        lifetime_s=200.0, refresh_in_s=None, scope=None, requested=(), issuer="https://as.example.com",
        resource=ENDPOINT,
    )  # fmt: skip
    return Held(
        record=record, fresh_until=fresh_until, usable_until=fresh_until, authorization=f"{scheme} {access_token}",
        proof_key=key, token_hash=token_hash(access_token) if key else None,
    )  # fmt: skip


def bound(generation: int, key: ProofKey = KEY) -> Held:
    return token(generation, key=key)


class Tokens:
    """A source: what it gives, and what it was told."""

    def __init__(self, *gives: Held | Exception | None, ready: Held | None = None, renews: int = 9) -> None:
        self.ready = ready
        self.gives = list(gives)
        self.renews = renews
        self.told: list[Any] = []
        self.notices: list[Notice] = []
        self.nonce: str | None = None
        self.world = self
        self.watched = False
        self.forced: str | None = None
        self.used = self.told.append
        self.wanted: list[tuple[str, ...] | None] = []
        """What to ask for at each 403."""

    def step_up(self, held: Held, challenge: ResourceChallenge, tried: str) -> tuple[str, ...] | None:
        self.told.append(("step up", held.generation, challenge.scope, tried))
        return self.wanted.pop(0)

    def stepped_up(self, held: Held, tried: str) -> None:
        self.told.append(("stepped up", held.generation, tried))

    def sign(self, signer: Signer, algorithm: str, data: bytes) -> bytes:
        return signer.sign(algorithm, data)

    async def ado(self, job: Callable[[], Any], patience_s: float) -> Any:
        self.told.append(("on a worker", patience_s))
        return await asyncio.to_thread(job)

    def notice(self, notice: Notice) -> None:
        self.notices.append(notice)

    def challenged(self, challenge: ResourceChallenge | None) -> None:
        self.told.append(challenge)

    def reject(self, refused: Held) -> bool:
        self.told.append(refused.generation)
        self.renews -= 1
        return self.renews >= 0

    def get(self, patience_s: float, needs: tuple[str, ...] = ()) -> Held | None:
        self.told.append(("get", *needs) if needs else "get")
        answer = self.gives.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def get_or_bare(self, patience_s: float) -> Held | None:
        answer = self.get(patience_s)
        self.told[-1] = "get or bare"
        return answer

    async def aget(self, patience_s: float, needs: tuple[str, ...] = ()) -> Held | None:
        await asyncio.sleep(0)
        return self.get(patience_s, needs)

    async def aget_or_bare(self, patience_s: float) -> Held | None:
        await asyncio.sleep(0)
        return self.get_or_bare(patience_s)


def reach(*, whole_origin: bool = False) -> Reach:
    return Reach(httpx2.URL(ENDPOINT), whole_origin=whole_origin)


def start(lib: Any, tokens: Tokens, request: Any, *, whole_origin: bool = False) -> Any:
    return authorize(tokens, reach(whole_origin=whole_origin), request, lib.RequestNotRead)  # type: ignore[arg-type]


def answer(lib: Any, request: Any, status: int, **headers: str) -> Any:
    return lib.Response(status, headers={name.replace("_", "-"): v for name, v in headers.items()}, request=request)


CHALLENGE = 'Bearer error="invalid_token", scope="a b"'
SAYS = ResourceChallenge(scheme="bearer", scope=("a", "b"), error="invalid_token")


def converse(lib: Any, tokens: Tokens, *statuses: int, request: Any = None, **options: bool) -> list[str | None]:
    """Play the flow to its end against a resource that answers like this; the Authorization of each request."""
    request = lib.Request("POST", ENDPOINT, content=b"{}") if request is None else request
    seen: list[str | None] = []
    play = drive(start(lib, tokens, request, **options), tokens, 10.0)  # type: ignore[arg-type]
    try:
        sent = next(play)
        for status in statuses:
            assert sent is request
            seen.append(sent.headers.get("Authorization"))
            sent = play.send(answer(lib, request, status, WWW_Authenticate=CHALLENGE))
    except StopIteration:
        assert len(seen) == len(statuses), "it ended early"
        return seen
    raise AssertionError("it would go on")


# With a token at hand.


@pytest.mark.parametrize("status", [200, 202, 204, 301, 307, 400, 403, 404, 429, 500, 503])
def test_with_a_fresh_token_the_answer_is_the_callers(lib: Any, status: int) -> None:
    tokens = Tokens(ready=token(1))
    assert converse(lib, tokens, status) == ["Bearer t1"]
    assert (tokens.told, tokens.notices) == ([], [])


@pytest.mark.parametrize(
    ("until", "fresh"),
    [
        (Instant(wall=NOW.wall + 1e-3, mono=NOW.mono + 1e-3), True),
        (Instant(wall=NOW.wall, mono=NOW.mono + 1), False),
        (Instant(wall=NOW.wall + 1, mono=NOW.mono), False),
        (NOW, False),
    ],
)
def test_a_token_is_fresh_while_both_clocks_say_so(lib: Any, until: Instant, fresh: bool) -> None:
    tokens = Tokens(token(2), ready=token(1, until))
    assert converse(lib, tokens, 200) == ["Bearer t1" if fresh else "Bearer t2"]
    assert tokens.told == ([] if fresh else ["get or bare"])


def test_an_authorization_of_the_users_own_gives_way(lib: Any) -> None:
    request = lib.Request("GET", ENDPOINT, headers={"authorization": "Basic theirs"})
    assert converse(lib, Tokens(ready=token(1)), 200, request=request) == ["Bearer t1"]
    assert [name.lower() for name, _ in request.headers.raw].count(b"authorization") == 1


# A bare request first.


def test_a_bare_request_that_is_welcome_needs_no_token(lib: Any) -> None:
    tokens = Tokens(None)
    assert converse(lib, tokens, 200) == [None]
    assert tokens.told == ["get or bare"]


def test_the_challenge_of_a_bare_request_says_what_to_ask_for(lib: Any) -> None:
    tokens = Tokens(None, token(1))
    assert converse(lib, tokens, 401, 200) == [None, "Bearer t1"]
    assert tokens.told == ["get or bare", SAYS, "get"]


def test_after_a_bare_request_a_refused_token_is_renewed(lib: Any) -> None:
    tokens = Tokens(None, token(1), token(2), renews=1)
    assert converse(lib, tokens, 401, 401, 401) == [None, "Bearer t1", "Bearer t2"]
    assert tokens.told == ["get or bare", SAYS, "get", SAYS, 1, "get", 2]


@pytest.mark.parametrize("status", [302, 403, 500])
def test_any_other_answer_to_a_bare_request_is_the_callers(lib: Any, status: int) -> None:
    tokens = Tokens(None)
    assert converse(lib, tokens, status) == [None]


def test_a_bare_request_leaves_behind_what_it_inherited(lib: Any) -> None:
    request = lib.Request("GET", ENDPOINT, headers={"Authorization": "Bearer old", "DPoP": "proof"})
    request.extensions["gatepass"] = True
    assert converse(lib, Tokens(None), 200, request=request) == [None]
    assert "DPoP" not in request.headers


def test_a_bare_request_keeps_what_is_the_users_own(lib: Any) -> None:
    request = lib.Request("GET", ENDPOINT, headers={"Authorization": "Basic theirs"})
    assert converse(lib, Tokens(None), 200, request=request) == ["Basic theirs"]


# A token that the resource refuses.


def test_a_refused_token_is_renewed_and_the_request_replayed(lib: Any) -> None:
    tokens = Tokens(token(2), ready=token(1))
    assert converse(lib, tokens, 401, 200) == ["Bearer t1", "Bearer t2"]
    assert tokens.told == [SAYS, 1, "get"]


def test_where_no_third_token_can_be_had_the_second_refusal_is_the_callers(lib: Any) -> None:
    tokens = Tokens(token(2), ready=token(1), renews=1)
    assert converse(lib, tokens, 401, 401) == ["Bearer t1", "Bearer t2"]
    assert tokens.told == [SAYS, 1, "get", 2]


def test_a_token_that_a_refusal_has_forced_is_replayed_once(lib: Any) -> None:
    tokens = Tokens(token(2), token(3), ready=token(1))
    tokens.forced = "t2"
    assert converse(lib, tokens, 401, 401) == ["Bearer t1", "Bearer t2"]
    assert tokens.told == [SAYS, 1, "get", 2]


def test_a_third_refusal_is_the_callers_and_is_remembered(lib: Any) -> None:
    tokens = Tokens(token(2), token(3), ready=token(1))
    assert converse(lib, tokens, 401, 401, 401) == ["Bearer t1", "Bearer t2", "Bearer t3"]
    assert tokens.told == [SAYS, 1, "get", 2, "get", 3]


@pytest.mark.parametrize("status", [403, 500])
def test_any_other_answer_to_the_replay_is_the_callers(lib: Any, status: int) -> None:
    tokens = Tokens(token(2), ready=token(1))
    assert converse(lib, tokens, 401, status) == ["Bearer t1", "Bearer t2"]
    assert tokens.told == [SAYS, 1, "get"]


def test_where_no_other_token_can_be_had_the_first_refusal_is_the_callers(lib: Any) -> None:
    tokens = Tokens(ready=token(1), renews=0)
    assert converse(lib, tokens, 401) == ["Bearer t1"]
    assert tokens.told == [SAYS, 1]


def test_every_line_of_a_challenge_is_read(lib: Any) -> None:
    tokens = Tokens(token(2), ready=token(1))
    request = lib.Request("GET", ENDPOINT)
    play = start(lib, tokens, request)
    next(play)
    lines = [("WWW-Authenticate", 'Basic realm="x"'), ("WWW-Authenticate", 'Bearer scope="a"'), ("X", "y")]
    assert play.send(lib.Response(401, headers=lines, request=request)) is TOKEN
    assert tokens.told == [ResourceChallenge(scheme="bearer", scope=("a",)), 1]


def test_a_refusal_without_a_challenge_is_one_too(lib: Any) -> None:
    tokens = Tokens(token(2), ready=token(1))
    request = lib.Request("GET", ENDPOINT)
    play = start(lib, tokens, request)
    next(play)
    assert play.send(answer(lib, request, 401)) is TOKEN
    assert tokens.told == [None, 1]


# Bodies.


def once() -> Iterator[bytes]:
    yield b"{}"


async def aonce() -> AsyncIterator[bytes]:
    yield b"{}"


streams = pytest.mark.parametrize("content", [once, aonce])


@streams
def test_what_can_be_sent_only_once_goes_with_a_token_or_not_at_all(lib: Any, content: Callable[[], object]) -> None:
    tokens = Tokens(token(1))
    request = lib.Request("POST", ENDPOINT, content=content())
    assert converse(lib, tokens, 200, request=request) == ["Bearer t1"]
    assert tokens.told == ["get"]


@streams
def test_what_can_be_sent_only_once_is_not_replayed_but_the_next_gets_in(
    lib: Any, content: Callable[[], object]
) -> None:
    tokens = Tokens(ready=token(1))
    request = lib.Request("POST", ENDPOINT, content=content())
    assert converse(lib, tokens, 401, request=request) == ["Bearer t1"]
    assert tokens.told == [SAYS, 1]


@pytest.mark.parametrize("body", [{}, {"content": b"{}"}, {"json": {"a": 1}}, {"data": {"a": "1"}}], ids=str)
def test_what_is_at_hand_is_replayed(lib: Any, body: dict[str, Any]) -> None:
    request = lib.Request("POST", ENDPOINT, **body)
    assert converse(lib, Tokens(token(2), ready=token(1)), 401, 200, request=request) == ["Bearer t1", "Bearer t2"]


# Reach.

OUTSIDE = [
    "https://mcp.example.com/",
    "https://mcp.example.com/other",
    "https://mcp.example.com/mcp2",
    "https://mcp.example.com/MCP",
    "https://mcp.example.com/mcp/../other",
    "https://mcp.example.com/mcp/%2e%2e/other",
    "https://mcp.example.com/other/mcp",
    "https://mcp.example.com:8443/mcp",
    "http://mcp.example.com/mcp",
    "https://example.com/mcp",
    "https://mcp.example.com.evil.net/mcp",
    "https://mcp.example.com@evil.net/mcp",
    "https://evil.net/https://mcp.example.com/mcp",
]
INSIDE = [
    ENDPOINT,
    "https://mcp.example.com/mcp/",
    "https://mcp.example.com/mcp/messages",
    "https://mcp.example.com/mcp?session=1",
    "https://mcp.example.com/mcp#part",
    "https://MCP.example.com:443/mcp",
    "https://mcp.example.com/other/../mcp",
]


@pytest.mark.parametrize("url", OUTSIDE)
def test_outside_of_the_resource_no_token_goes_along(lib: Any, url: str) -> None:
    tokens = Tokens(ready=token(1))
    assert converse(lib, tokens, 401, request=lib.Request("GET", url)) == [None]
    assert tokens.told == []
    (notice,) = tokens.notices
    assert (notice.code, notice.once) == ("outside_resource", True)


@pytest.mark.parametrize("url", INSIDE)
def test_inside_of_it_one_does(lib: Any, url: str) -> None:
    tokens = Tokens(ready=token(1))
    assert converse(lib, tokens, 200, request=lib.Request("GET", url)) == ["Bearer t1"]
    assert tokens.notices == []


@pytest.mark.parametrize("url", OUTSIDE)
def test_a_token_that_was_inherited_is_taken_away_outside(lib: Any, url: str) -> None:
    request = lib.Request("GET", url, headers={"Authorization": "Bearer t1", "DPoP": "proof", "X": "y"})
    request.extensions["gatepass"] = True
    assert converse(lib, Tokens(ready=token(1)), 200, request=request) == [None]
    assert "DPoP" not in request.headers
    assert request.headers["X"] == "y"
    assert "gatepass" not in request.extensions


def test_what_is_the_users_own_stays_outside(lib: Any) -> None:
    request = lib.Request("GET", "https://elsewhere.example.com/", headers={"Authorization": "Basic theirs"})
    assert converse(lib, Tokens(), 200, request=request) == ["Basic theirs"]


def test_a_token_that_was_attached_is_known_for_ours_by_a_redirected_request(lib: Any) -> None:
    first = lib.Request("GET", ENDPOINT)
    converse(lib, Tokens(ready=token(1)), 307, request=first)
    onward = lib.Request("GET", "https://mcp.example.com/other", headers=first.headers, extensions=first.extensions)
    assert converse(lib, Tokens(ready=token(1)), 200, request=onward) == [None]
    assert first.headers["Authorization"] == "Bearer t1"


def test_the_whole_origin_can_be_the_resource(lib: Any) -> None:
    for url, seen in ((OUTSIDE[1], "Bearer t1"), (OUTSIDE[7], None), (OUTSIDE[9], None)):
        assert converse(lib, Tokens(ready=token(1)), 200, request=lib.Request("GET", url), whole_origin=True) == [seen]


@pytest.mark.parametrize(
    ("host", "goes"),
    [
        ("mcp.example.com", True),
        ("MCP.example.com", True),
        ("mcp.example.com:443", True),
        ("evil.net", False),
        ("", False),
    ],
)
def test_a_host_header_of_another_site_keeps_the_token_back(lib: Any, host: str, goes: bool) -> None:
    tokens = Tokens(ready=token(1))
    request = lib.Request("GET", ENDPOINT, headers={"X": "y", "Host": host})
    assert converse(lib, tokens, 200, request=request) == ["Bearer t1" if goes else None]


# What came from elsewhere.


@pytest.mark.parametrize("url", ["https://evil.net/mcp", "https://mcp.example.com/other"])
@pytest.mark.parametrize("ready", [None, token(1)], ids=["bare", "with a token"])
def test_a_refusal_of_the_place_where_a_redirect_led_says_nothing(lib: Any, url: str, ready: Held | None) -> None:
    tokens = Tokens(None, ready=ready)
    play = drive(start(lib, tokens, lib.Request("GET", ENDPOINT)), tokens, 10.0)  # type: ignore[arg-type]
    next(play)
    with pytest.raises(StopIteration):
        play.send(answer(lib, lib.Request("GET", url), 401, WWW_Authenticate=CHALLENGE))
    assert tokens.told == ([] if ready else ["get or bare"])


def test_a_refusal_of_another_authorization_than_ours_says_nothing(lib: Any) -> None:
    tokens = Tokens(ready=token(1))
    play = start(lib, tokens, lib.Request("GET", ENDPOINT))
    next(play)
    with pytest.raises(StopIteration):
        play.send(answer(lib, lib.Request("GET", ENDPOINT, headers={"Authorization": "Basic theirs"}), 401))
    assert tokens.told == []


# Errors, and calls that are given up.

FAILURE = UnreachableError("No answer.", code="unreachable")


@pytest.mark.parametrize(
    ("gives", "ready", "statuses"),
    [((FAILURE,), None, ()), ((None, FAILURE), None, (401,)), ((FAILURE,), token(1), (401,))],
    ids=["at first", "after the bare request", "before the replay"],
)
@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
def test_what_the_source_fails_with_reaches_the_caller(
    lib: Any, gives: tuple[Any, ...], ready: Held | None, statuses: tuple[int, ...], asynchronous: bool
) -> None:
    tokens, request = Tokens(*gives, ready=ready), lib.Request("GET", ENDPOINT)

    def play() -> None:
        steps = drive(start(lib, tokens, request), tokens, 10.0)  # type: ignore[arg-type]
        next(steps)
        for status in statuses:
            steps.send(answer(lib, request, status))

    async def aplay() -> None:
        steps = adrive(start(lib, tokens, request), tokens, 10.0)  # type: ignore[arg-type]
        await anext(steps)
        for status in statuses:
            await steps.asend(answer(lib, request, status))

    with pytest.raises(UnreachableError) as failure:
        asyncio.run(aplay()) if asynchronous else play()
    assert failure.value is FAILURE


def test_an_asynchronous_client_takes_the_same_steps(lib: Any) -> None:
    tokens, request = Tokens(None, token(1), token(2), renews=1), lib.Request("GET", ENDPOINT)

    async def play() -> list[str | None]:
        seen = []
        steps = adrive(start(lib, tokens, request), tokens, 10.0)  # type: ignore[arg-type]
        sent = await anext(steps)
        for _ in range(2):
            seen.append(sent.headers.get("Authorization"))
            sent = await steps.asend(answer(lib, request, 401, WWW_Authenticate=CHALLENGE))
        seen.append(sent.headers.get("Authorization"))
        with pytest.raises(StopAsyncIteration):
            await steps.asend(answer(lib, request, 401, WWW_Authenticate=CHALLENGE))
        return seen

    assert asyncio.run(play()) == [None, "Bearer t1", "Bearer t2"]
    assert tokens.told == ["get or bare", SAYS, "get", SAYS, 1, "get", 2]


def test_what_sending_fails_with_is_no_matter_of_the_flow(lib: Any) -> None:
    tokens = Tokens(token(2), ready=token(1))
    play = drive(start(lib, tokens, lib.Request("GET", ENDPOINT)), tokens, 10.0)  # type: ignore[arg-type]
    next(play)
    failure = lib.ReadError("broken")
    with pytest.raises(lib.ReadError) as raised:
        play.throw(failure)
    assert raised.value is failure
    assert tokens.told == []


@pytest.mark.parametrize("answers", [0, 1, 2])
@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
def test_a_call_that_is_given_up_leaves_nothing_behind(lib: Any, answers: int, asynchronous: bool) -> None:
    tokens, request = Tokens(None, token(1), token(2)), lib.Request("GET", ENDPOINT)

    def play() -> tuple[Any, Any]:
        flow = start(lib, tokens, request)
        steps = drive(flow, tokens, 10.0)  # type: ignore[arg-type]
        next(steps)
        for _ in range(answers):
            steps.send(answer(lib, request, 401))
        steps.close()
        return steps, weakref.ref(flow)

    async def aplay() -> tuple[Any, Any]:
        flow = start(lib, tokens, request)
        steps = adrive(flow, tokens, 10.0)  # type: ignore[arg-type]
        await anext(steps)
        for _ in range(answers):
            await steps.asend(answer(lib, request, 401))
        await steps.aclose()
        return steps, weakref.ref(flow)

    _, flow = asyncio.run(aplay()) if asynchronous else play()
    assert flow() is None
    assert (
        tokens.told
        == [["get or bare"], ["get or bare", None, "get"], ["get or bare", None, "get", None, 1, "get"]][answers]
    )


def test_a_task_that_is_cancelled_while_it_waits_for_a_token_is_cancelled(lib: Any) -> None:
    tokens = Tokens(token(1))

    async def program() -> None:
        steps = adrive(start(lib, tokens, lib.Request("GET", ENDPOINT)), tokens, 10.0)  # type: ignore[arg-type]
        task = asyncio.ensure_future(anext(steps))  # type: ignore[arg-type]
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(program())
    assert tokens.told == []


# A 403 that wants more scopes.

WANTS = 'Bearer error="insufficient_scope", scope="b"'
TRIED = "POST /mcp tools/call x"


def call_tool(lib: Any) -> Any:
    return lib.Request("POST", ENDPOINT, json={"method": "tools/call", "params": {"name": "x"}})


Answer = tuple[int, dict[str, str]]


def exchange(
    lib: Any, tokens: Tokens, *answers: Answer, request: Any = None, flow: Any = None
) -> list[tuple[str | None, str | None]]:
    """Play the flow to its end against these answers; Authorization and proof of each request."""
    request = call_tool(lib) if request is None else request
    seen: list[tuple[str | None, str | None]] = []
    play = drive(flow or start(lib, tokens, request), tokens, 10.0)  # type: ignore[arg-type]
    try:
        sent = next(play)
        for status, headers in answers:
            seen.append((sent.headers.get("Authorization"), sent.headers.get("DPoP")))
            sent = play.send(answer(lib, request, status, **headers))
    except StopIteration:
        assert len(seen) == len(answers), "it ended early"
        return seen
    raise AssertionError("it would go on")


def says(challenge: str, **more: str) -> dict[str, str]:
    return {"WWW_Authenticate": challenge, **more}


def authorizations(seen: list[tuple[str | None, str | None]]) -> list[str | None]:
    return [authorization for authorization, _ in seen]


def test_a_request_that_needs_more_scopes_is_sent_again_with_a_token_that_has_them(lib: Any) -> None:
    tokens = Tokens(token(2), ready=token(1))
    tokens.wanted = [("a", "b")]
    seen = exchange(lib, tokens, (403, says(WANTS)), (200, {}))
    assert authorizations(seen) == ["Bearer t1", "Bearer t2"]
    assert tokens.told == [("step up", 1, ("b",), TRIED), ("get", "a", "b"), ("stepped up", 2, TRIED)]


def test_it_may_need_more_once_again_and_what_is_no_use_is_the_callers(lib: Any) -> None:
    tokens = Tokens(token(2), token(3), ready=token(1))
    tokens.wanted = [("a", "b"), ("a", "b", "c"), None]
    seen = exchange(lib, tokens, *[(403, says(WANTS))] * 3)
    assert authorizations(seen) == ["Bearer t1", "Bearer t2", "Bearer t3"]


@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
def test_where_the_token_can_not_be_had_the_first_403_is_the_callers_and_the_log_says_why(
    lib: Any, asynchronous: bool
) -> None:
    tokens = Tokens(RemoteError("The server says no.", code="token_refused", error="invalid_scope"), ready=token(1))
    tokens.wanted = [("a", "b")]
    request = call_tool(lib)

    async def play() -> None:
        steps = adrive(start(lib, tokens, request), tokens, 10.0)  # type: ignore[arg-type]
        await anext(steps)
        with pytest.raises(StopAsyncIteration):
            await steps.asend(answer(lib, request, 403, **says(WANTS)))

    if asynchronous:
        asyncio.run(play())
    else:
        assert authorizations(exchange(lib, tokens, (403, says(WANTS)), request=request)) == ["Bearer t1"]
    (notice,) = tokens.notices
    assert (notice.code, notice.level) == ("step_up_failed", "warning")
    assert "a b" in notice.text
    assert "The server says no." in notice.text
    assert ("stepped up", 2, TRIED) not in tokens.told


@pytest.mark.parametrize(
    "challenge",
    [
        None,
        "Bearer",
        'Bearer scope="b"',
        'Bearer error="invalid_token", scope="b"',
        'Bearer error="access_denied"',
        'Basic error="insufficient_scope", scope="b"',
        'DPoP error="use_dpop_nonce"',
    ],
    ids=str,
)
def test_any_other_403_is_the_callers_untouched(lib: Any, challenge: str | None) -> None:
    tokens = Tokens(ready=token(1))
    assert authorizations(exchange(lib, tokens, (403, says(challenge) if challenge else {}))) == ["Bearer t1"]
    assert (tokens.told, tokens.notices) == ([], [])


def test_one_that_names_no_scope_is_the_sources_to_judge(lib: Any) -> None:
    tokens = Tokens(ready=token(1))
    tokens.wanted = [None]
    assert authorizations(exchange(lib, tokens, (403, says('Bearer error="insufficient_scope"')))) == ["Bearer t1"]
    assert tokens.told == [("step up", 1, None, TRIED)]


@streams
def test_what_can_be_sent_only_once_brings_no_token_with_more_scopes(lib: Any, content: Callable[[], object]) -> None:
    tokens = Tokens(ready=token(1))
    request = lib.Request("POST", ENDPOINT, content=content())
    assert authorizations(exchange(lib, tokens, (403, says(WANTS)), request=request)) == ["Bearer t1"]
    assert tokens.told == []


def test_a_403_of_the_place_where_a_redirect_led_says_nothing(lib: Any) -> None:
    tokens = Tokens(ready=token(1))
    play = drive(start(lib, tokens, call_tool(lib)), tokens, 10.0)  # type: ignore[arg-type]
    next(play)
    with pytest.raises(StopIteration):
        play.send(answer(lib, lib.Request("GET", "https://evil.net/mcp"), 403, **says(WANTS)))
    assert tokens.told == []


@pytest.mark.parametrize("first", [401, 403])
def test_a_request_may_need_a_renewal_and_more_scopes(lib: Any, first: int) -> None:
    tokens = Tokens(token(2), token(3), ready=token(1))
    tokens.wanted = [("a", "b")]
    answers = {401: (401, says(CHALLENGE)), 403: (403, says(WANTS))}
    seen = exchange(lib, tokens, answers[first], answers[804 - first], (200, {}))
    assert authorizations(seen) == ["Bearer t1", "Bearer t2", "Bearer t3"]


def test_a_bare_request_that_is_refused_with_403_is_the_callers(lib: Any) -> None:
    tokens = Tokens(None)
    assert authorizations(exchange(lib, tokens, (403, says(WANTS)))) == [None]
    assert tokens.told == ["get or bare"]


OPERATIONS = [
    ({"json": {"method": "tools/call", "params": {"name": "x", "arguments": {"name": "y"}}}}, " tools/call x"),
    ({"json": {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}}, " tools/list"),
    ({"json": {"method": "resources/read", "params": {"uri": "file:///a"}}}, " resources/read file:///a"),
    ({"json": {"method": "prompts/get", "params": {"name": "n", "uri": "u"}}}, " prompts/get n"),
    ({"json": {"method": "ping", "params": {}}}, " ping"),
    ({"json": {"id": 1, "result": {}}}, ""),
    ({"json": [{"method": "ping"}]}, ""),
    ({"json": {"method": 7}}, ""),
    ({"json": {"method": "x", "params": {"name": 7}}}, ""),
    ({"json": "text"}, ""),
    ({"content": b"\xff{"}, ""),
    ({"content": b""}, ""),
    ({"data": {"method": "x"}}, ""),
    ({}, ""),
]


@pytest.mark.parametrize(("body", "what"), OPERATIONS, ids=str)
def test_an_operation_is_told_by_method_path_and_what_the_message_wants(lib: Any, body: Any, what: str) -> None:
    request = lib.Request("POST", f"{ENDPOINT}/a%20b?c=d#e", **body)
    assert operation(request) == f"POST /mcp/a%20b{what}"
    assert operation(lib.Request("GET", ENDPOINT)) == "GET /mcp"


# Proofs.


def proofs(seen: list[tuple[str | None, str | None]]) -> list[dict[str, Any]]:
    """The claims of each proof; they were signed by the key, and no two have the same jti."""
    read = [read_proof(proof or "") for _, proof in seen]
    assert len({proof.jti for proof in read}) == len(read)
    assert all(proof.header["jwk"]["x"] == KEY.signer.public_jwk["x"] for proof in read)  # type: ignore[index]
    return [proof.claims for proof in read]


def wants_nonce(nonce: str | None = None, status: int = 401, challenge: str = 'DPoP error="use_dpop_nonce"') -> Answer:
    return status, says(challenge, **({"DPoP_Nonce": nonce} if nonce else {}))


@pytest.mark.parametrize(
    ("url", "htu"),
    [
        (ENDPOINT, ENDPOINT),
        (f"{ENDPOINT}/a?b=c#d", f"{ENDPOINT}/a"),
        (f"{ENDPOINT}/a%20b/%C3%A9", f"{ENDPOINT}/a%20b/%C3%A9"),
        ("https://MCP.example.com:443/mcp", ENDPOINT),
    ],
)
@pytest.mark.parametrize("method", ["GET", "post", "DELETE"])
def test_a_bound_token_goes_with_a_proof_for_this_request(lib: Any, method: str, url: str, htu: str) -> None:
    seen = exchange(lib, Tokens(ready=bound(1)), (200, {}), request=lib.Request(method, url))
    assert authorizations(seen) == ["DPoP t1"]
    (claims,) = proofs(seen)
    del claims["jti"]
    assert claims == {"htm": method.upper(), "htu": htu, "iat": int(NOW.wall), "ath": token_hash("t1")}


def test_each_request_has_a_proof_of_its_own_and_the_replay_one_for_its_token(lib: Any) -> None:
    seen = exchange(lib, Tokens(bound(2), ready=bound(1)), (401, says(CHALLENGE)), (200, {}))
    seen += exchange(lib, Tokens(ready=bound(2)), (200, {}))
    assert [claims["ath"] for claims in proofs(seen)] == [token_hash(text) for text in ("t1", "t2", "t2")]


def test_a_proof_of_the_users_own_gives_way(lib: Any) -> None:
    request = lib.Request("GET", ENDPOINT, headers={"dpop": "theirs"})
    assert len(proofs(exchange(lib, Tokens(ready=bound(1)), (200, {}), request=request))) == 1
    assert [name.lower() for name, _ in request.headers.raw].count(b"dpop") == 1


@pytest.mark.parametrize("status", [200, 204, 307, 404, 500])
def test_the_nonce_of_every_answer_stands_in_the_next_proof(lib: Any, status: int) -> None:
    tokens = Tokens(ready=bound(1))
    for nonce in ("one", "two"):
        exchange(lib, tokens, (status, {"DPoP_Nonce": nonce}))
        assert tokens.nonce == nonce
    exchange(lib, tokens, (status, {}))
    (claims,) = proofs(exchange(lib, tokens, (200, {})))
    assert claims["nonce"] == "two"


def test_the_nonce_of_the_first_refusal_is_taken_too(lib: Any) -> None:
    tokens = Tokens(None, bound(1))
    seen = exchange(lib, tokens, (401, says(CHALLENGE, DPoP_Nonce="one")), (200, {}))
    assert seen[0] == (None, None)
    assert proofs(seen[1:])[0]["nonce"] == "one"


@pytest.mark.parametrize("url", ["https://evil.net/mcp", "https://mcp.example.com/other", "http://mcp.example.com/mcp"])
@pytest.mark.parametrize("ready", [bound(1), None], ids=["bound", "bare"])
def test_a_nonce_from_elsewhere_is_none(lib: Any, url: str, ready: Held | None) -> None:
    tokens = Tokens(None, ready=ready)
    play = drive(start(lib, tokens, call_tool(lib)), tokens, 10.0)  # type: ignore[arg-type]
    next(play)
    with pytest.raises(StopIteration):
        play.send(answer(lib, lib.Request("GET", url), 200, DPoP_Nonce="one"))
    assert tokens.nonce is None


@pytest.mark.parametrize(
    "challenge",
    [
        'DPoP error="use_dpop_nonce"',
        'dpop algs="ES256", ERROR=use_dpop_nonce, error_description="x, y"',
        'Bearer, DPoP error="use_dpop_nonce"',
        'Bearer error="invalid_token", DPoP algs="ES256", error="use_dpop_nonce"',
        'DPoP error="use_dpop_nonce", Bearer realm="x", resource_metadata="https://mcp.example.com/x"',
    ],
)
def test_a_request_that_needs_a_nonce_is_sent_again_with_it(lib: Any, challenge: str) -> None:
    tokens = Tokens(ready=bound(1))
    first, second = proofs(exchange(lib, tokens, wants_nonce("one", challenge=challenge), (200, {})))
    assert ("nonce" in first, second["nonce"]) == (False, "one")
    assert tokens.told == []  # the token is as good as it was


def test_a_challenge_on_several_lines_is_read_as_a_whole(lib: Any) -> None:
    tokens, request = Tokens(ready=bound(1)), call_tool(lib)
    play = drive(start(lib, tokens, request), tokens, 10.0)  # type: ignore[arg-type]
    next(play)
    lines = [
        ("WWW-Authenticate", "Bearer"),
        ("WWW-Authenticate", 'DPoP error="use_dpop_nonce"'),
        ("DPoP-Nonce", "one"),
    ]
    assert play.send(lib.Response(401, headers=lines, request=request)) is request
    assert read_proof(request.headers["DPoP"]).claims["nonce"] == "one"


def test_an_old_nonce_gives_way_to_a_new_one_once(lib: Any) -> None:
    tokens = Tokens(ready=bound(1))
    tokens.nonce = "one"
    seen = exchange(lib, tokens, wants_nonce("two"), wants_nonce("three"))
    assert [claims["nonce"] for claims in proofs(seen)] == ["one", "two"]
    assert tokens.nonce == "three"  # for the next request


@pytest.mark.parametrize("nonce", ["one", None], ids=["the same", "none"])
def test_a_nonce_that_is_no_new_one_ends_it(lib: Any, nonce: str | None) -> None:
    tokens = Tokens(ready=bound(1))
    tokens.nonce = "one"
    assert len(exchange(lib, tokens, wants_nonce(nonce))) == 1
    assert tokens.told == []


def test_a_nonce_that_another_request_has_learned_meanwhile_is_a_new_one(lib: Any) -> None:
    tokens, request = Tokens(ready=bound(1)), call_tool(lib)
    play = drive(start(lib, tokens, request), tokens, 10.0)  # type: ignore[arg-type]
    next(play)
    tokens.nonce = "one"
    status, headers = wants_nonce(None)
    assert play.send(answer(lib, request, status, **headers)) is request
    assert read_proof(request.headers["DPoP"]).claims["nonce"] == "one"


@streams
def test_what_can_be_sent_only_once_is_not_sent_again_but_the_next_has_the_nonce(
    lib: Any, content: Callable[[], object]
) -> None:
    tokens = Tokens(bound(1))
    request = lib.Request("POST", ENDPOINT, content=content())
    assert len(exchange(lib, tokens, wants_nonce("one"), request=request)) == 1
    assert tokens.nonce == "one"


@pytest.mark.parametrize("nonce", [None, "new"])
@pytest.mark.parametrize("status", [401, 403])
def test_a_proof_that_is_refused_is_the_callers_and_costs_no_token(lib: Any, status: int, nonce: str | None) -> None:
    tokens = Tokens(ready=bound(1))
    challenge = 'Bearer, DPoP error="invalid_dpop_proof", error_description="iat"'
    assert len(exchange(lib, tokens, wants_nonce(nonce, status, challenge))) == 1
    assert (tokens.told, tokens.nonce) == ([], nonce)


def test_a_nonce_and_then_a_renewal_and_then_more_scopes(lib: Any) -> None:
    tokens = Tokens(bound(2), bound(3), ready=bound(1))
    tokens.wanted = [("b",)]
    seen = exchange(
        lib,
        tokens,
        wants_nonce("one"),
        (401, says('DPoP error="invalid_token"', DPoP_Nonce="two")),
        (403, says('Bearer, DPoP error="insufficient_scope", scope="b"')),
        (200, {}),
    )
    assert authorizations(seen) == ["DPoP t1", "DPoP t1", "DPoP t2", "DPoP t3"]
    assert [claims.get("nonce") for claims in proofs(seen)] == [None, "one", "two", "two"]
    assert tokens.told[2:4] == ["get", ("step up", 2, ("b",), TRIED)]


def test_to_a_bearer_token_what_is_said_of_proofs_is_a_refusal_like_any_other(lib: Any) -> None:
    tokens = Tokens(bound(2), ready=token(1))
    seen = exchange(lib, tokens, wants_nonce("one"), (200, {}))
    assert authorizations(seen) == ["Bearer t1", "DPoP t2"]
    assert seen[0][1] is None


# Keys that live elsewhere.


def test_a_key_that_lives_elsewhere_signs_in_the_thread_of_a_synchronous_caller(lib: Any) -> None:
    signer = Elsewhere()
    seen = exchange(lib, Tokens(ready=bound(1, proof_key(signer))), (200, {}))
    assert len(proofs(seen)) == 1
    assert signer.threads == [threading.get_ident()]


def test_for_an_event_loop_it_signs_on_a_worker_and_for_no_longer_than_the_caller_waits(lib: Any) -> None:
    signer = Elsewhere()
    tokens, request = Tokens(bound(1, proof_key(signer))), call_tool(lib)

    async def play() -> Any:
        steps = adrive(start(lib, tokens, request), tokens, 7.0)  # type: ignore[arg-type]
        sent = await anext(steps)
        with pytest.raises(StopAsyncIteration):
            await steps.asend(answer(lib, request, 200))
        return sent

    assert read_proof(asyncio.run(play()).headers["DPoP"]).claims["ath"] == token_hash("t1")
    assert tokens.told == ["get or bare", ("on a worker", 7.0)]
    assert threading.get_ident() not in signer.threads


def test_a_key_at_hand_signs_in_the_event_loop(lib: Any) -> None:
    tokens, request = Tokens(ready=bound(1)), call_tool(lib)

    async def play() -> None:
        await anext(adrive(start(lib, tokens, request), tokens, 10.0))  # type: ignore[arg-type]

    asyncio.run(play())
    assert tokens.told == []
    assert "DPoP" in request.headers


@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
def test_a_signer_that_fails_fails_the_caller_and_nothing_is_sent(lib: Any, asynchronous: bool) -> None:
    problem = ConfigurationError("The vault is sealed.", code="signer_failed")
    tokens, request = Tokens(ready=bound(1, proof_key(Elsewhere(problem)))), call_tool(lib)

    async def play() -> None:
        await anext(adrive(start(lib, tokens, request), tokens, 10.0))  # type: ignore[arg-type]

    with pytest.raises(ConfigurationError) as failure:
        asyncio.run(play()) if asynchronous else exchange(lib, tokens, request=request)
    assert failure.value is problem
    assert "Authorization" not in request.headers


# Requests that another one was redirected to.


def redirected(lib: Any, first: Any, url: str, method: str | None = None) -> Any:
    """As the clients of both libraries make it: headers and extensions are taken along."""
    return lib.Request(method or first.method, url, headers=first.headers, extensions=first.extensions)


def followed(lib: Any, tokens: Tokens, request: Any) -> tuple[str | None, str | None]:
    for _ in drive(follow(tokens, reach(), request), tokens, 10.0):  # type: ignore[arg-type]
        raise AssertionError("nothing is sent here")
    return request.headers.get("Authorization"), request.headers.get("DPoP")


@pytest.mark.parametrize(
    ("url", "method"),
    [(f"{ENDPOINT}/x", "POST"), (f"{ENDPOINT}?x=y", "POST"), (ENDPOINT, "GET"), (ENDPOINT, "POST")],
    ids=["another path", "another query", "another method", "the same"],
)
def test_inside_the_resource_each_request_has_a_proof_of_its_own(lib: Any, url: str, method: str) -> None:
    tokens, first = Tokens(ready=bound(1)), call_tool(lib)
    seen = exchange(lib, tokens, (307, {"DPoP_Nonce": "one"}), request=first)
    assert followed(lib, tokens, first) == seen[0]  # the first of them has one already
    for _ in range(2):
        first = redirected(lib, first, url, method)
        seen.append(followed(lib, tokens, first))
    assert authorizations(seen) == ["DPoP t1"] * 3
    for claims in proofs(seen)[1:]:
        assert (claims["htm"], claims["htu"]) == (method, url.partition("?")[0])
        assert (claims["nonce"], claims["ath"]) == ("one", token_hash("t1"))


def test_a_replay_has_a_proof_that_was_not_sent_yet(lib: Any) -> None:
    tokens, request = Tokens(ready=bound(1)), call_tool(lib)
    play = drive(start(lib, tokens, request), tokens, 10.0)  # type: ignore[arg-type]
    next(play)
    followed(lib, tokens, request)
    status, headers = wants_nonce("one")
    play.send(answer(lib, request, status, **headers))
    proof = request.headers["DPoP"]
    assert followed(lib, tokens, request)[1] == proof


@pytest.mark.parametrize("url", OUTSIDE)
@pytest.mark.parametrize("held", [token(1), bound(1)], ids=["bearer", "bound"])
def test_outside_of_it_token_and_proof_are_taken_away(lib: Any, url: str, held: Held) -> None:
    tokens, first = Tokens(ready=held), call_tool(lib)
    exchange(lib, tokens, (307, {}), request=first)
    followed(lib, tokens, first)
    onward = redirected(lib, first, url)
    assert followed(lib, tokens, onward) == (None, None)
    assert followed(lib, tokens, redirected(lib, onward, ENDPOINT)) == (None, None)  # and do not come back


def test_a_bearer_token_stays_inside(lib: Any) -> None:
    tokens, first = Tokens(ready=token(1)), call_tool(lib)
    exchange(lib, tokens, (307, {}), request=first)
    assert followed(lib, tokens, first) == ("Bearer t1", None)
    assert followed(lib, tokens, redirected(lib, first, f"{ENDPOINT}/x")) == ("Bearer t1", None)


def test_what_is_the_users_own_is_left_alone(lib: Any) -> None:
    request = lib.Request("GET", "https://elsewhere.example.com/", headers={"Authorization": "Basic x", "DPoP": "y"})
    assert followed(lib, Tokens(), request) == ("Basic x", "y")


@pytest.mark.parametrize("held", [token(1), bound(1)], ids=["bearer", "bound"])
def test_headers_for_whoever_sends_the_request(lib: Any, held: Held) -> None:
    tokens, request = Tokens(held), call_tool(lib)
    for _ in drive(attach(tokens, request), tokens, 10.0):  # type: ignore[arg-type]
        raise AssertionError("nothing is sent here")
    assert request.headers["Authorization"] == held.authorization
    assert ("DPoP" in request.headers) == (held.proof_key is not None)
    assert tokens.told == ["get"]
