"""The other side: an authorization server and a protected MCP server, both real and on loopback, to test clients with.

    with AuthorizationServer() as auth_server, ProtectedServer(auth_server) as mcp_server:
        auth_server.add_client("ci-bot", secret="s3cret")
        ...                                   # let your client loose on mcp_server.url
        assert auth_server.count("token") == 1

Nothing here shares code with the client side of gatepass: if both sides shared code, a mistake would cancel itself out.
"""

from __future__ import annotations

from gatepass.testing.authorization_server import AuthorizationServer
from gatepass.testing.bindings import Binding
from gatepass.testing.certificates import Certificates
from gatepass.testing.clients import Client
from gatepass.testing.protected_server import ProtectedServer
from gatepass.testing.records import RequestRecord
from gatepass.testing.registration import Registration
from gatepass.testing.tls import Tls
from gatepass.testing.trouble import Trouble

__all__ = [
    "AuthorizationServer",
    "Binding",
    "Certificates",
    "Client",
    "ProtectedServer",
    "Registration",
    "RequestRecord",
    "Tls",
    "Trouble",
]
