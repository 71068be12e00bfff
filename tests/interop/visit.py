"""How a program with gatepass visits a place: it gets in, looks at what is there, and uses it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
from interop.place import SCOPE
from mcp_types import TextContent

import gatepass

if TYPE_CHECKING:
    from collections.abc import Callable

    from interop.place import Place
    from mcp import Client

DEADLINE_S = 60
Identity = gatepass.ClientSecret | gatepass.PrivateKeyJwt


def auth_for(place: Place, identity: Identity) -> gatepass.Auth:
    """An `Auth` with the issuer pinned, and with what can't be discovered where there is no metadata."""
    way_in = gatepass.ClientCredentials(identity)
    if place.metadata:
        return gatepass.Auth(place.url, way_in, issuer=place.issuer)
    token_endpoint = place.token_endpoint
    return gatepass.Auth(place.url, way_in, issuer=place.issuer, token_endpoint=token_endpoint, scopes=[SCOPE])


def visit(
    auth: gatepass.Auth, *, mode: str = "auto", backend: str = "asyncio", between: Callable[[], None] | None = None
) -> list[str]:
    """The names of the tools, and what the only one says, twice; what happens between the two is the caller's."""

    async def inside() -> list[str]:
        async with gatepass.connect(auth, mode=mode) as mcp:
            seen = [tool.name for tool in (await mcp.list_tools()).tools]
            seen.append(await greeting(mcp))
            if between:
                await anyio.to_thread.run_sync(between)
            return [*seen, await greeting(mcp)]

    return anyio.run(inside, backend=backend)


async def greeting(mcp: Client) -> str:
    result = await mcp.call_tool("greet", {"greeting": "Hello"})
    [said] = result.content
    assert isinstance(said, TextContent)
    assert not result.is_error
    return said.text


def warm_welcome(client_id: str) -> list[str]:
    """What `visit` returns if all went well, the server knowing the client by this name."""
    return ["greet", f"Hello, {client_id}", f"Hello, {client_id}"]


def generations(auth: gatepass.Auth, count: int) -> list[str]:
    """The next tokens, as a program sees them that works for longer than one lives."""
    seen = [auth.token()]
    too_late = time.monotonic() + DEADLINE_S
    while len(seen) < count:
        assert time.monotonic() < too_late, f"{len(seen)} generations in {DEADLINE_S} s"
        token = auth.token()
        if token != seen[-1]:
            seen.append(token)
        time.sleep(0.01)  # its work
    return seen
