"""What an MCP server says of its tools that decides how they are called."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gatepass.bridge.message import Message

__all__ = ["Tools"]

_MIRRORED = b'"x-mcp-header"'
_REPEATABLE = ("readOnlyHint", "idempotentHint")


class Tools:
    """The tools that were listed so far."""

    def __init__(self) -> None:
        self._repeatable: dict[str, bool] = {}
        self._mirrored: dict[str, Mapping[tuple[str, ...], str]] = {}

    def learn(self, listing: Message) -> None:
        """Read a page of the answer to ``tools/list``."""
        tools = cast("object", listing.outcome("tools"))
        for tool in cast("list[object]", tools) if isinstance(tools, list) else ():
            if isinstance(tool, dict):
                self._learn(cast("dict[str, Any]", tool), mirrors=_MIRRORED in listing.line)

    def _learn(self, tool: dict[str, Any], *, mirrors: bool) -> None:
        name, hints = tool.get("name"), tool.get("annotations")
        if not isinstance(name, str):
            return
        said = cast("dict[str, Any]", hints) if isinstance(hints, dict) else {}
        self._repeatable[name] = any(said.get(hint) is True for hint in _REPEATABLE)
        self._mirrored.pop(name, None)
        if mirrors:
            from mcp.shared.inbound import find_invalid_x_mcp_header, x_mcp_header_map  # few servers have any

            schema = tool.get("inputSchema")
            if find_invalid_x_mcp_header(schema) is None:
                self._mirrored[name] = x_mcp_header_map(schema)

    def may_repeat(self, name: object) -> bool:
        """Whether calling a tool twice does no more than calling it once, by the server's own word."""
        return isinstance(name, str) and self._repeatable.get(name, False)

    def headers(self, name: object, arguments: object) -> dict[str, str]:
        """The arguments that a call repeats in HTTP headers (``x-mcp-header``)."""
        mirrored = self._mirrored.get(name) if isinstance(name, str) else None
        if not mirrored or not isinstance(arguments, dict):
            return {}
        from mcp.shared.inbound import mcp_param_headers

        return mcp_param_headers(mirrored, cast("dict[str, Any]", arguments))
