"""How a token is obtained, whatever the way in: by the refresh token of the last one, or by the profile's own grant.

scopes to ask for -> errand -> grant -> (the token endpoint has moved? look again, once)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatepass.core.world import Notice
from gatepass.discovery import Discovery, discover
from gatepass.errors import GatepassError, RemoteError, UnreachableError
from gatepass.grants.errand import Errand
from gatepass.grants.exchange import suggests_a_move
from gatepass.grants.refresh_token import request_refresh
from gatepass.profiles.base import Known, Obtained
from gatepass.protocol.scope import select, union

if TYPE_CHECKING:
    from collections.abc import Callable

    from gatepass.core.secret import Secret
    from gatepass.core.world import World
    from gatepass.grants.exchange import Issued
    from gatepass.profiles.base import Profile

__all__ = ["obtain", "renew", "scopes_wanted"]

_JUST_NOW_S = 5.0
_BAD_REQUEST = 400
"""How a server refuses a grant that has no words for it (RFC 6749 §5.2)."""
_OF_THE_PROOF = frozenset({"invalid_dpop_proof", "use_dpop_nonce"})
"""What says nothing about the refresh token that came with the proof (RFC 9449 §5, §8)."""


def obtain(world: World, profile: Profile, known: Known) -> Obtained:
    """A token by the profile's own grant.

    Raises:
        GatepassError: as `Profile.grant` does.
    """

    def grant(errand: Errand) -> Issued:
        return profile.grant(world, errand)

    return _wherever_it_is(world, known, grant)


def renew(
    world: World, profile: Profile, known: Known, refresh_token: Secret, client_id: str | None
) -> Obtained | None:
    """A token by the refresh token of the last one (RFC 6749 §6); None if that is refused and must not be used again.

    Args:
        world: the way out.
        profile: the way in.
        known: what is known before.
        refresh_token: what to ask by.
        client_id: the client that it was issued to, which is the only one that may use it.

    Raises:
        GatepassError: the server did not answer, or refuses the client itself.
    """
    client = profile.client_of(world, known.discovery.server, client_id)
    if client is None:
        return None

    def grant(errand: Errand) -> Issued:
        return request_refresh(world, client, errand, refresh_token)

    try:
        return _wherever_it_is(world, known, grant)
    except RemoteError as problem:
        refusal = problem.again()
    disowned = refusal.error == "invalid_client" and profile.disowned(world, known.discovery.server, client_id)
    said_no = refusal.error is not None or refusal.status == _BAD_REQUEST
    if refusal.retryable or not said_no or refusal.error in _OF_THE_PROOF:
        raise refusal
    if refusal.error == "invalid_client" and not disowned:
        raise refusal
    text = f"The refresh token is refused, and is not used again. {refusal}"
    world.notice(Notice(code="refresh_refused", text=text, level="warning"))
    return None


def scopes_wanted(known: Known) -> tuple[str, ...]:
    """The scopes to ask for: the pinned, challenged or supported ones, and those that were stepped up to."""
    challenged = known.challenge.scope if known.challenge else None
    return union(select(known.target.scopes, challenged, known.discovery.scopes_supported), known.stepped)


def _wherever_it_is(world: World, known: Known, grant: Callable[[Errand], Issued]) -> Obtained:
    try:
        return _obtained(known, known.discovery, grant)
    except (RemoteError, UnreachableError) as problem:
        failure = problem.again()
    if not suggests_a_move(failure) or world.now().wall - known.discovery.fetched_at < _JUST_NOW_S:
        raise failure
    return _after_a_move(world, known, grant, failure)


def _obtained(known: Known, discovery: Discovery, grant: Callable[[Errand], Issued]) -> Obtained:
    scopes = scopes_wanted(known)
    errand = Errand(
        target=known.target,
        server=discovery.server,
        resource=discovery.resource,
        scopes=scopes,
        proof_key=known.proof_key,
        awaited=known.awaited,
    )
    return Obtained(issued=grant(errand), requested=scopes, discovery=discovery)


def _after_a_move(world: World, known: Known, grant: Callable[[Errand], Issued], failure: GatepassError) -> Obtained:
    """What was remembered led nowhere: the token endpoint may have moved since."""
    before = known.discovery.server
    try:
        discovery = discover(world, known.target, known.challenge)
    except GatepassError:  # it is all gone: what failed first says more
        discovery = known.discovery
    if discovery.server.token_endpoint == before.token_endpoint or discovery.server.issuer != before.issuer:
        raise failure
    text = f"The token endpoint of {before.issuer} has moved to {discovery.server.token_endpoint}."
    world.notice(Notice(code="token_endpoint_moved", text=text, level="warning"))
    return _obtained(known, discovery, grant)
