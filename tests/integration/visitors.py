"""Every kind of HTTP client that an Auth serves, driven in the same way."""

from __future__ import annotations

import anyio
import httpx
import httpx2

import gatepass

TLS = httpx2.create_ssl_context()  # made once: it is what a client takes longest to make


def httpx2_sync(auth, **options):
    return _Sync(httpx2.Client(auth=auth, verify=TLS, **options))


def httpx2_asyncio(auth, **options):
    return _Async(httpx2.AsyncClient(auth=auth, verify=TLS, **options), "asyncio")


def httpx2_trio(auth, **options):
    return _Async(httpx2.AsyncClient(auth=auth, verify=TLS, **options), "trio")


def httpx_sync(auth, **options):
    return _Sync(httpx.Client(auth=auth.for_httpx(), verify=TLS, **options))


def httpx_asyncio(auth, **options):
    return _Async(httpx.AsyncClient(auth=auth.for_httpx(), verify=TLS, **options), "asyncio")


def authorized(auth, **options):
    return _Sync(gatepass.AuthorizedClient(auth, verify=TLS, **options))


def authorized_async(auth, **options):
    return _Async(gatepass.AuthorizedAsyncClient(auth, verify=TLS, **options), "asyncio")


PLAIN = (httpx2_sync, httpx2_asyncio, httpx2_trio, httpx_sync, httpx_asyncio)
GUARDED = (authorized, authorized_async)


class _Sync:
    """A visit: all its requests, by one client that is closed at the end."""

    def __init__(self, client):
        self.client = client

    def fetch(self, *urls, method="GET", **options):
        """The answer to the last of the requests."""
        with self.client:
            return [self.client.request(method, url, **options) for url in urls][-1]

    def follow(self, url):
        """Fetch, and send what a redirect asks for through the same client, as often as there is one."""
        with self.client:
            response = self.client.get(url)
            while response.next_request is not None:
                response = self.client.send(response.next_request)
            return response


class _Async:
    """As `_Sync`, each visit in an event loop of its own."""

    def __init__(self, client, backend):
        self.client = client
        self._backend = backend

    def fetch(self, *urls, method="GET", **options):
        async def program():
            async with self.client:
                return [await self.client.request(method, url, **options) for url in urls][-1]

        return anyio.run(program, backend=self._backend)

    def follow(self, url):
        async def program():
            async with self.client:
                response = await self.client.get(url)
                while response.next_request is not None:
                    response = await self.client.send(response.next_request)
                return response

        return anyio.run(program, backend=self._backend)
