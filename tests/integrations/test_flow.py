"""How one request gets in, step by step: played by hand, with a source that is a list of tokens, for both libraries."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx
import httpx2
import pytest

from gatepass.core.world import Instant, Notice
from gatepass.errors import UnreachableError
from gatepass.integrations import flow as flow_module
from gatepass.integrations.flow import Reach, adrive, authorize, drive
from gatepass.integrations.needs import TOKEN, TOKEN_OR_BARE
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


def token(generation: int, fresh_until: Instant = LATER) -> Held:
    record = TokenRecord(
        generation=generation, access_token=f"t{generation}", token_type="Bearer", obtained_at=NOW.wall,
        lifetime_s=200.0, refresh_in_s=None, scope=None, requested=(), issuer="https://as.example.com",
        resource=ENDPOINT,
    )  # fmt: skip
    return Held(record=record, fresh_until=fresh_until, usable_until=fresh_until, authorization=f"Bearer t{generation}")


class Tokens:
    """A source: what it gives, and what it was told."""

    def __init__(self, *gives: Held | Exception | None, ready: Held | None = None, renews: bool = True) -> None:
        self.ready = ready
        self.gives = list(gives)
        self.renews = renews
        self.told: list[Any] = []
        self.notices: list[Notice] = []
        self.nonce: str | None = None
        self.world = self

    def notice(self, notice: Notice) -> None:
        self.notices.append(notice)

    def challenged(self, challenge: ResourceChallenge | None) -> None:
        self.told.append(challenge)

    def reject(self, generation: int) -> bool:
        self.told.append(generation)
        return self.renews

    def get(self, patience_s: float, needs: tuple[str, ...] = ()) -> Held | None:
        self.told.append("get")
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
        return self.get(patience_s)

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


def test_after_a_bare_request_a_refused_token_is_renewed_once(lib: Any) -> None:
    tokens = Tokens(None, token(1), token(2))
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


def test_a_second_refusal_is_the_callers_and_is_remembered(lib: Any) -> None:
    tokens = Tokens(token(2), ready=token(1))
    assert converse(lib, tokens, 401, 401) == ["Bearer t1", "Bearer t2"]
    assert tokens.told == [SAYS, 1, "get", 2]


@pytest.mark.parametrize("status", [403, 500])
def test_any_other_answer_to_the_replay_is_the_callers(lib: Any, status: int) -> None:
    tokens = Tokens(token(2), ready=token(1))
    assert converse(lib, tokens, 401, status) == ["Bearer t1", "Bearer t2"]
    assert tokens.told == [SAYS, 1, "get"]


def test_where_no_other_token_can_be_had_the_first_refusal_is_the_callers(lib: Any) -> None:
    tokens = Tokens(ready=token(1), renews=False)
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
    tokens, request = Tokens(None, token(1), token(2)), lib.Request("GET", ENDPOINT)

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
