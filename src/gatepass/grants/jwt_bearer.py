"""The JWT bearer grant (RFC 7523 §2.1): a JWT that somebody else signed is what a token is given for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatepass.grants.exchange import Issued, exchange

if TYPE_CHECKING:
    from gatepass.client_auth.base import ClientAuthentication
    from gatepass.core.secret import Secret
    from gatepass.core.world import World
    from gatepass.grants.errand import Errand
    from gatepass.protocol.token import Form

__all__ = ["JWT_BEARER", "request_jwt_bearer"]

JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"


def request_jwt_bearer(world: World, client: ClientAuthentication, errand: Errand, assertion: Secret) -> Issued:
    """Ask for a token in the name of whoever the assertion speaks for.

    Raises:
        ConfigurationError, RemoteError, UnreachableError: as `exchange` does.
    """
    form: Form = (("grant_type", JWT_BEARER), ("assertion", assertion), *errand.scope, *errand.purpose)
    return exchange(world, client, errand, form)
