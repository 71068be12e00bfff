"""The case: who wants to get in where, and what is known of the way so far."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gatepass.cli.doctor.reach import Reached, reach
from gatepass.profiles.base import Known
from gatepass.profiles.client_credentials import ClientCredentials
from gatepass.profiles.obtain import scopes_wanted
from gatepass.profiles.workload_identity import WorkloadIdentity
from gatepass.protocol.urls import origin

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping

    from gatepass.cli.access import Access
    from gatepass.cli.doctor.overhear import Overheard
    from gatepass.client_auth.base import ClientAuthentication
    from gatepass.core.target import Target
    from gatepass.discovery import Discovery
    from gatepass.dpop import ProofKey
    from gatepass.engine.source import Source
    from gatepass.profiles.base import Obtained, Profile
    from gatepass.protocol.challenge import ResourceChallenge
    from gatepass.protocol.resource import ResourceMetadata
    from gatepass.protocol.server import ServerMetadata

__all__ = ["Case"]


@dataclass(kw_only=True)
class Case:
    """What the steps know and find out.

    Attributes:
        access: the way in, as it is configured.
        world: the way out, overheard.
        trust: by which certificates are checked.
        timeout_s: how long to wait for one answer.
        anonymous: nobody said who the client is, so that no token is asked for.
        gets_in: tries the whole way with some options changed; whether it led in.
        reached: how far one got to each origin.
        algorithms: what the client's key can sign with.
        challenge: what the MCP server asks for.
        metadata: what the resource says of itself, whether or not that is to be trusted.
        discovery: what the library found, by its own rules. Without it no credential leaves this machine.
        issuer: the authorization server that is looked at.
        server: what that says of itself, whether or not that is to be trusted.
        proof_key: what the token is to be bound to.
        barred: why no token can be asked for, though a server is found.
        obtained: the token.
        foreign: whom the token is for, if that is not the MCP server.
        refusal: what the MCP server said to the token.
        skews: by how many seconds the clock of each origin is ahead of ours.
    """

    access: Access
    anonymous: bool = False
    world: Overheard
    trust: ssl.SSLContext
    timeout_s: float
    gets_in: Callable[[Mapping[str, str | bool]], bool]
    reached: dict[str, Reached] = field(default_factory=dict[str, Reached])
    algorithms: tuple[str, ...] = ()
    challenge: ResourceChallenge | None = None
    metadata: ResourceMetadata | None = None
    discovery: Discovery | None = None
    issuer: str | None = None
    server: ServerMetadata | None = None
    proof_key: ProofKey | None = None
    barred: str | None = None
    obtained: Obtained | None = None
    foreign: str | None = None
    refusal: ResourceChallenge | None = None
    skews: dict[str, float] = field(default_factory=dict[str, float])

    @property
    def source(self) -> Source:
        """The engine behind the way in."""
        return self.access.auth._source  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  # of our own house

    @property
    def target(self) -> Target:
        """What is configured of the resource and the authorization server."""
        return self.source.target

    @property
    def profile(self) -> Profile:
        """How the client gets in."""
        return self.source.profile

    @property
    def client(self) -> ClientAuthentication | None:
        """How the client proves who it is, if it has to."""
        profile = self.profile
        return profile.client if isinstance(profile, ClientCredentials | WorkloadIdentity) else None

    @property
    def endpoint(self) -> str:
        """The MCP endpoint."""
        return self.target.endpoint

    @property
    def configured(self) -> bool:
        """Issuer and token endpoint are both given, so that nothing is discovered."""
        return self.target.issuer is not None and self.target.token_endpoint is not None

    def reach(self, url: str) -> Reached:
        """How far one gets to the origin of a URL, which is looked at once."""
        there = origin(url)
        if there not in self.reached:
            proxy = self.access.said.way.proxy
            self.reached[there] = reach(there, trust=self.trust, proxy=proxy, timeout_s=self.timeout_s)
        return self.reached[there]

    @property
    def known(self) -> Known | None:
        """All that is known before a token is asked for; None if the library found no way."""
        found = self.discovery
        if found is None:
            return None
        return Known(target=self.target, discovery=found, challenge=self.challenge, proof_key=self.proof_key)

    @property
    def asked_scopes(self) -> tuple[str, ...]:
        """The scopes that are asked for."""
        return (self.target.scopes or ()) if self.known is None else scopes_wanted(self.known)

    @property
    def resource(self) -> str:
        """What a token is asked for (RFC 8707)."""
        return self.target.resource or (self.discovery.resource if self.discovery else self.endpoint)
