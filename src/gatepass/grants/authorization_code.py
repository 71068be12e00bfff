"""The authorization code grant with PKCE (RFC 6749 §4.1, RFC 7636, OAuth 2.1 §4.1): a person says yes, once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatepass.client_auth.base import listed
from gatepass.core.secret import Secret
from gatepass.errors import RemoteError
from gatepass.grants.exchange import Issued, exchange
from gatepass.protocol.authorization import (
    Asked,
    build_authorization_url,
    code_challenge,
    parse_authorization_response,
)
from gatepass.protocol.jwt import base64url

if TYPE_CHECKING:
    from gatepass.client_auth.base import ClientAuthentication
    from gatepass.core.world import Person, World
    from gatepass.grants.errand import Errand
    from gatepass.protocol.token import Form

__all__ = ["check_authorization_endpoint", "request_by_code"]


def check_authorization_endpoint(errand: Errand) -> str:
    """The authorization endpoint of a server that protects codes by PKCE.

    Raises:
        RemoteError: it has none (code ``authorization_endpoint_missing``), or does not offer S256 (``pkce_missing``).
    """
    server = errand.server
    if server.authorization_endpoint is None:
        msg = f"The authorization server {server.issuer} names no authorization endpoint that a person can be sent to."
        if errand.target.token_endpoint is not None:
            msg += " Leave token_endpoint=... out, so that its metadata is read."
        raise RemoteError(msg, code="authorization_endpoint_missing", by="authorization_server")
    offered = server.code_challenge_methods_supported
    if "S256" in (offered or ()):
        return server.authorization_endpoint
    says = f"offers {listed(offered)} only" if offered else "does not say so"
    msg = (
        f"The authorization server {server.issuer} must protect codes by PKCE with S256, and {says} "
        "(code_challenge_methods_supported): have its metadata corrected."
    )
    raise RemoteError(msg, code="pkce_missing", by="authorization_server")


def request_by_code(world: World, client: ClientAuthentication, errand: Errand, person: Person) -> Issued:
    """Send a person to the authorization server, and redeem the code that they come back with.

    Raises:
        SignInRequiredError: nobody is here to be asked; holds the URL.
        ConfigurationError, RemoteError, UnreachableError: as `exchange` does, and `parse_authorization_response`.
    """
    endpoint = check_authorization_endpoint(errand)
    client.choose(errand.server)
    server = errand.server
    asked = Asked(
        state=base64url(world.random_bytes(32)),
        issuer=server.issuer,
        iss_supported=server.authorization_response_iss_parameter_supported is True,
    )
    verifier = Secret(base64url(world.random_bytes(32)))
    key = errand.proof_key
    parameters = (
        ("response_type", "code"),
        ("client_id", client.client_id),
        ("redirect_uri", person.redirect_uri),
        ("state", asked.state),
        ("code_challenge", code_challenge(verifier.reveal())),
        ("code_challenge_method", "S256"),
        *((("dpop_jkt", key.thumbprint),) if key else ()),
        *errand.scope,
        *_consent(errand),
        *errand.purpose,
    )
    code = parse_authorization_response(person.ask(build_authorization_url(endpoint, parameters), asked.state), asked)
    form: Form = (
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", person.redirect_uri),
        ("code_verifier", verifier),
        *errand.purpose,
    )
    return exchange(world, client, errand, form)


def _consent(errand: Errand) -> tuple[tuple[str, str], ...]:
    """Offline access wants consent each time; without it, servers leave it out (OpenID Connect Core §11)."""
    chosen = "prompt" in dict(errand.target.extra)
    return (("prompt", "consent"),) if "offline_access" in errand.scopes and not chosen else ()
