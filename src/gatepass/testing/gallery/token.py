"""Troubles with the token: what is asked for, and what comes back (RFC 6749 §5, RFC 8707)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatepass.testing.gallery.recipe import recipe
from gatepass.testing.stage import SCOPE
from gatepass.testing.trouble import Trouble

if TYPE_CHECKING:
    from gatepass.testing.stage import Stage

__all__ = ["RECIPES"]

_SLOW_S = 0.5
_PATIENCE_S = 0.5


@recipe(
    "token_refused",
    fault="server",
    error="unsupported_grant_type",
    mend="Have the grant switched on; a server that has none can't let programs in.",
)
def no_client_credentials_grant(stage: Stage) -> None:
    """The authorization server does not know client credentials, only people."""
    stage.authorization_server.client_credentials = False


@recipe(
    "token_refused",
    fault="server",
    error="invalid_scope",
    mend="Tell the client the scopes that it may have.",
)
def invalid_scope(stage: Stage) -> None:
    """The MCP server asks for a scope that the authorization server does not have."""
    stage.mcp_server.challenge = ("resource_metadata",)
    stage.mcp_server.scopes_supported = (SCOPE, "openid")
    stage.mend = {"scopes": SCOPE}


@recipe(
    "token_refused",
    fault="server",
    error="invalid_request",
    mend="Tell the client to leave the parameter out.",
)
def resource_parameter_refused(stage: Stage) -> None:
    """The authorization server refuses requests with a `resource` parameter, which it does not know."""
    stage.authorization_server.resource = "refused"
    stage.authorization_server.default_resource = stage.mcp_server.url
    stage.mend = {"no_resource_indicator": True}


@recipe(
    "token_refused",
    fault="server",
    error="invalid_target",
    mend="Have the MCP server registered at the authorization server, under its URL.",
)
def resource_unknown(stage: Stage) -> None:
    """The authorization server does not know the MCP server."""
    stage.authorization_server.resources = frozenset()


@recipe(
    "refused_by_resource",
    fault="server",
    error="invalid_token",
    mend="Tell the client the audience to ask for.",
)
def audience_parameter_wanted(stage: Stage) -> None:
    """The authorization server ignores `resource` and looks for `audience`; the token is for nobody in particular."""
    stage.authorization_server.resource = "audience"
    stage.mend = {"audience": stage.mcp_server.url}


@recipe(
    "refused_by_resource",
    fault="server",
    error="invalid_token",
    mend="Have the authorization server heed `resource`; or the MCP server take what it issues.",
)
def wrong_audience(stage: Stage) -> None:
    """The authorization server issues every token for the same audience, and the MCP server wants its own."""
    stage.authorization_server.resource = "ignored"
    stage.authorization_server.default_resource = "https://api.example.com"


@recipe(fault="server", mend="Nothing has to: how long it lives is found out by using it.")
def token_without_expiry(stage: Stage) -> None:
    """The token response has no `expires_in`."""
    stage.authorization_server.expires_in = "missing"


@recipe(fault="server", mend="Nothing has to: a number is a number.")
def expiry_is_text(stage: Stage) -> None:
    """The token response has `expires_in` as a string."""
    stage.authorization_server.expires_in = "string"


@recipe(
    "token_response_invalid",
    fault="server",
    mend="Have `token_type` corrected to `Bearer`.",
)
def token_type_unknown(stage: Stage) -> None:
    """The token response has a `token_type` that nobody knows."""
    stage.authorization_server.trouble = Trouble(replace={"token_type": "access_token"})


@recipe(
    "token_refused",
    fault="server",
    error="invalid_client",
    mend="What the error says; the status is the server's mistake.",
)
def refusal_with_status_200(stage: Stage) -> None:
    """The token endpoint answers 200 with an error in it."""
    body = {"error": "invalid_client", "error_description": "The client_id or client_secret is incorrect."}
    stage.authorization_server.trouble = Trouble(body=body)


@recipe(
    "token_response_invalid",
    fault="server",
    mend="Is it the token endpoint, or a proxy's page in front of it?",
)
def token_response_is_a_page(stage: Stage) -> None:
    """The token endpoint answers 200 with a web page."""
    stage.authorization_server.trouble = Trouble(body="html")


@recipe(
    "token_refused",
    fault="server",
    mend="Tell the client the right token endpoint; have the metadata corrected.",
)
def token_endpoint_wrong(stage: Stage) -> None:
    """The metadata names a token endpoint where there is none (404)."""
    wrong = stage.authorization_server.endpoint("oauth/token")
    stage.authorization_server.trouble = Trouble(paths=("metadata",), replace={"token_endpoint": wrong})
    stage.mend = {"token_endpoint": stage.authorization_server.token_endpoint}


@recipe(
    "token_refused",
    fault="server",
    mend="Have the URL that it leads to published, often the https one: credentials follow no redirect.",
)
def token_endpoint_redirects(stage: Stage) -> None:
    """The token endpoint redirects, from http to https, or to another name."""
    location = {"Location": "https://auth.example.com/token"}
    stage.authorization_server.trouble = Trouble(status=308, headers=location)


@recipe("token_endpoint_busy", fault="server", mend="Try again later.")
def token_endpoint_busy(stage: Stage) -> None:
    """The token endpoint answers 503."""
    stage.authorization_server.trouble = Trouble(status=503)


@recipe(
    "token_endpoint_busy",
    fault="server",
    mend="Wait for as long as it says; share tokens between processes, with a store.",
)
def rate_limited(stage: Stage) -> None:
    """The token endpoint answers 429, and wants a minute's peace."""
    stage.authorization_server.trouble = Trouble(status=429, retry_after=60)


@recipe("timeout", "deadline", fault="server", mend="Try again; see whether the server is well.")
def token_endpoint_hangs(stage: Stage) -> None:
    """The token endpoint never answers."""
    stage.authorization_server.trouble = Trouble(connection="hang")
    stage.told["timeout"] = _PATIENCE_S


@recipe("connection_broken", fault="network", mend="Try again; look at what lies between.")
def token_endpoint_resets(stage: Stage) -> None:
    """The connection to the token endpoint is reset in the middle of a request."""
    stage.authorization_server.trouble = Trouble(connection="reset")


@recipe(fault="server", mend="Nothing has to: a token is renewed before it is needed.")
def token_endpoint_slow(stage: Stage) -> None:
    """The token endpoint takes its time."""
    stage.authorization_server.trouble = Trouble(delay_s=_SLOW_S)


RECIPES = (
    no_client_credentials_grant,
    invalid_scope,
    resource_parameter_refused,
    resource_unknown,
    audience_parameter_wanted,
    wrong_audience,
    token_without_expiry,
    expiry_is_text,
    token_type_unknown,
    refusal_with_status_200,
    token_response_is_a_page,
    token_endpoint_wrong,
    token_endpoint_redirects,
    token_endpoint_busy,
    rate_limited,
    token_endpoint_hangs,
    token_endpoint_resets,
    token_endpoint_slow,
)
