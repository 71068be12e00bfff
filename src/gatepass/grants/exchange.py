"""The one place that posts to a token endpoint: every grant goes through here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatepass.core.value import Value
from gatepass.core.world import Notice
from gatepass.errors import RemoteError
from gatepass.protocol.token import TokenResponse, build_token_request, clock_skew_s, parse_token_response

if TYPE_CHECKING:
    from gatepass.client_auth.base import ClientAuthentication
    from gatepass.core.world import Instant, World
    from gatepass.protocol.server import ServerMetadata

__all__ = ["Issued", "exchange"]

_SKEW_WORTH_SAYING_S = 30.0
_USABLE = ("Bearer",)
"""A token that is bound to a key (RFC 9449) is of no use without proofs."""


class Issued(Value, frozen=True, kw_only=True):
    """A token response and the moment its request was sent, from which its lifetime counts."""

    token: TokenResponse
    sent: Instant


def exchange(
    world: World, client: ClientAuthentication, server: ServerMetadata, form: tuple[tuple[str, str], ...]
) -> Issued:
    """Authenticate, send one token request and read the answer (RFC 6749 §3.2, §5).

    What the server does not offer is refused before anything secret is read.

    Args:
        world: the way out.
        client: how the client proves who it is.
        server: the authorization server.
        form: the grant's own parameters.

    Raises:
        ConfigurationError: the server offers no method that fits.
        RemoteError: the server refused, or answered with something that is not a token.
        UnreachableError: the server did not answer.
    """
    client.choose(server)
    _warn_of_missing_grant(world, server, dict(form)["grant_type"])
    credentials = client.authenticate(world, server)
    request = build_token_request(
        endpoint=server.token_endpoint or "", form=(*form, *credentials.form), headers=credentials.headers
    )
    sent = world.now()
    response = world.send(request)
    received = world.now()
    try:
        token = parse_token_response(response, now=received, token_types=_USABLE, hide=credentials.hide)
    except RemoteError as refusal:
        failure = refusal.again()
    else:
        return Issued(token=token, sent=sent)
    if failure.error in {"invalid_client", "invalid_grant"}:
        failure = _explain_skew(failure, clock_skew_s(response, received))
    raise failure


def _explain_skew(refusal: RemoteError, skew_s: float | None) -> RemoteError:
    """An assertion is refused by a server whose clock differs: then the clocks, not the key, are to be mended."""
    if skew_s is None or abs(skew_s) < _SKEW_WORTH_SAYING_S:
        return refusal
    side = "ahead of" if skew_s > 0 else "behind"
    said = f"{refusal} The server's clock is {abs(skew_s):.0f} s {side} this machine's, which may be the reason."
    explained = refusal.again()
    explained.args = (said,)
    return explained


def _warn_of_missing_grant(world: World, server: ServerMetadata, grant_type: str) -> None:
    offered = server.grant_types_supported
    if offered is not None and grant_type not in offered:
        text = f"{server.issuer} does not list the grant {grant_type} (it lists {', '.join(offered)}); asking anyway."
        world.notice(Notice(code="grant_not_listed", text=text, level="warning", once=True))
