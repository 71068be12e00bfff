"""What every server here can do: start and stop, remember its requests, and make trouble when told to."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from email.utils import formatdate
from typing import TYPE_CHECKING, ClassVar, Self

from gatepass.testing.records import RequestLog, RequestRecord, record_of
from gatepass.testing.serve import LoopbackPort
from gatepass.testing.trouble import Trouble, cause

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from starlette.requests import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from gatepass.testing.tls import Tls

__all__ = ["LoopbackServer"]

FORM_TYPE = b"application/x-www-form-urlencoded"
MAX_FORM_BYTES = 1024 * 1024
_REFUSED = 400


class LoopbackServer(ABC):
    """A server that a test owns.

    Its address is known, and kept, from the moment the object exists. It may be stopped and started again: in between,
    a connection is refused; what is in flight when it stops is cut off; what it knows, it keeps. All methods may be
    called from any thread.

    Attributes:
        tls: how it speaks TLS; None: it speaks plain HTTP.
        port: the port on 127.0.0.1.
        origin: scheme, host and port.
        on_request: is told of each request once its answer has begun, a refusal with its reason, or there will be none;
            it is called on the server's thread, so it must not wait.
    """

    main_place: ClassVar[str]
    """The place that trouble strikes when it names none."""

    def __init__(self, *, tls: Tls | None = None, port: int = 0) -> None:
        self.tls = tls
        self._listening = LoopbackPort(tls, port)
        self._log = RequestLog()
        self._lock = threading.Lock()
        self._outbreaks: list[_Outbreak] = []
        self.port = self._listening.number
        self.origin = self._listening.origin
        self.on_request: Callable[[RequestRecord], None] | None = None

    @abstractmethod
    def app(self) -> ASGIApp:
        """A new application; asked for at each start."""

    @abstractmethod
    def names_of(self, path: str) -> tuple[str, ...]:
        """What a path is called when it comes to counting and to trouble: itself, ``"metadata"``, ..."""

    def start(self) -> Self:
        """Listen and serve; returns when the server answers.

        Raises:
            RuntimeError: it runs already, or it failed to start.
        """
        self._listening.serve(self._observed(self.app()))
        return self

    def stop(self) -> None:
        """Stop at once. Does nothing if the server is not running."""
        self._listening.stop()

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
        """How many requests came; `place` is a path such as ``"/token"``, or a name such as ``"metadata"``."""
        return sum(
            (place is None or place in self.names_of(record.path))
            and (method is None or method == record.method)
            and (status is None or status == record.status)
            for record in self.requests
        )

    def wait_for(
        self,
        place: str | None = None,
        *,
        count: int = 1,
        method: str | None = None,
        status: int | None = None,
        timeout_s: float = 10.0,
    ) -> None:
        """Wait until `count` says that many requests came; with a `status`, until they are answered.

        Raises:
            TimeoutError: they did not come in time.
        """
        if not self._log.wait_until(lambda: self.count(place, method=method, status=status) >= count, timeout_s):
            came = self.count(place, method=method, status=status)
            msg = f"{came} of {count} requests came within {timeout_s:g} s."
            raise TimeoutError(msg)

    def reset_counters(self) -> None:
        """Forget the requests so far."""
        self._log.clear()

    @property
    def trouble(self) -> tuple[Trouble, ...]:
        """What is going wrong at the moment. Assign one `Trouble`, several, or None for peace.

        Of several, the first that concerns a request strikes it. One that was for the next n requests ends by itself.
        """
        with self._lock:
            return tuple(outbreak.trouble for outbreak in self._outbreaks)

    @trouble.setter
    def trouble(self, trouble: Trouble | Sequence[Trouble] | None) -> None:
        several = () if trouble is None else (trouble,) if isinstance(trouble, Trouble) else trouble
        with self._lock:
            self._outbreaks = [_Outbreak(each) for each in several]

    def url_of(self, request: Request) -> str:
        """The URL that a request came to, without its query."""
        path: bytes = request.scope["raw_path"]
        return self.origin + path.decode("ascii")

    def now(self) -> float:
        """The time by this server's clock, in epoch seconds."""
        return time.time() + sum(trouble.clock_offset_s for trouble in self.trouble)

    def _observed(self, app: ASGIApp) -> ASGIApp:
        """The app, with each request recorded, dated by this server's clock, and troubled if that is wanted."""

        async def observed(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http":
                await app(scope, receive, send)
                return
            form, receive = await _form_body(scope, receive)
            entry = _Entry(self._log, self._log.arrived(record_of(scope, form)), self.on_request)
            date = formatdate(self.now(), usegmt=True).encode()

            async def answer(message: Message) -> None:
                entry.hear(message)
                await send(_dated(message, date) if message["type"] == "http.response.start" else message)

            outbreak = self._strike(scope["path"])
            try:
                if outbreak is None:
                    await app(scope, receive, answer)
                else:
                    await cause(outbreak.trouble, app, scope, receive, answer)
            finally:
                entry.close()
                self._subside(outbreak)

        return observed

    def _strike(self, path: str) -> _Outbreak | None:
        """The trouble that a request gets, if any."""
        names = self.names_of(path)
        with self._lock:
            for outbreak in self._outbreaks:
                places = outbreak.trouble.paths or (self.main_place,)
                if outbreak.left != 0 and any(place in names for place in places):
                    if outbreak.left is not None:
                        outbreak.left -= 1
                    return outbreak
        return None

    def _subside(self, outbreak: _Outbreak | None) -> None:
        with self._lock:
            if outbreak is not None and outbreak.left == 0:
                self._outbreaks = [each for each in self._outbreaks if each is not outbreak]


class _Entry:
    """What is written down of one request while it is answered, and whoever is told of that."""

    def __init__(self, log: RequestLog, number: int, listener: Callable[[RequestRecord], None] | None) -> None:
        self._log = log
        self._number = number
        self._listener = listener
        self._refused = False

    def hear(self, message: Message) -> None:
        """Note a part of the answer."""
        if message["type"] == "http.response.start":
            self._log.answered(self._number, message["status"])
            self._refused = message["status"] >= _REFUSED
            if self._refused:
                return  # the reason comes with the body
        elif self._refused:
            self._log.explained(self._number, message.get("body", b""))
        self.close()

    def close(self) -> None:
        """There is no more to note: tell of it, once."""
        listener, self._listener = self._listener, None
        if listener is not None and (record := self._log.get(self._number)) is not None:
            listener(record)


@dataclass(slots=True, eq=False)
class _Outbreak:
    """Trouble, and how many requests it still has to strike; None: no end."""

    trouble: Trouble
    left: int | None = None

    def __post_init__(self) -> None:
        self.left = self.trouble.times


def _dated(message: Message, date: bytes) -> Message:
    headers = list(message.get("headers", ()))
    if any(name.lower() == b"date" for name, _ in headers):
        return message
    return {**message, "headers": [*headers, (b"date", date)]}


async def _form_body(scope: Scope, receive: Receive) -> tuple[bytes, Receive]:
    """The body of a form, and a `receive` that gives it once more. Any other body is left alone."""
    if not any(name == b"content-type" and value.lower().startswith(FORM_TYPE) for name, value in scope["headers"]):
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
