"""What the HTTP transport of MCP says beside a message."""

from __future__ import annotations

import re
from base64 import b64encode
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gatepass.bridge.message import Message
    from gatepass.bridge.session import Session
    from gatepass.bridge.tools import Tools

__all__ = ["LAST_EVENT_ID", "SESSION_ID", "headers_of", "session_headers"]

SESSION_ID = "Mcp-Session-Id"
LAST_EVENT_ID = "Last-Event-ID"
_VERSION = "MCP-Protocol-Version"

_NAMED_BY = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}
_PLAIN = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")
_ENCODED = re.compile(r"=\?base64\?.*\?=")


def session_headers(session: Session) -> dict[str, str]:
    """What names a session of the handshake era (2025-11-25, Transports: Session Management, Protocol Version)."""
    named = {SESSION_ID: session.id, _VERSION: session.version}
    return {name: value for name, value in named.items() if value is not None}


def headers_of(message: Message, version: str, tools: Tools) -> dict[str, str]:
    """What is repeated of a message in the stateless era (2026-07-28, Streamable HTTP: Request Metadata).

    Args:
        message: a request or notification.
        version: the protocol version, which a request carries itself.
        tools: knows which arguments of which tool are repeated.
    """
    said = {_VERSION: version, "Mcp-Method": message.method or ""}
    headers = {name: value for name, value in said.items() if _PLAIN.fullmatch(value)}
    name = message.param(_NAMED_BY[message.method]) if message.method in _NAMED_BY else None
    if isinstance(name, str):
        headers["Mcp-Name"] = _field(name)
    if message.method == "tools/call":
        headers |= tools.headers(name, message.param("arguments"))
    return headers


def _field(text: str) -> str:
    """A text as a header can carry it (Streamable HTTP: Value Encoding)."""
    if _PLAIN.fullmatch(text) and not _ENCODED.fullmatch(text):
        return text
    return f"=?base64?{b64encode(text.encode()).decode()}?="
