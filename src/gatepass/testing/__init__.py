"""The other side: an authorization server and a protected MCP server, both real and on loopback, to test clients with.

    with AuthorizationServer() as auth_server, ProtectedServer(auth_server) as mcp_server:
        auth_server.add_client("ci-bot", secret="s3cret")
        ...                                   # let your client loose on mcp_server.url
        assert auth_server.count("token") == 1

A `Stage` has both, and a client. `gatepass.testing.gallery` has them broken, by name.

Nothing here shares code with the client side of gatepass: if both sides shared code, a mistake would cancel itself out.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING

from gatepass.testing.authorization_server import AuthorizationServer
from gatepass.testing.bindings import Binding
from gatepass.testing.certificates import Certificates
from gatepass.testing.clients import Client
from gatepass.testing.protected_server import ProtectedServer
from gatepass.testing.records import RequestRecord
from gatepass.testing.registration import Registration
from gatepass.testing.stage import Stage
from gatepass.testing.tls import Tls
from gatepass.testing.trouble import Trouble

if TYPE_CHECKING:
    from gatepass.testing.store_contract import ManualClock, StoreContract

__all__ = [
    "AuthorizationServer",
    "Binding",
    "Certificates",
    "Client",
    "ManualClock",
    "ProtectedServer",
    "Registration",
    "RequestRecord",
    "Stage",
    "StoreContract",
    "Tls",
    "Trouble",
]

_CONTRACT = "gatepass.testing.store_contract"


def __getattr__(name: str) -> object:
    if name not in {"ManualClock", "StoreContract"}:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    import pytest  # only for those who have it

    if _CONTRACT not in sys.modules:
        pytest.register_assert_rewrite(_CONTRACT)
    return getattr(import_module(_CONTRACT), name)
