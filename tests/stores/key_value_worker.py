"""What a process of its own does to a KeyValueStore in the tests: ``python key_value_worker.py JOB PLACE ARGUMENT...``.

A place is a directory, or the URL of a Redis.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from functools import partial

import httpx2
from key_value.aio.stores.filetree import FileTreeStore
from key_value.aio.stores.memory import MemoryStore
from key_value.aio.stores.redis import RedisStore

import gatepass
from gatepass.stores.key_value import KeyValueStore

SETTLE_S = 2.0
"""Long: that one process gets the lease must not depend on how busy the machine is."""


def inner(place: str) -> FileTreeStore | RedisStore:
    return RedisStore(url=place) if place.startswith("redis:") else FileTreeStore(data_directory=place)


def race(place: str, owner: str) -> None:
    """When the parent says go: try for a lease, and tell of it."""
    store = KeyValueStore(partial(inner, place), settle_s=SETTLE_S)
    store.read("token.a")
    say("ready")
    sys.stdin.readline()
    say("no" if store.acquire("token.a", owner, 600) is None else "yes")


def visit(place: str, resource: str, issuer: str) -> None:
    """As often as the parent says go: get in, and tell whom the resource greets."""
    client = gatepass.ClientSecret("ci-bot", gatepass.Secret.env("CI_BOT_SECRET"))
    store = KeyValueStore(partial(inner, place), settle_s=SETTLE_S)
    auth = gatepass.Auth(resource, gatepass.ClientCredentials(client), issuer=issuer, store=store, deadline_s=60)
    store.read("token.a")
    say("ready")
    with httpx2.Client(auth=auth) as http:
        while sys.stdin.readline():
            say(http.get(f"{resource}/plain/hello").json()["hello"])


def leave(place: str, how: str) -> None:
    """Use the store, and end as the name says."""
    if how == "within a step":
        within(Waiting).wait()
    elif how == "within the factory":
        within(asyncio.Event().wait).wait()
    elif how == "with the loop blocked":
        within(Blocking).wait()
    else:
        store = KeyValueStore(partial(inner, place))
        store.write("token.a", b"x", expect=0)
        if how == "closed":
            store.close()
    say("done")


def within(factory) -> threading.Event:
    """Set once a thread is inside a step of a store, or of its making; it never comes out."""
    inside = threading.Event()

    def watched():
        asyncio.get_running_loop().call_soon(inside.set)
        return factory()

    threading.Thread(target=KeyValueStore(watched, timeout_s=60).read, args=("token.b",), daemon=True).start()
    return inside


class Waiting(MemoryStore):
    async def get(self, key, *, collection=None):
        await asyncio.Event().wait()


class Blocking(MemoryStore):
    async def get(self, key, *, collection=None):
        threading.Event().wait()


def fork(place: str, what: str) -> None:
    """Fork while a thread is inside the store, end the child by the book, and go on."""
    store = KeyValueStore(partial(inner, place), settle_s=0)
    version = store.write("token.a", b"kept", expect=0)
    within(Waiting).wait()
    child = os.fork()
    if child == 0:
        if what == "using it":
            kept = store.read("token.a")
            sys.exit(0 if kept is not None and (kept.version, kept.value) == (version, b"kept") else 1)
        elif what == "closing it":
            store.close()
        elif what == "dropping it":
            del store
        sys.exit(0)
    _, status = os.waitpid(child, 0)
    there = store.read("token.a")
    say(f"child {os.waitstatus_to_exitcode(status)}, parent {there and there.value.decode()}")


def elsewhere(url: str) -> None:
    """Use a store of py-key-value's in two event loops, first as it is, and then through gatepass."""

    async def bare() -> None:
        await redis.get("token.a")

    async def ours() -> None:
        store.read("token.a")

    redis = RedisStore(url=url)
    store = KeyValueStore(partial(RedisStore, url=url))
    for way in (bare, ours):
        try:
            for _ in range(2):
                asyncio.run(way())
        except Exception as problem:  # noqa: BLE001 - told to the parent
            say(f"{way.__name__}: {type(problem).__name__}")
        else:
            say(f"{way.__name__}: fine")


def say(line: str) -> None:
    """To the parent, at once."""
    print(line, flush=True)


if __name__ == "__main__":
    jobs = (race, visit, leave, fork, elsewhere)
    {job.__name__: job for job in jobs}[sys.argv[1]](*sys.argv[2:])
