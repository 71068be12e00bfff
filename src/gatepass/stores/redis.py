"""Records in Redis or Valkey, for a fleet: every process on every machine that can reach the server shares them.

What stands there, and what each step does, is told in `gatepass.stores.redis_scripts`. Here is what is around it: a
client, time-outs, and what its errors mean.
"""

from __future__ import annotations

import re
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, NoReturn, Protocol, Self

from gatepass.core.secret import Secret
from gatepass.core.value import Value
from gatepass.errors import ConfigurationError, StoreError
from gatepass.references import read
from gatepass.stores.base import Entry, Lease, check_name, check_ttl
from gatepass.stores.redis_scripts import ACQUIRE, COMMANDS, DELETE, HOLDER, READ, RELEASE, WRITE, Script

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Client", "RedisStore"]

_DAY_S = 86_400.0
_TRACE_MS = int(_DAY_S * 1000)
"""How long a lease or a removal is remembered where there is no record: as long as the longest lease."""

_TIMEOUT_S = 3.0
_RETRIES = 1


class Client(Protocol):
    """A synchronous client of redis-py, or of valkey-py, which is the same."""

    def execute_command(self, *args: Any, **options: Any) -> Any:
        """Send a command, and return the answer."""
        ...

    def close(self) -> None:
        """Close all connections."""
        ...


class RedisStore:
    """A `Store` in Redis 6.2 or newer, or in Valkey. Threads and forked children may use it at once.

    Args:
        server: its URL (``redis://``, ``rediss://`` for TLS, or ``unix://``), which may be a `Secret`, for it may hold
            a password; a reference is read again when the server refuses the password. Or a client of your own:
            `redis.Redis`, `redis.RedisCluster`, ``redis.Sentinel(...).master_for(...)``, or one of valkey-py.
        prefix: what the names of all keys start with, before a colon.
        retention_s: how long a record is kept that is neither written nor read, in seconds; a day at least.
        clock: epoch seconds, in place of the server's own clock. For tests.

    Raises:
        ConfigurationError: one of these does not fit (codes ``store_server_invalid``, ``store_retention_invalid``), the
            reference can't be read, or redis-py is not installed (``extra_missing``).
        StoreError: from every method, with one of these codes. ``store_unreachable``: no answer; retryable.
            ``store_refused``: a wrong password, a right that is missing, or a key that is something else's.
            ``store_failed``: the server answered that it failed; retryable if that passes.
    """

    shared = True

    def __init__(
        self,
        server: str | Secret | Client,
        *,
        prefix: str = "gatepass",
        retention_s: float = 90 * _DAY_S,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._prefix, self._place = prefix, "no server"
        if isinstance(server, str):
            server = Secret(server)  # a traceback that shows locals must not show a password
        if not _DAY_S <= retention_s < float("inf"):
            msg = f"retention_s is in seconds, and at least a day ({_DAY_S:.0f}), not {retention_s}."
            raise ConfigurationError(msg, code="store_retention_invalid")
        self._url = server if isinstance(server, Secret) else None
        self._client = _connected(server) if isinstance(server, Secret) else _checked(server)
        self._library = import_module(f"{_package(self._client)}.exceptions")
        self._place = _place(self._client)
        self._keep_ms = int(retention_s * 1000)
        self._clock = clock

    def read(self, name: str) -> Entry | None:
        """The record, or None if there is none. From then on it is kept for `retention_s` again."""
        version, value = self._take(_Step(READ, name, (self._keep_ms,)))
        return None if value is None else Entry(version=int(version), value=value)

    def write(self, name: str, value: bytes, *, expect: int, fence: int | None = None) -> int | None:
        """Store the record if its version is still `expect`; see `Store.write`."""
        seen = (str(expect), "" if fence is None else str(fence))
        step = _Step(WRITE, name, (self._now(), *seen, value, self._keep_ms))
        del value  # a traceback that shows locals must not show a token
        version = self._take(step)
        return None if version is None else int(version)

    def delete(self, name: str, *, expect: int | None = None) -> bool:
        """Remove the record if its version is still `expect`. Whether something was removed."""
        seen = "" if expect is None else str(expect)
        return bool(self._take(_Step(DELETE, name, (self._now(), seen, _TRACE_MS))))

    def acquire(self, name: str, owner: str, ttl_s: float) -> Lease | None:
        """Take the lease of a name for `ttl_s` seconds; None while another owner holds it."""
        check_ttl(ttl_s)
        times = (_microseconds(ttl_s), self._keep_ms, _TRACE_MS)
        given = self._take(_Step(ACQUIRE, name, (self._now(), owner, *times)))
        return None if given is None else _lease(name, owner, *given)

    def release(self, lease: Lease) -> None:
        """Give a lease back, if it is still the newest."""
        self._take(_Step(RELEASE, lease.name, (lease.owner, lease.fence)))

    def holder(self, name: str) -> Lease | None:
        """The lease in force, or None."""
        found = self._take(_Step(HOLDER, name, (self._now(),)))
        return None if found is None else _lease(name, found[0].decode(), *found[1:])

    def close(self) -> None:
        """Close the connections, if they are not those of a client of yours. They are opened again on use."""
        if self._url is not None:
            self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"RedisStore({self._place}, prefix={self._prefix!r})"

    def __reduce__(self) -> NoReturn:
        msg = "A RedisStore can't be pickled or copied: it holds connections and a password. Make one where it is used."
        raise TypeError(msg)

    def _now(self) -> str:
        return "" if self._clock is None else str(_microseconds(self._clock()))

    def _take(self, step: _Step) -> Any:
        """What the script returns; all else is a `StoreError`, without the frames that hold what was sent."""
        check_name(step.name)
        client = self._client
        try:
            return self._sent(client, step)
        except Exception as error:  # noqa: BLE001 - a client may raise anything, and quote what it was given
            refused = isinstance(error, self._library.AuthenticationError)
            problem = _explain(error, self._place, self._prefix)
        if refused:
            self._read_url_again()
        raise problem

    def _sent(self, client: Client, step: _Step) -> Any:
        key = f"{self._prefix}:{step.name}"
        try:
            return client.execute_command("EVALSHA", step.script.sha, 1, key, *step.args)
        except self._library.NoScriptError:  # a server that was started, or promoted, since
            return client.execute_command("EVAL", step.script.text, 1, key, *step.args)

    def _read_url_again(self) -> None:
        if self._url is not None and self._url.reference is not None:
            with suppress(ConfigurationError):
                self._client = _connected(self._url)


class _Step(Value, frozen=True):
    hidden = ("args",)

    script: Script
    name: str
    args: tuple[str | int | bytes, ...]


def _microseconds(seconds: float) -> int:
    return round(seconds * 1_000_000)


def _lease(name: str, owner: str, fence: bytes, until: bytes) -> Lease:
    return Lease(name=name, owner=owner, fence=int(fence), until=int(until) / 1_000_000)


# Clients


def _connected(url: Secret) -> Client:
    """A client that has not connected yet.

    Raises:
        ConfigurationError: redis-py is not there, or the URL can't be had, or is none; the text does not quote it.
    """
    if find_spec("redis") is None:
        msg = "redis is not installed: pip install 'gatepass[redis]'"
        raise ConfigurationError(msg, code="extra_missing")
    client = _client(url.reveal() if url.reference is None else read(url.reference))
    if client is None:
        msg = (
            "The URL of the store is none that redis-py takes. Write redis://USER:PASSWORD@HOST:PORT/DB, or rediss:// "
            "for TLS, and what is special in the password as %XX."
        )
        raise ConfigurationError(msg, code="store_server_invalid")
    return _checked(client)


def _client(url: str) -> Client | None:
    """A client for that URL; None, and no exception that would quote it, if it is none."""
    redis: Any = import_module("redis")
    retry = redis.retry.Retry(redis.backoff.NoBackoff(), _RETRIES, (redis.ConnectionError,))  # not after a time-out
    waits = {"socket_timeout": _TIMEOUT_S, "socket_connect_timeout": _TIMEOUT_S, "retry": retry}
    try:
        pool = redis.ConnectionPool.from_url(url, **waits)
        pool.connection_class(**pool.connection_kwargs)  # connects to nothing, and knows whether an option exists
    except (ValueError, TypeError):
        return None
    client: Client = redis.Redis.from_pool(pool)
    return client


def _checked(client: Client) -> Client:
    """A client that can be used.

    Raises:
        ConfigurationError: it is none of redis-py or valkey-py, one for asyncio, or one that makes text of everything.
    """
    what = "give a URL, or a client: redis.Redis, redis.RedisCluster or redis.Sentinel(...).master_for(...)"
    kind, encoder = type(client).__name__, getattr(client, "get_encoder", None)
    if any(".asyncio." in module for module in _modules(client)):
        msg = f"{kind} is for asyncio, and a store is called from threads: {what}."
    elif _package(client) is None or encoder is None:
        msg = f"A RedisStore can't use {kind}: {what}."
    elif encoder().decode_responses:
        msg = f"This {kind} decodes what it reads, and records are bytes. Make one without decode_responses=True."
    else:
        return client
    raise ConfigurationError(msg, code="store_server_invalid")


def _package(client: object) -> str | None:
    """Which library a client is of; one may have made a class of one's own from it."""
    packages = (module.partition(".")[0] for module in _modules(client))
    return next((package for package in packages if package in {"redis", "valkey"}), None)


def _modules(client: object) -> Iterator[str]:
    return (kind.__module__ for kind in type(client).__mro__)


def _place(client: Any) -> str:
    """Where the server is, without user and password."""
    pool = getattr(client, "connection_pool", None)
    if pool is None:
        return f"cluster {client.get_default_node().name}"
    given = pool.connection_kwargs
    if hasattr(pool, "service_name"):
        where = f"sentinel {pool.service_name}"
    elif "path" in given:
        where = f"unix {given['path']}"
    else:
        where = f"{given.get('host', 'localhost')}:{given.get('port', 6379)}"
    return f"{where} db {given.get('db') or 0}"


# What can go wrong

_FAILURES = {
    "BusyLoadingError": "LOADING",
    "ClusterDownError": "CLUSTERDOWN",
    "MasterDownError": "MASTERDOWN",
    "MovedError": "MOVED",
    "OutOfMemoryError": "OOM",
    "ReadOnlyError": "READONLY",
    "TryAgainError": "TRYAGAIN",
}
"""Answers that the clients have a class for, and leave the first word out of."""

_PASSING = {
    "BUSY": "A script keeps it busy. Whose is it?",
    "MASTERDOWN": "It is a replica, and has lost its primary.",
    "CLUSTERDOWN": "The cluster is not whole. See that every slot has a node.",
    "LOADING": "It has just started, and is loading.",
    "MISCONF": "It can't write to its disk. See its log.",
    "NOREPLICAS": "Too few replicas follow it, and min-replicas-to-write asks for more.",
    "OOM": "It is out of memory. Give it more, or set a maxmemory-policy that evicts.",
    "READONLY": "It is a replica. Go to the primary, by Sentinel or as a cluster.",
    "TRYAGAIN": "The cluster is moving this key.",
}

_DENIED = {"NoPermissionError", "NOPERM", "ACL"}
_LOCKED_OUT = {"AuthenticationError", "AuthorizationError", "AuthenticationWrongNumberOfArgsError", "NOAUTH"}
_NO_ANSWER = {"ConnectionError", "TimeoutError", "RedisClusterException"}


def _explain(error: Exception, place: str, prefix: str) -> StoreError:
    """What an error of a client means. Inside a script, Redis 6.2 hides the first word of an answer in the others."""
    said = str(error)
    signs = {kind.__name__ for kind in type(error).__mro__} | set(re.findall(r"\b[A-Z]{3,}\b", said))
    signs |= {_FAILURES[sign] for sign in signs & _FAILURES.keys()}
    store = f"The store at {place}"
    if signs & _LOCKED_OUT:
        msg = f"{store} does not let us in. Check user and password."
        return StoreError(msg, code="store_refused")
    if signs & _DENIED or "can't run this command" in said:
        rights = " ".join(f"+{command}" for command in COMMANDS)
        msg = (
            f"{store} denies what we need. Allow this user {rights} on the keys ~{prefix}:*, and +select for another "
            "database than 0."
        )
        return StoreError(msg, code="store_refused")
    if "WRONGTYPE" in signs:
        msg = f"{store} has something else under the prefix {prefix!r}. Give another one."
        return StoreError(msg, code="store_refused")
    if "MOVED" in signs:
        return StoreError(f"{store} is a cluster. Give a redis.RedisCluster.", code="store_failed")
    for sign, story in _PASSING.items():
        if sign in signs:
            return StoreError(f"{store} failed. {story}", code="store_failed", retryable=True)
    if signs & _NO_ANSWER:
        msg = f"{store} can't be reached ({_reason(error)}). Is it up, and is the way there open?"
        return StoreError(msg, code="store_unreachable", retryable=True)
    return StoreError(f"{store} failed ({type(error).__name__}).", code="store_failed")


def _reason(error: BaseException) -> str:
    """What the system said, if it was the system; else what kind of error it is."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        cause = cause.__cause__ or cause.__context__
    return type(error).__name__
