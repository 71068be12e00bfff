"""The call: an MCP session with the token that was obtained, by the library's own client. And the clocks."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import httpx2
import msgspec

from gatepass.cli.doctor.causes import visit as causes
from gatepass.cli.doctor.causes.clocks import WORTH_SAYING_S, differs
from gatepass.cli.doctor.exchanges import answer
from gatepass.cli.doctor.outline import skipped, step
from gatepass.cli.doctor.report import Exchange, Fields, Side, Verdict
from gatepass.cli.exits import exit_of
from gatepass.core.http import HttpResponse
from gatepass.errors import GatepassError
from gatepass.integrations.flow import challenge_of
from gatepass.lifecycle.record import TokenRecord
from gatepass.protocol.dates import clock_skew_s
from gatepass.protocol.urls import origin, shown

if TYPE_CHECKING:
    from collections.abc import Callable

    from gatepass.cli.access import Access
    from gatepass.cli.doctor.case import Case
    from gatepass.cli.doctor.report import Step
    from gatepass.core.world import Instant
    from gatepass.profiles.base import Obtained

__all__ = ["call", "clocks", "tools_of"]

_FIRST_ERROR_STATUS = 400
_MOST_NAMED = 8


def call(case: Case, tell: Callable[[str], None]) -> Step:
    """An MCP session, and its list of tools.

    Args:
        case: the case.
        tell: hears what is asked.
    """
    obtained = case.obtained
    if obtained is None:
        return skipped("call", "There is no token to call with.")
    _hand_over(case, obtained)
    visit = _Visit(case, tell)
    try:
        tools = asyncio.run(tools_of(visit.access))
    except GatepassError as error:
        failure = error.again()
    else:
        named = ", ".join(tools[:_MOST_NAMED]) + (", ..." if len(tools) > _MOST_NAMED else "")
        found: Fields = (("tools", f"{len(tools)}{f': {named}' if named else ''}"),)
        return step("call", visit.exchanges(found))
    trouble = causes.call(failure, case, visit.last_status)
    return step("call", visit.exchanges(), [trouble], exit_code=exit_of(failure))


async def tools_of(access: Access) -> list[str]:
    """The names of the tools of an MCP server.

    Raises:
        GatepassError: the way in is barred, or the server answers with an error.
    """
    from gatepass.cli.session import all_tools, session

    async with session(access) as mcp:
        return [tool.name for tool in await all_tools(mcp)]


def clocks(case: Case) -> Step:
    """The clocks of the servers against ours, by the Date of their answers."""
    for heard in case.world.heard:
        if heard.response is not None:
            _learn_skew(case, heard.request.url, heard.response, heard.received)
    if not case.skews:
        return skipped("clocks", "No answer had a Date header.")
    exchanges = [_compared(case, place, skew) for place, skew in case.skews.items()]
    off = {place: skew for place, skew in case.skews.items() if abs(skew) >= WORTH_SAYING_S}
    return step("clocks", exchanges, [differs(place, skew) for place, skew in off.items()])


def _compared(case: Case, place: str, skew_s: float) -> Exchange:
    apart = abs(skew_s) >= WORTH_SAYING_S
    side = "ahead" if skew_s > 0 else "behind"
    said = f"{abs(skew_s):.0f} s {side}" if apart else "as here"
    return Exchange(
        to="mcp_server" if place == origin(case.endpoint) else "authorization_server",
        asked=Side(f"the time at {place}", short="the time"),
        answered=Side(said, short=said),
        verdict=Verdict.WARNING if apart else Verdict.OK,
    )


def _learn_skew(case: Case, url: str, response: HttpResponse, received: Instant) -> None:
    skew = clock_skew_s(response, received)
    if skew is not None:
        case.skews[origin(url)] = skew


def _hand_over(case: Case, obtained: Obtained) -> None:
    """Put what was found where the `Auth` looks for it, as after a restart: it goes on with the token at hand."""
    issued, key = obtained.issued, case.proof_key
    record = TokenRecord(
        generation=1,
        access_token=issued.token.access_token.reveal(),
        token_type=issued.token.token_type,
        obtained_at=issued.sent.wall,
        lifetime_s=issued.token.expires_in_s,
        refresh_in_s=issued.token.refresh_in_s,
        scope=issued.token.scope,
        requested=obtained.requested,
        issuer=obtained.discovery.server.issuer,
        resource=obtained.discovery.resource,
        client_id=issued.client_id,
        key_thumbprint=key.thumbprint if key else None,
        key_algorithm=key.algorithm if key else None,
    )
    shelf = case.source.shelf
    shelf.keep_discovery(obtained.discovery)
    if case.challenge is not None:
        shelf.keep_challenge(case.challenge)
    shelf.keep_token(record, None)


class _Message(msgspec.Struct):
    """A JSON-RPC message, as far as it tells what is asked."""

    method: str = ""


class _Visit:
    """What goes over the wire during the session, overheard."""

    def __init__(self, case: Case, tell: Callable[[str], None]) -> None:
        self._case = case
        self._tell = tell
        self._heard: list[tuple[Side, HttpResponse]] = []
        hooks = {"request": [self._asked], "response": [self._answered]}
        self.access = replace(
            case.access,
            http_options={"timeout": case.timeout_s, **case.access.http_options, "event_hooks": hooks},
            timeout_s=case.timeout_s,
        )

    @property
    def last_status(self) -> int | None:
        return self._heard[-1][1].status if self._heard else None

    def exchanges(self, found: Fields = ()) -> list[Exchange]:
        """What was heard; `found` stands with the last."""
        listed: list[Exchange] = []
        for number, (asked, response) in enumerate(self._heard, 1):
            answered = answer(response)
            if number == len(self._heard):
                answered = Side(answered.text, (*answered.fields, *found), answered.short)
            good = response.status < _FIRST_ERROR_STATUS
            verdict = Verdict.OK if good else Verdict.FAILED
            listed.append(Exchange(to="mcp_server", asked=asked, answered=answered, verdict=verdict))
        return listed

    async def _asked(self, request: httpx2.Request) -> None:
        self._tell(f"{request.method} {shown(str(request.url))}")

    async def _answered(self, response: httpx2.Response) -> None:
        request = response.request
        heard = HttpResponse(status=response.status_code, headers=tuple(response.headers.multi_items()))
        self._heard.append((_asked(request), heard))
        _learn_skew(self._case, str(request.url), heard, self._case.world.now())
        if response.status_code in (401, 403):
            self._case.refusal = challenge_of(response)


def _asked(request: httpx2.Request) -> Side:
    message = _method(request)
    scheme = request.headers.get("Authorization", "").partition(" ")[0]
    sent = [("Authorization", f"{scheme} ***")] if scheme else []
    if "DPoP" in request.headers:
        sent.append(("DPoP", "a proof ***"))
    about = f" ({message})" if message else ""
    return Side(f"{request.method} {shown(str(request.url))}{about}", tuple(sent), short=message or request.method)


def _method(request: httpx2.Request) -> str:
    try:
        return msgspec.json.decode(request.content, type=_Message).method
    except (msgspec.MsgspecError, httpx2.RequestNotRead):
        return ""
