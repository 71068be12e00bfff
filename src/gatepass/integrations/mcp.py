"""An MCP client of the official SDK that is authorized, and that survives when authorization fails.

In the SDK's transport an exception of an HTTP client cancels the whole session, and the caller sees a CancelledError
instead of the reason. Here the failure becomes the JSON-RPC error response to the request that it concerns.
"""

from __future__ import annotations

import json
import logging
import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, cast

import httpx2
from mcp.client import Client, advertise
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError

from gatepass.engine.token_http import unreachable
from gatepass.errors import (
    ConfigurationError,
    GatepassError,
    RemoteError,
    SignInRequiredError,
    StoreError,
    UnreachableError,
)
from gatepass.integrations.client import AuthorizedAsyncClient
from gatepass.integrations.refusal import AUTHORIZATION_FAILED, FIELDS, refusal

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence
    from types import TracebackType

    from mcp.client import ClientExtension
    from mcp.client._transport import TransportStreams

    from gatepass.integrations.auth import Auth

__all__ = ["McpHttpClient", "authorization_error", "connect"]

_SEAL = os.urandom(16).hex()
"""Tells our own error responses from those of a server, which must not pass for them."""

_log = logging.getLogger("gatepass")
_REFUSED = frozenset({401, 403})
_PROBE, _HANDSHAKE = "server/discover", "initialize"
"""What the SDK begins with; and what it tries next, whatever the reason that the first was not answered."""
_ERRORS = {
    kind.__name__: kind for kind in (ConfigurationError, RemoteError, SignInRequiredError, UnreachableError, StoreError)
}
_TIMEOUT = httpx2.Timeout(30.0, read=300.0)


def connect(
    auth: Auth,
    *,
    mode: str = "auto",
    extensions: Sequence[ClientExtension] = (),
    http_options: Mapping[str, Any] | None = None,
    **options: Any,
) -> Client:
    """An `mcp.Client` over streamable HTTP that gets into the resource of `auth`: ``async with connect(auth) as mcp:``.

    Where authorization stops a call, that call raises an `mcp.MCPError` whose `data` says why (`authorization_error`
    makes a `GatepassError` of it), and the session goes on with every other call. Where it stops the connection, the
    `GatepassError` itself is raised.

    Args:
        auth: the way in.
        mode: the protocol version, as `mcp.Client` takes it.
        extensions: more extensions to advertise.
        http_options: keyword options for the `httpx2.AsyncClient` that talks to the server, such as `verify`, `proxy`.
        options: keyword options of `mcp.Client`.
    """
    return _Session(
        _transport(auth, http_options or {}),
        mode=mode,
        extensions=[*([advertise(auth.extension)] if auth.extension else ()), *extensions],
        **options,
    )


def authorization_error(error: MCPError) -> GatepassError | None:
    """The reason of a call that authorization stopped, as the error it was; None for any other error."""
    if error.error.code != AUTHORIZATION_FAILED or not isinstance(error.error.data, dict):
        return None
    data = cast("dict[str, Any]", error.error.data)  # pyright: ignore[reportUnknownMemberType]  # the SDK says Any
    if data.get("seal") != _SEAL:  # a server may answer like us, but it can't know this
        return None
    kind = _ERRORS.get(str(data.get("kind")), GatepassError)
    return kind(error.error.message).with_(**{field: data[field] for field in (*FIELDS, "url") if field in data})


class _Session(Client):
    """An `mcp.Client` that raises what happened, not the exception groups of the tasks that it happened in."""

    async def __aenter__(self) -> Client:
        try:
            return await super().__aenter__()
        except BaseExceptionGroup as group:
            reason, *others = _leaves(group)
            if others:
                raise
        raise (authorization_error(reason) or reason) if isinstance(reason, MCPError) else reason

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            await super().__aexit__(kind, error, traceback)
        except BaseExceptionGroup as group:
            if error is None or _leaves(group) != _leaves(error):  # more happened than what the body raised
                raise


def _leaves(error: BaseException) -> list[BaseException]:
    """The exceptions in a group and its groups; of any other exception, itself."""
    if not isinstance(error, BaseExceptionGroup):
        return [error]
    group = cast("BaseExceptionGroup[BaseException]", error)
    return [leaf for inner in group.exceptions for leaf in _leaves(inner)]


@asynccontextmanager
async def _transport(auth: Auth, http_options: Mapping[str, Any]) -> AsyncGenerator[TransportStreams, None]:
    async with (
        McpHttpClient(auth, **http_options) as http,
        streamable_http_client(auth.url, http_client=http) as streams,
    ):
        yield streams


class McpHttpClient(AuthorizedAsyncClient):
    """An `AuthorizedAsyncClient` for an MCP transport: no failure of ours or of the network leaves it as an exception.

    `connect` uses it. Give it to a transport of your own (`streamable_http_client(url, http_client=...)` of the SDK,
    `httpx_client_factory` of FastMCP), and a failure there is the error of one call, too.

    Args:
        auth: the way in.
        options: keyword options of `httpx2.AsyncClient`; its time-outs are MCP's (30 s, and 300 s to read) if left out.
    """

    def __init__(self, auth: Auth, **options: Any) -> None:
        super().__init__(auth, **{"timeout": _TIMEOUT, **options})
        self._probe_failed: GatepassError | None = None

    async def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        failure, self._probe_failed = self._probe_failed, None
        if failure is not None and _method(request) == _HANDSHAKE:  # one wait for a token is enough
            return _answer(request, failure)
        try:
            response = await super().send(request, **options)
            await _read_json(response)
        except GatepassError as problem:
            failure = problem.again()
            self._probe_failed = failure if _method(request) == _PROBE else None
        except httpx2.RequestError as problem:
            failure = unreachable(problem, request.url.netloc.decode("ascii"), trust="http_options={'verify': ...}")
        else:
            if response.status_code not in _REFUSED:
                return response
            failure = refusal(response)
            await response.aclose()
        return _answer(request, failure)


async def _read_json(response: httpx2.Response) -> None:
    """Read a JSON answer here, where it may break off; the transport reads event streams, and survives their end."""
    if not response.headers.get("Content-Type", "").lower().startswith("application/json"):
        return
    try:
        await response.aread()
    except BaseException:
        await response.aclose()
        raise


def _answer(request: httpx2.Request, failure: GatepassError) -> httpx2.Response:
    """The failure as the JSON-RPC response to the request; what is no request hears nothing, and the log does."""
    message = _message(request)
    if message.get("method") is None or message.get("id") is None:
        _log.warning("An MCP %s message could not be sent: %s", request.method, failure)
        return httpx2.Response(202 if request.method == "POST" else 503, request=request)
    error = {"code": AUTHORIZATION_FAILED, "message": str(failure), "data": failure_data(failure)}
    return httpx2.Response(200, json={"jsonrpc": "2.0", "id": message["id"], "error": error}, request=request)


def failure_data(failure: GatepassError) -> dict[str, Any]:
    """The failure as the `data` of a JSON-RPC error, from which `authorization_error` makes it again."""
    url = {"url": failure.url} if isinstance(failure, SignInRequiredError) else {}
    fields = {field: getattr(failure, field) for field in FIELDS}
    return {"seal": _SEAL, "kind": type(failure).__name__, **fields, **url}


def _method(request: httpx2.Request) -> object:
    return _message(request).get("method")


def _message(request: httpx2.Request) -> dict[str, Any]:
    if request.method != "POST":
        return {}
    message = json.loads(request.content)
    return cast("dict[str, Any]", message) if isinstance(message, dict) else {}
