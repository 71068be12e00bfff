"""JWTs as proof of who the client is (RFC 7523 §2.2): whom they are for, and how they travel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatepass.client_auth.base import Credentials

if TYPE_CHECKING:
    from gatepass.protocol.server import ServerMetadata

__all__ = ["ASSERTION_TYPE", "assertion_audience", "assertion_credentials"]

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


def assertion_audience(server: ServerMetadata, audience: str) -> str:
    """Whom an assertion is made for: ``"issuer"`` and ``"token_endpoint"`` mean the server's, all else itself.

    Without an issuer, when only a token endpoint was configured, it is the token endpoint.
    """
    if audience == "issuer":
        return server.issuer or server.token_endpoint or ""
    if audience == "token_endpoint":
        return server.token_endpoint or server.issuer
    return audience


def assertion_credentials(assertion: str, *, client_id: str | None = None) -> Credentials:
    """The parameters of RFC 7521 §4.2, with `client_id` among them if given."""
    form = (("client_assertion_type", ASSERTION_TYPE), ("client_assertion", assertion))
    return Credentials(form=form if client_id is None else (("client_id", client_id), *form), hide=(assertion,))
