"""The grants that the authorization server knows, one file each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatepass.testing.grants import (
    authorization_code,
    client_credentials,
    jwt_bearer,
    refresh_token,
    token_exchange,
)

if TYPE_CHECKING:
    from gatepass.testing.token_request import GrantType

__all__ = ["GRANT_TYPES"]

GRANT_TYPES: dict[str, GrantType] = {
    grant.GRANT_TYPE.name: grant.GRANT_TYPE
    for grant in (client_credentials, authorization_code, refresh_token, jwt_bearer, token_exchange)
}
