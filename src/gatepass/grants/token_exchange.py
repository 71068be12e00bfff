"""Token exchange (RFC 8693), as far as enterprise-managed authorization needs it (SEP-990)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatepass.errors import RemoteError
from gatepass.grants.exchange import exchange

if TYPE_CHECKING:
    from gatepass.client_auth.base import ClientAuthentication
    from gatepass.core.secret import Secret
    from gatepass.core.world import World
    from gatepass.grants.errand import Errand
    from gatepass.protocol.token import Form

__all__ = ["ID_JAG", "TOKEN_EXCHANGE", "request_id_jag"]

TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"  # noqa: S105 - the name of a grant
ID_JAG = "urn:ietf:params:oauth:token-type:id-jag"
_NOT_APPLICABLE = "N_A"
"""The token type of what is no access token (RFC 8693 §2.2.1)."""


def request_id_jag(
    world: World,
    client: ClientAuthentication,
    errand: Errand,
    *,
    audience: str,
    subject_token: Secret,
    subject_token_type: str,
) -> Secret:
    """Ask an identity provider for a grant that speaks for one of its users at another authorization server.

    Args:
        world: the way out.
        client: the client, as the identity provider knows it.
        errand: what the access token will be for; its server is the identity provider.
        audience: the issuer of the other authorization server.
        subject_token: who the user is.
        subject_token_type: what that is, as a URN (RFC 8693 §3).

    Raises:
        ConfigurationError, RemoteError, UnreachableError: as `exchange` does.
        RemoteError: something else was issued (code ``issued_token_type_mismatch``).
    """
    form: Form = (
        ("grant_type", TOKEN_EXCHANGE),
        ("requested_token_type", ID_JAG),
        ("audience", audience),
        ("resource", errand.target.resource or errand.resource),
        *errand.scope,
        ("subject_token", subject_token),
        ("subject_token_type", subject_token_type),
    )
    token = exchange(world, client, errand, form, token_types=(_NOT_APPLICABLE,)).token
    if token.issued_token_type == ID_JAG:
        return token.access_token
    msg = (
        f"The identity provider {errand.server.issuer} issued something else than an ID-JAG: is it set up for SEP-990?"
    )
    raise RemoteError(msg, code="issued_token_type_mismatch", by="authorization_server")
