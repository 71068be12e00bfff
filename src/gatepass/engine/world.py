"""The real world, as the engine gives it to the steps of the protocol."""

from __future__ import annotations

import hashlib
import logging
import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from gatepass.core.secret import CostlyReference, Secret
from gatepass.core.world import AssertionSource, Contact, Instant, Notice, Person, PrivateKey, Signer
from gatepass.engine.callables import called
from gatepass.engine.wording import answered, listener_failed, unanswered
from gatepass.errors import ConfigurationError, GatepassError
from gatepass.references import read

if TYPE_CHECKING:
    from collections.abc import Iterable
    from contextlib import AbstractContextManager

    from gatepass.core.http import HttpRequest, HttpResponse
    from gatepass.engine.event import Listener
    from gatepass.engine.shelf import Shelf
    from gatepass.engine.token_http import TokenHttp
    from gatepass.signers.key_ring import KeyRing

__all__ = ["RealWorld"]

Record = TypeVar("Record")

_log = logging.getLogger("gatepass")
_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING}
_CALLABLE_TIMEOUT_S = 30.0
"""How long an asynchronous callable may take."""
_SOURCE = "The callable that gives the assertion"
_MAX_SAID = 1000
_MAX_ORIGINS = 100
_PROCESS_SALT = os.urandom(32)
_UNREADABLE = b""


class RealWorld:
    """Network, clocks, random source, secrets, keys and the log, for one identity.

    Args:
        http: the token client.
        keys: the keys of this process.
        resource: what events are about.
        on_event: is told of them.

    Attributes:
        shelf: where steps find again what they keep; its owner puts it here.
    """

    shelf: Shelf

    def __init__(self, http: TokenHttp, keys: KeyRing, *, resource: str = "", on_event: Listener | None = None) -> None:
        self._http = http
        self._keys = keys
        self._resource = resource
        self._on_event = on_event
        self._said: set[tuple[str, str]] = set()
        self._seen: dict[Secret, bytes] = {}
        self._nonces: dict[str, str] = {}

    def send(self, request: HttpRequest) -> HttpResponse:
        began = time.monotonic()
        try:
            response = self._http.send(request)
        except GatepassError as failure:
            error = failure.again()
        else:
            self.notice(answered(request, response.status, time.monotonic() - began))
            return response
        self.notice(unanswered(request, error, time.monotonic() - began))
        raise error

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
        """Whether a secret reads differently from when it was last revealed. Commands and keyrings are not asked."""
        self._keys.refresh()
        return any(self._reads_differently(secret) for secret in secrets)

    def _reads_differently(self, secret: Secret) -> bool:
        seen = self._seen.get(secret)
        if seen is None or secret.reference is None or isinstance(secret.reference, CostlyReference):
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
        answer = called(source, audience, what=_SOURCE, code="assertion_source_failed", timeout_s=_CALLABLE_TIMEOUT_S)
        if isinstance(answer, str):
            return answer.strip()
        if answer is None:
            name = getattr(source, "name", "The callable that gives the assertion")
            msg = f"{name} has none to give: this process does not run where it would come from."
            raise ConfigurationError(msg, code="assertion_source_absent")
        kind = type(answer).__name__
        del answer  # a traceback that shows locals must not show it
        raise ConfigurationError(f"{_SOURCE} failed: a {kind} instead of a string.", code="assertion_source_failed")

    @property
    def request_timeout_s(self) -> float:
        """How long one request may take at the most, in seconds."""
        return self._http.timeout_s

    def certificate(self) -> str | None:
        return self._http.certificate()

    def nonce(self, origin: str) -> str | None:
        return self._nonces.get(origin)

    def keep_nonce(self, origin: str, nonce: str) -> None:
        if len(self._nonces) < _MAX_ORIGINS or origin in self._nonces:
            self._nonces[origin] = nonce

    def person(self, contact: Contact) -> AbstractContextManager[Person]:
        from gatepass.engine.person import somebody  # not before somebody is asked: most clients ask nobody

        return somebody(contact)

    def recall(self, kind: type[Record], *name: str) -> Record | None:
        return self.shelf.recall(kind, *name)

    def keep(self, record: object, *name: str) -> None:
        self.shelf.keep(record, *name)

    def drop(self, kind: type[object], *name: str) -> None:
        self.shelf.drop(kind, *name)

    def notice(self, notice: Notice) -> None:
        if notice.once:
            if (notice.code, notice.text) in self._said or len(self._said) >= _MAX_SAID:
                return
            self._said.add((notice.code, notice.text))
        _log_it(notice)
        if self._on_event is not None:
            self._tell(self._on_event, notice)

    def _tell(self, listener: Listener, notice: Notice) -> None:
        from gatepass.engine.event import Event  # only for those who watch

        event = Event(
            code=notice.code,
            text=notice.text,
            level=notice.level,
            at=time.time(),
            resource=self._resource,
            identity=self.shelf.names[0],
            facts=notice.facts,
        )
        try:
            listener(event)
        except Exception as problem:  # noqa: BLE001 - it is anybody's; its trouble must not cost a token
            complaint = listener_failed(type(problem).__name__)
        else:
            return
        if (complaint.code, complaint.text) not in self._said:
            self._said.add((complaint.code, complaint.text))
            _log_it(complaint)


def _log_it(notice: Notice) -> None:
    with suppress(Exception):  # a filter or handler may be anybody's; its trouble must not cost a token
        extra = {"gatepass_code": notice.code, "gatepass_facts": dict(notice.facts)}
        _log.log(_LEVELS[notice.level], "%s", notice.text, extra=extra)


def _mark(value: str) -> bytes:
    """Tells one value from another without keeping it: keyed with bytes that never leave this process."""
    return hashlib.blake2b(value.encode(errors="surrogatepass"), key=_PROCESS_SALT, digest_size=16).digest()
