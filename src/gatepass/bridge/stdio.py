"""The standard streams of this process as a host: a message a line, and nothing else on stdout.

Reading and writing block, and neither may keep the process from ending. So each has a daemon thread, which waits for
the event loop whenever the other side is slow.
"""

from __future__ import annotations

import asyncio
import os
import threading
from concurrent.futures import CancelledError
from contextlib import suppress
from typing import TYPE_CHECKING, Self, TypeVar

import anyio

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator
    from types import TracebackType

    from anyio.streams.memory import MemoryObjectReceiveStream

__all__ = ["Stdio", "claim"]

_CHUNK_BYTES = 64 * 1024
_LINES_AHEAD = 16
_LAST_WORDS_S = 0.5
_OVER = (anyio.BrokenResourceError, anyio.ClosedResourceError, CancelledError, RuntimeError)
"""What a thread sees of an event loop that has ended, or does not listen any more."""

T = TypeVar("T")


def claim() -> tuple[int, int]:
    """Take stdin and stdout for messages: descriptors of our own. What else prints goes to stderr, from now on.

    A program that is started from here reads nothing of the host's, and writes nothing to it.
    """
    source, sink = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return source, sink


class Stdio:
    """A host at the other end of two descriptors. Use it as ``async with Stdio(source, sink) as host``.

    Args:
        source: what the host says.
        sink: what it hears.

    Attributes:
        gone: is set when the host has closed one of them.
    """

    def __init__(self, source: int, sink: int) -> None:
        self._source = source
        self._sink = sink
        self._heard, self._lines = anyio.create_memory_object_stream[bytes](_LINES_AHEAD)
        self._said, self._to_say = anyio.create_memory_object_stream[bytes](_LINES_AHEAD)
        self._written = anyio.Event()
        self.gone = anyio.Event()

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        for work in (self._read, self._write):
            threading.Thread(target=work, name=f"gatepass-stdio{work.__name__}", daemon=True).start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._said.close()
        with anyio.move_on_after(_LAST_WORDS_S, shield=True):
            await self._written.wait()
        for stream in (self._heard, self._lines, self._to_say):
            stream.close()

    @property
    def lines(self) -> MemoryObjectReceiveStream[bytes]:
        """What the host says, one message each."""
        return self._lines

    async def say(self, line: bytes) -> None:
        """Tell the host something. Waits while it does not read."""
        with suppress(anyio.BrokenResourceError):  # it is gone
            await self._said.send(line)

    def _read(self) -> None:
        with suppress(*_OVER):
            for line in _lines(self._source):
                self._wait_for(self._heard.send(line))
        self._have_done(self._end)

    def _end(self) -> None:
        self._heard.close()
        self.gone.set()

    def _write(self) -> None:
        with suppress(*_OVER, anyio.EndOfStream, OSError):
            while True:
                _write_all(self._sink, self._wait_for(self._next()))
        self._have_done(self._stop)

    async def _next(self) -> bytes:
        """All lines that wait to be written."""
        lines = [await self._to_say.receive()]
        with suppress(anyio.WouldBlock, anyio.EndOfStream):
            while True:
                lines.append(self._to_say.receive_nowait())
        return b"".join(line + b"\n" for line in lines)

    def _stop(self) -> None:
        self._heard.close()  # whoever hears nothing is not served
        self._to_say.close()
        self._written.set()
        self.gone.set()

    def _wait_for(self, step: Coroutine[object, object, T]) -> T:
        """What the event loop makes of a step, in one of the threads."""
        try:
            return asyncio.run_coroutine_threadsafe(step, self._loop).result()
        except RuntimeError:
            step.close()
            raise

    def _have_done(self, last: Callable[[], None]) -> None:
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(last)


def _lines(source: int) -> Iterator[bytes]:
    """The lines of a stream, without their ends, and without empty ones. The last one may lack its end."""
    rest: list[bytes] = []
    while piece := _read_some(source):
        *whole, last = piece.split(b"\n")
        for line in whole:
            complete = b"".join((*rest, line)).strip()
            rest.clear()
            if complete:
                yield complete
        rest.append(last)
    complete = b"".join(rest).strip()
    if complete:
        yield complete


def _read_some(source: int) -> bytes:
    try:
        return os.read(source, _CHUNK_BYTES)
    except OSError:  # the terminal is gone
        return b""


def _write_all(sink: int, text: bytes) -> None:
    view = memoryview(text)
    while view:
        view = view[os.write(sink, view) :]
