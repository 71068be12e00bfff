"""The yardstick: a fixed header, the least that authorizing can be, on each of the three HTTP clients."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import httpx2
from requests.auth import AuthBase

from benchmarks.contenders.base import Contender, OnHttpx, OnRequests, Shelf, a_token
from benchmarks.servers import CLIENT_ID

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    import requests

    from benchmarks.servers import Site

__all__ = ["FIXED", "FixedOnHttpx", "FixedOnHttpx2", "FixedOnRequests"]

FIXED = "fixed header"


class FixedHeader(httpx2.Auth, httpx.Auth, AuthBase):
    """An `Auth` of all three clients: they differ in name alone."""

    def __init__(self, token: str) -> None:
        self._authorization = f"Bearer {token}"

    def auth_flow(self, request: httpx2.Request) -> Generator[httpx2.Request, httpx2.Response, None]:
        request.headers["Authorization"] = self._authorization
        yield request

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = self._authorization
        return request


class _Fixed(Contender):
    """The token is there, whatever happens."""

    name = FIXED
    package = ""

    def cold(
        self,
        site: Site,
        *,
        client_id: str = CLIENT_ID,  # noqa: ARG002 - a header asks for nothing
        shelf: Shelf | None = None,  # noqa: ARG002
        leeway_s: float | None = None,  # noqa: ARG002
    ) -> FixedHeader:
        return FixedHeader(site.token)

    def holding(self, url: str, number: int = 0) -> FixedHeader:  # noqa: ARG002
        return FixedHeader(a_token(number))


class FixedOnHttpx2(_Fixed, OnHttpx):
    """On httpx2."""

    imports = "import httpx2"

    def program(self, site: Site, *, asynchronous: bool = False, folder: Path | None = None) -> str:  # noqa: ARG002
        setup = f"headers = {{'Authorization': 'Bearer {site.token}'}}"
        return self._program(setup, "headers=headers", site.hello, asynchronous=asynchronous)


class FixedOnHttpx(FixedOnHttpx2):
    """On httpx."""

    speaks = "httpx"
    library = httpx
    imports = "import httpx"


class FixedOnRequests(_Fixed, OnRequests):
    """On requests."""

    imports = "import requests"

    def program(self, site: Site, *, asynchronous: bool = False, folder: Path | None = None) -> str:  # noqa: ARG002
        return self._program(f"session.headers['Authorization'] = 'Bearer {site.token}'", site.hello)
