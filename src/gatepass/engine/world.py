"""The real world, as the engine gives it to the steps of the protocol."""

from __future__ import annotations

import hashlib
import inspect
import logging
import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from gatepass.core.secret import CommandReference, Secret
from gatepass.core.world import AssertionSource, Instant, Notice, PrivateKey, Signer
from gatepass.engine.references import read
from gatepass.errors import ConfigurationError, GatepassError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterable

    from gatepass.core.http import HttpRequest, HttpResponse
    from gatepass.engine.token_http import TokenHttp
    from gatepass.signers.key_ring import KeyRing

__all__ = ["RealWorld"]

_log = logging.getLogger("gatepass")
_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING}
_CALLABLE_TIMEOUT_S = 30.0
"""How long an asynchronous callable may take."""
_MAX_SAID = 1000
_PROCESS_SALT = os.urandom(32)
_UNREADABLE = b""


class RealWorld:
    """Network, clocks, random source, secrets, keys and the log, for one identity.

    Args:
        http: the token client.
        keys: the keys of this process.
    """

    def __init__(self, http: TokenHttp, keys: KeyRing) -> None:
        self._http = http
        self._keys = keys
        self._said: set[tuple[str, str]] = set()
        self._seen: dict[Secret, bytes] = {}

    def send(self, request: HttpRequest) -> HttpResponse:
        return self._http.send(request)

    def now(self) -> Instant:
        return Instant(wall=time.time(), mono=time.monotonic())

    def random_bytes(self, n: int) -> bytes:
        return os.urandom(n)

    def reveal(self, secret: Secret) -> str:
        if secret.reference is None:
            return secret.reveal()
        try:
            value = read(secret.reference)
        except ConfigurationError:
            self._seen[secret] = _UNREADABLE
            raise
        self._seen[secret] = _mark(value)
        return value

    def changed(self, secrets: Iterable[Secret]) -> bool:
        """Whether a secret reads differently from the last time it was revealed. Commands are not run for this."""
        self._keys.refresh()
        return any(self._reads_differently(secret) for secret in secrets)

    def _reads_differently(self, secret: Secret) -> bool:
        seen = self._seen.get(secret)
        if seen is None or secret.reference is None or isinstance(secret.reference, CommandReference):
            return False
        try:
            return _mark(read(secret.reference)) != seen
        except ConfigurationError:
            return seen != _UNREADABLE

    def signer(self, key: PrivateKey | Signer) -> Signer:
        return self._keys.signer(key, self.reveal)

    def sign(self, signer: Signer, algorithm: str, data: bytes) -> bytes:
        try:
            return signer.sign(algorithm, data)
        except GatepassError:
            raise
        except KeyboardInterrupt:
            raise
        except BaseException as problem:  # noqa: BLE001 - a signer may be anybody's
            kind = type(problem).__name__
        msg = f"The signer failed with {kind} while making a {algorithm} signature."
        raise ConfigurationError(msg, code="signer_failed")

    def assertion(self, source: AssertionSource, audience: str) -> str:
        if isinstance(source, str):
            return source
        if isinstance(source, Secret):
            return self.reveal(source)
        try:
            answer: object = source(audience)
            if inspect.isawaitable(answer):
                answer = _run_to_its_end(answer)
        except GatepassError:
            raise
        except KeyboardInterrupt:
            raise
        except BaseException as problem:  # noqa: BLE001 - a callable may raise anything, and its text may hold the JWT
            kind = type(problem).__name__
        else:
            if isinstance(answer, str):
                return answer.strip()
            kind = f"a {type(answer).__name__} instead of a string"
            del answer  # a traceback that shows locals must not show it
        msg = f"The callable that gives the assertion failed: {kind}."
        raise ConfigurationError(msg, code="assertion_source_failed")

    def notice(self, notice: Notice) -> None:
        if notice.once:
            if (notice.code, notice.text) in self._said or len(self._said) >= _MAX_SAID:
                return
            self._said.add((notice.code, notice.text))
        with suppress(Exception):  # a filter or handler may be anybody's; its trouble must not cost a token
            _log.log(_LEVELS[notice.level], "%s", notice.text, extra={"gatepass_code": notice.code})


def _run_to_its_end(answer: Awaitable[object]) -> object:
    """An asynchronous callable of the user's gets an event loop of its own, on this worker."""
    import asyncio

    async def wait() -> object:
        async with asyncio.timeout(_CALLABLE_TIMEOUT_S):
            return await answer

    if _in_a_loop():
        if inspect.iscoroutine(answer):
            answer.close()
        msg = (
            "The callable that gives the assertion is asynchronous, but no thread can be started to run it in, "
            "and it can't run within your event loop. Give a synchronous one."
        )
        raise ConfigurationError(msg, code="assertion_source_failed")
    return asyncio.run(wait())


def _in_a_loop() -> bool:
    """Whether asyncio runs in this thread, as it does where a caller mints for want of workers."""
    import asyncio

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _mark(value: str) -> bytes:
    """Tells one value from another without keeping it: keyed with bytes that never leave this process."""
    return hashlib.blake2b(value.encode(errors="surrogatepass"), key=_PROCESS_SALT, digest_size=16).digest()
