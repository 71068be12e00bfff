"""An ASGI app on a loopback port, in a thread of its own: started in milliseconds, stopped at once."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
import sys
import threading
import weakref
from concurrent.futures import Future
from contextlib import suppress
from typing import TYPE_CHECKING, cast

import uvicorn

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send
    from uvicorn.protocols.http.h11_impl import H11Protocol

    from gatepass.testing.tls import Tls

__all__ = ["CONNECTION", "Connection", "LoopbackPort"]

HOST = "127.0.0.1"
START_TIMEOUT_S = 10.0
STOP_TIMEOUT_S = 10.0
KEEP_ALIVE_S = 75
_TURNS_TO_ACCEPT = 10
GREETING_TIMEOUT_S = 5.0
_GREETING = "_accept_connection2"
"""The coroutine of asyncio in which a connection is greeted, with TLS if need be."""
CONNECTION = "gatepass.connection"
"""Where an app finds the `Connection` in its scope."""


class LoopbackPort:
    """A port that is ours as long as this object lives, whether something is served on it or not.

    While nothing is, a connection is refused.
    """

    def __init__(self, tls: Tls | None = None, number: int = 0) -> None:
        self._tls = tls
        self._run: _Run | None = None
        self._hold(number)
        self.number: int = self._socket.getsockname()[1]
        self.origin = f"{'http' if tls is None else 'https'}://{HOST}:{self.number}"

    def serve(self, app: ASGIApp) -> None:
        """Serve `app`; returns when it answers.

        Raises:
            RuntimeError: something is served already, or the app failed to start.
        """
        if self._run is not None:
            msg = "The server is running already."
            raise RuntimeError(msg)
        self._released.detach()
        self._run = _Run(app, self._socket, self._tls)
        try:
            self._run.await_started()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Cut every connection and stop. Does nothing if nothing is served."""
        run, self._run = self._run, None
        if run is not None:
            run.stop()
            self._hold(self.number)

    def _hold(self, number: int) -> None:
        """Bind, but don't listen."""
        # asyncio sends without delay only where the protocol is named; with delay, an answer takes 40 ms.
        self._socket = sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        self._released = weakref.finalize(self, sock.close)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((HOST, number))


class Connection:
    """The TCP connection under a request."""

    def __init__(self, server: uvicorn.Server, client: tuple[str, int] | None) -> None:
        self._server = server
        self._client = client

    @property
    def certificate(self) -> bytes | None:
        """The certificate that the client showed, in DER; None if it showed none. uvicorn does not tell."""
        tls: ssl.SSLObject | None
        tls = next((transport.get_extra_info("ssl_object") for transport in self._transports()), None)
        return None if tls is None else tls.getpeercert(binary_form=True)

    def close(self) -> None:
        """Close it, after what was written."""
        for transport in self._transports():
            transport.close()

    def reset(self) -> None:
        """Reset it: the other end sees an error, not an end."""
        at_once = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)
        for transport in self._transports():
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
            transport.abort()

    def _transports(self) -> list[asyncio.Transport]:
        return [protocol.transport for protocol in _protocols(self._server) if protocol.client == self._client]


class _Run:
    """One run of a server: a thread, and the event loop in it."""

    def __init__(self, app: ASGIApp, sock: socket.socket, tls: Tls | None) -> None:
        self._started: Future[None] = Future()
        self._server = _Server(app, self._started, tls)
        self._thread = threading.Thread(target=self._serve, args=(sock,), name="gatepass-testing", daemon=True)
        self._thread.start()

    def _serve(self, sock: socket.socket) -> None:
        try:
            with sock:
                asyncio.run(self._server.serve([sock]))
        except BaseException:  # uvicorn leaves by SystemExit
            if self._started.done():
                raise
            self._started.set_exception(RuntimeError("The server did not start; the log of uvicorn.error says why."))

    def await_started(self) -> None:
        self._started.result(START_TIMEOUT_S)

    def stop(self) -> None:
        self._server.request_stop()
        self._thread.join(STOP_TIMEOUT_S)
        if self._thread.is_alive():
            msg = "The server did not stop in time."
            raise RuntimeError(msg)


class _Server(uvicorn.Server):
    """uvicorn without its waits: it looks ten times a second whether it may go, and lets open streams finish first."""

    def __init__(self, app: ASGIApp, started: Future[None], tls: Tls | None) -> None:
        async def serve(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http":
                await app(scope, receive, send)
                return
            scope[CONNECTION] = Connection(self, scope["client"])
            try:
                await app(scope, receive, send)
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
                ssl_certfile=None if tls is None else tls.certificate,
                ssl_ca_certs=None if tls is None else tls.client_ca,
                ssl_cert_reqs=ssl.CERT_NONE if tls is None else tls.verify_mode,
            )
        )
        self._started = started
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None

    async def main_loop(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        self._started.set_result(None)
        await self._stop.wait()

    def request_stop(self) -> None:
        """Ask it to stop, from another thread."""
        self.should_exit = True
        if self._loop is not None and self._stop is not None:
            with suppress(RuntimeError):  # the loop is closed already
                self._loop.call_soon_threadsafe(self._stop.set)

    async def _let_in(self) -> None:
        """Accept nobody else, and see to those who were accepted just now.

        asyncio loses the sockets of whom it has accepted and not greeted when a server closes.
        """
        loop = asyncio.get_running_loop()
        for server in self.servers:
            for sock in server.sockets:
                loop.remove_reader(sock)
        await asyncio.sleep(0)
        greeted = [task for task in asyncio.all_tasks() if getattr(task.get_coro(), "__name__", "") == _GREETING]
        if greeted:
            await asyncio.wait(greeted, timeout=GREETING_TIMEOUT_S)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await self._let_in()
        for sock in sockets or ():
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)  # a forked child may hold it, too
        for server in self.servers:
            server.close()
        for _ in range(_TURNS_TO_ACCEPT):  # a connection accepted a moment ago becomes known
            await asyncio.sleep(0)
            for protocol in _protocols(self):
                protocol.transport.abort()
        await asyncio.sleep(0)  # each request hears that its client is gone
        tasks = list(self.server_state.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.lifespan.shutdown()


def _protocols(server: uvicorn.Server) -> list[H11Protocol]:
    return cast("list[H11Protocol]", list(server.server_state.connections))
