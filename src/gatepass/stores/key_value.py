"""Records in any store of py-key-value-aio: Redis, DynamoDB, a database, whatever a program keeps things in already.

Such a store can get, put and delete. It can't compare and set, and it knows of no lease. Within a process gatepass adds
both, with a lock a name. Across processes nobody can: what is done there is as good as it gets (see `KeyValueStore`).

A name's version, fence, value and lease stand together under its key, as one mapping. Versions and fences follow the
clock, in microseconds, so that a record that was lost can't come back under a number that was given out before, and two
processes that write at once do not give out the same one.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import msgspec

from gatepass.core.world import Notice
from gatepass.errors import ConfigurationError, StoreError
from gatepass.stores.base import Entry, Lease, check_name, check_ttl
from gatepass.stores.cell import Cell
from gatepass.stores.loop import Loop, failure_of, shared_loop

if TYPE_CHECKING:
    from key_value.aio.protocols import AsyncKeyValue

    Given: TypeAlias = AsyncKeyValue | AbstractAsyncContextManager[AsyncKeyValue]
    Factory: TypeAlias = Callable[[], Given | Awaitable[Given]]

__all__ = ["KeyValueStore"]

T = TypeVar("T")
Step: TypeAlias = Callable[[Cell], Cell | None]

logger = logging.getLogger("gatepass.store")

_OPENING_S = 60.0
"""How long the user's store may take to open before its factory is called anew."""


class KeyValueStore:
    """A `Store` over one of py-key-value-aio, shared by whoever reaches what that keeps its values in.

    Within a process every step is atomic. Across processes two things can't be promised, for py-key-value can't compare
    and set:

    - Of two processes that want the lease at once, one gets it, as long as reading and writing take less than
      `settle_s` together. Else both may, and both ask for a token.
    - Of two processes that write a record at once, the last one wins, and the other may believe that it did.

    Either costs a token request. Where refresh tokens rotate it may cost the sign-in, for one that is used twice is
    taken for stolen: use `FileStore` or `RedisStore` there.

    Nothing is touched before the first read or write. Then the factory is called, and all that it gives is awaited, in
    an event loop of gatepass's own, which all such stores of a process share. A forked child calls the factory anew.

    Args:
        factory: makes the store: a function without arguments that returns one, plainly or when awaited, or an async
            context manager of one, which is left by `close`.
        collection: where the records stand in the store.
        settle_s: how long a lease is left alone after it was written, before it is believed, in seconds; 0 where one
            process uses the store.
        timeout_s: how long each step may take, in seconds.
        clock: epoch seconds, by which leases lapse; those of all machines should agree.
        on_problem: told about a record that was damaged; by default the logger ``gatepass.store`` is.

    Raises:
        ConfigurationError: `factory` is none, but a store, say; code ``store_invalid``.
        StoreError: from every method, with one of these codes. ``store_unreachable``: the store did not answer in time;
            retryable. ``store_failed``: the factory or the store raised something.
    """

    shared = True

    def __init__(
        self,
        factory: Factory,
        *,
        collection: str = "gatepass",
        settle_s: float = 0.25,
        timeout_s: float = 5.0,
        clock: Callable[[], float] = time.time,
        on_problem: Callable[[Notice], None] | None = None,
    ) -> None:
        if not callable(factory):
            msg = (
                f"KeyValueStore takes a function that makes the store, not a {type(factory).__name__}: a store belongs "
                "to the event loop that it was made in. Give KeyValueStore(lambda: RedisStore(url=...))."
            )
            raise ConfigurationError(msg, code="store_invalid")
        self.on_problem = on_problem or _log
        self._factory = factory
        self._collection = collection
        self._settle_s = settle_s
        self._timeout_s = timeout_s
        self._clock = clock
        self._session: _Session | None = None

    def read(self, name: str) -> Entry | None:
        """The record, or None if there is none."""
        return self._at(name, _Place.look).entry

    def write(self, name: str, value: bytes, *, expect: int, fence: int | None = None) -> int | None:
        """Store the record if its version is still `expect`; see `Store.write`."""
        draft = Entry(version=expect, value=value)
        del value  # a traceback that shows locals must not show a token
        cell = self._change(name, lambda cell: cell.written(draft, fence))
        return None if cell is None else cell.version

    def delete(self, name: str, *, expect: int | None = None) -> bool:
        """Remove the record if its version is still `expect`. Whether something was removed."""
        return self._change(name, lambda cell: cell.removed(expect)) is not None

    def acquire(self, name: str, owner: str, ttl_s: float) -> Lease | None:
        """Take the lease of a name for `ttl_s` seconds; None while another owner holds it, or was quicker."""
        check_ttl(ttl_s)

        async def claim(place: _Place) -> Cell | None:
            mine = await place.change(lambda cell: cell.leased(owner, ttl_s + self._settle_s, self._clock()))
            if mine is None or not self._settle_s:
                return mine
            await asyncio.sleep(self._settle_s)
            now = await place.look()
            return mine if (now.owner, now.fence) == (mine.owner, mine.fence) else None

        cell = self._at(name, claim, extra_s=self._settle_s)
        return None if cell is None else cell.lease(name, cell.since)

    def release(self, lease: Lease) -> None:
        """Give a lease back, if it is still the newest."""
        self._change(lease.name, lambda cell: cell.released(lease))

    def holder(self, name: str) -> Lease | None:
        """The lease in force, or None."""
        return self._at(name, _Place.look).lease(name, self._clock())

    def close(self) -> None:
        """End the store that the factory gave. The next step, if one comes, calls the factory anew."""
        session = self._session
        if session is not None and session.loop is shared_loop():
            session.loop.run(session.end, self._timeout_s)

    def __repr__(self) -> str:
        return f"KeyValueStore(collection={self._collection!r})"

    def __reduce__(self) -> tuple[Callable[[], KeyValueStore], tuple[()]]:
        same = partial(
            KeyValueStore,
            self._factory,
            collection=self._collection,
            settle_s=self._settle_s,
            timeout_s=self._timeout_s,
        )
        return same, ()

    def _change(self, name: str, step: Step) -> Cell | None:
        return self._at(name, lambda place: place.change(step))

    def _at(self, name: str, job: Callable[[_Place], Coroutine[Any, Any, T]], *, extra_s: float = 0.0) -> T:
        """Do something with what stands under a name, in the loop."""
        check_name(name)
        loop = shared_loop()
        problems: list[Notice] = []

        async def work() -> T:
            store = await self._open(loop)
            lock = loop.lock(f"{self._collection} {name}")
            return await job(_Place(store, self._collection, name, lock, self._clock, problems))

        try:
            return loop.run(work, self._timeout_s + extra_s)
        finally:
            for problem in problems:  # told here and not in the loop: whoever listens may come back
                self.on_problem(problem)

    async def _open(self, loop: Loop) -> AsyncKeyValue:
        """The user's store, made if it is not open in this loop. It is the loop alone that runs this."""
        if self._session is None or self._session.loop is not loop or self._session.ended:
            self._session = _Session(loop, self._factory)
        return await self._session.store()


class _Session:
    """The user's store, from its making to its end, which are one task's: some context managers insist on that."""

    def __init__(self, loop: Loop, factory: Factory) -> None:
        self.loop = loop
        self._ready: asyncio.Future[AsyncKeyValue] = asyncio.get_running_loop().create_future()
        self._over = asyncio.Event()
        self._task = loop.start(self._keep(factory))

    @property
    def ended(self) -> bool:
        """Whether it is closed, or was never open."""
        return self._task.done()

    async def store(self) -> AsyncKeyValue:
        """The store, once it is open. Who leaves earlier does not stop it from opening."""
        return await asyncio.shield(self._ready)

    async def end(self) -> None:
        """Close the store, if it is open."""
        if self.ended:
            return
        self._over.set()
        failure = await self._task
        if failure is not None:
            raise failure

    async def _keep(self, factory: Factory) -> StoreError | None:
        """Open the store and hold it until it is over; what went wrong at the end."""
        try:
            async with AsyncExitStack() as stack:
                async with asyncio.timeout(_OPENING_S):  # one that hangs is asked again by the next step
                    store = await _opened(factory, stack)
                self._ready.set_result(store)
                await self._over.wait()
        except BaseException as problem:  # noqa: BLE001 - a store may raise anything
            failure = failure_of("Closing the store" if self._ready.done() else "The factory of the store", problem)
        else:
            return None
        if self._ready.done():
            return failure
        self._ready.set_exception(failure)
        self._ready.exception()  # nobody may be waiting for it any more
        return None


async def _opened(factory: Factory, stack: AsyncExitStack) -> AsyncKeyValue:
    given = factory()
    if inspect.isawaitable(given):
        given = await given
    store = await stack.enter_async_context(given) if isinstance(given, AbstractAsyncContextManager) else given
    if not all(callable(getattr(store, step, None)) for step in ("get", "put")):
        msg = f"The factory of KeyValueStore gave a {type(store).__name__}, which is no store of py-key-value-aio."
        raise StoreError(msg, code="store_failed")
    return store


class _Place:
    """What stands under one name. Everything here is done in the loop.

    Args:
        store: the user's.
        collection: where in it.
        name: what is looked at or changed.
        lock: held meanwhile.
        clock: epoch seconds.
        problems: takes what is to be told.
    """

    def __init__(
        self,
        store: AsyncKeyValue,
        collection: str,
        name: str,
        lock: asyncio.Lock,
        clock: Callable[[], float],
        problems: list[Notice],
    ) -> None:
        self._store = store
        self._collection = collection
        self._name = name
        self._lock = lock
        self._clock = clock
        self._problems = problems

    async def look(self) -> Cell:
        async with self._lock:
            return await self._load()

    async def change(self, step: Step) -> Cell | None:
        async with self._lock:
            before = await self._load()
            after = step(before)
            if after is not None:
                after = _numbered(before, after, self._now_us())
                await self._save(after)
            return after

    async def _load(self) -> Cell:
        from key_value.aio.errors import CorruptedDataError, DeserializationError

        try:
            stored = await self._store.get(self._name, collection=self._collection)
            cell = self._blank() if stored is None else _decode(stored)
        except (CorruptedDataError, DeserializationError):
            cell = None
        if cell is None:
            self._problems.append(_damage(self._collection, self._name))
            cell = self._blank()
            await self._save(cell)
        return cell

    async def _save(self, cell: Cell) -> None:
        await self._store.put(self._name, msgspec.to_builtins(cell), collection=self._collection)

    def _blank(self) -> Cell:
        return Cell(version=self._now_us(), fence=self._now_us())

    def _now_us(self) -> int:
        return int(self._clock() * 1_000_000)


def _numbered(before: Cell, after: Cell, now_us: int) -> Cell:
    """With numbers that follow the clock, where they grow."""
    version = max(after.version, now_us) if after.version > before.version else after.version
    fence = max(after.fence, now_us) if after.fence > before.fence else after.fence
    return msgspec.structs.replace(after, version=version, fence=fence)


def _decode(stored: Mapping[str, Any]) -> Cell | None:
    with suppress(msgspec.ValidationError):
        return msgspec.convert(stored, Cell)
    return None


def _damage(collection: str, name: str) -> Notice:
    text = f"The record {name} in the collection {collection!r} was damaged. The store goes on without it."
    return Notice(code="store_record_corrupt", text=text, level="warning")


def _log(problem: Notice) -> None:
    logger.warning("%s", problem.text)
