"""The real world, as the engine gives it to the steps of the protocol."""

from __future__ import annotations

import hashlib
import inspect
import logging
import os
import selectors
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from gatepass.core.secret import CommandReference, EnvReference, FileReference, Secret
from gatepass.core.value import Value
from gatepass.core.world import AssertionSource, Instant, Notice, PrivateKey, Signer
from gatepass.errors import ConfigurationError, GatepassError

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Awaitable, Iterable

    from gatepass.core.http import HttpRequest, HttpResponse
    from gatepass.core.secret import Reference
    from gatepass.engine.token_http import TokenHttp
    from gatepass.signers.file import KeyRing

__all__ = ["RealWorld"]

_log = logging.getLogger("gatepass")
_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING}
_SOURCE_TIMEOUT_S = 30.0
"""How long a command may run, or an asynchronous callable."""
_MAX_SECRET_BYTES = 1024 * 1024
_MAX_SAID = 1000
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
        if secret.reference is not None:
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
        async with asyncio.timeout(_SOURCE_TIMEOUT_S):
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


class _Unread(Value, frozen=True):
    """Why a reference gives no secret. Not raised where it is found: there, the frames hold what was read."""

    code: str
    why: str


def _read(secret: Secret) -> str:
    if secret.reference is None:
        return secret.reveal()
    found = _look_up(secret.reference)
    if isinstance(found, _Unread):
        msg = f"The {secret.reference} {found.why}"
        raise ConfigurationError(msg, code=found.code)
    return found


def _look_up(reference: Reference) -> str | _Unread:
    if isinstance(reference, EnvReference):
        text = _variable(reference.name)
    elif isinstance(reference, FileReference):
        text = _content(reference.path)
    else:
        text = _output(reference.argv)
    if isinstance(text, _Unread):
        return text
    return text.removesuffix("\n").removesuffix("\r") or _Unread("secret_empty", "gives an empty secret.")


def _variable(name: str) -> str | _Unread:
    value = os.environ.get(name)
    if value is None:
        return _Unread("secret_missing", "is not set.")
    text = _decode(os.fsencode(value))
    return _Unread("secret_invalid", "is not UTF-8 text.") if text is None else text


def _content(path: str) -> str | _Unread:
    try:
        with Path(path).open("rb") as file:
            content = file.read(_MAX_SECRET_BYTES + 1)
    except (OSError, ValueError) as problem:
        reason = _reason(problem)
    else:
        text = _decode(content)
        if len(content) > _MAX_SECRET_BYTES:
            reason = f"it is larger than {_MAX_SECRET_BYTES} bytes"
        elif text is None:
            reason = "it is not UTF-8 text"
        else:
            return text
    return _Unread("file_unreadable", f"can't be read: {reason}. Check the path and its permissions.")


def _output(argv: tuple[str, ...]) -> str | _Unread:
    import subprocess

    try:
        exit_code, output = _run(argv)
    except (OSError, ValueError, TypeError) as problem:
        reason = _reason(problem)
    except subprocess.TimeoutExpired:
        reason = f"it did not end within {_SOURCE_TIMEOUT_S:g} s"
    else:
        text = _decode(output)
        if exit_code:
            reason = f"it ended with exit code {exit_code}"
        elif text is None:
            reason = "its output is not UTF-8 text"
        else:
            return text
    return _Unread("command_failed", f"gave no secret: {reason}.")


def _run(argv: tuple[str, ...]) -> tuple[int, bytes]:
    """Run the user's own command, without a shell: its exit code and what it prints.

    Raises:
        OSError, ValueError, TypeError: it can't be run, or prints too much.
        subprocess.TimeoutExpired: it does not come to an end.
    """
    import subprocess

    until = time.monotonic() + _SOURCE_TIMEOUT_S
    quiet = subprocess.DEVNULL
    with subprocess.Popen(argv, stdin=quiet, stdout=subprocess.PIPE, stderr=quiet) as process:  # noqa: S603
        try:
            output = _drain(process, until)
            return process.wait(max(0.0, until - time.monotonic())), output
        except BaseException:
            process.kill()
            raise


def _drain(process: subprocess.Popen[bytes], until: float) -> bytes:
    import subprocess

    if process.stdout is None or sys.platform == "win32":  # where a pipe can't be watched
        return process.communicate(timeout=until - time.monotonic())[0]
    output = bytearray()
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while len(output) <= _MAX_SECRET_BYTES:
            if not selector.select(max(0.0, until - time.monotonic())):
                raise subprocess.TimeoutExpired(process.args, _SOURCE_TIMEOUT_S)
            piece = os.read(process.stdout.fileno(), 65536)
            if not piece:
                return bytes(output)
            output += piece
    raise OSError(0, f"it printed more than {_MAX_SECRET_BYTES} bytes")


def _reason(problem: Exception) -> str:
    return (isinstance(problem, OSError) and problem.strerror) or type(problem).__name__


def _decode(content: bytes) -> str | None:
    """UTF-8 text, without the mark that some editors put before it."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None
