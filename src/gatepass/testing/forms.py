"""The parameters of a request, read strictly: RFC 6749 §3.1, §3.2 and Appendix B."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from gatepass.testing.refusal import Refusal

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Form", "parse_form", "parse_query"]

FORM_TYPE = "application/x-www-form-urlencoded"
MAX_FIELDS = 100


class Form(dict[str, str]):
    """The parameters that have a value. `resources` holds the one that may be repeated (RFC 8707 §2)."""

    def __init__(self, fields: Iterable[tuple[str, str]], resources: tuple[str, ...]) -> None:
        super().__init__(fields)
        self.resources = resources

    def require(self, name: str) -> str:
        """The value of a parameter that must be there."""
        try:
            return self[name]
        except KeyError:
            raise Refusal("invalid_request", f"{name} is missing") from None


def parse_form(content_type: str, query: str, body: bytes) -> Form:
    """The parameters of a token request. One without a value counts as left out (RFC 6749 §3.2).

    Raises:
        Refusal: ``invalid_request``: not a form, a repeated parameter, or parameters in the query.
    """
    if query:
        raise Refusal("invalid_request", "parameters belong into the body, not into the query")
    if content_type.partition(";")[0].strip().lower() != FORM_TYPE:
        raise Refusal("invalid_request", f"the body is not {FORM_TYPE}")
    return _parse(body, "the body")


def parse_query(query: bytes) -> Form:
    """The parameters of an authorization request, by the same rules.

    Raises:
        Refusal: ``invalid_request``.
    """
    return _parse(query, "the query")


def _parse(octets: bytes, place: str) -> Form:
    try:
        fields = parse_qsl(
            octets.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=MAX_FIELDS,
            strict_parsing=True,
        )
    except ValueError:
        raise Refusal("invalid_request", f"{place} is not a well-formed form") from None
    single = [(name, value) for name, value in fields if name != "resource"]
    names = [name for name, _ in single]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise Refusal("invalid_request", f"repeated: {', '.join(repeated)}")
    resources = tuple(value for name, value in fields if name == "resource" and value)
    return Form(((name, value) for name, value in single if value), resources)
