"""Getting in as a workload that its platform vouches for (SEP-1933, RFC 7523 §2.1): no secret of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gatepass.client_auth.assertion import (
    Source,
    as_source,
    assertion_audience,
    read_assertion,
    source_identity,
    source_secrets,
)
from gatepass.client_auth.base import ClientAuthentication, check_text, shown
from gatepass.client_auth.nobody import Nobody
from gatepass.client_auth.public_client import as_client, no_client
from gatepass.errors import ConfigurationError
from gatepass.grants.jwt_bearer import request_jwt_bearer
from gatepass.profiles.base import Traits

if TYPE_CHECKING:
    from gatepass.core.secret import Secret
    from gatepass.core.world import AssertionSource, World
    from gatepass.grants.errand import Errand
    from gatepass.grants.exchange import Issued
    from gatepass.protocol.server import ServerMetadata

__all__ = ["WorkloadIdentity"]


@dataclass(frozen=True, slots=True, init=False, eq=False, repr=False)
class WorkloadIdentity:
    """The JWT bearer grant with a workload's own JWT, read anew for each token (workload identity federation).

    A JWT that is refused is not sent again for a while, and no other grant is tried.

    Args:
        source: where the JWT comes from: one of `gatepass.identity`, a `Secret` that refers to it, such as
            ``Secret.file(path)``, or a callable, plain or async, that gets the audience and returns one.
        client: how the client proves who it is besides, where the server wants to know; a client id alone proves
            nothing, and is enough for many. Left out, the JWT says it all (RFC 7521 §4.1).
        audience: what a source is asked for: ``"issuer"`` (the authorization server's), ``"token_endpoint"``, or any
            other text, verbatim.
        subject: which workload this is, in your words. It tells kept tokens apart, and is needed in a shared store.

    Raises:
        ConfigurationError: an argument does not fit; its name stands in the text.
    """

    source: Source
    client: ClientAuthentication
    audience: str
    subject: str | None

    def __init__(
        self,
        source: AssertionSource,
        *,
        client: ClientAuthentication | str | None = None,
        audience: str = "issuer",
        subject: str | None = None,
    ) -> None:
        kind, masked = type(source).__name__, as_source(source)
        del source  # so that no frame of a later error holds it in the clear
        if masked is None:
            msg = f"source must be a JWT, a Secret or a callable, not {kind}."
            raise ConfigurationError(msg, code="source_invalid")
        kind, known = type(client).__name__, Nobody() if client is None else as_client(client)
        del client  # a secret, perhaps, which a traceback would show
        if known is None:
            raise no_client(kind)
        object.__setattr__(self, "source", masked)
        object.__setattr__(self, "client", known)
        object.__setattr__(self, "audience", check_text(audience, field="audience"))
        object.__setattr__(self, "subject", None if subject is None else check_text(subject, field="subject"))

    @property
    def identity(self) -> tuple[str, ...]:
        return ("workload", self.subject or "", self.audience, *source_identity(self.source), *self.client.identity)

    @property
    def secrets(self) -> tuple[Secret, ...]:
        return (*source_secrets(self.source), *self.client.secrets)

    @property
    def traits(self) -> Traits:
        return Traits(subject_missing=self.subject is None)

    def __repr__(self) -> str:
        return shown(self, "client", "audience", "subject")

    def client_of(self, world: World, server: ServerMetadata, client_id: str | None) -> ClientAuthentication:  # noqa: ARG002 - the same for all
        return self.client

    def disowned(self, world: World, server: ServerMetadata, client_id: str | None) -> bool:  # noqa: ARG002 - it was not registered here
        return False

    def grant(self, world: World, errand: Errand) -> Issued:
        self.client.choose(errand.server)
        audience = assertion_audience(errand.server, self.audience)
        assertion = read_assertion(world, self.source, audience, field="source")
        return request_jwt_bearer(world, self.client, errand, assertion)
