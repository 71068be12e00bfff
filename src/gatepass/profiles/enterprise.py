"""Getting in for a user whose employer's identity provider decides (enterprise-managed authorization, SEP-990).

the user's identity -> identity provider (RFC 8693) -> ID-JAG -> authorization server (RFC 7523) -> access token
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from gatepass.client_auth.assertion import Source, as_source, read_identity, source_identity, source_secrets
from gatepass.client_auth.base import ClientAuthentication, check_text, is_client, shown
from gatepass.core.secret import Secret
from gatepass.core.value import Value
from gatepass.core.world import Notice
from gatepass.discovery import KnownServer, discover_server
from gatepass.errors import ConfigurationError, GatepassError, RemoteError, UnreachableError
from gatepass.grants.exchange import suggests_a_move
from gatepass.grants.jwt_bearer import request_jwt_bearer
from gatepass.grants.token_exchange import request_id_jag
from gatepass.profiles.base import Traits
from gatepass.protocol.server import ServerMetadata
from gatepass.protocol.urls import check_issuer, require_secure

if TYPE_CHECKING:
    from gatepass.core.world import AssertionSource, World
    from gatepass.grants.errand import Errand
    from gatepass.grants.exchange import Issued

__all__ = ["EnterpriseAuthorization", "IdentityProvider"]

_TYPES = {
    "id_token": "urn:ietf:params:oauth:token-type:id_token",
    "saml2": "urn:ietf:params:oauth:token-type:saml2",
    "refresh_token": "urn:ietf:params:oauth:token-type:refresh_token",
}


class IdentityProvider(Value, frozen=True):
    """Where users sign in, and where the client is known by another name than at the authorization server.

    Args:
        issuer: its issuer (OpenID Connect Discovery §3).
        client: how the client proves who it is there.
        token_endpoint: use this token endpoint, without reading the metadata.

    Raises:
        ConfigurationError: an argument does not fit; its name stands in the text.
    """

    issuer: str
    client: ClientAuthentication
    token_endpoint: str | None = None

    def __post_init__(self) -> None:
        if not is_client(self.client):
            msgspec.structs.force_setattr(self, "client", None)  # a secret, perhaps, which a traceback would show
            msg = "IdentityProvider takes a client authentication, such as ClientSecret(...) or PublicClient(...)."
            raise ConfigurationError(msg, code="client_invalid")
        check_issuer(self.issuer, field="issuer")
        if self.token_endpoint is not None:
            require_secure(self.token_endpoint, field="token_endpoint")

    def server(self, world: World) -> ServerMetadata:
        """Its metadata, read once for all while it may be kept."""
        if self.token_endpoint is not None:
            return ServerMetadata(issuer=self.issuer, token_endpoint=self.token_endpoint)
        known = world.recall(KnownServer, self.issuer)
        if known is None or not known.fresh(world.now().wall):
            known = discover_server(world, self.issuer)
            world.keep(known, self.issuer)
        return known.server

    def moved(self, world: World, before: ServerMetadata) -> ServerMetadata | None:
        """Its metadata, read anew, if that names another token endpoint than before; else None."""
        if self.token_endpoint is not None:
            return None
        world.drop(KnownServer, self.issuer)
        try:
            now = self.server(world)
        except GatepassError:  # it is all gone: what failed first says more
            return None
        if now.token_endpoint == before.token_endpoint:
            return None
        text = f"The token endpoint of {self.issuer} has moved to {now.token_endpoint}."
        world.notice(Notice(code="token_endpoint_moved", text=text, level="warning"))
        return now


@dataclass(frozen=True, slots=True, init=False, eq=False, repr=False)
class EnterpriseAuthorization:
    """The two steps of SEP-990: the identity provider grants an ID-JAG, the authorization server a token for it.

    Each renewal takes both steps, with the user's identity read anew from its source, unless the authorization server
    issued a refresh token.

    Args:
        client: how the client proves who it is at the authorization server.
        idp: the identity provider.
        subject_token: the user's identity: an ID token or SAML assertion, a `Secret` that refers to it, or a callable,
            plain or async, that gets the client id at the identity provider and returns one.
        subject_token_type: ``"id_token"``, ``"saml2"``, ``"refresh_token"``, or another URN (RFC 8693 §3).
        subject: who the user is, in your words. It tells kept tokens apart, and is needed in a shared store.

    Raises:
        ConfigurationError: an argument does not fit; its name stands in the text.
    """

    client: ClientAuthentication
    idp: IdentityProvider
    subject_token: Source
    subject_token_type: str
    subject: str | None

    def __init__(
        self,
        client: ClientAuthentication,
        *,
        idp: IdentityProvider,
        subject_token: AssertionSource,
        subject_token_type: str = "id_token",  # noqa: S107 - the name of a type
        subject: str | None = None,
    ) -> None:
        kind, masked = type(subject_token).__name__, as_source(subject_token)
        del subject_token  # so that no frame of a later error holds it in the clear
        if masked is None:
            msg = f"subject_token must be a token, a Secret or a callable, not {kind}."
            raise ConfigurationError(msg, code="subject_token_invalid")
        if not is_client(client):
            del client
            msg = "client must be a client authentication, such as ClientSecret(...) or PrivateKeyJwt(...)."
            raise ConfigurationError(msg, code="client_invalid")
        kind, provider = type(idp).__name__, _as_provider(idp)
        del idp  # a secret, perhaps, that stands in the wrong place
        if provider is None:
            msg = f"idp must be an IdentityProvider(...), not {kind}."
            raise ConfigurationError(msg, code="idp_invalid")
        object.__setattr__(self, "client", client)
        object.__setattr__(self, "idp", provider)
        object.__setattr__(self, "subject_token", masked)
        object.__setattr__(self, "subject_token_type", _checked_type(subject_token_type))
        object.__setattr__(self, "subject", None if subject is None else check_text(subject, field="subject"))

    @property
    def identity(self) -> tuple[str, ...]:
        source = source_identity(self.subject_token)
        idp = (self.idp.issuer, self.idp.token_endpoint or "", *self.idp.client.identity)
        return ("enterprise", self.subject or "", self.subject_token_type, *source, *idp, *self.client.identity)

    @property
    def secrets(self) -> tuple[Secret, ...]:
        return (*source_secrets(self.subject_token), *self.idp.client.secrets, *self.client.secrets)

    @property
    def traits(self) -> Traits:
        return Traits(
            extension="io.modelcontextprotocol/enterprise-managed-authorization", subject_missing=self.subject is None
        )

    def __repr__(self) -> str:
        return shown(self, "client", "idp", "subject_token_type", "subject")

    def client_of(self, world: World, server: ServerMetadata, client_id: str | None) -> ClientAuthentication:  # noqa: ARG002 - the same for all
        return self.client

    def disowned(self, world: World, server: ServerMetadata, client_id: str | None) -> bool:  # noqa: ARG002 - it was not registered here
        return False

    def grant(self, world: World, errand: Errand) -> Issued:
        self.client.choose(errand.server)
        return request_jwt_bearer(world, self.client, errand, self._id_jag(world, errand))

    def _id_jag(self, world: World, errand: Errand) -> Secret:
        """What the identity provider grants. Its token endpoint may have moved: then look again, once."""
        server = self.idp.server(world)
        self.idp.client.choose(server)
        identity = self._identity(world)
        try:
            return self._granted(world, errand, server, identity)
        except (RemoteError, UnreachableError) as problem:
            failure = problem.again()
        moved = self.idp.moved(world, server) if suggests_a_move(failure) else None
        if moved is None:
            raise failure
        return self._granted(world, errand, moved, identity)

    def _granted(self, world: World, errand: Errand, server: ServerMetadata, identity: Secret) -> Secret:
        """What it grants there; where it refuses, the error says that it was not the other server."""
        at_the_idp = msgspec.structs.replace(errand, server=server, proof_key=None)
        try:
            return request_id_jag(
                world,
                self.idp.client,
                at_the_idp,
                audience=errand.server.issuer,
                subject_token=identity,
                subject_token_type=self.subject_token_type,
            )
        except RemoteError as problem:
            refusal = problem.again()
        refusal.args = (f"At the identity provider {self.idp.issuer}: {refusal}",)
        raise refusal

    def _identity(self, world: World) -> Secret:
        """The user's identity; what is a JWT is not sent when it has ended."""
        client_id = self.idp.client.client_id
        if self.subject_token_type == _TYPES["id_token"]:
            return read_identity(world, self.subject_token, client_id, field="subject_token")
        return Secret(world.assertion(self.subject_token, client_id).strip())


def _as_provider(idp: object) -> IdentityProvider | None:
    return idp if isinstance(idp, IdentityProvider) else None


def _checked_type(token_type: str) -> str:
    full = _TYPES.get(check_text(token_type, field="subject_token_type"), token_type)
    if not full.startswith("urn:"):
        msg = f"subject_token_type is one of {', '.join(_TYPES)}, or a URN (RFC 8693 §3)."
        raise ConfigurationError(msg, code="subject_token_type_invalid")
    return full
