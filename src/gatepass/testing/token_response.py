"""The successful answer of the token endpoint: RFC 6749 §5.1."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatepass.testing.bindings import UNBOUND

if TYPE_CHECKING:
    from gatepass.testing.authorization_server import AuthorizationServer
    from gatepass.testing.grant import Grant
    from gatepass.testing.token_request import TokenRequest

__all__ = ["access_token_response", "lifetime", "token_response"]


def token_response(request: TokenRequest, grant: Grant) -> dict[str, object]:
    """A new access token, and a refresh token if the server issues them and the client may use one."""
    response = access_token_response(request, grant)
    if request.server.refresh_tokens != "none" and request.client.may_use("refresh_token"):
        # Client authentication binds it well enough; without, the key has to (RFC 9449 §5, RFC 8705 §4).
        binding = request.binding if request.client.public else UNBOUND
        response["refresh_token"] = request.server.books.refresh_tokens.issue(grant, binding).value
    return response


def access_token_response(request: TokenRequest, grant: Grant) -> dict[str, object]:
    """A new access token, bound to what the request showed."""
    server = request.server
    token = server.books.mint.issue(
        grant,
        binding=request.binding,
        now=server.now(),
        lifetime_s=server.token_lifetime_s,
        token_format=server.token_format,
    )
    granted = " ".join(grant.scopes)
    response: dict[str, object] = {
        "access_token": token.value,
        "token_type": "Bearer" if request.binding.jkt is None else "DPoP",
        **lifetime(server, server.token_lifetime_s),
    }
    if granted and (server.scope_in_response == "always" or granted != request.form.get("scope")):
        response["scope"] = granted
    return response


def lifetime(server: AuthorizationServer, seconds: float) -> dict[str, object]:
    """How the server says how long something lives."""
    if server.expires_in == "missing":
        return {}
    whole = int(seconds)
    return {"expires_in": {"integer": whole, "number": seconds, "string": str(whole)}[server.expires_in]}
