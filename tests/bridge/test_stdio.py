"""The standard streams as a host, over real pipes."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from contextlib import contextmanager, suppress
from functools import wraps

import anyio

from gatepass.bridge.stdio import Stdio

LARGE = b"x" * 5_000_000


def in_a_loop(test):
    @wraps(test)
    def run():
        anyio.run(test, backend="asyncio")

    return run


@contextmanager
def pipes():
    """Two pipes: what the host writes and we read, and the other way round."""
    ends = [*os.pipe(), *os.pipe()]
    try:
        yield ends
    finally:
        for end in ends:
            with suppress(OSError):
                os.close(end)


def writing(end, *pieces):
    """The host writes, in a thread of its own, and closes its end."""

    def write():
        for piece in pieces:
            view = memoryview(piece)
            while view:
                view = view[os.write(end, view) :]
        os.close(end)

    threading.Thread(target=write).start()


def read_all(end):
    pieces = []
    while piece := os.read(end, 1_000_000):
        pieces.append(piece)
    return b"".join(pieces)


@in_a_loop
async def test_lines_come_whole_however_they_were_written():
    with pipes() as (source, theirs, _, sink):
        writing(theirs, b"a\r\n\n", b"b", b"c\n" + LARGE, b"\n \nlast")
        async with Stdio(source, sink) as host:
            assert [line async for line in host.lines] == [b"a", b"bc", LARGE, b"last"]
            await host.gone.wait()


@in_a_loop
async def test_the_host_hears_whole_lines_in_order_the_last_ones_too():
    with pipes() as (source, _, theirs, sink):
        heard = []
        reader = threading.Thread(target=lambda: heard.append(read_all(theirs)))
        reader.start()
        async with Stdio(source, sink) as host:
            for number in range(100):
                await host.say(b"%d" % number)
            await host.say(LARGE)
        os.close(sink)
        await anyio.to_thread.run_sync(reader.join)
        assert heard[0].splitlines() == [*(b"%d" % number for number in range(100)), LARGE]


@in_a_loop
async def test_a_host_that_does_not_listen_holds_up_whoever_speaks_and_nothing_else():
    with pipes() as (source, theirs, _, sink):
        async with Stdio(source, sink) as host:
            with anyio.move_on_after(0.2) as patience:
                while True:
                    await host.say(LARGE)
            assert patience.cancelled_caught
            writing(theirs, b"a\n")
            assert await anext(aiter(host.lines)) == b"a"


@in_a_loop
async def test_a_host_that_says_more_than_is_taken_waits():
    with pipes() as (source, theirs, _, sink):
        writing(theirs, *[b"%d\n" % number for number in range(1000)])
        async with Stdio(source, sink) as host:
            assert [line async for line in host.lines] == [b"%d" % number for number in range(1000)]


@in_a_loop
async def test_a_host_that_closes_its_end_is_gone_and_speaking_to_it_does_no_harm():
    with pipes() as (source, _, theirs, sink):
        os.close(theirs)
        async with Stdio(source, sink) as host:
            await host.say(b"a")
            with anyio.fail_after(10):
                await host.gone.wait()
                assert [line async for line in host.lines] == [], "nor is it heard any more"
            await host.say(b"b")


def test_what_else_reads_or_prints_in_the_process_meets_no_message():
    program = """
import os, subprocess
from gatepass.bridge.stdio import claim
source, sink = claim()
print("printed", flush=True)
subprocess.run(["cat"], check=True)
subprocess.run(["echo", "echoed"], check=True)
os.write(sink, os.read(source, 100))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], input="a message\n", capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "a message\n"
    assert done.stderr == "printed\nechoed\n"
