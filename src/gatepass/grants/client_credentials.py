"""The client credentials grant (RFC 6749 §4.4), with a resource indicator (RFC 8707)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatepass.grants.exchange import Issued, exchange

if TYPE_CHECKING:
    from gatepass.client_auth.base import ClientAuthentication
    from gatepass.core.world import World
    from gatepass.grants.errand import Errand

__all__ = ["request_client_credentials"]


def request_client_credentials(world: World, client: ClientAuthentication, errand: Errand) -> Issued:
    """Ask for a token in the client's own name.

    Raises:
        ConfigurationError, RemoteError, UnreachableError: as `exchange` does.
    """
    form = (("grant_type", "client_credentials"), *errand.scope, *errand.purpose)
    return exchange(world, client, errand, form)
