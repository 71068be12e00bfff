"""What a process of its own does to a Redis in the tests: ``python redis_worker.py JOB URL PREFIX ARGUMENT...``."""

from __future__ import annotations

import asyncio
import hashlib
import os
import sys

import gatepass
from gatepass.stores.redis import RedisStore


def race(store: RedisStore, owner: str, steps: str) -> None:
    """When the parent says go: try for a lease, add one to a shared number `steps` times, and tell of the lease."""
    wait_for_go()
    lease = store.acquire("token.a", owner, 600)
    for _ in range(int(steps)):
        add_one(store)
    say("no" if lease is None else "yes")


def hold(store: RedisStore, ttl_s: str) -> None:
    """Take the lease, tell its fence, and hold it until killed."""
    lease = store.acquire("token.a", "the dead one", float(ttl_s))
    say(str(lease.fence if lease else 0))
    sys.stdin.readline()


def write_until_killed(store: RedisStore) -> None:
    """Write as fast as it goes, and tell each version that stood."""
    while True:
        entry = store.read("token.a")
        expect = 0 if entry is None else entry.version
        version = store.write("token.a", str(expect).encode() * 4000, expect=expect)
        if version is not None:
            say(str(version))


def herd(store: RedisStore, resource: str, issuer: str, size: str) -> None:
    """When the parent says go, have `size` objects want a token at once; tell which there were, by their hashes."""
    client = gatepass.ClientSecret("ci-bot", gatepass.Secret.env("CI_BOT_SECRET"))
    auths = [
        gatepass.Auth(resource, gatepass.ClientCredentials(client), issuer=issuer, store=store, deadline_s=60)
        for _ in range(int(size))
    ]

    async def all_of_them() -> list[str]:
        return await asyncio.gather(*(auth.atoken() for auth in auths))

    wait_for_go()
    tokens = asyncio.run(all_of_them())
    say(" ".join({hashlib.sha256(token.encode()).hexdigest() for token in tokens}))


def add_one(store: RedisStore) -> None:
    """Add one to a shared number, however often another one is quicker."""
    written = None
    while written is None:
        entry = store.read("counter")
        number, expect = (0, 0) if entry is None else (int(entry.value), entry.version)
        written = store.write("counter", str(number + 1).encode(), expect=expect)


def wait_for_go() -> None:
    """Until the parent has all its children together."""
    say("ready")
    sys.stdin.readline()


def say(line: str) -> None:
    """To the parent, at once."""
    print(line, flush=True)


if __name__ == "__main__":
    jobs = {job.__name__: job for job in (race, hold, write_until_killed, herd)}
    job, url, prefix, *arguments = sys.argv[1:]
    with RedisStore(url, prefix=prefix) as its_store:
        jobs[job](its_store, *arguments)
        sys.stdout.flush()
    os._exit(0)  # whatever still runs is not waited for
