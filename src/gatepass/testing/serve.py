"""An ASGI app on a loopback socket, in a thread of its own: started in milliseconds, stopped at once, started again."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
import time
import weakref
from abc import ABC, abstractmethod
from concurrent.futures import Future
from contextlib import suppress
from email.utils import formatdate
from typing import TYPE_CHECKING, Self, cast

import uvicorn

from gatepass.testing.records import RequestLog, RequestRecord, record_of
from gatepass.testing.trouble import Trouble, cause

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from types import TracebackType

    from starlette.types import ASGIApp, Message, Receive, Scope, Send
    from uvicorn.protocols.http.h11_impl import H11Protocol

    ServeOne = Callable[[ASGIApp, Scope, Receive, Send, "Connection"], Awaitable[None]]

__all__ = ["Connection", "LoopbackServer"]

HOST = "127.0.0.1"
START_TIMEOUT_S = 10.0
STOP_TIMEOUT_S = 10.0
KEEP_ALIVE_S = 75
MAX_FORM_BYTES = 1024 * 1024


class LoopbackServer(ABC):
    """A server that a test owns: it counts, it makes trouble when told to, and it can be stopped and started again.

    The port is known, and kept, from the moment the object exists; between `stop` and `start` a connection is refused.
    What is in flight when it stops is cut off. All methods may be called from any thread.
    """

    def __init__(self) -> None:
        self._log = RequestLog()
        self._lock = threading.Lock()
        self._trouble: list[_Outbreak] = []
        self._running: _Running | None = None
        self._socket = _bound_socket(0)
        self._closer = weakref.finalize(self, self._socket.close)
        self.port: int = self._socket.getsockname()[1]
        self.origin = f"http://{HOST}:{self.port}"

    @abstractmethod
    def app(self) -> ASGIApp:
        """A new application; asked for at each start."""

    @abstractmethod
    def place_of(self, path: str) -> str:
        """What a path is to this server: ``"token"``, ``"metadata"``, ..."""

    main_place: str
    """The place that trouble strikes when it names none."""

    def start(self) -> Self:
        """Listen and serve; returns when the server answers.

        Raises:
            RuntimeError: it runs already, or the application failed to start.
        """
        if self._running is not None:
            msg = "The server is running already."
            raise RuntimeError(msg)
        self._closer.detach()
        self._running = _Running(self.app(), self._serve_one, self._socket)
        try:
            self._running.await_started()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Cut every connection and stop; the port stays ours. Does nothing if it is not running."""
        running, self._running = self._running, None
        if running is None:
            return
        running.stop()
        self._socket = _bound_socket(self.port)
        self._closer = weakref.finalize(self, self._socket.close)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def requests(self) -> list[RequestRecord]:
        """The requests so far, in the order of arrival."""
        return self._log.all()

    def count(self, place: str | None = None, *, method: str | None = None, status: int | None = None) -> int:
        """How many requests came to `place`: a path such as ``"/token"``, or a name such as ``"metadata"``."""
        return sum(
            (place is None or place in self._names(record.path))
            and (method is None or method == record.method)
            and (status is None or status == record.status)
            for record in self.requests
        )

    def reset_counters(self) -> None:
        """Forget the requests so far."""
        self._log.clear()

    @property
    def trouble(self) -> tuple[Trouble, ...]:
        """What is going wrong at the moment. Assign one `Trouble`, several, or None for peace.

        Of several, the first that concerns a request strikes it; one that was for the next n requests ends by itself.
        """
        with self._lock:
            return tuple(outbreak.trouble for outbreak in self._trouble)

    @trouble.setter
    def trouble(self, trouble: Trouble | Sequence[Trouble] | None) -> None:
        several = () if trouble is None else (trouble,) if isinstance(trouble, Trouble) else trouble
        with self._lock:
            self._trouble = [_Outbreak(each) for each in several]

    def now(self) -> float:
        """The time by this server's clock, in epoch seconds."""
        return time.time() + sum(trouble.clock_offset_s for trouble in self.trouble)

    def _names(self, path: str) -> tuple[str, ...]:
        return (path, self.place_of(path))

    def _strike(self, path: str) -> Trouble | None:
        """The trouble that this request gets, if any."""
        names = self._names(path)
        with self._lock:
            for outbreak in self._trouble:
                if any(place in names for place in outbreak.trouble.paths or (self.main_place,)):
                    outbreak.struck += 1
                    if outbreak.struck == outbreak.trouble.times:
                        self._trouble.remove(outbreak)
                    return outbreak.trouble
        return None

    async def _serve_one(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send, line: Connection) -> None:
        """Record a request, and serve it, with or without trouble."""
        body, receive = await _form_body(scope, receive)
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]
        number = self._log.arrived(record_of(scope["method"], scope["path"], headers, body))
        date = formatdate(self.now(), usegmt=True).encode()
        trouble = self._strike(scope["path"])

        async def noted(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._log.answered(number, message["status"])
                given = list(message.get("headers", ()))
                if all(name.lower() != b"date" for name, _ in given):
                    given.append((b"date", date))
                message = {**message, "headers": given}
            await send(message)

        if trouble is None:
            await app(scope, receive, noted)
        else:
            await cause(trouble, app, scope, receive, noted, line)


class _Outbreak:
    def __init__(self, trouble: Trouble) -> None:
        self.trouble = trouble
        self.struck = 0


async def _form_body(scope: Scope, receive: Receive) -> tuple[bytes, Receive]:
    """The body of a form, and a `receive` that gives it once more. Any other body is left alone."""
    kind = next((value for name, value in scope["headers"] if name == b"content-type"), b"")
    if not kind.lower().startswith(b"application/x-www-form-urlencoded"):
        return b"", receive
    body = bytearray()
    held: list[Message] = []
    more = True
    while more and len(body) <= MAX_FORM_BYTES:
        message = await receive()
        held.append(message)
        body.extend(message.get("body", b""))
        more = message.get("more_body", False)

    async def again() -> Message:
        return held.pop(0) if held else await receive()

    return bytes(body), again


class Connection:
    """The TCP connection under a request."""

    def __init__(self, server: uvicorn.Server, client: tuple[str, int] | None) -> None:
        self._server = server
        self._client = client

    def close(self) -> None:
        """Close it, after what was written."""
        if (transport := self._transport()) is not None:
            transport.close()

    def reset(self) -> None:
        """Reset it: the other end sees an error, not an end."""
        if (transport := self._transport()) is not None:
            linger_for_nothing = struct.pack("ii", 1, 0)
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger_for_nothing)
            transport.abort()

    def _transport(self) -> asyncio.Transport | None:
        for protocol in _protocols(self._server):
            if protocol.client == self._client:
                return protocol.transport
        return None


class _Running:
    """One run: a thread, its event loop, and the server in it."""

    def __init__(self, app: ASGIApp, serve_one: ServeOne, sock: socket.socket) -> None:
        self._started: Future[None] = Future()
        self._server = _Server(app, serve_one, self._started)
        self._thread = threading.Thread(target=self._run, args=(sock,), name="gatepass-testing", daemon=True)
        self._thread.start()

    def _run(self, sock: socket.socket) -> None:
        try:
            with sock:
                asyncio.run(self._server.serve([sock]))
        except BaseException as failure:  # noqa: BLE001 - uvicorn leaves by SystemExit; start() tells the caller
            if not self._started.done():
                self._started.set_exception(RuntimeError(f"The server did not start: {type(failure).__name__}."))

    def await_started(self) -> None:
        self._started.result(START_TIMEOUT_S)

    def stop(self) -> None:
        self._server.request_stop()
        self._thread.join(STOP_TIMEOUT_S)
        if self._thread.is_alive():
            msg = "The server did not stop in time."
            raise RuntimeError(msg)


class _Server(uvicorn.Server):
    """uvicorn without its polling: it would look ten times a second whether it may go, and wait for open streams."""

    def __init__(self, app: ASGIApp, serve_one: ServeOne, started: Future[None]) -> None:
        async def serve(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http":
                await app(scope, receive, send)
                return
            try:
                await serve_one(app, scope, receive, send, Connection(self, scope["client"]))
            except asyncio.CancelledError:
                if not self.should_exit:
                    raise

        super().__init__(
            uvicorn.Config(
                serve,
                loop="asyncio",
                http="h11",
                ws="none",
                lifespan="on",
                log_config=None,
                log_level="warning",
                access_log=False,
                server_header=False,
                date_header=False,
                timeout_keep_alive=KEEP_ALIVE_S,
            )
        )
        self._announce = started
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None

    async def main_loop(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        self._announce.set_result(None)
        await self._stop.wait()

    def request_stop(self) -> None:
        self.should_exit = True
        if self._loop is not None and self._stop is not None:
            with suppress(RuntimeError):  # the loop is closed already
                self._loop.call_soon_threadsafe(self._stop.set)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        for protocol in _protocols(self):
            protocol.transport.abort()
        await asyncio.sleep(0)  # each request hears that its client is gone
        tasks = list(self.server_state.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.lifespan.shutdown()
        for sock in sockets or ():
            sock.close()


def _protocols(server: uvicorn.Server) -> list[H11Protocol]:
    return cast("list[H11Protocol]", list(server.server_state.connections))


def _bound_socket(port: int) -> socket.socket:
    """A socket that holds a loopback port but does not listen yet."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((HOST, port))
    except BaseException:
        sock.close()
        raise
    return sock
