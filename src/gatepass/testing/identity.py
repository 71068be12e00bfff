"""Who a person is, by the word of an identity provider: OpenID Connect Core §2, or SAML that nobody takes apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatepass.testing.assertions import audiences, normal_typ, time_fault
from gatepass.testing.jose import InvalidJwtError, read_header
from gatepass.testing.refusal import Refusal

if TYPE_CHECKING:
    from gatepass.testing.authorization_server import AuthorizationServer

__all__ = ["ID_TOKEN", "SAML2", "new_id_token", "subject_of"]

ID_TOKEN = "urn:ietf:params:oauth:token-type:id_token"  # noqa: S105 - a type, no token
SAML2 = "urn:ietf:params:oauth:token-type:saml2"


def new_id_token(server: AuthorizationServer, subject: str, client_id: str, lifetime_s: float) -> str:
    """An ID token: the person signed in, at that client."""
    now = server.now()
    claims = {"iss": server.issuer, "sub": subject, "aud": client_id, "iat": int(now), "exp": int(now + lifetime_s)}
    return server.books.mint.sign(claims, typ="JWT")


def subject_of(server: AuthorizationServer, token: str, token_type: str, client_id: str) -> str:
    """The person that a subject token stands for.

    Raises:
        Refusal: ``invalid_grant``: it is not ours, has ended, or was made for another client.
    """
    if token_type == SAML2:
        subject = server.books.saml_assertions.get(token)
        if subject is None:
            raise _refused("the SAML assertion is unknown")
        return subject
    try:
        claims = server.books.mint.read(token)
        typ = normal_typ(read_header(token))
    except InvalidJwtError as error:
        raise _refused(str(error)) from None
    if typ != "jwt" or claims.get("iss") != server.issuer:
        raise _refused("it is not an ID token of this server")
    if audiences(claims) != (client_id,):
        raise _refused("aud is another client")
    fault = time_fault(claims, now=server.now())
    if fault is not None:
        raise _refused(fault)
    return str(claims["sub"])


def _refused(fault: str) -> Refusal:
    return Refusal("invalid_grant", f"the subject token is refused: {fault}")
