"""MCP servers made with three SDKs, each of which knows good tokens by the means of its own SDK."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from cli.tool_servers import fastmcp_app, python_sdk_app, typescript_serving
from fastmcp.server.auth import RemoteAuthProvider
from fastmcp.server.auth.providers.jwt import JWTVerifier
from interop.mcp_server import JwtVerifier, served
from interop.place import SCOPE
from mcp.server.auth.settings import AuthSettings
from pydantic import AnyHttpUrl

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def python(issuer: str, own: socket.socket, _log: Path) -> Iterator[None]:
    """With the official Python SDK."""
    url = _url(own)
    protection = {
        "issuer_url": issuer,
        "resource_server_url": url,
        "required_scopes": [SCOPE],
        "validate_token_resource": True,
    }
    verifier = JwtVerifier(issuer, f"{issuer}/jwks", url)
    app = python_sdk_app(token_verifier=verifier, auth=AuthSettings.model_validate(protection))
    with served(app, own):
        yield


@contextmanager
def fastmcp(issuer: str, own: socket.socket, _log: Path) -> Iterator[None]:
    """With FastMCP, as its documentation has it: the issuer is a URL of pydantic's, and so has a slash at its end."""
    url = _url(own)
    verifier = JWTVerifier(jwks_uri=f"{issuer}/jwks", issuer=issuer, audience=url, required_scopes=[SCOPE])
    auth = RemoteAuthProvider(verifier, [AnyHttpUrl(issuer)], url.removesuffix("/mcp"))
    with served(fastmcp_app(auth=auth), own):
        yield


@contextmanager
def typescript(issuer: str, own: socket.socket, log: Path) -> Iterator[None]:
    """With the official TypeScript SDK. It asks for no scopes."""
    with typescript_serving(issuer, f"{issuer}/jwks", own, log):
        yield


def _url(own: socket.socket) -> str:
    return f"http://127.0.0.1:{own.getsockname()[1]}/mcp"
