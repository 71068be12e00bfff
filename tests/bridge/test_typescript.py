"""Partners made with the official TypeScript SDK: a caller of the loopback endpoint, a server behind the command."""

from __future__ import annotations

import json
import socket
import subprocess
from functools import partial
from pathlib import Path

import anyio
import pytest
from bridge.gated import Gated, official, through_the_proxy
from bridge.looped_back import KEY, looped_back
from interop.node.install import NODE, installed
from interop.processes import serving
from mcp_types import ListRootsResult, Root

HERE = Path(__file__).parent / "typescript"


@pytest.mark.parametrize(("line", "version"), [("v1", "2025-11-25"), ("v2", "2026-07-28")])
def test_the_official_typescript_client_calls_the_loopback_endpoint(line, version, authority):
    with Gated(authority, official()) as server, looped_back(server.url, authority) as url:
        given = {"url": url, "key": KEY, "line": line, "calls": 20}
        done = subprocess.run(
            [NODE, HERE / "caller.mjs"],
            cwd=installed(),
            input=json.dumps(given),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout)
        assert told["version"] == version
        assert {"count", "steps", "wait"} <= set(told["tools"])
        assert told["counted"] == ["1"] * 20
        assert told["reported"] == [1, 2, 3]
        names = [f"{line} {number}" for number in range(20)]
        assert [server.counted[name] for name in names] == [1] * 20
        assert server.counted[f"{line} ended"] == 1, "the tool that was cancelled"


def test_a_typescript_server_has_its_conversation_through_the_command(authority, tmp_path):
    async def roots(context):
        return ListRootsResult(roots=[Root(uri="file:///here")])

    async def talk(server):
        async with through_the_proxy(server, tmp_path, mode="auto", list_roots_callback=roots) as client:
            texts = []
            for tool, arguments in [("count", {"name": "a"}), ("ask", {}), ("forget", {}), ("count", {"name": "b"})]:
                result = await client.call_tool(tool, arguments)
                texts.append(result.content[0].text)
            return texts, client.protocol_version

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    given = {"port": port, "issuer": authority.issuer, "jwks": f"{authority.issuer}/jwks"}
    authority.add_resource(f"http://127.0.0.1:{port}/mcp")
    command = [str(NODE), str(HERE / "server.mjs")]
    with serving(command, given, directory=installed(), log=tmp_path / "node.txt") as url:
        server = Elsewhere(url, authority)
        texts, version = anyio.run(partial(talk, server))
    assert texts == ["1", "file:///here", "forgotten", "1"], "the session that it forgot was opened again"
    assert version == "2025-11-25"
    assert authority.count("token") == 1


class Elsewhere:
    """A server that is not one of ours."""

    def __init__(self, url, authority):
        self.url = url
        self.authorization_server = authority
