"""Troubles on the way to the token endpoint: challenge, resource metadata, server metadata (RFC 9728, RFC 8414)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatepass.testing.gallery.recipe import recipe
from gatepass.testing.protected_server import ProtectedServer
from gatepass.testing.trouble import Trouble

if TYPE_CHECKING:
    from gatepass.testing.stage import Stage

__all__ = ["RECIPES"]


@recipe(fault="server", mend="Nothing has to: the metadata is looked for at its well-known address.")
def no_challenge(stage: Stage) -> None:
    """The MCP server's 401 has no `WWW-Authenticate` header."""
    stage.mcp_server.challenge = None


@recipe(
    "issuer_unknown",
    fault="server",
    mend="Tell the client the issuer; have the resource metadata published.",
)
def no_resource_metadata(stage: Stage) -> None:
    """The MCP server publishes no resource metadata, and the client was told no issuer."""
    stage.mcp_server.metadata = "none"
    stage.mend = {"issuer": stage.told.pop("issuer")}


@recipe(
    "resource_metadata_origin",
    fault="server",
    mend="Allow that origin, if it is right; else have the metadata served by the MCP server itself.",
)
def resource_metadata_elsewhere(stage: Stage) -> None:
    """The challenge says that the resource metadata is on another origin."""
    elsewhere = ProtectedServer(stage.authorization_server)
    elsewhere.trouble = Trouble(paths=("metadata",), replace={"resource": stage.url})
    stage.servers.append(elsewhere)
    stage.mcp_server.metadata_at = elsewhere.metadata_url
    stage.mend = {"allow_metadata_origin": elsewhere.origin}


@recipe(
    "resource_mismatch",
    fault="server",
    mend="Have `resource` corrected, which proxies often spoil; until then tell the client the token endpoint.",
)
def resource_mismatch(stage: Stage) -> None:
    """The resource metadata is that of another URL, such as the one behind a reverse proxy."""
    stage.mcp_server.trouble = Trouble(paths=("metadata",), replace={"resource": "http://backend:8080/mcp"})
    stage.mend = {"token_endpoint": stage.authorization_server.token_endpoint}


@recipe(
    "no_authorization_server",
    fault="server",
    mend="Have `authorization_servers` added; until then tell the client the token endpoint.",
)
def no_authorization_servers(stage: Stage) -> None:
    """The resource metadata names no authorization server."""
    stage.mcp_server.trouble = Trouble(paths=("metadata",), without=("authorization_servers",))
    stage.mend = {"token_endpoint": stage.authorization_server.token_endpoint}


@recipe(
    "issuer_not_listed",
    fault="configuration",
    mend="Tell the client the issuer that is listed, if that is where it is registered.",
)
def wrong_issuer(stage: Stage) -> None:
    """The client was told another issuer than the one that the MCP server lists."""
    stage.mend = {"issuer": stage.authorization_server.issuer}
    stage.told["issuer"] = "https://login.example.com"


@recipe(
    "issuer_mismatch",
    fault="server",
    mend="Have the two written alike; until then tolerate the slash.",
)
def issuer_with_trailing_slash(stage: Stage) -> None:
    """The MCP server lists the issuer with a slash at its end, and the issuer calls itself by its name without one."""
    issuer = f"{stage.authorization_server.issuer}/"
    stage.mcp_server.trouble = Trouble(paths=("metadata",), replace={"authorization_servers": [issuer]})
    stage.told["issuer"] = issuer
    stage.mend = {"tolerate_issuer_slash": True}


@recipe(
    "issuer_mismatch",
    fault="server",
    mend="Have the issuer's public name configured there; until then tell the client the token endpoint.",
)
def metadata_of_another_issuer(stage: Stage) -> None:
    """The authorization server calls itself by another name in its metadata, such as that of an inner network."""
    issuer = "https://auth.internal:8443"
    stage.authorization_server.trouble = Trouble(paths=("metadata",), replace={"issuer": issuer})
    stage.mend = {"token_endpoint": stage.authorization_server.token_endpoint}


@recipe(
    "server_metadata_missing",
    fault="server",
    mend="Check the issuer; or tell the client the token endpoint.",
)
def no_server_metadata(stage: Stage) -> None:
    """The authorization server publishes no metadata."""
    stage.authorization_server.metadata = "none"
    stage.mend = {"token_endpoint": stage.authorization_server.token_endpoint}


@recipe(
    "server_metadata_missing",
    fault="server",
    mend="Have the well-known addresses answered without a sign-in; or tell the client the token endpoint.",
)
def metadata_is_a_login_page(stage: Stage) -> None:
    """Where the authorization server's metadata should be, there is a sign-in page."""
    stage.authorization_server.trouble = Trouble(paths=("metadata",), body="html")
    stage.mend = {"token_endpoint": stage.authorization_server.token_endpoint}


@recipe(
    "server_metadata_invalid",
    fault="server",
    mend="Have the document corrected; until then tell the client the token endpoint.",
)
def metadata_is_broken(stage: Stage) -> None:
    """The authorization server's metadata is JSON that breaks off."""
    stage.authorization_server.trouble = Trouble(paths=("metadata",), body="broken_json")
    stage.mend = {"token_endpoint": stage.authorization_server.token_endpoint}


@recipe("metadata_unavailable", fault="server", mend="Try again later.")
def metadata_busy(stage: Stage) -> None:
    """The authorization server answers 503 where its metadata should be."""
    stage.authorization_server.trouble = Trouble(paths=("metadata",), status=503)


@recipe("token_endpoint_missing", fault="server", mend="Tell the client the token endpoint.")
def token_endpoint_missing(stage: Stage) -> None:
    """The authorization server's metadata has no `token_endpoint`."""
    stage.authorization_server.trouble = Trouble(paths=("metadata",), without=("token_endpoint",))
    stage.mend = {"token_endpoint": stage.authorization_server.token_endpoint}


@recipe(
    "endpoint_origin",
    fault="server",
    mend="Tell the client the issuer: whom it trusts may have its token endpoint anywhere.",
)
def token_endpoint_elsewhere(stage: Stage) -> None:
    """The token endpoint is on another origin than its issuer, and the client was told no issuer."""
    elsewhere = stage.authorization_server.token_endpoint.replace("127.0.0.1", "localhost")
    stage.authorization_server.trouble = Trouble(paths=("metadata",), replace={"token_endpoint": elsewhere})
    stage.mend = {"issuer": stage.told.pop("issuer")}


@recipe(
    "insecure_endpoint",
    fault="server",
    mend="Have an https URL put there: behind a proxy, the server has to be told its public one.",
)
def token_endpoint_in_the_clear(stage: Stage) -> None:
    """The authorization server's metadata names a token endpoint that is http, and not on this machine."""
    clear = "http://auth.example.com/token"
    stage.authorization_server.trouble = Trouble(paths=("metadata",), replace={"token_endpoint": clear})
    stage.mend = {"token_endpoint": stage.authorization_server.token_endpoint}


RECIPES = (
    no_challenge,
    no_resource_metadata,
    resource_metadata_elsewhere,
    resource_mismatch,
    no_authorization_servers,
    wrong_issuer,
    issuer_with_trailing_slash,
    metadata_of_another_issuer,
    no_server_metadata,
    metadata_is_a_login_page,
    metadata_is_broken,
    metadata_busy,
    token_endpoint_missing,
    token_endpoint_elsewhere,
    token_endpoint_in_the_clear,
)
