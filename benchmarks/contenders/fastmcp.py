"""FastMCP: its provider wraps the official SDK's, and brings a store."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from fastmcp.client.auth import ClientCredentialsOAuthProvider
from key_value.aio.stores.filetree import FileTreeStore, FileTreeV1KeySanitizationStrategy

from benchmarks.contenders.base import ISSUER, OnHttpx, Shelf
from benchmarks.contenders.official_sdk import give_token
from benchmarks.servers import CLIENT_ID, CLIENT_SECRET, SCOPE, Site

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["FastMcp"]

STRATEGY = FileTreeV1KeySanitizationStrategy.__name__
"""Without it, the store takes a URL in a name for folders that are not there."""


class FastMcp(OnHttpx):
    """`ClientCredentialsOAuthProvider` of FastMCP; through its own `Client` where MCP is spoken."""

    name = "FastMCP"
    package = "fastmcp"
    imports = "from fastmcp.client.auth import ClientCredentialsOAuthProvider"
    lacks: ClassVar[Mapping[str, str]] = {"sync": "It has no synchronous side."}

    def cold(
        self,
        site: Site,
        *,
        client_id: str = CLIENT_ID,
        shelf: Shelf | None = None,
        leeway_s: float | None = None,  # noqa: ARG002 - it has none
    ) -> ClientCredentialsOAuthProvider:
        return ClientCredentialsOAuthProvider(
            site.url,
            client_id=client_id,
            client_secret=CLIENT_SECRET,
            scopes=SCOPE,
            issuer=site.issuer,
            token_storage=None if shelf is None else _store(shelf.folder / "fastmcp"),
        )

    def holding(self, url: str, number: int = 0) -> ClientCredentialsOAuthProvider:
        provider = ClientCredentialsOAuthProvider(
            url, client_id=f"{CLIENT_ID}-{number}", client_secret=CLIENT_SECRET, scopes=SCOPE, issuer=ISSUER
        )
        give_token(provider, number)
        return provider

    def program(self, site: Site, *, asynchronous: bool = True, folder: Path | None = None) -> str:  # noqa: ARG002 - it has asyncio only
        store = "store = None"
        if folder is not None:
            store = f"""\
from pathlib import Path
from key_value.aio.stores.filetree import FileTreeStore, {STRATEGY}
folder = Path({str(folder)!r})
folder.mkdir(exist_ok=True)
store = FileTreeStore(data_directory=folder, key_sanitization_strategy={STRATEGY}(folder))
"""
        setup = f"""\
from fastmcp.client.auth import ClientCredentialsOAuthProvider
{store}
auth = ClientCredentialsOAuthProvider(
    {site.url!r}, client_id={CLIENT_ID!r}, client_secret={CLIENT_SECRET!r}, scopes={SCOPE!r}, issuer={site.issuer!r},
    token_storage=store,
)
"""
        return self._program(setup, "auth=auth", site.hello, asynchronous=True)


def _store(folder: Path) -> FileTreeStore:
    folder.mkdir(parents=True, exist_ok=True)
    return FileTreeStore(data_directory=folder, key_sanitization_strategy=FileTreeV1KeySanitizationStrategy(folder))
