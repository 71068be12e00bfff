"""A session with an MCP server of the handshake era (2025-11-25 and before), and what makes another one like it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatepass.core.value import Value

if TYPE_CHECKING:
    from gatepass.bridge.message import Message

__all__ = ["NO_SESSION", "Handshake", "Session"]


class Session(Value, frozen=True):
    """What goes along with every message after the handshake.

    Attributes:
        id: what the server named the session; None if it keeps none.
        version: the protocol version that was agreed on.
    """

    hidden = ("id",)

    id: str | None = None
    version: str | None = None


NO_SESSION = Session()
"""Before the handshake, and in the era that has none."""


class Handshake:
    """What the host has said that holds for the whole session.

    Attributes:
        initialize: the request that opened it.
        initialized: the notification that followed.
    """

    def __init__(self, initialize: Message) -> None:
        self.initialize = initialize
        self.initialized: Message | None = None
        self._level: Message | None = None
        self._subscriptions: dict[object, Message] = {}

    def remember(self, request: Message) -> None:
        """Keep a request that was granted, if it changes the session."""
        match request.method:
            case "logging/setLevel":
                self._level = request
            case "resources/subscribe":
                self._subscriptions[request.param("uri")] = request
            case "resources/unsubscribe":
                self._subscriptions.pop(request.param("uri"), None)
            case _:
                pass

    def again(self, version: str | None) -> Message:
        """The opening request, for another session at the version that the host knows of."""
        offered = self.initialize.param("protocolVersion")
        return self.initialize if version in (None, offered) else self.initialize.with_param("protocolVersion", version)

    def follow_up(self) -> list[Message]:
        """What another session has to be told before it is like the first."""
        told = (self.initialized, self._level, *self._subscriptions.values())
        return [message for message in told if message is not None]
