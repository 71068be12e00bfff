"""The refresh token grant (RFC 6749 §6)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from gatepass.grants.exchange import Issued, exchange

if TYPE_CHECKING:
    from gatepass.client_auth.base import ClientAuthentication
    from gatepass.core.secret import Secret
    from gatepass.core.world import World
    from gatepass.grants.errand import Errand
    from gatepass.protocol.token import Form

__all__ = ["request_refresh"]


def request_refresh(world: World, client: ClientAuthentication, errand: Errand, refresh_token: Secret) -> Issued:
    """Ask for the next token by the refresh token of the last one.

    No scope is sent: what was granted is renewed as it is. Where the answer has no new refresh token, the old one stays
    in use; where it has one, the old one is spent.

    Raises:
        ConfigurationError, RemoteError, UnreachableError: as `exchange` does.
    """
    form: Form = (("grant_type", "refresh_token"), ("refresh_token", refresh_token), *errand.purpose)
    issued = exchange(world, client, errand, form)
    if issued.token.refresh_token is not None:
        return issued
    token = msgspec.structs.replace(issued.token, refresh_token=refresh_token)
    return msgspec.structs.replace(issued, token=token)
