"""The one place that posts to a token endpoint: every grant goes through here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from gatepass.client_auth.base import listed
from gatepass.core.secret import Secret
from gatepass.core.value import Value
from gatepass.core.world import Notice
from gatepass.dpop import prove
from gatepass.errors import RemoteError
from gatepass.protocol.token import TokenResponse, build_token_request, clock_skew_s, parse_token_response
from gatepass.protocol.urls import origin

if TYPE_CHECKING:
    from gatepass.client_auth.base import ClientAuthentication
    from gatepass.core.http import Headers, HttpResponse
    from gatepass.core.world import Instant, World
    from gatepass.dpop import ProofKey
    from gatepass.errors import GatepassError
    from gatepass.grants.errand import Errand
    from gatepass.protocol.server import ServerMetadata
    from gatepass.protocol.token import Form

__all__ = ["Issued", "endpoint", "exchange", "keep_nonce", "suggests_a_move"]

_SKEW_WORTH_SAYING_S = 30.0
_MOVED_STATUSES = frozenset({301, 302, 303, 307, 308, 404, 405, 410})
_DATED = frozenset({"invalid_client", "invalid_grant", "invalid_dpop_proof"})
"""What is said of an assertion or a proof that the server's clock takes for old, or not yet made."""


class Issued(Value, frozen=True, kw_only=True):
    """A token response, the moment its request was sent, from which its lifetime counts, and the client it is for."""

    token: TokenResponse
    sent: Instant
    client_id: str | None = None


def exchange(
    world: World,
    client: ClientAuthentication,
    errand: Errand,
    form: Form,
    *,
    token_types: tuple[str, ...] | None = None,
) -> Issued:
    """Authenticate, send one token request and read the answer (RFC 6749 §3.2, §5).

    What the server does not offer is refused before anything secret is read. Where the server wants its nonce in the
    proof (RFC 9449 §8), the request is sent once more, with it.

    Args:
        world: the way out.
        client: how the client proves who it is.
        errand: the authorization server, and what the token is for.
        form: the grant's own parameters, with a `Secret` for each that must not be shown.
        token_types: what can be used; ``DPoP`` where there is a proof key, else ``Bearer``, if left out.

    Raises:
        ConfigurationError: the server offers no method that fits.
        RemoteError: the server refused, or answered with something that is not a token.
        UnreachableError: the server did not answer.
    """
    client.choose(errand.server)
    _warn_of_missing_grant(world, errand.server, str(dict(form)["grant_type"]))
    usable = token_types or (("DPoP",) if errand.proof_key else ("Bearer",))
    place = origin(endpoint(world, errand.server, "token_endpoint"))
    nonce = world.nonce(place)
    outcome = _ask(world, client, errand, form, usable)
    if isinstance(outcome, RemoteError) and outcome.error == "use_dpop_nonce" and errand.proof_key is not None:
        newer = world.nonce(place)
        if newer is not None and newer != nonce:
            outcome = _ask(world, client, errand, form, usable)
    if isinstance(outcome, RemoteError):
        raise outcome
    return outcome


def _ask(
    world: World,
    client: ClientAuthentication,
    errand: Errand,
    form: Form,
    token_types: tuple[str, ...],
) -> Issued | RemoteError:
    """One request, with credentials and a proof that no other one has carried."""
    url = endpoint(world, errand.server, "token_endpoint")
    credentials = client.authenticate(world, errand.server)
    request = build_token_request(
        endpoint=url,
        form=(*form, *credentials.form),
        headers=(*credentials.headers, *_proof(world, errand.proof_key, url)),
    )
    sent = world.now()
    response = world.send(request)
    received = world.now()
    keep_nonce(world, url, response)
    hide: tuple[str | Secret, ...] = (*credentials.hide, *(value for _, value in form if isinstance(value, Secret)))
    try:
        token = parse_token_response(response, now=received, token_types=token_types, hide=hide)
    except RemoteError as refusal:
        failure = refusal.again()
    else:
        return Issued(token=token, sent=sent, client_id=client.client_id or None)
    return _explain_skew(failure, clock_skew_s(response, received)) if failure.error in _DATED else failure


def endpoint(world: World, server: ServerMetadata, name: Literal["token_endpoint", "revocation_endpoint"]) -> str:
    """Where this client asks: one that shows a certificate may have an endpoint of its own (RFC 8705 §5)."""
    aliases = server.mtls_endpoint_aliases
    alias: str | None = getattr(aliases, name) if aliases is not None and world.certificate() is not None else None
    own: str | None = getattr(server, name)
    return alias or own or ""


def suggests_a_move(failure: GatepassError) -> bool:
    """Whether there is no token endpoint where one was: another page, or no server at all."""
    return failure.code == "unreachable" or (failure.status in _MOVED_STATUSES and failure.error is None)


def keep_nonce(world: World, url: str, response: HttpResponse) -> None:
    """The newest nonce wins, whatever the answer was (RFC 9449 §8.2)."""
    nonce = response.header("DPoP-Nonce")
    if nonce:
        world.keep_nonce(origin(url), nonce)


def _proof(world: World, key: ProofKey | None, url: str) -> Headers:
    if key is None:
        return ()
    return (("DPoP", prove(world, key, method="POST", url=url, nonce=world.nonce(origin(url)))),)


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
        text = f"{server.issuer} does not list the grant {grant_type} (it lists {listed(offered)}); asking anyway."
        world.notice(Notice(code="grant_not_listed", text=text, level="warning", once=True))
