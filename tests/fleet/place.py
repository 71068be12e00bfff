"""Where the fleets are sent: two servers, and one store that everybody shares."""

from __future__ import annotations

import os
import random
from contextlib import contextmanager

from fleet.ways_in import APP, BY_ITSELF, CLIENT_ID, SCOPE, SECRET
from redis_servers import redis_server

from gatepass.testing import AuthorizationServer, ProtectedServer, Trouble

SKEW_S = 2.0
"""How far the clock of the resource is behind: with tokens of seconds, a slow machine may not make a token old."""

STORES = ("files", "redis")
"""What processes can share."""


def dice():
    """Dice whose throws are repeated when ``GATEPASS_CHAOS_SEED`` is what they print; the processes have their own."""
    seed = int(os.environ.get("GATEPASS_CHAOS_SEED", "0")) or random.SystemRandom().getrandbits(32)
    print(f"GATEPASS_CHAOS_SEED={seed}")
    return random.Random(seed)


@contextmanager
def servers(**options):
    """An authorization server that knows the workers and the app, and the resource that they call."""
    with AuthorizationServer(**options) as auth_server, ProtectedServer(auth_server, scopes=(SCOPE,)) as mcp_server:
        auth_server.add_client(CLIENT_ID, secret=SECRET, scopes=(SCOPE,))
        auth_server.add_client(APP, scopes=(SCOPE,), redirect_uris=("http://127.0.0.1/callback",))
        mcp_server.trouble = Trouble(clock_offset_s=-SKEW_S)
        yield auth_server, mcp_server


@contextmanager
def shared_store(kind, folder):
    """A store for as long as the block: its kind, and where it is."""
    if kind in ("redis", "valkey"):
        with redis_server(folder / "server", kind) as server:
            yield {"kind": "redis", "where": server.url}
    else:
        yield {"kind": kind, "where": str(folder / "store")}


def whereabouts(mcp_server, store, way=BY_ITSELF):
    """What a program has to be given to find its way."""
    return {"url": mcp_server.url, "issuer": mcp_server.authorization_server.issuer, "store": store, "way": way}
