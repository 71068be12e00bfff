"""What went wrong, as the error response to the call that it concerns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatepass.bridge.message import error_line
from gatepass.errors import UnreachableError
from gatepass.integrations.refusal import FIELDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from gatepass.bridge.message import Id
    from gatepass.errors import GatepassError

__all__ = ["INTERNAL_ERROR", "METHOD_NOT_FOUND", "NOT_ANSWERED", "failed", "unknown"]

NOT_ANSWERED = -32012
"""The server could not be reached, or its answer was lost on the way."""
INTERNAL_ERROR = -32603
METHOD_NOT_FOUND = -32601


def failed(request: Id | None, failure: GatepassError, code: int, explain: Callable[[GatepassError], str]) -> bytes:
    """The error response to a request.

    Args:
        request: its id.
        failure: why it failed; its fields go along as the error's data.
        code: the error code of JSON-RPC.
        explain: what a failure says, in the words of whoever started the bridge.
    """
    fields = {field: getattr(failure, field) for field in FIELDS}
    data = {"kind": type(failure).__name__} | {field: value for field, value in fields.items() if value is not None}
    return error_line(request, code, explain(failure), data)


def unknown(method: str, failure: GatepassError) -> UnreachableError:
    """A request was sent and its answer is lost: repeated, it might be done twice."""
    msg = f"{failure} The MCP server may or may not have done {method}: look before you ask for it again."
    return UnreachableError(msg, code="answer_lost", status=failure.status)
