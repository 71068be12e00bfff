"""Troubles with the MCP server: it is none, it is elsewhere, or it does not take the token (RFC 6750, RFC 9449 §7)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatepass.testing.gallery.recipe import recipe
from gatepass.testing.stage import SCOPE
from gatepass.testing.trouble import Trouble

if TYPE_CHECKING:
    from gatepass.testing.stage import Stage

__all__ = ["RECIPES"]

_TEN_MINUTES_S = 600.0
_MORE = "mcp:write"


@recipe("mcp_error", fault="configuration", mend="Give the client the full URL of the MCP endpoint.")
def wrong_path(stage: Stage) -> None:
    """There is nothing at the URL that the client was told (404)."""
    stage.mend = {"url": stage.url}
    stage.told["url"] = f"{stage.mcp_server.origin}/mcp-server"


@recipe("mcp_error", fault="configuration", mend="Give the client the full URL of the MCP endpoint.")
def not_an_mcp_server(stage: Stage) -> None:
    """There is a web page at the URL that the client was told."""
    stage.mcp_server.trouble = Trouble(body="html")


@recipe("mcp_error", fault="server", mend="Have the gateway let the MCP endpoint through: it has a gate of its own.")
def sign_in_in_front(stage: Stage) -> None:
    """A gateway in front of the MCP server redirects everybody to a sign-in page."""
    location = {"Location": "https://login.example.com/start"}
    everywhere = ("resource", "metadata")
    stage.mcp_server.trouble = Trouble(paths=everywhere, status=302, headers=location)


@recipe("mcp_error", fault="server", mend="Look into the MCP server's log.")
def mcp_server_fails(stage: Stage) -> None:
    """The MCP server answers 500."""
    stage.mcp_server.trouble = Trouble(status=500)


@recipe(
    "refused_by_resource",
    fault="server",
    error="invalid_token",
    mend="Look into the MCP server's log: does it know the issuer, and have its keys?",
)
def resource_always_401(stage: Stage) -> None:
    """The MCP server answers 401 to every token."""
    stage.mcp_server.reject_all = True


@recipe(
    "refused_by_resource",
    fault="server",
    mend="Have the client allowed at the MCP server; ask it to say why.",
)
def forbidden_without_a_reason(stage: Stage) -> None:
    """The MCP server answers 403, and does not say why."""
    stage.mcp_server.trouble = Trouble(status=403)


@recipe(
    "insufficient_scope",
    fault="configuration",
    error="insufficient_scope",
    mend="Tell the client the scopes that the MCP server wants.",
)
def missing_scope(stage: Stage) -> None:
    """The client was told fewer scopes than the MCP server wants."""
    stage.authorization_server.scopes = stage.mcp_server.scopes = (SCOPE, _MORE)
    stage.told["scopes"] = SCOPE
    stage.mend = {"scopes": f"{SCOPE} {_MORE}"}


@recipe(
    "refused_by_resource",
    fault="server",
    error="invalid_token",
    mend="Have the MCP server's clock set.",
)
def resource_clock_ahead(stage: Stage) -> None:
    """The MCP server's clock is ten minutes ahead, so that tokens of five minutes have expired when they arrive."""
    stage.mcp_server.trouble = Trouble(clock_offset_s=_TEN_MINUTES_S)


@recipe("dpop_required", fault="configuration", mend="Tell the client to bind its tokens to a key.")
def dpop_required(stage: Stage) -> None:
    """The MCP server takes only tokens that are bound to a key (DPoP)."""
    stage.authorization_server.dpop = "optional"
    stage.mcp_server.dpop = "required"
    stage.mend = {"dpop": True}


RECIPES = (
    wrong_path,
    not_an_mcp_server,
    sign_in_in_front,
    mcp_server_fails,
    resource_always_401,
    forbidden_without_a_reason,
    missing_scope,
    resource_clock_ahead,
    dpop_required,
)
