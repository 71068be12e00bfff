"""JSON-RPC messages, as far as a relay has to understand them. What is passed on are the bytes that came."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from gatepass.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "INVALID_REQUEST",
    "PARSE_ERROR",
    "Id",
    "Message",
    "NotAMessageError",
    "answered_to",
    "error_line",
    "notification_line",
    "read",
    "request_of_ours",
]

PARSE_ERROR = -32700
INVALID_REQUEST = -32600

_VERSION = "io.modelcontextprotocol/protocolVersion"
_ABSENT = msgspec.Raw()
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What comes of text that is no JSON, or nested more deeply than anybody means."""

_HARMLESS = frozenset(
    {
        "completion/complete",
        "initialize",
        "logging/setLevel",
        "ping",
        "prompts/get",
        "prompts/list",
        "resources/list",
        "resources/read",
        "resources/subscribe",
        "resources/templates/list",
        "resources/unsubscribe",
        "server/discover",
        "tasks/get",
        "tasks/list",
        "tasks/result",
        "tools/list",
    }
)
"""Methods that may be called twice: they read, or they set what is set already."""

Id = int | str


class NotAMessageError(Exception):
    """What came is no JSON-RPC message.

    Attributes:
        code: the error code of JSON-RPC that says so.
    """

    def __init__(self, message: str, *, code: int) -> None:
        super().__init__(message)
        self.code = code


class _Envelope(msgspec.Struct, frozen=True):
    method: str | None = None
    id: Id | None = None
    params: msgspec.Raw = _ABSENT
    result: msgspec.Raw = _ABSENT
    error: msgspec.Raw = _ABSENT


class Message(Value, frozen=True):
    """One message: a request (a method and an id), a notification (a method alone) or a response (no method).

    Attributes:
        line: all of it, on one line, without the line break.
        id: of a request, or of the request that a response is for, if that is known.
        params: of a request or notification, as they came; empty if there are none.
        result: of a response, as it came; empty if it is an error.
        error: likewise, if it is one.
    """

    hidden = ("line", "params", "result", "error")

    line: bytes
    method: str | None
    id: Id | None
    params: msgspec.Raw
    result: msgspec.Raw
    error: msgspec.Raw

    @property
    def is_request(self) -> bool:
        """Whether somebody waits for an answer to it."""
        return self.method is not None and self.id is not None

    @property
    def is_response(self) -> bool:
        """Whether it answers a request."""
        return self.method is None

    @property
    def is_error(self) -> bool:
        """Whether it says that a request failed."""
        return self.is_response and not bytes(self.result)

    @property
    def is_harmless(self) -> bool:
        """Whether a second one changes nothing, by the protocol. What a tool does, only its server knows."""
        return self.is_response or self.method in _HARMLESS

    @property
    def version(self) -> str | None:
        """The protocol version that a request of the stateless era carries itself (2026-07-28); else None."""
        version = self.param("_meta", _VERSION)
        return version if isinstance(version, str) else None

    @property
    def error_code(self) -> Any:
        """The code of an error; of anything else None."""
        return _under(self.error, ("code",))

    def param(self, *path: str) -> Any:
        """What stands in the parameters of a request or notification under names one below the other; else None."""
        return _under(self.params, path)

    def outcome(self, *path: str) -> Any:
        """What stands in the result of a response, likewise."""
        return _under(self.result, path)

    def with_param(self, name: str, value: object) -> Message:
        """The message with a parameter set."""
        whole: dict[str, Any] = msgspec.json.decode(self.line)
        whole["params"] = {**whole.get("params", {}), name: value}
        return read(msgspec.json.encode(whole))


def read(text: bytes) -> Message:
    """Tell what a message is.

    Raises:
        NotAMessageError: it is none.
    """
    try:
        text.decode()
        envelope = msgspec.json.decode(text, type=_Envelope)
        line = _on_one_line(text)
    except msgspec.ValidationError:
        envelope, line = _Envelope(), b""
    except _UNREADABLE:
        msg = "This is not JSON."
        raise NotAMessageError(msg, code=PARSE_ERROR) from None
    if envelope.method is None and not bytes(envelope.result) and not bytes(envelope.error):
        msg = "This is not one JSON-RPC request, notification or response; batches are not taken."
        raise NotAMessageError(msg, code=INVALID_REQUEST)
    return Message(
        line=line,
        method=envelope.method,
        id=envelope.id,
        params=envelope.params,
        result=envelope.result,
        error=envelope.error,
    )


def request_of_ours(number: Id, method: str, params: Mapping[str, object]) -> Message:
    """A request that nobody on this side has made."""
    return read(msgspec.json.encode({"jsonrpc": "2.0", "id": number, "method": method, "params": params}))


def error_line(request: Id | None, code: int, text: str, data: Mapping[str, object] | None = None) -> bytes:
    """The response to a request that failed."""
    error = {"code": code, "message": text} | ({} if data is None else {"data": data})
    return msgspec.json.encode({"jsonrpc": "2.0", "id": request, "error": error})


def notification_line(method: str, params: Mapping[str, object]) -> bytes:
    """A notification of our own."""
    return msgspec.json.encode({"jsonrpc": "2.0", "method": method, "params": params})


def answered_to(request: Id, response: Message) -> Message:
    """A response that names no request, for the one that it came to."""
    whole: dict[str, Any] = msgspec.json.decode(response.line)
    return read(msgspec.json.encode({**whole, "id": request}))


def _under(place: msgspec.Raw, path: tuple[str, ...]) -> Any:
    try:
        for name in path:
            place = msgspec.json.decode(place, type=dict[str, msgspec.Raw])[name]
        return msgspec.json.decode(place)
    except (*_UNREADABLE, KeyError):
        return None


def _on_one_line(text: bytes) -> bytes:
    """A line break between the parts of a message says nothing, and on stdio it ends one."""
    if b"\n" in text or b"\r" in text:
        return msgspec.json.format(text, indent=-1)
    return text
