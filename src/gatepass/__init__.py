"""gatepass gets a program past the gate of a protected MCP server when no person is there to click "allow".

The public names, each imported from its room when it is first used: what a program does not need costs it nothing.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gatepass.client_auth.client_assertion import ClientAssertion
    from gatepass.client_auth.client_secret import ClientSecret
    from gatepass.client_auth.private_key_jwt import PrivateKeyJwt
    from gatepass.client_auth.public_client import PublicClient
    from gatepass.client_auth.tls_client import TlsClient
    from gatepass.core.secret import Secret
    from gatepass.core.world import Signer
    from gatepass.engine.event import Event
    from gatepass.engine.status import Status
    from gatepass.engine.token_http import TokenHttp
    from gatepass.errors import (
        ConfigurationError,
        GatepassError,
        RemoteError,
        SignInRequiredError,
        StoreError,
        UnreachableError,
    )
    from gatepass.identity.ambient import Ambient
    from gatepass.integrations.auth import Auth
    from gatepass.integrations.client import AuthorizedAsyncClient, AuthorizedClient
    from gatepass.integrations.mcp import McpHttpClient, authorization_error, connect
    from gatepass.integrations.telemetry import Telemetry
    from gatepass.profiles.authorization_code import AuthorizationCode
    from gatepass.profiles.client_credentials import ClientCredentials
    from gatepass.profiles.enterprise import EnterpriseAuthorization, IdentityProvider
    from gatepass.profiles.workload_identity import WorkloadIdentity
    from gatepass.stores.base import Entry, Lease, Store
    from gatepass.stores.encrypted import EncryptedStore
    from gatepass.stores.file import FileStore
    from gatepass.stores.key_value import KeyValueStore
    from gatepass.stores.memory import MemoryStore
    from gatepass.stores.redis import RedisStore

__all__ = [
    "Ambient",
    "Auth",
    "AuthorizationCode",
    "AuthorizedAsyncClient",
    "AuthorizedClient",
    "ClientAssertion",
    "ClientCredentials",
    "ClientSecret",
    "ConfigurationError",
    "EncryptedStore",
    "EnterpriseAuthorization",
    "Entry",
    "Event",
    "FileStore",
    "GatepassError",
    "IdentityProvider",
    "KeyValueStore",
    "Lease",
    "McpHttpClient",
    "MemoryStore",
    "PrivateKeyJwt",
    "PublicClient",
    "RedisStore",
    "RemoteError",
    "Secret",
    "SignInRequiredError",
    "Signer",
    "Status",
    "Store",
    "StoreError",
    "Telemetry",
    "TlsClient",
    "TokenHttp",
    "UnreachableError",
    "WorkloadIdentity",
    "authorization_error",
    "connect",
]

_ROOMS = {
    "Ambient": "identity.ambient",
    "Auth": "integrations.auth",
    "AuthorizationCode": "profiles.authorization_code",
    "AuthorizedAsyncClient": "integrations.client",
    "AuthorizedClient": "integrations.client",
    "ClientAssertion": "client_auth.client_assertion",
    "ClientCredentials": "profiles.client_credentials",
    "ClientSecret": "client_auth.client_secret",
    "ConfigurationError": "errors",
    "EncryptedStore": "stores.encrypted",
    "EnterpriseAuthorization": "profiles.enterprise",
    "Entry": "stores.base",
    "Event": "engine.event",
    "FileStore": "stores.file",
    "GatepassError": "errors",
    "IdentityProvider": "profiles.enterprise",
    "KeyValueStore": "stores.key_value",
    "Lease": "stores.base",
    "McpHttpClient": "integrations.mcp",
    "MemoryStore": "stores.memory",
    "PrivateKeyJwt": "client_auth.private_key_jwt",
    "PublicClient": "client_auth.public_client",
    "RedisStore": "stores.redis",
    "RemoteError": "errors",
    "Secret": "core.secret",
    "SignInRequiredError": "errors",
    "Signer": "core.world",
    "Status": "engine.status",
    "Store": "stores.base",
    "StoreError": "errors",
    "Telemetry": "integrations.telemetry",
    "TlsClient": "client_auth.tls_client",
    "TokenHttp": "engine.token_http",
    "UnreachableError": "errors",
    "WorkloadIdentity": "profiles.workload_identity",
    "authorization_error": "integrations.mcp",
    "connect": "integrations.mcp",
}


def __getattr__(name: str) -> object:
    from importlib import import_module

    room = _ROOMS.get(name)
    if room is None:
        msg = f"module 'gatepass' has no attribute {name!r}"
        raise AttributeError(msg)
    try:
        value: object = getattr(import_module(f"gatepass.{room}"), name)
    except ModuleNotFoundError as missing:
        if missing.name is None or missing.name.partition(".")[0] != "mcp":
            raise
        msg = f"gatepass.{name} needs the MCP SDK: pip install 'gatepass[mcp]'"
        raise ImportError(msg) from missing
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
