"""The relay in a jar: a host and an MCP server that a test speaks for, and no network between them."""

from __future__ import annotations

import json
from collections import defaultdict
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Self

import anyio
import httpx2

import gatepass
from gatepass.bridge.relay import Relay
from gatepass.bridge.remote import Remote

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

URL = "http://127.0.0.1:9/mcp"
WAIT_S = 10.0
STATELESS = {"_meta": {"io.modelcontextprotocol/protocolVersion": "2026-07-28"}}
VERSION = "2025-11-25"


class Host:
    """The program on this side. What it hears stays in `heard`."""

    def __init__(self) -> None:
        self._speak, self.lines = anyio.create_memory_object_stream[bytes](1000)
        self._news = anyio.Event()
        self.gone = anyio.Event()
        self.heard: list[dict[str, Any]] = []
        self.heard_lines: list[bytes] = []

    async def say(self, line: bytes) -> None:
        self.heard_lines.append(line)
        self.heard.append(json.loads(line))
        news, self._news = self._news, anyio.Event()
        news.set()

    async def write(self, line: bytes) -> None:
        await self._speak.send(line)

    async def notify(self, method: str, params: object = None) -> None:
        await self.write(json.dumps({"jsonrpc": "2.0", "method": method, "params": params or {}}).encode())

    async def ask(self, number: int | str, method: str, params: object = None) -> None:
        message = {"jsonrpc": "2.0", "id": number, "method": method, "params": params or {}}
        await self.write(json.dumps(message).encode())

    async def reply(self, number: int | str, result: object) -> None:
        await self.write(json.dumps({"jsonrpc": "2.0", "id": number, "result": result}).encode())

    async def hears(self, fits: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        with anyio.fail_after(WAIT_S):
            while not (found := [message for message in self.heard if fits(message)]):
                await self._news.wait()
        return found[0]

    async def hears_times(self, number: int, method: str) -> None:
        with anyio.fail_after(WAIT_S):
            while [message.get("method") for message in self.heard].count(method) < number:
                await self._news.wait()

    async def answer(self, number: int | str | None) -> dict[str, Any]:
        return await self.hears(lambda message: "method" not in message and message["id"] == number)

    async def call(self, number: int | str, method: str, params: object = None) -> dict[str, Any]:
        await self.ask(number, method, params)
        return await self.answer(number)

    async def opens(self, **params: object) -> None:
        """The handshake, to its end."""
        answer = await self.call("open", "initialize", {"protocolVersion": VERSION, "capabilities": {}, **params})
        assert answer["result"]["protocolVersion"] == VERSION
        await self.notify("notifications/initialized")
        await self.call("ready", "ping")
        self.heard = [message for message in self.heard if message.get("id") not in {"open", "ready"}]

    def leave(self) -> None:
        self._speak.close()
        self.gone.set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._speak.close()
        self.lines.close()


class Server:
    """An MCP server with sessions, that does what a test says where it says something.

    Attributes:
        got: the messages that it was sent, each as ``(session, message)``.
        requests: the HTTP requests.
        sessions: those that it knows.
    """

    def __init__(self) -> None:
        self._reactions: dict[str, list[Any]] = defaultdict(list)
        self._news = anyio.Event()
        self.got: list[tuple[str | None, dict[str, Any]]] = []
        self.bodies: list[bytes] = []
        self.requests: list[httpx2.Request] = []
        self.sessions: set[str] = set()
        self.opened = 0
        self.version = VERSION

    def when(self, what: str, *reactions: Any) -> None:
        """What happens, one after the other, at messages of a method, or at a GET or DELETE; None: the usual."""
        self._reactions[what] += reactions

    def forget(self) -> None:
        """Every session is lost."""
        self.sessions.clear()

    def methods(self) -> list[str]:
        return [message.get("method", "response") for _, message in self.got]

    def count(self, method: str) -> int:
        return self.methods().count(method)

    def headers(self, method: str) -> httpx2.Headers:
        """Those of the last request with a message of that method."""
        return next(
            request.headers
            for request in reversed(self.requests)
            if request.method == "POST" and json.loads(request.content).get("method") == method
        )

    async def until(self, fits: Callable[[], bool]) -> None:
        with anyio.fail_after(WAIT_S):
            while not fits():
                await self._news.wait()

    async def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        session = request.headers.get("mcp-session-id")
        message = json.loads(request.content) if request.method == "POST" else {}
        if request.method == "POST":
            self.got.append((session, message))
            self.bodies.append(request.content)
        news, self._news = self._news, anyio.Event()
        news.set()
        left = self._reactions[message.get("method", "response") if message else request.method]
        reaction = left.pop(0) if left else None
        if reaction is not None:
            answer = reaction(message) if callable(reaction) else reaction
            answer = await answer if hasattr(answer, "__await__") else answer
            if isinstance(answer, Exception):
                raise answer
            if answer is not None:
                return answer
        return self._usual(request, session, message)

    def _usual(self, request: httpx2.Request, session: str | None, message: dict[str, Any]) -> httpx2.Response:
        if request.method == "GET":
            return httpx2.Response(405)
        if message.get("method") == "initialize":
            self.opened += 1
            self.sessions.add(f"session-{self.opened}")
            result = {"protocolVersion": self.version, "capabilities": {}}
            return answered(message, result, headers={"Mcp-Session-Id": f"session-{self.opened}"})
        if session is not None and session not in self.sessions:
            return httpx2.Response(404, json={"jsonrpc": "2.0", "id": None, "error": {"code": -32600, "message": "?"}})
        if request.method == "DELETE" or "id" not in message or "method" not in message:
            return httpx2.Response(202)
        return answered(message, {"did": message["method"]})


def answered(message: dict[str, Any], result: object, **options: Any) -> httpx2.Response:
    """A response in JSON."""
    return httpx2.Response(200, json={"jsonrpc": "2.0", "id": message["id"], "result": result}, **options)


def stream(*events: bytes | Exception | anyio.Event, **options: Any) -> httpx2.Response:
    """A stream of server-sent events: bytes are sent, an event is waited for, and an exception ends it."""

    async def pieces() -> AsyncIterator[bytes]:
        for event in events:
            if isinstance(event, anyio.Event):
                await event.wait()
            elif isinstance(event, Exception):
                raise event
            else:
                yield event

    return httpx2.Response(200, headers={"Content-Type": "text/event-stream"}, content=pieces(), **options)


def event(message: object, *, number: str | None = None) -> bytes:
    """One server-sent event."""
    named = "" if number is None else f"id: {number}\n"
    return f"{named}data: {'' if message is None else json.dumps(message)}\n\n".encode()


def response(message: dict[str, Any], result: object) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": message["id"], "result": result}


@asynccontextmanager
async def relaying(server: Server) -> AsyncIterator[Host]:
    """A relay between a host and that server, for as long as the block."""
    auth = gatepass.Auth(URL, gatepass.ClientCredentials(gatepass.ClientSecret("ci-bot", "secret")))
    options = {"transport": httpx2.MockTransport(server)}
    with Host() as host:
        async with Remote(auth, options) as remote, anyio.create_task_group() as tasks:
            tasks.start_soon(Relay(remote, host).run)
            yield host
            host.leave()
