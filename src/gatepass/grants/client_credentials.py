"""The client credentials grant (RFC 6749 §4.4), with a resource indicator (RFC 8707)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatepass.grants.exchange import Issued, exchange
from gatepass.protocol.scope import format_scope

if TYPE_CHECKING:
    from gatepass.client_auth.base import ClientAuthentication
    from gatepass.core.target import Target
    from gatepass.core.world import World
    from gatepass.protocol.server import ServerMetadata

__all__ = ["request_client_credentials", "target_parameters"]


def request_client_credentials(
    world: World,
    client: ClientAuthentication,
    server: ServerMetadata,
    scopes: tuple[str, ...],
    target: Target,
    resource: str,
) -> Issued:
    """Ask for a token in the client's own name.

    Args:
        world: the way out.
        client: how the client proves who it is.
        server: the authorization server.
        scopes: what to ask for; none leaves it to the server.
        target: what this deployment wants besides.
        resource: the resource indicator that was discovered.

    Raises:
        ConfigurationError, RemoteError, UnreachableError: as `exchange` does.
    """
    scope = (("scope", format_scope(scopes)),) if scopes else ()
    form = (("grant_type", "client_credentials"), *scope, *target_parameters(target, resource))
    return exchange(world, client, server, form)


def target_parameters(target: Target, resource: str) -> tuple[tuple[str, str], ...]:
    """The parameters that say what the token is for (RFC 8707 §2.2), and what this deployment wants besides."""
    indicator = (("resource", target.resource or resource),) if target.send_resource else ()
    audience = (("audience", target.audience),) if target.audience is not None else ()
    return (*indicator, *audience, *target.extra)
