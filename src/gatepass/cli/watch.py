"""Sees the requests that the demo really makes, and tells what each is for. No credential is kept."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx2

import gatepass

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Seen", "Watch"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One request, its answer's status, and what it was for."""

    method: str
    path: str
    status: int
    purpose: str


class Watch(httpx2.BaseTransport):
    """The network, watched: on the way to the authorization server as a transport, to the MCP server as a hook.

    Attributes:
        seen: the requests that were answered, in order.
    """

    def __init__(self) -> None:
        self._network = httpx2.HTTPTransport()
        self.seen: list[Seen] = []

    @property
    def token_http(self) -> gatepass.TokenHttp:
        """A token client that is watched."""
        return gatepass.TokenHttp(transport=self)

    @property
    def http_options(self) -> Mapping[str, Any]:
        """Options that make `gatepass.connect` watched. No proxy: it would not know this machine's loopback."""
        return {"event_hooks": {"response": [self._answered]}, "trust_env": False}

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request of the token client."""
        response = self._network.handle_request(request)
        self._keep(request, response.status_code)
        return response

    async def _answered(self, response: httpx2.Response) -> None:
        self._keep(response.request, response.status_code)

    def _keep(self, request: httpx2.Request, status: int) -> None:
        purpose = _purpose(request)
        self.seen.append(Seen(method=request.method, path=request.url.path, status=status, purpose=purpose))


def _purpose(request: httpx2.Request) -> str:
    path = request.url.path
    if path.startswith("/.well-known/oauth-protected-resource"):
        return "who issues tokens?"
    if path.startswith("/.well-known/"):
        return "where and how?"
    if request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return "client_secret_basic" if "authorization" in request.headers else "private_key_jwt"
    message = json.loads(request.content)
    tool = message.get("params", {}).get("name", "")
    return f"{message['method']} {tool}".strip()
