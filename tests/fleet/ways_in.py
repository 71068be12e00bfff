"""What a program of a fleet makes of what it is given: the store that all share, and an `Auth`."""

from __future__ import annotations

import hashlib

import gatepass

CLIENT_ID, SECRET, SCOPE = "worker", "s3cret", "mcp:read"
APP = "app"
BY_ITSELF, BY_A_PERSON = "by itself", "by a person"

TIMEOUT_S = 60.0
"""How long the resource may take for an answer: how slow it is, is not what is looked at."""

LOCK_S = 30.0
"""How long to wait for who changes a file: with a slow disk and many processes, longer than by default."""


def opened(store, **options):
    """A store, as each process opens it for itself; where the kind is ``"memory"``, it has one of its own."""
    if store["kind"] == "files":
        return gatepass.FileStore(store["where"], lock_timeout_s=LOCK_S, **options)
    if store["kind"] == "memory":
        return gatepass.MemoryStore()
    return gatepass.RedisStore(store["where"], prefix="fleet", **options)


def way_in(given, store, *, ask=None, http=None):
    """The `Auth` of a program that is a client by itself; or that lives on the sign-in of a person whom `ask` finds."""
    if given["way"] == BY_A_PERSON:
        way = gatepass.AuthorizationCode(APP, ask=ask, subject="alice")
    else:
        way = gatepass.ClientCredentials(gatepass.ClientSecret(CLIENT_ID, SECRET))
    return gatepass.Auth(given["url"], way, issuer=given["issuer"], scopes=[SCOPE], store=store, http=http)


def digest(value):
    """A name for a secret."""
    return hashlib.sha256(value.encode()).hexdigest()[:16]
