"""A host that knows stdio only, driven by the official conformance suite: the official client, and the command.

The suite appends its server's URL to the command, and says in the environment what it plays. Its servers for these
scenarios are open to all, so the command needs no token, but for an identity all the same.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
from contextlib import suppress
from typing import Any

from mcp import MCPError
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp_types import CreateMessageResult, ElicitResult, ListRootsResult, TextContent
from pydantic import ValidationError

EXAMPLES = {"string": "x", "integer": 0, "number": 0, "boolean": False, "object": {}, "array": []}


async def sample(context, params):
    return CreateMessageResult(role="assistant", content=TextContent(text="yes"), model="m")


async def elicit(context, params):
    """Somebody who takes what is offered, and says yes."""
    asked = params.requested_schema["properties"]
    return ElicitResult(action="accept", content={name: field.get("default", True) for name, field in asked.items()})


async def roots(context):
    return ListRootsResult(roots=[])


def arguments(schema: dict[str, Any]) -> dict[str, Any]:
    kinds = schema.get("properties", {})
    return {name: EXAMPLES[kinds[name]["type"]] for name in schema.get("required", ())}


async def use(mcp: Client, scenario: str, given: dict[str, Any]) -> None:
    """What the scenario wants to see of its server's tools."""
    tools = {tool.name: tool.input_schema for tool in (await mcp.list_tools()).tools}
    match scenario:
        case "initialize":
            pass
        case "tools_call" | "request-metadata":
            await mcp.call_tool("add_numbers", {"a": 5, "b": 3})
        case "json-schema-2020-12-preservation":
            await mcp.call_tool("json_schema_echo", {"schema": tools["json_schema_2020_12_tool"]})
        case "http-custom-headers":
            for call in given["toolCalls"]:
                with suppress(MCPError):
                    await mcp.call_tool(call["name"], call["arguments"])
        case "http-standard-headers":
            for name, schema in tools.items():
                await mcp.call_tool(name, arguments(schema))
            await mcp.read_resource((await mcp.list_resources()).resources[0].uri)
            await mcp.get_prompt((await mcp.list_prompts()).prompts[0].name)
        case _:
            for name, schema in tools.items():
                with suppress(
                    ValidationError
                ):  # of a result that does not say its type, which the official client wants
                    await mcp.call_tool(name, arguments(schema))


async def main() -> None:
    url = sys.argv[-1]
    given = json.loads(os.environ.get("MCP_CONFORMANCE_CONTEXT", "{}"))
    mode = "legacy" if os.environ["MCP_CONFORMANCE_PROTOCOL_VERSION"] <= "2025-11-25" else "auto"
    command = ["-m", "gatepass", "proxy", url, "--stdio", "--no-store", "--client-id", "host", "--auth-method", "none"]
    with tempfile.TemporaryDirectory() as home:
        parameters = StdioServerParameters(command=sys.executable, args=command, env={"HOME": home}, cwd=home)
        async with Client(
            stdio_client(parameters),
            mode=mode,
            sampling_callback=sample,
            elicitation_callback=elicit,
            list_roots_callback=roots,
        ) as mcp:
            await use(mcp, os.environ["MCP_CONFORMANCE_SCENARIO"], given)


if __name__ == "__main__":
    asyncio.run(main())
