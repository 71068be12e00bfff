"""What many short-lived `Auth`s leave behind: nothing."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from collections.abc import Callable

import httpx2
import pytest

from gatepass import (
    Auth,
    ClientAssertion,
    ClientCredentials,
    ClientSecret,
    ConfigurationError,
    GatepassError,
    TokenHttp,
)
from gatepass.client_auth.base import ClientAuthentication
from gatepass.engine import pool as pool_module
from gatepass.engine.pool import shared_pool

ANSWER = {"access_token": "t", "token_type": "Bearer", "expires_in": 3600}


def auth_for(
    number: int,
    transport: httpx2.BaseTransport,
    client: ClientAuthentication | None = None,
) -> Auth:
    return Auth(
        f"https://mcp.example.com/{number}",
        ClientCredentials(client or ClientSecret("bot", "s3cret")),
        issuer="https://as.example.com",
        token_endpoint="https://as.example.com/token",
        scopes=["a"],
        http=TokenHttp(transport=transport),
    )


def settle() -> None:
    """Wait until no worker has a job."""
    pool = shared_pool()
    with pool.lock:
        assert pool._changed.wait_for(lambda: not pool._busy, 30)


def works(_: httpx2.Request) -> httpx2.Response:
    return httpx2.Response(200, json=ANSWER)


def refuses(_: httpx2.Request) -> httpx2.Response:
    return httpx2.Response(401, json={"error": "invalid_client"})


@pytest.mark.parametrize("server", [works, refuses])
def test_an_auth_that_was_used_goes_when_it_is_dropped(server: Callable[[httpx2.Request], httpx2.Response]) -> None:
    def come_and_go(number: int) -> weakref.ref[object]:
        auth = auth_for(number, httpx2.MockTransport(server))
        for call in (auth.token, lambda: asyncio.run(auth.atoken())):
            try:
                call()
            except GatepassError:
                continue
        return weakref.ref(auth._source)

    gone = [come_and_go(number) for number in range(20)]
    settle()
    gc.collect()  # an error and the frames it came through hold each other
    assert [source() for source in gone] == [None] * 20


def test_an_auth_that_is_dropped_while_its_token_is_being_made_goes_when_that_is_done() -> None:
    gate, asked = threading.Event(), threading.Event()

    def hangs(_: httpx2.Request) -> httpx2.Response:
        asked.set()
        assert gate.wait(30)
        return httpx2.Response(200, json=ANSWER)

    async def ask_and_leave() -> weakref.ref[object]:
        auth = auth_for(0, httpx2.MockTransport(hangs))
        task = asyncio.create_task(auth.atoken())
        await asyncio.to_thread(asked.wait, 30)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return weakref.ref(auth._source)

    source = asyncio.run(ask_and_leave())
    assert source() is not None
    gate.set()
    settle()
    assert source() is None


async def assertion(_: str) -> str:
    await asyncio.sleep(0)
    return "eyJhbGciOiJFUzI1NiJ9.e30.c2ln"


def test_without_threads_an_asynchronous_assertion_is_made_for_a_thread_and_refused_within_a_loop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def start(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(pool_module, "_shared", pool_module.Pool())
    monkeypatch.setattr(threading.Thread, "start", start)
    auth = auth_for(0, httpx2.MockTransport(works), ClientAssertion("bot", assertion))
    with pytest.raises(ConfigurationError) as failure:
        asyncio.run(auth.atoken())
    assert failure.value.code == "assertion_source_failed"
    assert "Give a synchronous one" in str(failure.value)
    assert auth_for(1, httpx2.MockTransport(works), ClientAssertion("bot", assertion)).token() == "t"
