"""The official SDK of MCP."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, ClassVar

from mcp.client.auth import TokenStorage
from mcp.client.auth.extensions.client_credentials import ClientCredentialsOAuthProvider
from mcp.shared.auth import OAuthClientInformationFull, OAuthMetadata, OAuthToken, ProtectedResourceMetadata

from benchmarks.contenders.base import (
    ISSUER,
    LIFETIME_S,
    RESOURCE_METADATA,
    SERVER_METADATA,
    OnHttpx,
    Shelf,
    a_token,
)
from benchmarks.servers import CLIENT_ID, CLIENT_SECRET, SCOPE, Site

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["OfficialSdk", "give_token"]


class Storage(TokenStorage):
    """Where tokens are kept: what a program must bring itself."""

    def __init__(self) -> None:
        self._tokens: OAuthToken | None = None

    async def get_tokens(self) -> OAuthToken | None:
        return self._tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self._tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return None

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        raise NotImplementedError


class OfficialSdk(OnHttpx):
    """`ClientCredentialsOAuthProvider`."""

    name = "official SDK"
    package = "mcp"
    imports = "from mcp.client.auth.extensions.client_credentials import ClientCredentialsOAuthProvider"
    lacks: ClassVar[Mapping[str, str]] = {
        "sync": "It has no synchronous side.",
        "disk": "It brings no store that outlives the process.",
    }

    def cold(
        self,
        site: Site,
        *,
        client_id: str = CLIENT_ID,
        shelf: Shelf | None = None,
        leeway_s: float | None = None,  # noqa: ARG002 - it has none
    ) -> ClientCredentialsOAuthProvider:
        storage = Storage() if shelf is None else shelf.kept.setdefault(self.name, Storage())
        return ClientCredentialsOAuthProvider(
            site.url, storage, client_id, CLIENT_SECRET, scope=SCOPE, issuer=site.issuer
        )

    def holding(self, url: str, number: int = 0) -> ClientCredentialsOAuthProvider:
        provider = ClientCredentialsOAuthProvider(
            url, Storage(), f"{CLIENT_ID}-{number}", CLIENT_SECRET, scope=SCOPE, issuer=ISSUER
        )
        give_token(provider, number)
        return provider

    def program(self, site: Site, *, asynchronous: bool = True, folder: Path | None = None) -> str:  # noqa: ARG002
        setup = f"""\
from mcp.client.auth.extensions.client_credentials import ClientCredentialsOAuthProvider
{STORAGE}
auth = ClientCredentialsOAuthProvider(
    {site.url!r}, Storage(), {CLIENT_ID!r}, {CLIENT_SECRET!r}, scope={SCOPE!r}, issuer={site.issuer!r}
)
"""
        return self._program(setup, "auth=auth", site.hello, asynchronous=True)


STORAGE = """
class Storage:
    async def get_tokens(self): return None
    async def set_tokens(self, tokens): pass
    async def get_client_info(self): return None
    async def set_client_info(self, client_info): pass
"""


def give_token(provider: ClientCredentialsOAuthProvider, number: int) -> None:
    """As if it had discovered and fetched the token itself."""
    context = provider.context
    context.protected_resource_metadata = ProtectedResourceMetadata.model_validate(RESOURCE_METADATA)
    context.oauth_metadata = OAuthMetadata.model_validate(SERVER_METADATA)
    context.current_tokens = OAuthToken(access_token=a_token(number), token_type="Bearer", expires_in=LIFETIME_S)
    context.token_expiry_time = time.time() + LIFETIME_S
    provider._initialized = True  # noqa: SLF001 - else it would look into its storage, at the first call only
