"""gatepass gets a program past the gate of a protected MCP server when no person is there to click "allow"."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatepass.client_auth.client_assertion import ClientAssertion
from gatepass.client_auth.client_secret import ClientSecret
from gatepass.client_auth.private_key_jwt import PrivateKeyJwt
from gatepass.client_auth.public_client import PublicClient
from gatepass.core.secret import Secret
from gatepass.core.world import Signer
from gatepass.engine.token_http import TokenHttp
from gatepass.errors import ConfigurationError, GatepassError, RemoteError, StoreError, UnreachableError
from gatepass.integrations.auth import Auth
from gatepass.integrations.client import AuthorizedAsyncClient, AuthorizedClient
from gatepass.profiles.client_credentials import ClientCredentials
from gatepass.stores.base import Store
from gatepass.stores.file import FileStore
from gatepass.stores.memory import MemoryStore

if TYPE_CHECKING:
    from gatepass.integrations.mcp import authorization_error, connect

__all__ = [
    "Auth",
    "AuthorizedAsyncClient",
    "AuthorizedClient",
    "ClientAssertion",
    "ClientCredentials",
    "ClientSecret",
    "ConfigurationError",
    "FileStore",
    "GatepassError",
    "MemoryStore",
    "PrivateKeyJwt",
    "PublicClient",
    "RemoteError",
    "Secret",
    "Signer",
    "Store",
    "StoreError",
    "TokenHttp",
    "UnreachableError",
    "authorization_error",
    "connect",
]

_FROM_THE_MCP_EXTRA = frozenset({"authorization_error", "connect"})


def __getattr__(name: str) -> object:
    """What needs the MCP SDK is imported when it is used."""
    if name not in _FROM_THE_MCP_EXTRA:
        msg = f"module 'gatepass' has no attribute {name!r}"
        raise AttributeError(msg)
    try:
        from gatepass.integrations import mcp
    except ModuleNotFoundError as missing:
        msg = f"gatepass.{name} needs the MCP SDK: pip install 'gatepass[mcp]'"
        raise ImportError(msg) from missing
    return getattr(mcp, name)
