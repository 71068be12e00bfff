"""What a process of its own does to a store in the tests: ``python worker.py JOB ARGUMENT...``."""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path

import filelock  # noqa: F401 - before privileges are dropped, so that it can be read

from gatepass.errors import StoreError
from gatepass.stores.file import FileStore
from gatepass.stores.memory import MemoryStore


def race(directory: str, owner: str, steps: str) -> None:
    """When the parent says go: try for a lease, add one to a shared number `steps` times, and tell of the lease."""
    store = FileStore(directory)
    say("ready")
    sys.stdin.readline()
    lease = store.acquire("token.a", owner, 600)
    done = 0
    while done < int(steps):
        entry = store.read("counter")
        number = 0 if entry is None else int(entry.value)
        expect = 0 if entry is None else entry.version
        done += store.write("counter", str(number + 1).encode(), expect=expect) is not None
    say("no" if lease is None else "yes")


def write_until_killed(directory: str) -> None:
    """Write as fast as it goes, and tell each version that stood."""
    store = FileStore(directory)
    while True:
        entry = store.read("token.a")
        expect = 0 if entry is None else entry.version
        version = store.write("token.a", str(expect).encode() * 4000, expect=expect)
        if version is not None:
            say(str(version))


def die_at(directory: str, step: str, expect: str) -> None:
    """Write, and be killed at one step of it."""

    def die(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def half_a_write(descriptor: int, content: memoryview) -> None:
        real_write(descriptor, content[: len(content) // 2])
        die()

    def sync_once(descriptor: int) -> None:
        os.fsync = die
        real_sync(descriptor)

    real_write, real_sync = os.write, os.fsync
    if step == "within the write":
        os.write = half_a_write  # type: ignore[assignment]
    elif step == "before the first sync":
        os.fsync = die
    elif step == "before the replacement":
        Path.replace = die  # type: ignore[method-assign,assignment]
    elif step == "before the second sync":
        os.fsync = sync_once
    FileStore(directory).write("token.a", b"new" * 1000, expect=int(expect))


def as_nobody(directory: str) -> None:
    """Try every way in as a user without privileges, and say the codes."""
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
    store = FileStore(directory)
    for step in (lambda: store.read("token.a"), lambda: store.write("token.a", b"x", expect=0)):
        try:
            say(f"{step()}")
        except StoreError as error:
            say(error.code)


def fork_while_locked() -> None:
    """Fork a memory store while a thread stands inside it; exit with what the child found."""
    inside, go_on = threading.Event(), threading.Event()

    def clock() -> float:
        inside.set()
        go_on.wait()
        return 1000.0

    store = MemoryStore(clock=clock)
    version = store.write("token.a", b"kept", expect=0)
    thread = threading.Thread(target=store.acquire, args=("token.a", "one", 30))
    thread.start()
    inside.wait()
    child = os.fork()
    if child == 0:
        entry = store.read("token.a")
        kept = entry is not None and (entry.version, entry.value) == (version, b"kept")
        os._exit(0 if kept and store.write("token.a", b"new", expect=version or 0) is not None else 1)
    _, status = os.waitpid(child, 0)
    go_on.set()
    thread.join()
    entry = store.read("token.a")
    say(f"child {os.waitstatus_to_exitcode(status)}, parent {entry and entry.value.decode()}")


def say(line: str) -> None:
    """To the parent, at once."""
    print(line, flush=True)


if __name__ == "__main__":
    jobs = (race, write_until_killed, die_at, as_nobody, fork_while_locked)
    {job.__name__: job for job in jobs}[sys.argv[1]](*sys.argv[2:])
