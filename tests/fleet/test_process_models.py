"""Real process models: an `Auth` that was made before the fork, or in the child, serves in every process."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

import httpx2
import pytest
from fleet.place import servers, shared_store, whereabouts
from fleet.pools import WORKERS
from fleet.processes import PATIENCE_S, TESTS, until

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")

CALLERS = 4
PAUSE_S = 0.02
WRONG = re.compile(r"Traceback|Exception|Error|\[(?:ERROR|CRITICAL)\]|ERROR:|SIGKILL|TIMEOUT")


@pytest.fixture
def place():
    with servers() as both:
        yield both


@pytest.mark.parametrize(
    ("kind", "store", "warm"),
    [
        ("fork", "memory", True),
        ("spawn", "files", False),
        ("forkserver", "files", False),
        ("billiard", "memory", True),
        ("billiard", "files", False),
        ("billiard", "redis", False),
        ("executor", "files", False),
    ],
    ids=lambda value: {True: "warm", False: "cold"}.get(value, value),
)
def test_in_a_pool_every_process_gets_in_and_one_token_serves_them_all(place, tmp_path, kind, store, warm):
    auth_server, mcp_server = place
    with shared_store(store, tmp_path) as shared:
        given = {**whereabouts(mcp_server, shared), "kind": kind, "warm": warm}
        with running("fleet.pools", json.dumps(given), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as program:
            said, wrong = program.communicate(timeout=2 * PATIENCE_S)
    assert (program.returncode, wrong) == (0, "")
    answers = json.loads(said)
    assert len({process for process, _ in answers}) >= WORKERS
    assert {status for _, status in answers} == {200}
    assert auth_server.count("token") == 1


@contextmanager
def running(*command, **options):
    """A program in a session of its own, none of whose processes outlives the block."""
    process = subprocess.Popen(
        [sys.executable, "-m", *command],
        cwd=TESTS,
        stdin=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
        **options,
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


class Site:
    """A web server with several workers.

    Attributes:
        seen: the processes that have answered.
        failures: what was no good answer.
    """

    def __init__(self, process, log):
        self.process = process
        self._log = log
        self._stop = threading.Event()
        self.seen = set()
        self.failures = []
        self._callers = []
        self.url = until(self._address, "it said where it is")
        until(self._listens, "it listens there")

    @property
    def log(self):
        return self._log.read_text()

    def _address(self):
        assert self.process.poll() is None, self.log
        found = re.search(r"(?:Listening at:|running on) (http://[\d.:]+)", self.log)
        return found and found[1]

    def _listens(self):
        where = urlsplit(self.url)
        with suppress(ConnectionRefusedError), socket.create_connection((where.hostname, where.port)):
            return True
        return False

    def visit(self):
        """Call it all the time, from now on, on a new connection each time."""
        self._callers = [threading.Thread(target=self._call) for _ in range(CALLERS)]
        for caller in self._callers:
            caller.start()

    def _call(self):
        with httpx2.Client(headers={"Connection": "close"}, trust_env=False, timeout=PATIENCE_S) as http:
            while not self._stop.wait(PAUSE_S):
                try:
                    answer = http.get(self.url).raise_for_status().json()
                except httpx2.HTTPError as error:
                    self.failures.append(f"{type(error).__name__}: {error}")
                    continue
                self.seen.add(answer["process"])
                if answer["status"] != 200:
                    self.failures.append(answer)

    def leave_alone(self):
        self._stop.set()
        for caller in self._callers:
            caller.join()

    def end(self):
        """Ask it to go, and wait until it has."""
        self.process.terminate()
        self.process.wait(PATIENCE_S)


@contextmanager
def serving(*command, given, log):
    """A web server, for as long as the block."""
    home = {"HOME": str(log.parent)}  # where gunicorn puts its control socket
    environment = {**os.environ, **home, "FLEET": json.dumps(given)}
    with log.open("wb") as output, running(*command, env=environment, stdout=output, stderr=output) as process:
        site = Site(process, log)
        try:
            yield site
        finally:
            site.leave_alone()


@pytest.mark.parametrize(
    ("worker", "store", "warm"),
    [("sync", "files", False), ("gthread", "redis", False), ("gthread", "memory", True)],
    ids=["sync workers with a file store", "threads with Redis", "threads with a token from before the fork"],
)
def test_gunicorn_serves_from_every_worker_and_through_a_reload(place, tmp_path, worker, store, warm):
    auth_server, mcp_server = place
    with shared_store(store, tmp_path) as shared:
        given = {**whereabouts(mcp_server, shared), "warm": warm}
        command = ["gunicorn", "fleet.web:wsgi", "--preload", "--bind", "127.0.0.1:0", "--workers", "2"]
        threads = ["--worker-class", worker, "--threads", "1" if worker == "sync" else "4"]
        with serving(*command, *threads, given=given, log=tmp_path / "log") as site:
            site.visit()
            until(lambda: len(site.seen) >= 2, "both workers answered")
            before = set(site.seen)
            site.process.send_signal(signal.SIGHUP)
            until(lambda: len(site.seen - before) >= 2, "two new workers answered")
            site.leave_alone()
            site.end()
    assert site.failures == []
    assert auth_server.count("token") == 1
    assert (site.process.returncode, WRONG.findall(site.log)) == (0, []), site.log


def test_uvicorn_serves_from_every_worker(place, tmp_path):
    auth_server, mcp_server = place
    with shared_store("files", tmp_path) as shared:
        given = {**whereabouts(mcp_server, shared), "warm": False}
        command = ["uvicorn", "fleet.web:asgi", "--port", "0", "--workers", "2", "--lifespan", "off"]
        with serving(*command, given=given, log=tmp_path / "log") as site:
            site.visit()
            until(lambda: len(site.seen) >= 2, "both workers answered")
            site.leave_alone()
            site.end()
    assert site.failures == []
    assert auth_server.count("token") == 1
    assert (site.process.returncode, WRONG.findall(site.log)) == (0, []), site.log
