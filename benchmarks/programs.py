"""Whole programs that make one authorized call, as a user would write them, for fresh processes to run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.servers import CLIENT_ID, CLIENT_SECRET, KEY_CLIENT_ID, SCOPE

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.servers import Site

__all__ = ["fixed_header", "with_gatepass", "with_gatepass_and_key", "with_sdk", "with_sdk_and_key"]


def fixed_header(site: Site, *, asynchronous: bool = False) -> str:
    """A client with a token that somebody else fetched."""
    return _program(site, f"headers = {{'Authorization': 'Bearer {site.token}'}}", "headers=headers", asynchronous)


def with_gatepass(site: Site, *, folder: Path | None = None, asynchronous: bool = False) -> str:
    """gatepass with a client secret; with a file store, if a folder is given."""
    setup = f"""\
from gatepass import Auth, ClientCredentials, ClientSecret{", FileStore" if folder else ""}
profile = ClientCredentials(ClientSecret({CLIENT_ID!r}, {CLIENT_SECRET!r}))
store = {f"FileStore({str(folder)!r})" if folder else None}
auth = Auth({site.url!r}, profile, issuer={site.issuer!r}, scopes={SCOPE!r}, store=store)
"""
    return _program(site, setup, "auth=auth", asynchronous)


def with_gatepass_and_key(site: Site, key_file: Path) -> str:
    """gatepass with a private key."""
    setup = f"""\
from pathlib import Path
from gatepass import Auth, ClientCredentials, PrivateKeyJwt
profile = ClientCredentials(PrivateKeyJwt({KEY_CLIENT_ID!r}, Path({str(key_file)!r})))
auth = Auth({site.url!r}, profile, issuer={site.issuer!r}, scopes={SCOPE!r})
"""
    return _program(site, setup, "auth=auth", asynchronous=True)


def with_sdk(site: Site) -> str:
    """The official SDK with a client secret."""
    setup = f"""\
from mcp.client.auth.extensions.client_credentials import ClientCredentialsOAuthProvider
{_SDK_STORAGE}
auth = ClientCredentialsOAuthProvider(
    {site.url!r}, Storage(), {CLIENT_ID!r}, {CLIENT_SECRET!r}, scope={SCOPE!r}, issuer={site.issuer!r}
)
"""
    return _program(site, setup, "auth=auth", asynchronous=True)


def with_sdk_and_key(site: Site, key_file: Path) -> str:
    """The official SDK with a private key."""
    setup = f"""\
from pathlib import Path
from mcp.client.auth.extensions.client_credentials import PrivateKeyJWTOAuthProvider, SignedJWTParameters
{_SDK_STORAGE}
signed = SignedJWTParameters(
    issuer={KEY_CLIENT_ID!r}, subject={KEY_CLIENT_ID!r}, signing_key=Path({str(key_file)!r}).read_text()
)
auth = PrivateKeyJWTOAuthProvider(
    {site.url!r}, Storage(), {KEY_CLIENT_ID!r}, signed.create_assertion_provider(),
    scope={SCOPE!r}, issuer={site.issuer!r},
)
"""
    return _program(site, setup, "auth=auth", asynchronous=True)


_SDK_STORAGE = """
class Storage:
    async def get_tokens(self): return None
    async def set_tokens(self, tokens): pass
    async def get_client_info(self): return None
    async def set_client_info(self, client_info): pass
"""


def _program(site: Site, setup: str, options: str, asynchronous: bool) -> str:
    if not asynchronous:
        return f"""\
import httpx2
{setup}
with httpx2.Client({options}) as http:
    http.get({site.hello!r}).raise_for_status()
"""
    return f"""\
import asyncio
import httpx2
{setup}
async def main():
    async with httpx2.AsyncClient({options}) as http:
        (await http.get({site.hello!r})).raise_for_status()
asyncio.run(main())
"""
