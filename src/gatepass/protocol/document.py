"""JSON documents as servers send them: the one at a well-known address, or the web page that stands there instead."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import msgspec

from gatepass.core.value import Value
from gatepass.errors import RemoteError
from gatepass.protocol.dates import retry_at
from gatepass.protocol.urls import shown

if TYPE_CHECKING:
    from gatepass.core.http import HttpResponse
    from gatepass.core.world import Instant
    from gatepass.errors import Party

__all__ = ["Flaw", "decode", "media_type", "read_metadata"]

T = TypeVar("T")

OK = 200
REQUEST_TIMEOUT = 408
TOO_MANY_REQUESTS = 429
SERVER_ERROR = 500

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class Flaw(Value, frozen=True, kw_only=True):
    """Why a body is not the document it should be, in words that quote nothing of it.

    Attributes:
        text: the reason, naming the member.
        is_json: False for a body that broke off or never was JSON.
    """

    text: str
    is_json: bool = True


def decode(body: bytes, kind: type[T]) -> T | Flaw:
    """A JSON body as a value of `kind`, or what is wrong with it.

    The flaw is a value and not an exception because the body may hold a token, which a traceback would show.
    """
    try:
        return msgspec.json.decode(body.removeprefix(_BYTE_ORDER_MARK), type=kind)
    except msgspec.ValidationError as error:
        return Flaw(text=_member_and_reason(str(error)))
    except msgspec.DecodeError:
        return Flaw(text="it is not JSON, or breaks off", is_json=False)
    except UnicodeDecodeError:
        return Flaw(text="it is not UTF-8", is_json=False)
    except RecursionError:
        return Flaw(text="it is nested too deeply")


def _member_and_reason(text: str) -> str:
    """msgspec's ``Expected `str`, got `int` - at `$.issuer` `` as ``issuer: expected str, got int``."""
    reason, _, path = text.replace("`", "").partition(" - at $")
    reason = reason[:1].lower() + reason[1:]
    return f"{path.removeprefix('.')}: {reason}" if path else reason


def media_type(response: HttpResponse) -> str:
    """The media type in lower case without its parameters; empty if the answer has none."""
    return (response.header("content-type") or "").partition(";")[0].strip().lower()


def read_metadata(
    response: HttpResponse, kind: type[T], *, url: str, name: str, by: Party, code: str, now: Instant | None
) -> T | None:
    """A metadata document (RFC 9728 §3.2, RFC 8414 §3.2) from the answer of one candidate address.

    None means that it is not here: a 4xx, a redirect, a web page.

    Args:
        name: what the document is called in an error.
        code: of the error for a document that is here but broken.
        now: makes `retry_at` of a `Retry-After` header.

    Raises:
        RemoteError: the server is in trouble, which says nothing about the document (``metadata_unavailable``,
            retryable), or the document is broken.
    """
    if response.status in (REQUEST_TIMEOUT, TOO_MANY_REQUESTS) or response.status >= SERVER_ERROR:
        raise RemoteError(
            f"{name} can't be read now: {shown(url)} answered with status {response.status}. Try again later.",
            by=by,
            code="metadata_unavailable",
            status=response.status,
            retryable=True,
            retry_at=None if now is None else retry_at(response, now),
        )
    if response.status != OK or not _means_json(response):
        return None
    document = decode(response.body, kind)
    if isinstance(document, Flaw):
        raise RemoteError(
            f"{name} at {shown(url)} is broken: {document.text}. Ask whoever runs the server to correct it.",
            by=by,
            code=code,
            status=response.status,
            retryable=not document.is_json,
        )
    return document


def _means_json(response: HttpResponse) -> bool:
    """Whether the answer claims or seems to be JSON. A catch-all page is neither, whatever its type says."""
    start = response.body.removeprefix(_BYTE_ORDER_MARK).lstrip()[:1]
    if start == b"<":
        return False
    kind = media_type(response)
    return start == b"{" or kind == "application/json" or kind.endswith("+json")
