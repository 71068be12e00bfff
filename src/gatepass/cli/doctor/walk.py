"""The walk: all steps in order. It goes on past one that failed, where the next ones still say something."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatepass.cli.doctor import admission, arrival, signposts, visit
from gatepass.cli.doctor.outline import skipped
from gatepass.protocol.urls import same_origin

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gatepass.cli.doctor.case import Case
    from gatepass.cli.doctor.report import Step

__all__ = ["walk"]


def walk(case: Case, tell: Callable[[str], None]) -> Iterator[Step]:
    """The steps, one after the other, as they are taken.

    Args:
        case: who wants to get in where; it learns on the way.
        tell: hears what is asked.
    """
    yield arrival.client(case)
    yield arrival.name(case)
    yield arrival.connection(case, case.endpoint, id="connection", to="mcp_server")
    yield signposts.challenge(case)
    looked = signposts.look(case)
    yield signposts.resource_metadata(case, looked)
    yield _issuer_connection(case)
    yield signposts.server_metadata(case, looked)
    yield admission.offer(case)
    yield admission.token(case)
    yield admission.contents(case)
    yield visit.call(case, tell)
    yield visit.clocks(case)


def _issuer_connection(case: Case) -> Step:
    url = case.target.token_endpoint if case.configured else case.issuer
    if url is None:
        return skipped("issuer-connection", "No authorization server is known.")
    if same_origin(url, case.endpoint):
        return skipped("issuer-connection", "It is where the MCP server is.")
    return arrival.connection(case, url, id="issuer-connection", to="authorization_server")
