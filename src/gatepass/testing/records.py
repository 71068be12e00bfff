"""What a server remembers of the requests it got: enough to count and to check, never a credential."""

from __future__ import annotations

import itertools
import json
import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast
from urllib.parse import parse_qsl

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from starlette.types import Scope

__all__ = ["RequestLog", "RequestRecord", "record_of"]

CREDENTIAL_HEADERS = {"authorization", "cookie", "proxy-authorization", "dpop"}
MAX_FIELDS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRecord:
    """One request.

    Attributes:
        method: the HTTP method.
        path: the path, without the query.
        query: the names of the parameters in the query, in order, repeats included.
        status: the status answered; None while there is no answer, and for ever if there never was one.
        error: the error code in the answer (RFC 6749 §5.2, RFC 6750 §3.1).
        error_description: what the answer said about it.
        headers: name (lower case) and value of each header; of a credential only the scheme, such as ``Bearer``.
        form: the names of the parameters in a form body, in order, repeats included.
        grant_type: the parameter of that name, in form or query (RFC 6749 §4), None if it was not sent.
        scope: likewise.
        resources: every ``resource`` parameter (RFC 8707), in order.
        client_id: the ``client_id`` parameter. HTTP Basic and an assertion name the client elsewhere.
        redirect_uri: the parameter of that name (RFC 6749 §4.1.1).
    """

    method: str
    path: str
    query: tuple[str, ...] = ()
    status: int | None = None
    error: str | None = None
    error_description: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    form: tuple[str, ...] = ()
    grant_type: str | None = None
    scope: str | None = None
    resources: tuple[str, ...] = ()
    client_id: str | None = None
    redirect_uri: str | None = None

    @property
    def resource(self) -> str | None:
        """The first ``resource`` parameter."""
        return self.resources[0] if self.resources else None

    def header(self, name: str) -> str | None:
        """The first header of that name, whatever its case."""
        return next((value for key, value in self.headers if key == name.lower()), None)


def record_of(scope: Scope, form: bytes) -> RequestRecord:
    """The record of a request that has just arrived; `form` is its body if that is a form, else empty."""
    asked, sent = _fields(scope["query_string"]), _fields(form)
    fields = [*sent, *asked]
    headers = [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in scope["headers"]]

    def first(name: str) -> str | None:
        return next((value for key, value in fields if key == name), None)

    return RequestRecord(
        method=scope["method"],
        path=scope["path"],
        query=tuple(name for name, _ in asked),
        headers=tuple((name, _presentable(name, value)) for name, value in headers),
        form=tuple(name for name, _ in sent),
        grant_type=first("grant_type"),
        scope=first("scope"),
        resources=tuple(value for name, value in fields if name == "resource"),
        client_id=first("client_id"),
        redirect_uri=first("redirect_uri"),
    )


def _fields(octets: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(octets.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError:
        return []


def _texts(body: bytes, *names: str) -> Iterator[str | None]:
    """Members of a JSON body, each None unless it is there and a string."""
    try:
        document = json.loads(body)
    except ValueError:
        document = None
    for name in names:
        value = cast("dict[str, object]", document).get(name) if isinstance(document, dict) else None
        yield value if isinstance(value, str) else None


def _presentable(name: str, value: str) -> str:
    if name not in CREDENTIAL_HEADERS:
        return value
    scheme, _, credentials = value.partition(" ")
    return scheme if credentials else "***"


class RequestLog:
    """The records of one server, in the order of arrival. Safe across threads."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._numbers = itertools.count()
        self._records: dict[int, RequestRecord] = {}

    def arrived(self, record: RequestRecord) -> int:
        """Keep a record; its number is what `answered` takes."""
        with self._changed:
            number = next(self._numbers)
            self._records[number] = record
            self._changed.notify_all()
        return number

    def answered(self, number: int, status: int) -> None:
        """Note the status of an answer. A request from before a `clear` stays forgotten."""
        with self._changed:
            record = self._records.get(number)
            if record is not None:
                self._records[number] = replace(record, status=status)
                self._changed.notify_all()

    def explained(self, number: int, body: bytes) -> None:
        """Note what the body of a refusal says, if it is JSON."""
        with self._changed:
            record = self._records.get(number)
            if record is not None:
                error, description = _texts(body, "error", "error_description")
                self._records[number] = replace(record, error=error, error_description=description)

    def get(self, number: int) -> RequestRecord | None:
        """The record of that number, unless it was forgotten."""
        with self._changed:
            return self._records.get(number)

    def all(self) -> list[RequestRecord]:
        """The records so far."""
        with self._changed:
            return list(self._records.values())

    def wait_until(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        """Wait for a condition on the records; False if it did not come true in time."""
        with self._changed:
            return self._changed.wait_for(condition, timeout_s)

    def clear(self) -> None:
        """Forget everything."""
        with self._changed:
            self._records.clear()
