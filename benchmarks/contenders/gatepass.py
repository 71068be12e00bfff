"""gatepass."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

import httpx2

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
from gatepass import Auth, ClientCredentials, ClientSecret, FileStore, MemoryStore, Store, TokenHttp

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["GATEPASS", "Gatepass"]

GATEPASS = "gatepass"
PATIENCE_S = 600.0
_numbers = count()


class Gatepass(OnHttpx):
    """A client with a secret, the issuer pinned."""

    name = GATEPASS
    package = "gatepass"
    imports = "from gatepass import Auth, ClientCredentials, ClientSecret"

    def __init__(self) -> None:
        self._http = TokenHttp(transport=httpx2.MockTransport(_issue))
        self._store = MemoryStore()

    def cold(
        self,
        site: Site,
        *,
        client_id: str = CLIENT_ID,
        shelf: Shelf | None = None,
        leeway_s: float | None = None,  # noqa: ARG002 - a share of the lifetime, which is no option
    ) -> Auth:
        return _auth(site, client_id, MemoryStore() if shelf is None else FileStore(shelf.folder / "gatepass"))

    def crowd(self, site: Site, size: int) -> list[Auth]:
        """One store for all of them, so that they discover once; and patience enough to see the last of them served."""
        store = MemoryStore()
        return [_auth(site, f"{CLIENT_ID}-{number}", store, deadline_s=PATIENCE_S) for number in range(size)]

    def holding(self, url: str, number: int = 0, *, dpop: str | bool = False) -> Auth:
        """Minted in this process, by a server that is a function; the store is one for all."""
        client = ClientSecret(f"{CLIENT_ID}-{number}", CLIENT_SECRET)
        auth = Auth(
            url,
            ClientCredentials(client),
            issuer=ISSUER,
            scopes=SCOPE,
            store=self._store,
            http=self._http,
            dpop=dpop,
        )
        auth.token()
        return auth

    def program(self, site: Site, *, asynchronous: bool = False, folder: Path | None = None) -> str:
        setup = f"""\
from gatepass import Auth, ClientCredentials, ClientSecret{", FileStore" if folder else ""}
profile = ClientCredentials(ClientSecret({CLIENT_ID!r}, {CLIENT_SECRET!r}))
store = {f"FileStore({str(folder)!r})" if folder else None}
auth = Auth({site.url!r}, profile, issuer={site.issuer!r}, scopes={SCOPE!r}, store=store)
"""
        return self._program(setup, "auth=auth", site.hello, asynchronous=asynchronous)


def _auth(site: Site, client_id: str, store: Store, *, deadline_s: float | None = None) -> Auth:
    profile = ClientCredentials(ClientSecret(client_id, CLIENT_SECRET))
    return Auth(site.url, profile, issuer=site.issuer, scopes=SCOPE, store=store, deadline_s=deadline_s)


def _issue(request: httpx2.Request) -> httpx2.Response:
    """Resource metadata, server metadata and token endpoint in one function."""
    path = request.url.path
    if "oauth-protected-resource" in path:
        resource = str(request.url).replace("/.well-known/oauth-protected-resource", "")
        return httpx2.Response(200, json={**RESOURCE_METADATA, "resource": resource})
    if "oauth-authorization-server" in path:
        return httpx2.Response(200, json=SERVER_METADATA)
    token_type = "DPoP" if "DPoP" in request.headers else "Bearer"
    token = {"access_token": a_token(next(_numbers)), "token_type": token_type, "expires_in": LIFETIME_S}
    return httpx2.Response(200, json=token)
