"""The signposts from an MCP server to a token endpoint: its challenge, and what the two servers say of themselves.

It is the library that walks (`gatepass.discovery`), by its own rules; here is looked over its shoulder. Past the point
where it stops, documents are read to say what is wrong with them, and nothing but that is done with what they say.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

import msgspec

from gatepass.cli.doctor.causes import discovery
from gatepass.cli.doctor.causes.network import lost
from gatepass.cli.doctor.exchanges import exchange
from gatepass.cli.doctor.outline import skipped, step
from gatepass.cli.doctor.overhear import Heard
from gatepass.cli.doctor.report import Party, Trouble, Verdict
from gatepass.cli.exits import Exit, exit_of
from gatepass.core.http import HttpRequest
from gatepass.discovery import discover, discover_server
from gatepass.errors import ConfigurationError, GatepassError, UnreachableError
from gatepass.protocol.challenge import resource_challenge
from gatepass.protocol.document import Flaw, decode
from gatepass.protocol.resource import ResourceMetadata
from gatepass.protocol.server import ServerMetadata
from gatepass.protocol.urls import check_issuer, is_loopback, origin

if TYPE_CHECKING:
    from gatepass.cli.doctor.case import Case
    from gatepass.cli.doctor.report import Exchange, Step

__all__ = ["Look", "challenge", "look", "resource_metadata", "server_metadata"]

Document = TypeVar("Document", ResourceMetadata, ServerMetadata)

_OK, _UNAUTHORIZED = 200, 401
_WELL_KNOWN_OF_SERVERS = ("/.well-known/oauth-authorization-server", "/.well-known/openid-configuration")
_WELL_KNOWN_OF_RESOURCES = "/.well-known/oauth-protected-resource"
_USUAL_PATHS = ("/mcp", "/mcp/", "/sse", "/")
_WITHOUT, _GUESS = "without a token", "a guess"

_INITIALIZE = msgspec.json.encode(
    {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {
            "protocolVersion": "2025-11-25",
            "capabilities": {},
            "clientInfo": {"name": "gatepass doctor", "version": "1"},
        },
    }
)
_HEADERS = (("Accept", "application/json, text/event-stream"), ("Content-Type", "application/json"))


# The challenge.


def challenge(case: Case) -> Step:
    """What the MCP server answers to somebody without a token (RFC 9728 §5.1, RFC 6750 §3)."""
    if case.reach(case.endpoint).flaw is not None:
        return skipped("challenge", "The MCP server was not reached.")
    knock = _knock(case, case.endpoint)
    response = knock.response
    if response is None:
        error = knock.error or UnreachableError("")
        shown = exchange(knock, to="mcp_server", about=_WITHOUT)
        return step("challenge", [shown], [lost(case, error, case.endpoint)], exit_code=exit_of(error))
    case.challenge = resource_challenge(response.header_values("WWW-Authenticate"))
    if response.status == _UNAUTHORIZED and case.challenge is not None:
        return step("challenge", [exchange(knock, to="mcp_server", about=_WITHOUT)])
    trouble = discovery.no_challenge(response, case)
    heard = [exchange(knock, to="mcp_server", verdict=trouble.verdict, about=_WITHOUT)]
    if trouble.id == "endpoint_missing":
        case.barred = "There is no MCP server at this URL."
        trouble = _elsewhere(case, heard, trouble)
    failed = trouble.verdict is Verdict.FAILED
    return step("challenge", heard, [trouble], exit_code=Exit.REFUSED_BY_SERVER if failed else 0)


def _knock(case: Case, url: str) -> Heard:
    with suppress(GatepassError):  # it was heard
        case.world.send(HttpRequest(method="POST", url=url, headers=_HEADERS, body=_INITIALIZE))
    return case.world.heard[-1]


def _elsewhere(case: Case, heard: list[Exchange], trouble: Trouble) -> Trouble:
    """There is nothing at the URL. Does somebody at one of the usual ones want a token?"""
    here = case.endpoint
    beside = here.removesuffix("/") if here.endswith("/") else f"{here}/"
    guesses = dict.fromkeys((beside, *(origin(here) + path for path in _USUAL_PATHS)))
    for url in (guess for guess in guesses if guess != here):
        knock = _knock(case, url)
        found = knock.response is not None and knock.response.status == _UNAUTHORIZED
        heard.append(exchange(knock, to="mcp_server", verdict=Verdict.OK if found else Verdict.SKIPPED, about=_GUESS))
        if found:
            return discovery.endpoint_elsewhere(trouble, url)
    return trouble


# The walk, and the two documents.


@dataclass(kw_only=True)
class Look:
    """What was heard on the walk.

    Attributes:
        of_resource: the exchanges about the resource's metadata.
        of_server: those about the authorization server's.
        resource_error: why the former can't be used.
        server_error: why the latter can't.
    """

    of_resource: list[Heard] = field(default_factory=list[Heard])
    of_server: list[Heard] = field(default_factory=list[Heard])
    resource_error: GatepassError | None = None
    server_error: GatepassError | None = None


def look(case: Case) -> Look:
    """Walk from the resource to the token endpoint.

    Where the library stops before it asks the authorization server, that is asked for its metadata all the same.
    """
    looked = Look()
    before = len(case.world.heard)
    error = _walk(case)
    heard = case.world.heard[before:]
    looked.of_server = [each for each in heard if _is_of_server(each)]
    looked.of_resource = [each for each in heard if not _is_of_server(each)]
    case.metadata = _document(looked.of_resource, ResourceMetadata)
    if case.discovery is not None:
        case.issuer, case.server = case.discovery.server.issuer, case.discovery.server
        return looked
    listed = (case.metadata.authorization_servers if case.metadata else None) or ()
    if looked.of_server:
        looked.server_error = error
        case.issuer = case.target.issuer or next(iter(listed), None)
    else:
        looked.resource_error = error
        case.issuer = _worth_a_look(case, listed)
        if case.issuer is not None:
            looked.server_error = _ask(case, case.issuer)
            looked.of_server = [each for each in case.world.heard[before:] if _is_of_server(each)]
    case.server = _document(looked.of_server, ServerMetadata)
    return looked


def resource_metadata(case: Case, looked: Look) -> Step:
    """What the resource says of itself (RFC 9728)."""
    if case.configured:
        return skipped("resource-metadata", "Issuer and token endpoint are configured: nothing is discovered.")
    if case.reach(case.endpoint).flaw is not None:
        return skipped("resource-metadata", "The MCP server was not reached.")
    error = looked.resource_error
    troubles: list[Trouble] = []
    if error is not None:
        troubles = [discovery.resource_metadata(error, case)]
    elif case.metadata is None:
        troubles = [discovery.resource_metadata_missing(case)]
    elif case.target.issuer is None and case.issuer is not None:
        troubles = [discovery.issuer_not_pinned(case.issuer)]
    verdict = Verdict.FAILED if error is not None else Verdict.OK
    exchanges = _shown(looked.of_resource, to="mcp_server", last=verdict, found=case.metadata is not None)
    return step("resource-metadata", exchanges, troubles, exit_code=exit_of(error) if error else 0)


def server_metadata(case: Case, looked: Look) -> Step:
    """What the authorization server says of itself (RFC 8414, OpenID Connect Discovery)."""
    if case.configured:
        return skipped("server-metadata", "Issuer and token endpoint are configured: nothing is discovered.")
    if case.issuer is None:
        return skipped("server-metadata", "No authorization server is known.")
    if case.reach(case.issuer).flaw is not None:
        return skipped("server-metadata", "The authorization server was not reached.")
    error = looked.server_error
    troubles = [discovery.server_metadata(error, case, looked.of_server)] if error else []
    verdict = Verdict.FAILED if error is not None else Verdict.OK
    wants = f"JSON whose `issuer` is {case.issuer}, character by character, with a `token_endpoint` that is https"
    exchanges = _shown(looked.of_server, to="authorization_server", last=verdict, found=case.server is not None)
    return step("server-metadata", exchanges, troubles, exit_code=exit_of(error) if error else 0, wants=wants)


def _walk(case: Case) -> GatepassError | None:
    """The library's own walk; why it found no way, if it did not."""
    flaw = None if case.configured else case.reach(case.endpoint).flaw
    if flaw is not None:
        return UnreachableError(flaw.said, code="unreachable")
    try:
        case.discovery = discover(case.world, case.target, case.challenge)
    except GatepassError as error:
        return error.again()
    return None


def _ask(case: Case, issuer: str) -> GatepassError | None:
    """Ask an authorization server for its metadata, and for nothing else."""
    try:
        discover_server(case.world, issuer)
    except GatepassError as error:
        return error.again()
    return None


def _worth_a_look(case: Case, listed: tuple[str, ...]) -> str | None:
    """The issuer that is meant, as it seems. One that the library would refuse to ask is not asked here, either."""
    pinned = case.target.issuer
    meant = listed[0] if listed and pinned not in listed else pinned
    if meant is None:
        return None
    try:
        check_issuer(meant)
    except ConfigurationError:
        return None
    return meant if is_loopback(case.endpoint) or not origin(meant).startswith("http:") else None


def _is_of_server(heard: Heard) -> bool:
    url = heard.request.url
    return _WELL_KNOWN_OF_RESOURCES not in url and any(each in url for each in _WELL_KNOWN_OF_SERVERS)


def _document(heard: list[Heard], kind: type[Document]) -> Document | None:
    """What the last answer says, if it is such a document."""
    response = heard[-1].response if heard else None
    if response is None or response.status != _OK:
        return None
    document = decode(response.body, kind)
    return None if isinstance(document, Flaw) else document


def _shown(heard: list[Heard], *, to: Party, last: Verdict, found: bool) -> list[Exchange]:
    """The places that were tried. The last one decides; where there was nothing before, that is no failure."""
    decided = last if found or last is Verdict.FAILED else Verdict.SKIPPED
    verdicts = [*(Verdict.SKIPPED for _ in heard[1:]), decided]
    return [exchange(each, to=to, verdict=verdict) for each, verdict in zip(heard, verdicts, strict=False)]
