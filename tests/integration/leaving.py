"""A program that ends, or is interrupted, while a token is being asked for."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
import time

import gatepass

RESOURCE = "http://127.0.0.1:1/mcp"


def main(origin: str, what: str) -> None:
    """`origin` is a server that hangs."""
    client = gatepass.ClientSecret("ci-bot", "s3cret")
    where = {"issuer": origin, "token_endpoint": f"{origin}/token"}
    auth = gatepass.Auth(RESOURCE, gatepass.ClientCredentials(client), deadline_s=30, **where)
    if what == "end":
        threading.Thread(target=auth.token, daemon=True).start()
        print("asked", flush=True)
        sys.stdin.read(1)  # until the test has seen the request
        return
    threading.Thread(target=interrupt, daemon=True).start()
    print("asked", flush=True)
    try:
        asyncio.run(auth.atoken()) if what == "interrupt a loop" else auth.token()
    except KeyboardInterrupt:
        print("interrupted")


signal.signal(signal.SIGINT, signal.default_int_handler)  # what runs in the background of a shell is started deaf to it


def interrupt() -> None:
    """What Ctrl-C does, once the test has seen the request."""
    sys.stdin.read(1)
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(30)


main(*sys.argv[1:])
