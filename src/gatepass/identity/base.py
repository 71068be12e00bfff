"""What every source of a workload's own JWT shares: the limit in time, the look at what came, and silence about it.

A platform is asked by a library that knows it. None of them bounds the whole of a fetch, the look-up of a name and
retries of its own included, and their errors and logs quote what they got. So a fetch runs on a thread of its own,
which is waited for as long as it may take; what it finds, good or bad, comes back as a value, and an error is raised
where nothing secret ever was.
"""

from __future__ import annotations

import logging
import threading
import time
from importlib import import_module
from typing import Any, ClassVar

from gatepass.client_auth.assertion import is_named, named_audiences
from gatepass.client_auth.base import check_text, listed
from gatepass.core.duration import is_duration
from gatepass.core.value import Value
from gatepass.errors import ConfigurationError, GatepassError, UnreachableError
from gatepass.protocol.jwt import expired, peek_claims

__all__ = ["Platform", "hush", "library"]

_SHORTEST_TIMEOUT_S, _LONGEST_TIMEOUT_S = 0.001, 3600.0
_LATER = frozenset({408, 410, 425, 429})
"""Statuses that say "not now", beside those of a server's own trouble."""
_FIRST_OF_THE_SERVERS_OWN = 500


class Platform(Value, frozen=True, kw_only=True):
    """A platform that gives its workloads a JWT, fetched anew for each call.

    Arguments:
        timeout_s: how long one fetch may take in all, in seconds, from 0.001 to 3600.

    Raises:
        ConfigurationError: an argument does not fit; its name stands in the text.
    """

    name: ClassVar[str] = "the platform"
    audience_checked: ClassVar[bool] = True
    """What it gives is for the audience that was asked for: nobody need look again."""

    timeout_s: float = 10.0

    def __post_init__(self) -> None:
        if not is_duration(self.timeout_s, least_s=_SHORTEST_TIMEOUT_S, most_s=_LONGEST_TIMEOUT_S):
            msg = f"timeout_s is {self.timeout_s!r}; it must be a number of seconds, from 0.001 to 3600."
            raise ConfigurationError(msg, code="timeout_invalid")

    @property
    def identity(self) -> tuple[str, ...]:
        """The platform, and what was configured of it."""
        given = ((field, getattr(self, field)) for field in self.__struct_fields__ if field != "timeout_s")
        return (self.name, *(f"{field}={value}" for field, value in given if value is not None))

    def here(self) -> bool:
        """Whether this environment says that it is that platform. Looks at variables and local files only."""
        raise NotImplementedError

    def __call__(self, audience: str) -> str | None:
        """A JWT for `audience`; None where this environment is not that platform.

        Raises:
            ConfigurationError: the platform's library is not installed (code ``extra_missing``); it refuses
                (``workload_token_refused``); or what it gives is no JWT (``workload_token_invalid``), has expired
                (``workload_token_expired``) or is meant for somebody else (``workload_token_audience``).
            UnreachableError: it gives no token now; retryable.
        """
        found = self._in_time(check_text(audience, field="audience"))
        if isinstance(found, GatepassError):
            raise found
        return found

    def _fetch(self, audience: str) -> object:
        """The JWT, as the platform gives it. May raise anything: no frame of an error goes any further."""
        raise NotImplementedError

    def _names(self, aud: list[str], audience: str) -> bool:
        """Whether a token with these audiences is one for `audience`."""
        return is_named(aud, audience)

    def _in_time(self, audience: str) -> str | GatepassError | None:
        found: list[str | GatepassError | None] = [self._late()]

        def fetch() -> None:
            found[0] = self._found(audience)

        thread = threading.Thread(target=fetch, name="gatepass-identity", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # no thread can be started: then without a limit but the library's own
            fetch()
        else:
            thread.join(self.timeout_s)
        return found[0]

    def _found(self, audience: str) -> str | GatepassError | None:
        until = time.monotonic() + self.timeout_s
        _hush.on = True
        try:
            return self._checked(self._fetch(audience), audience) if self.here() else None
        except GatepassError as error:
            late = error.retryable and time.monotonic() >= until  # whatever its library calls it
            return self._late() if late else error.again()
        except Exception as problem:  # noqa: BLE001 - a library may raise anything, and its text may hold the token
            kind = type(problem).__name__
        finally:
            _hush.on = False
        return ConfigurationError(f"{self.name} gave no token: {kind}.", code="workload_token_failed")

    def _checked(self, token: object, audience: str) -> str:
        if not isinstance(token, str):
            raise self._invalid()
        token = token.strip()
        try:
            claims = peek_claims(token)
            late = expired(claims, time.time())
        except (ConfigurationError, RecursionError):
            raise self._invalid() from None
        if late:
            raise self._expired()
        named = named_audiences(claims) or []
        if not self._names(named, audience):
            raise self._for_another(audience, named)
        return token

    def _invalid(self) -> ConfigurationError:
        return ConfigurationError(f"What {self.name} gives is not a JWT.", code="workload_token_invalid")

    def _expired(self) -> ConfigurationError:
        msg = f"The token that {self.name} gives has expired. See that it is renewed, and check this machine's clock."
        return ConfigurationError(msg, code="workload_token_expired")

    def _for_another(self, audience: str, named: list[str]) -> ConfigurationError:
        msg = (
            f"The token that {self.name} gives is for {listed(named)}, and one for {audience} was asked for. "
            "Let the platform make it for that audience, or set audience=... to the one that the server expects."
        )
        return ConfigurationError(msg, code="workload_token_audience")

    def _late(self) -> UnreachableError:
        msg = f"{self.name} gave no token within {self.timeout_s:g} s."
        return UnreachableError(msg, code="timeout", retryable=True)

    def _unreachable(self, why: str = "can't be reached") -> UnreachableError:
        return UnreachableError(f"{self.name} {why}.", code="unreachable", retryable=True)

    def _garbled(self) -> UnreachableError:
        msg = f"{self.name} gives no token now: its answer makes no sense."
        return UnreachableError(msg, code="workload_token_unavailable", retryable=True)

    def _refused(self, status: int, hint: str) -> GatepassError:
        if status in _LATER or status >= _FIRST_OF_THE_SERVERS_OWN:
            msg = f"{self.name} gives no token now: it answered with status {status}."
            return UnreachableError(msg, code="workload_token_unavailable", status=status, retryable=True)
        msg = f"{self.name} refuses to give a token: it answered with status {status}. {hint}"
        return ConfigurationError(msg, code="workload_token_refused", status=status)


def library(module: str, *, extra: str) -> Any:
    """A module of an optional library.

    Raises:
        ConfigurationError: it is not installed; says how to (code ``extra_missing``).
    """
    try:
        return import_module(module)
    except ImportError as missing:
        name = missing.name or module
    msg = f"{name} is not installed. Install what asks this platform: pip install 'gatepass[{extra}]'"
    raise ConfigurationError(msg, code="extra_missing")


class _Hush(threading.local):
    """Whether this thread fetches a token: loggers that would show it then are silent."""

    on = False

    def filter(self, record: logging.LogRecord) -> bool:  # noqa: ARG002 - the protocol of a logging filter
        return not self.on


_hush = _Hush()


def hush(*loggers: str) -> None:
    """Silence these loggers of a library while a token is fetched, for the fetching thread."""
    for name in loggers:
        logging.getLogger(name).addFilter(_hush.filter)
