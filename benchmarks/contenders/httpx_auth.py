"""httpx-auth: an `httpx.Auth`, with one cache of tokens for the whole process."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import httpx
from httpx_auth import JsonTokenFileCache, OAuth2, OAuth2ClientCredentials, TokenMemoryCache

from benchmarks.contenders.base import ISSUER, LIFETIME_S, OnHttpx, Shelf, a_token
from benchmarks.servers import CLIENT_ID, CLIENT_SECRET, SCOPE, Site

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["HttpxAuth"]


class HttpxAuth(OnHttpx):
    """`OAuth2ClientCredentials`."""

    name = "httpx-auth"
    package = "httpx-auth"
    speaks = "httpx"
    library = httpx
    imports = "from httpx_auth import OAuth2ClientCredentials"
    lacks: ClassVar[Mapping[str, str]] = {"mcp": "It does not speak httpx2, as the MCP client does."}

    def cold(
        self,
        site: Site,
        *,
        client_id: str = CLIENT_ID,
        shelf: Shelf | None = None,
        leeway_s: float | None = None,
    ) -> OAuth2ClientCredentials:
        """In a new process, as far as its cache is concerned."""
        OAuth2.token_cache = TokenMemoryCache() if shelf is None else JsonTokenFileCache(shelf.folder / "httpx-auth")
        return _auth(site.token_endpoint, client_id, resource=site.url, early_expiry=leeway_s)

    def holding(self, url: str, number: int = 0) -> OAuth2ClientCredentials:  # noqa: ARG002 - it sends its token anywhere
        auth = _auth(f"{ISSUER}/token", f"{CLIENT_ID}-{number}")
        OAuth2.token_cache._add_access_token(auth.state, a_token(number), LIFETIME_S)  # noqa: SLF001
        return auth

    def program(self, site: Site, *, asynchronous: bool = False, folder: Path | None = None) -> str:
        setup = f"""\
from httpx_auth import JsonTokenFileCache, OAuth2, OAuth2ClientCredentials
{f"OAuth2.token_cache = JsonTokenFileCache({str(folder)!r})" if folder else ""}
auth = OAuth2ClientCredentials(
    {site.token_endpoint!r}, {CLIENT_ID!r}, {CLIENT_SECRET!r}, scope={SCOPE!r}, resource={site.url!r}
)
"""
        return self._program(setup, "auth=auth", site.hello, asynchronous=asynchronous)


def _auth(token_endpoint: str, client_id: str, **options: object) -> OAuth2ClientCredentials:
    return OAuth2ClientCredentials(token_endpoint, client_id, CLIENT_SECRET, scope=SCOPE, **options)
