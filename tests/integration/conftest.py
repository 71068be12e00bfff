"""A pair of servers for each test, and one client on their books."""

from __future__ import annotations

import pytest
from integration.ways_in import CLIENT_ID, SCOPES, SECRET

from gatepass.testing import AuthorizationServer, ProtectedServer


@pytest.fixture
def auth_server():
    with AuthorizationServer() as server:
        server.add_client(CLIENT_ID, secret=SECRET, scopes=SCOPES)
        yield server


@pytest.fixture
def mcp_server(auth_server):
    with ProtectedServer(auth_server, scopes=("mcp:read",)) as server:
        yield server
