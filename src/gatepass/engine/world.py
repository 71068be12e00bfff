"""The real world, as the engine gives it to the steps of the protocol."""

from __future__ import annotations

import hashlib
import inspect
import logging
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from gatepass.core.secret import CommandReference, EnvReference, FileReference, Secret
from gatepass.core.world import AssertionSource, Instant, Notice, PrivateKey, Signer
from gatepass.errors import ConfigurationError, GatepassError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterable

    from gatepass.core.http import HttpRequest, HttpResponse
    from gatepass.engine.token_http import TokenHttp
    from gatepass.signers.file import KeyRing

__all__ = ["RealWorld"]

_log = logging.getLogger("gatepass")
_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING}
_COMMAND_TIMEOUT_S = 30.0
_MAX_FILE_BYTES = 1024 * 1024
_PROCESS_SALT = os.urandom(32)


class RealWorld:
    """Network, clocks, random source, environment, files and commands, for one identity.

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
        value = _read(secret)
        self._seen[secret] = _mark(value)
        return value

    def changed(self, secrets: Iterable[Secret]) -> bool:
        """Whether a secret reads differently from the last time it was revealed. Commands are not run for this."""
        self._keys.refresh()
        return any(self._reads_differently(secret) for secret in secrets)

    def _reads_differently(self, secret: Secret) -> bool:
        if secret.reference is None or isinstance(secret.reference, CommandReference):
            return False
        try:
            mark = _mark(_read(secret))
        except ConfigurationError:
            mark = b""
        return self._seen.get(secret, b"") != mark

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
        msg = f"The callable that gives the assertion failed: {kind}."
        raise ConfigurationError(msg, code="assertion_source_failed")

    def notice(self, notice: Notice) -> None:
        if notice.once:
            if (notice.code, notice.text) in self._said:
                return
            self._said.add((notice.code, notice.text))
        _log.log(_LEVELS[notice.level], "%s", notice.text, extra={"gatepass_code": notice.code})


def _run_to_its_end(answer: Awaitable[object]) -> object:
    """An asynchronous callable of the user's gets an event loop of its own, on this worker."""
    import asyncio

    async def wait() -> object:
        return await answer

    return asyncio.run(wait())


def _mark(value: str) -> bytes:
    """Tells one value from another without keeping it: keyed with bytes that never leave this process."""
    return hashlib.blake2b(value.encode(errors="surrogatepass"), key=_PROCESS_SALT, digest_size=16).digest()


def _read(secret: Secret) -> str:
    reference = secret.reference
    if reference is None:
        return secret.reveal()
    if isinstance(reference, EnvReference):
        value = os.environ.get(reference.name)
        if value is None:
            msg = f"The {reference} is not set."
            raise ConfigurationError(msg, code="secret_missing")
    elif isinstance(reference, FileReference):
        value = _read_file(reference)
    else:
        value = _run(reference)
    value = value.removesuffix("\n").removesuffix("\r")
    if not value:
        msg = f"The {reference} gives an empty secret."
        raise ConfigurationError(msg, code="secret_empty")
    return value


def _read_file(reference: FileReference) -> str:
    try:
        with Path(reference.path).open("rb") as file:
            content = file.read(_MAX_FILE_BYTES + 1)
    except OSError as problem:
        reason = problem.strerror or type(problem).__name__
    else:
        if len(content) > _MAX_FILE_BYTES:
            reason = f"it is larger than {_MAX_FILE_BYTES} bytes"
        else:
            text = _decode(content)
            if text is not None:
                return text
            reason = "it is not UTF-8 text"
    msg = f"The {reference} can't be read: {reason}. Check the path and its permissions."
    raise ConfigurationError(msg, code="file_unreadable")


def _decode(content: bytes) -> str | None:
    try:
        return content.decode()
    except UnicodeDecodeError:
        return None


def _run(reference: CommandReference) -> str:
    import subprocess

    try:
        done = subprocess.run(  # noqa: S603 - the user's own command, without a shell
            reference.argv, capture_output=True, stdin=subprocess.DEVNULL, timeout=_COMMAND_TIMEOUT_S, check=False
        )
    except OSError as problem:
        reason = problem.strerror or type(problem).__name__
    except subprocess.TimeoutExpired:
        reason = f"it did not end within {_COMMAND_TIMEOUT_S:g} s"
    else:
        text = _decode(done.stdout)
        if done.returncode == 0 and text is not None:
            return text
        reason = f"it ended with exit code {done.returncode}" if done.returncode else "its output is not UTF-8 text"
    msg = f"The {reference} gave no secret: {reason}."
    raise ConfigurationError(msg, code="command_failed")
