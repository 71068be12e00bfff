"""The client that the official conformance suite drives. It uses nothing but gatepass's public names.

The suite appends the server's URL to the command, and says in the environment which scenario it plays, at which
version of the protocol, and with which credentials.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Mapping
from typing import Any

import httpx2

import gatepass

Context = Mapping[str, str]

CLIENT_METADATA = "https://conformance-test.local/client-metadata.json"
"""The address that the suite's servers take for a client ID metadata document."""


def person(url: str) -> str:
    """Stands in for somebody at a browser, who says yes to everything: where they are sent back to."""
    return httpx2.get(url, follow_redirects=False).headers["Location"]


def signed_in(**options: Any) -> gatepass.AuthorizationCode:
    return gatepass.AuthorizationCode(ask=person, **options)


def auth_for(scenario: str, url: str, given: Context) -> gatepass.Auth:
    """The way in that a scenario is about."""
    match scenario:
        case "auth/client-credentials-basic":
            client = gatepass.ClientSecret(given["client_id"], given["client_secret"])
            return gatepass.Auth(url, gatepass.ClientCredentials(client))
        case "auth/client-credentials-jwt":
            key = gatepass.PrivateKeyJwt(given["client_id"], key=given["private_key_pem"])
            return gatepass.Auth(url, gatepass.ClientCredentials(key))
        case "auth/wif-jwt-bearer":
            return gatepass.Auth(url, gatepass.WorkloadIdentity(given["valid_jwt"], client=given["client_id"]))
        case "auth/enterprise-managed-authorization":
            idp = gatepass.IdentityProvider(given["idp_issuer"], gatepass.PublicClient(given["idp_client_id"]))
            client = gatepass.ClientSecret(given["client_id"], given["client_secret"])
            way_in = gatepass.EnterpriseAuthorization(client, idp=idp, subject_token=given["idp_id_token"])
            return gatepass.Auth(url, way_in)
        case "auth/dpop" | "auth/dpop-nonce":
            return gatepass.Auth(url, signed_in(), dpop=True)
        case "auth/pre-registration":
            client = gatepass.ClientSecret(given["client_id"], given["client_secret"])
            return gatepass.Auth(url, signed_in(client=client))
        case "auth/basic-cimd":
            return gatepass.Auth(url, signed_in(client_metadata_url=CLIENT_METADATA))
        case "auth/2025-03-26-oauth-metadata-backcompat" | "auth/2025-03-26-oauth-endpoint-fallback":
            return gatepass.Auth(url, signed_in(), allow_legacy_discovery=True)
        case _:
            return gatepass.Auth(url, signed_in())


async def visit(auth: gatepass.Auth, mode: str) -> None:
    """Get in, look at what is there, and use all of it."""
    async with gatepass.connect(auth, mode=mode) as mcp:
        for tool in (await mcp.list_tools()).tools:
            await mcp.call_tool(tool.name, {})


def main() -> None:
    url = sys.argv[-1]
    scenario = os.environ["MCP_CONFORMANCE_SCENARIO"]
    version = os.environ["MCP_CONFORMANCE_PROTOCOL_VERSION"]
    context = json.loads(os.environ.get("MCP_CONFORMANCE_CONTEXT", "{}"))
    mode = "legacy" if version <= "2025-11-25" else version
    asyncio.run(visit(auth_for(scenario, url, context), mode))


if __name__ == "__main__":
    main()
