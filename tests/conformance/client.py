"""The client that the official conformance suite drives. It uses nothing but gatepass's public names.

The suite appends the server's URL to the command, and says in the environment which scenario it plays, at which
version of the protocol, and with which credentials.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable, Mapping

import gatepass

Context = Mapping[str, str]

WAYS_IN: dict[str, Callable[[Context], gatepass.ClientCredentials]] = {
    "auth/client-credentials-basic": lambda given: gatepass.ClientCredentials(
        gatepass.ClientSecret(given["client_id"], given["client_secret"])
    ),
    "auth/client-credentials-jwt": lambda given: gatepass.ClientCredentials(
        gatepass.PrivateKeyJwt(given["client_id"], key=given["private_key_pem"])
    ),
}


async def visit(url: str, way_in: gatepass.ClientCredentials, mode: str) -> None:
    """Get in, look at what is there, and use all of it."""
    async with gatepass.connect(gatepass.Auth(url, way_in), mode=mode) as mcp:
        for tool in (await mcp.list_tools()).tools:
            await mcp.call_tool(tool.name, {})


def main() -> None:
    url = sys.argv[-1]
    scenario = os.environ["MCP_CONFORMANCE_SCENARIO"]
    version = os.environ["MCP_CONFORMANCE_PROTOCOL_VERSION"]
    context = json.loads(os.environ.get("MCP_CONFORMANCE_CONTEXT", "{}"))
    if scenario not in WAYS_IN:
        sys.exit(f"{scenario} needs a way in that gatepass does not have yet; there is {', '.join(WAYS_IN)}.")
    mode = "legacy" if version <= "2025-11-25" else version
    asyncio.run(visit(url, WAYS_IN[scenario](context), mode))


if __name__ == "__main__":
    main()
