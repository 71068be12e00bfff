"""Revoking a token (RFC 7009): the end of what a grant began."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from gatepass.grants.exchange import endpoint
from gatepass.protocol.revocation import build_revocation_request, revocation_refusal

if TYPE_CHECKING:
    from gatepass.client_auth.base import ClientAuthentication
    from gatepass.core.secret import Secret
    from gatepass.core.world import World
    from gatepass.errors import RemoteError
    from gatepass.protocol.server import ServerMetadata

__all__ = ["revoke"]


def revoke(
    world: World,
    client: ClientAuthentication,
    server: ServerMetadata,
    token: Secret,
    hint: Literal["access_token", "refresh_token"],
) -> None:
    """Have a token revoked. That the server never knew it is no failure (RFC 7009 §2.2).

    Raises:
        RemoteError: the server refused (code ``revocation_refused``), or is in trouble (retryable).
        UnreachableError: the server did not answer.
    """
    url = endpoint(world, server, "revocation_endpoint")
    credentials = client.authenticate(world, server)
    request = build_revocation_request(
        endpoint=url,
        token=token,
        hint=hint,
        form=credentials.form,
        headers=credentials.headers,
    )
    refusal: RemoteError | None = revocation_refusal(
        world.send(request), now=world.now(), hide=(*credentials.hide, token)
    )
    if refusal is not None:
        raise refusal
