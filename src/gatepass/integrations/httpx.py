"""The same flow for httpx, whose classes are not those of httpx2."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx

from gatepass.integrations.flow import adrive, authorize, drive

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator

    from gatepass.engine.source import Source
    from gatepass.integrations.flow import Reach

__all__ = ["HttpxAuth"]


class HttpxAuth(httpx.Auth):
    """What `Auth.for_httpx` returns."""

    def __init__(self, source: Source, reach: Reach, deadline_s: float) -> None:
        self._source = source
        self._reach = reach
        self._deadline_s = deadline_s

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Get a request of a synchronous client in. For httpx, which calls it."""
        flow = authorize(self._source, self._reach, request, httpx.RequestNotRead)
        return drive(flow, self._source, self._deadline_s)

    def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Get a request of an asynchronous client in. For httpx, which calls it."""
        flow = authorize(self._source, self._reach, request, httpx.RequestNotRead)
        return adrive(flow, self._source, self._deadline_s)
