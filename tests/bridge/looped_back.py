"""The loopback endpoint, served in a thread."""

from __future__ import annotations

import asyncio
import socket
import threading
from contextlib import contextmanager, suppress

from bridge.gated import SCOPE, SECRET

import gatepass
from gatepass.bridge.loopback import Loopback, serve
from gatepass.bridge.remote import Remote

KEY = "canary-key-of-local-callers"


@contextmanager
def looped_back(url, authority, **options):
    """The loopback endpoint of a server, in a thread: its URL."""
    client = gatepass.ClientCredentials(gatepass.ClientSecret("ci-bot", SECRET))
    auth = gatepass.Auth(url, client, issuer=authority.issuer, scopes=[SCOPE], deadline_s=2)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = f"127.0.0.1:{listening.getsockname()[1]}"
        loop = asyncio.new_event_loop()

        async def run():
            async with Remote(auth, options) as remote:
                await serve(Loopback(remote, KEY, address=address), listening)

        task = loop.create_task(run())

        def work():
            with suppress(asyncio.CancelledError):
                loop.run_until_complete(task)
            loop.close()

        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield f"http://{address}/mcp"
        finally:
            loop.call_soon_threadsafe(task.cancel)
            thread.join()
