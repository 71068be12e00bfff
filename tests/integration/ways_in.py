"""Ways into a protected server, and what they cost: every request that the two servers saw."""

from __future__ import annotations

import threading
from contextlib import contextmanager

import key_material

import gatepass

CLIENT_ID = "ci-bot"
SECRET = "s3cret"
SCOPES = ("mcp:read", "mcp:write")


def by_secret(secret=SECRET, client_id=CLIENT_ID, **options):
    """A client with a secret."""
    return gatepass.ClientSecret(client_id, secret, **options)


def by_key(auth_server, kind="P-256", client_id="key-bot", **options):
    """A client with a private key, put on the server's books."""
    auth_server.add_client(client_id, public_key=key_material.public_pem(kind), scopes=SCOPES)
    return gatepass.PrivateKeyJwt(client_id, key_material.pem(kind), **options)


def auth_for(mcp_server, client=None, **options):
    """The way into a server: by the client secret and with the issuer pinned, unless told otherwise."""
    options = {"issuer": mcp_server.authorization_server.issuer, **options}
    return gatepass.Auth(mcp_server.url, gatepass.ClientCredentials(client or by_secret()), **options)


def hello(mcp_server):
    """A plain page of the resource, which greets the client."""
    return f"{mcp_server.url}/plain/hello"


def cost(mcp_server):
    """How many requests there were: to the resource, for its metadata, for the issuer's, for a token."""
    auth_server = mcp_server.authorization_server
    return {
        "resource": mcp_server.count("resource"),
        "resource metadata": mcp_server.count("metadata"),
        "server metadata": auth_server.count("metadata"),
        "token": auth_server.count("token"),
    }


@contextmanager
def held_back(auth_server):
    """Token requests are heard, and answered when the function that this gives is called, or when the block ends."""
    let_go, rules = threading.Event(), auth_server._rules

    def wait():
        let_go.wait(30)
        return rules()

    auth_server._rules = wait  # what it asks itself first
    try:
        yield let_go.set
    finally:
        let_go.set()
        auth_server._rules = rules
