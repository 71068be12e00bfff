"""Who takes part: a fixed header, gatepass, and the two client credentials providers of the official SDK."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import httpx2
from mcp.client.auth import TokenStorage
from mcp.client.auth.extensions.client_credentials import (
    ClientCredentialsOAuthProvider,
    PrivateKeyJWTOAuthProvider,
    SignedJWTParameters,
)
from mcp.shared.auth import OAuthClientInformationFull, OAuthToken

from benchmarks.servers import CLIENT_ID, CLIENT_SECRET, KEY_CLIENT_ID, SCOPE, Site
from gatepass import Auth, ClientCredentials, ClientSecret, MemoryStore, Store, TokenHttp

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["FixedHeader", "SdkStorage", "gatepass_auth", "gatepass_holding", "sdk_auth", "sdk_holding", "sdk_key_auth"]

A_TOKEN = "eyJhbGciOiJSUzI1NiJ9." + "x" * 700


class FixedHeader(httpx2.Auth):
    """The yardstick: the least that an `httpx2.Auth` can do."""

    def __init__(self, token: str = A_TOKEN) -> None:
        self._authorization = f"Bearer {token}"

    def auth_flow(self, request: httpx2.Request) -> Generator[httpx2.Request, httpx2.Response, None]:
        request.headers["Authorization"] = self._authorization
        yield request


class SdkStorage(TokenStorage):
    """Where the SDK keeps its tokens: what a program must bring itself."""

    def __init__(self, tokens: OAuthToken | None = None) -> None:
        self._tokens = tokens

    async def get_tokens(self) -> OAuthToken | None:
        return self._tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self._tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return None

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        raise NotImplementedError


def gatepass_auth(site: Site, *, scopes: str | None = SCOPE, store: Store | None = None) -> Auth:
    """gatepass in front of the protected server, without a token yet, unless the store has one."""
    return Auth(
        site.url,
        ClientCredentials(ClientSecret(CLIENT_ID, CLIENT_SECRET)),
        issuer=site.issuer,
        scopes=scopes,
        store=store or MemoryStore(),
    )


def sdk_auth(site: Site, storage: SdkStorage | None = None) -> httpx2.Auth:
    """The SDK with a client secret, in the same place."""
    return ClientCredentialsOAuthProvider(
        site.url, storage or SdkStorage(), CLIENT_ID, CLIENT_SECRET, scope=SCOPE, issuer=site.issuer
    )


def sdk_key_auth(site: Site, pem: str) -> httpx2.Auth:
    """The SDK with a private key, in the same place."""
    signed = SignedJWTParameters(issuer=KEY_CLIENT_ID, subject=KEY_CLIENT_ID, signing_key=pem)
    return PrivateKeyJWTOAuthProvider(
        site.url, SdkStorage(), KEY_CLIENT_ID, signed.create_assertion_provider(), scope=SCOPE, issuer=site.issuer
    )


def gatepass_holding(url: str, *, dpop: bool | str = False) -> Auth:
    """gatepass with a fresh token that cost no network."""
    answer = {"access_token": A_TOKEN, "token_type": "DPoP" if dpop else "Bearer", "expires_in": 86_400}
    auth = Auth(
        url,
        ClientCredentials(ClientSecret(CLIENT_ID, CLIENT_SECRET)),
        issuer="https://auth.example.com",
        token_endpoint="https://auth.example.com/token",
        scopes=SCOPE,
        dpop=dpop,
        http=TokenHttp(transport=httpx2.MockTransport(lambda _: httpx2.Response(200, json=answer))),
    )
    auth.token()
    return auth


def sdk_holding(url: str) -> httpx2.Auth:
    """The SDK with a fresh token, loaded from its storage."""
    tokens = OAuthToken(access_token=A_TOKEN, token_type="Bearer", expires_in=86_400)
    auth = ClientCredentialsOAuthProvider(
        url, SdkStorage(tokens), CLIENT_ID, CLIENT_SECRET, scope=SCOPE, issuer="https://auth.example.com"
    )
    auth.context.token_expiry_time = time.time() + 86_400  # as if it had fetched the token itself
    return auth
