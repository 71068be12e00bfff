"""Troubles with the call: what an MCP server means by not letting in somebody who has a token."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from gatepass.cli.doctor.causes.clocks import WORTH_SAYING_S, skewed
from gatepass.cli.doctor.causes.network import lost, portal
from gatepass.cli.doctor.exchanges import line
from gatepass.cli.doctor.report import Fix, Options, Trouble
from gatepass.cli.exits import explain
from gatepass.errors import UnreachableError
from gatepass.protocol.urls import origin, shown

if TYPE_CHECKING:
    from gatepass.cli.doctor.case import Case
    from gatepass.errors import GatepassError

__all__ = ["call"]


def call(error: GatepassError, case: Case, status: int | None) -> Trouble:
    """Why the MCP server does not let us in with the token.

    Args:
        error: what the library says.
        case: the case.
        status: of the last answer, if one came.
    """
    if isinstance(error, UnreachableError):
        return lost(case, error, case.endpoint)
    if status == HTTPStatus.NETWORK_AUTHENTICATION_REQUIRED:
        return portal(shown(case.endpoint))
    if error.code == "insufficient_scope":
        return _more_scopes(error, case)
    if status == HTTPStatus.UNAUTHORIZED:
        return _token_refused(error, case)
    if status == HTTPStatus.FORBIDDEN:
        fix = Fix("Have the client allowed at the MCP server, and have it say why not (RFC 6750 §3.1).")
        return Trouble(id="forbidden", cause=explain(error), fix=fix)
    if status is not None and status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        cause = f"The MCP server fails by itself: {line(status)}."
        return Trouble(id="mcp_server_fails", cause=cause, fix=Fix("Look into its log."))
    return Trouble(id=error.code, cause=explain(error), fix=Fix("Check that the URL is that of the MCP endpoint."))


def _more_scopes(error: GatepassError, case: Case) -> Trouble:
    wanted = (case.refusal.scope if case.refusal else None) or ()
    scopes = " ".join(dict.fromkeys((*case.asked_scopes, *wanted)))
    if not wanted:
        return Trouble(id="insufficient_scope", cause=explain(error), fix=Fix("Ask for more.", {"scopes": "A B"}))
    options: Options = {"scopes": scopes}
    tried = case.gets_in(options)
    fix = Fix("Ask for those, too.", options, tried)
    return Trouble(id="insufficient_scope", cause=explain(error), fix=fix)


def _token_refused(error: GatepassError, case: Case) -> Trouble:
    """401 in spite of a token: the clock, the audience, or the server's own set-up."""
    skew = case.skews.get(origin(case.endpoint), 0.0)
    if abs(skew) >= WORTH_SAYING_S:
        return skewed("MCP server", skew, explain(error))
    if case.refusal is not None and case.refusal.scheme == "dpop" and case.proof_key is None:
        bind: Options = {"dpop": True}
        cause = f"{explain(error)} It wants tokens that are bound to a key (RFC 9449), which its metadata does not say."
        return Trouble(id="dpop_required", cause=cause, fix=Fix("Bind tokens to a key.", bind, case.gets_in(bind)))
    options: Options = {"audience": case.resource}
    if case.target.audience is None and case.gets_in(options):
        whom = f" The token is for {case.foreign}." if case.foreign else ""
        return Trouble(
            id="token_audience",
            cause=f"{explain(error)}{whom} The authorization server does not heed `resource` (RFC 8707), and looks for "
            "`audience`.",
            fix=Fix("Name the audience.", options, tried=True),
        )
    if case.foreign is not None:
        return Trouble(
            id="token_audience",
            cause=f"{explain(error)} The token is for {case.foreign}, and not for {shown(case.resource)}.",
            fix=Fix(
                "Have the authorization server heed `resource` (RFC 8707), or the MCP server registered "
                "there; or tell the MCP server to take that audience.",
            ),
        )
    return Trouble(
        id="token_not_accepted",
        cause=explain(error),
        fix=Fix("Look into the MCP server's log: does it know the issuer, and can it get its keys?"),
    )
