"""An OAuth authorization server over a real socket, strict where the specifications are strict."""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Literal

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gatepass.testing.authorize import IssInResponse, authorization_endpoint
from gatepass.testing.bindings import UNBOUND, Binding
from gatepass.testing.books import Books
from gatepass.testing.client_authentication import AssertionAudience, AssertionRules, ClientAuthenticator
from gatepass.testing.clients import Client, register
from gatepass.testing.grant import Grant
from gatepass.testing.identity import new_id_token
from gatepass.testing.jose import ASYMMETRIC_ALGORITHMS, KeyMaterial, KeySetMaterial, public_keys_of
from gatepass.testing.loopback_server import LoopbackServer
from gatepass.testing.metadata import MetadataForm, is_well_known, server_metadata_document, server_metadata_paths
from gatepass.testing.registration import Registration, described_client, registration_endpoint
from gatepass.testing.revocation import revocation_endpoint
from gatepass.testing.tls import Tls, certificate_of
from gatepass.testing.token_endpoint import token_endpoint
from gatepass.testing.tokens import IssuedToken, TokenFormat, TokenMint

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from joserfc.jwk import KeySetSerialization
    from starlette.requests import Request
    from starlette.types import ASGIApp

    from gatepass.testing.dpop import DpopPolicy
    from gatepass.testing.forms import Form
    from gatepass.testing.refresh_tokens import RefreshTokenPolicy

__all__ = ["AuthorizationServer"]

ResourceParameter = Literal["optional", "required", "refused", "ignored", "audience"]
METHODS = ("client_secret_basic", "client_secret_post", "private_key_jwt")


class AuthorizationServer(LoopbackServer):
    """An authorization server (RFC 6749, 8414, 8707, 9068; RFC 7523 for clients with keys).

    As it comes, it serves machines: client credentials, bearer tokens, plain HTTP. The rest has to be switched on.
    Register clients with `add_client`, then let them come: `with AuthorizationServer() as server: ...`. Every argument
    of the constructor is an attribute too, and may be changed while the server runs, except `path`, `metadata`, `tls`
    and `port`. For counting and for trouble, its places are called ``"token"``, ``"authorize"``, ``"register"``,
    ``"revoke"``, ``"metadata"`` and ``"jwks"``.

    Args:
        path: the path of the issuer, such as ``"/tenant1"``; ``"/"`` gives an issuer that ends with a slash.
        metadata: the form, and with it the place, of the metadata. ``"both"`` is ``"oauth"`` and ``"oidc"``.
        methods: what the metadata lists as the ways of client authentication (with an authorization endpoint, ``none``
            as well); None: not said. What a client may use is a matter of its registration.
        algorithms: what an assertion may be signed with.
        audience: ``"issuer"`` takes an assertion only for the issuer, as one string, ``"token_endpoint"`` only for
            that; ``"lenient"`` takes either, and a list.
        max_assertion_life_s: how far ahead the ``exp`` of an assertion may be.
        scopes: the scopes that exist; None: any.
        resources: the resources that exist; None: any absolute URI. A `ProtectedServer` adds itself.
        resource: whether a token request names one: ``"refused"`` and ``"ignored"`` are for servers that don't know
            RFC 8707, ``"audience"`` for those that look for it in a parameter of that name instead.
        default_resource: the audience of a token whose request named no resource; None: the issuer.
        token_format: ``"jwt"`` (RFC 9068) or ``"opaque"``.
        token_lifetime_s: how long a token lives.
        expires_in: how the response says so: a whole number (rounded down), the number as it is, a string, not at all.
        scope_in_response: when the response says which scope was granted.
        refresh_tokens: whether every grant gives one, too, and whether each use replaces it (RFC 9700 §4.14.2). A spent
            one that comes back revokes all that came of its grant; `reuses` counts them.
        client_credentials: whether clients may come on their own (RFC 6749 §4.4).
        authorization_endpoint: whether there is one, for a person who decides at once. A server for machines has none.
        person: who that is: the subject of the tokens.
        consent: what the person decides.
        code_lifetime_s: how long an authorization code lives.
        pkce_methods: what the metadata says of PKCE; None: nothing. The server wants S256 in any case.
        iss_in_response: how the authorization response names the issuer (RFC 9207).
        advertise_iss: whether the metadata announces that.
        dpop: whether tokens are bound to the key of a DPoP proof (RFC 9449): never, if there is one, always.
        dpop_nonce: whether a proof needs a nonce of this server (RFC 9449 §8).
        dpop_algorithms: what a proof may be signed with.
        registration: whether clients may register themselves (RFC 7591).
        revocation: whether clients may give tokens back (RFC 7009).
        anonymous_jwt_bearer: whether an assertion of a trusted issuer needs no client authentication (RFC 7523 §2.1).
        assertion_replay: whether such an assertion is good more than once.
        id_jag_audiences: the authorization servers that an identity provider issues grants for; None: any.
        id_jag_lifetime_s: how long such a grant lives.
        tls: how the server speaks TLS; None: plain HTTP. Tokens are bound to the client certificate of a request for
            them, if it has one (RFC 8705 §3).
        mtls_aliases: whether client certificates are asked for at endpoints of their own only (RFC 8705 §5).
        port: where it listens on 127.0.0.1; 0: on any port that is free.

    Attributes:
        issuer: the issuer identifier.
        token_endpoint: the address of the token endpoint.
        jwks_uri: the address of the keys that tokens are signed with.
        books: what the server has written down.
    """

    main_place: ClassVar = "token"

    def __init__(
        self,
        *,
        path: str = "",
        metadata: MetadataForm = "oauth",
        methods: tuple[str, ...] | None = METHODS,
        algorithms: tuple[str, ...] = ASYMMETRIC_ALGORITHMS,
        audience: AssertionAudience = "issuer",
        max_assertion_life_s: float = 300,
        scopes: tuple[str, ...] | None = None,
        resources: Iterable[str] | None = (),
        resource: ResourceParameter = "optional",
        default_resource: str | None = None,
        token_format: TokenFormat = "jwt",  # noqa: S107 - a format, no password
        token_lifetime_s: float = 300.0,
        expires_in: Literal["integer", "number", "string", "missing"] = "integer",
        scope_in_response: Literal["always", "if_different"] = "always",
        refresh_tokens: RefreshTokenPolicy = "none",
        client_credentials: bool = True,
        authorization_endpoint: bool = False,
        person: str = "alice",
        consent: Literal["yes", "no"] = "yes",
        code_lifetime_s: float = 60.0,
        pkce_methods: tuple[str, ...] | None = ("S256",),
        iss_in_response: IssInResponse = "correct",
        advertise_iss: bool = True,
        dpop: DpopPolicy = "off",
        dpop_nonce: bool = False,
        dpop_algorithms: tuple[str, ...] = ASYMMETRIC_ALGORITHMS,
        registration: bool = False,
        revocation: bool = False,
        anonymous_jwt_bearer: bool = True,
        assertion_replay: bool = True,
        id_jag_audiences: Iterable[str] | None = None,
        id_jag_lifetime_s: float = 300.0,
        tls: Tls | None = None,
        mtls_aliases: bool = False,
        port: int = 0,
    ) -> None:
        super().__init__(tls=tls, port=port)
        self.path = path.rstrip("/")
        self.issuer = self.origin + path
        self.token_endpoint = self.endpoint("token")
        self.jwks_uri = self.endpoint("jwks")
        self.metadata: MetadataForm = metadata
        self.methods = methods
        self.algorithms = algorithms
        self.audience: AssertionAudience = audience
        self.max_assertion_life_s = max_assertion_life_s
        self.scopes = scopes
        self.resources = None if resources is None else frozenset(resources)
        self.resource: ResourceParameter = resource
        self.default_resource = default_resource
        self.token_format: TokenFormat = token_format
        self.token_lifetime_s = token_lifetime_s
        self.expires_in: Literal["integer", "number", "string", "missing"] = expires_in
        self.scope_in_response: Literal["always", "if_different"] = scope_in_response
        self.refresh_tokens: RefreshTokenPolicy = refresh_tokens
        self.client_credentials: bool = client_credentials
        self.authorization_endpoint: bool = authorization_endpoint
        self.person = person
        self.consent: Literal["yes", "no"] = consent
        self.code_lifetime_s = code_lifetime_s
        self.pkce_methods = pkce_methods
        self.iss_in_response: IssInResponse = iss_in_response
        self.advertise_iss = advertise_iss
        self.dpop: DpopPolicy = dpop
        self.dpop_nonce = dpop_nonce
        self.dpop_algorithms = dpop_algorithms
        self.registration = registration
        self.revocation = revocation
        self.anonymous_jwt_bearer: bool = anonymous_jwt_bearer
        self.assertion_replay = assertion_replay
        self.id_jag_audiences = None if id_jag_audiences is None else frozenset(id_jag_audiences)
        self.id_jag_lifetime_s = id_jag_lifetime_s
        self.mtls_aliases = mtls_aliases
        self._resources_change = threading.Lock()
        self._mint = TokenMint(self.issuer)
        self.books: Books = Books(mint=self._mint)
        self._authenticator = ClientAuthenticator(clients=self.books.clients, now=self.now)

    def add_client(
        self,
        client_id: str,
        *,
        secret: str | None = None,
        public_key: KeyMaterial | None = None,
        jwks: KeySetMaterial = (),
        methods: Iterable[str] | None = None,
        grants: Iterable[str] | None = None,
        scopes: Iterable[str] | None = None,
        default_scopes: Iterable[str] | None = None,
        resources: Iterable[str] | None = None,
        redirect_uris: Iterable[str] = (),
        certificate: str | bytes | None = None,
        certificate_subject: str | None = None,
    ) -> Client:
        """Register a client, or replace the one of that id; see `Client` for what None means.

        Args:
            client_id: its identifier.
            secret: its secret.
            public_key: its public key: PEM, JWK, or a key of joserfc.
            jwks: its public keys, as a JWK set or one by one.
            methods: the ways it may authenticate; None: those that its secret and its keys allow.
            grants: the grants it may use; None: those that the server offers and it can use.
            scopes: the scopes it may have.
            default_scopes: what it gets when it asks for none.
            resources: the resources it may get tokens for; they count as known to the server.
            redirect_uris: where a person may be sent back to.
            certificate: its certificate, self-signed, in PEM (RFC 8705 §2.2).
            certificate_subject: the subject of its certificate, such as ``"CN=ci-bot"`` (RFC 8705 §2.1).
        """
        client = register(
            client_id,
            secret=secret,
            public_key=public_key,
            jwks=jwks,
            methods=methods,
            grants=grants,
            scopes=scopes,
            default_scopes=default_scopes,
            resources=resources,
            redirect_uris=redirect_uris,
            certificate=certificate,
            certificate_subject=certificate_subject,
        )
        for resource in client.resources or ():
            self.add_resource(resource)
        self.books.clients[client_id] = client
        return client

    def add_client_metadata(self, url: str, document: Mapping[str, object]) -> Client:
        """Make the URL of a client ID metadata document usable as a client id; nothing is fetched from there.

        Raises:
            ValueError: the document is not one, or not for this URL.
        """
        client = described_client(self, url, document)
        self.books.clients[url] = client
        self.books.documents.add(url)
        return client

    @property
    def registrations(self) -> list[Registration]:
        """What clients asked to be registered as, in the order of arrival; refused ones are only counted."""
        return list(self.books.registrations)

    def add_trusted_issuer(self, issuer: str, keys: KeySetMaterial) -> None:
        """Take assertions of an issuer as grants (RFC 7523 §2.1); of another `AuthorizationServer`, give its `jwks`."""
        self.books.trusted_issuers[issuer] = public_keys_of(keys)

    def issue_id_token(self, subject: str, client_id: str, *, lifetime_s: float = 300.0) -> str:
        """What a client gets when a person signs in; from now on the server is an identity provider."""
        self.books.identity_provider = True
        return new_id_token(self, subject, client_id, lifetime_s)

    def add_saml_assertion(self, text: str, subject: str) -> None:
        """Know a person by a SAML assertion, too; from now on the server is an identity provider."""
        self.books.identity_provider = True
        self.books.saml_assertions[text] = subject

    def map_client(self, idp_client_id: str, audience: str, client_id: str) -> None:
        """Know what a client is called at another authorization server; unless told, it has the same name there."""
        self.books.client_ids_at[idp_client_id, audience] = client_id

    def remove_client(self, client_id: str) -> None:
        """Strike a client off the books; its tokens stay good."""
        self.books.clients.pop(client_id, None)

    def add_resource(self, resource: str) -> None:
        """Make a resource known."""
        with self._resources_change:
            if self.resources is not None:
                self.resources |= {resource}

    def issue_token(
        self,
        client_id: str,
        *,
        scopes: tuple[str, ...] = (),
        audience: str | tuple[str, ...] | None = None,
        lifetime_s: float | None = None,
        binding: Binding = UNBOUND,
    ) -> str:
        """A token without asking for it: to test a resource. A negative lifetime gives one that has ended."""
        several = (audience,) if isinstance(audience, str) else audience
        grant = Grant(
            client_id=client_id,
            subject=client_id,
            scopes=scopes,
            audience=several or (self.default_resource or self.issuer,),
        )
        return self._mint.issue(
            grant,
            binding=binding,
            now=self.now(),
            lifetime_s=self.token_lifetime_s if lifetime_s is None else lifetime_s,
            token_format=self.token_format,
        ).value

    def verify(self, token: str, *, audience: str, now: float | None = None) -> IssuedToken | None:
        """What a token of this server stands for, if it is good for `audience`; else None.

        Args:
            token: the access token.
            audience: the resource that asks.
            now: the time by the resource's clock, in epoch seconds.
        """
        return self._mint.verify(token, audience=audience, now=self.now() if now is None else now)

    def revoke(self, token: str) -> None:
        """Take back one token: a `ProtectedServer` answers 401 to it from now on."""
        self._mint.revoke(token)

    def revoke_all(self) -> None:
        """Take back every access token issued so far; refresh tokens stay good."""
        self._mint.revoke_all()

    @property
    def jwks(self) -> KeySetSerialization:
        """The public keys that its JWTs are signed with: what is at `jwks_uri`."""
        return self._mint.jwks

    @property
    def reuses(self) -> int:
        """How often a spent refresh token came back."""
        return self.books.refresh_tokens.reuses

    @property
    def proofs(self) -> int:
        """How many different DPoP proofs came: as many as requests, if each had one of its own."""
        return self.books.proofs.count

    def rotate_dpop_nonce(self, *, keep_old: bool = False) -> None:
        """A new nonce. The old ones are refused from now on, or still good: then a client hears of it by the way."""
        self.books.proofs.rotate_nonce(keep_old=keep_old)

    def endpoint(self, name: str) -> str:
        """The address of an endpoint."""
        return f"{self.origin}{self.path}/{name}"

    def app(self) -> ASGIApp:
        return Starlette(
            routes=[
                Route(f"{self.path}/mtls/token", partial(self._alias, token_endpoint), methods=["POST"]),
                Route(f"{self.path}/mtls/revoke", partial(self._alias, revocation_endpoint), methods=["POST"]),
                Route(f"{self.path}/token", partial(token_endpoint, self), methods=["POST"]),
                Route(f"{self.path}/authorize", partial(authorization_endpoint, self), methods=["GET"]),
                Route(f"{self.path}/register", partial(registration_endpoint, self), methods=["POST"]),
                Route(f"{self.path}/revoke", partial(revocation_endpoint, self), methods=["POST"]),
                Route(f"{self.path}/jwks", self._jwks, methods=["GET"]),
                *(Route(place, self._metadata) for place in server_metadata_paths(self.metadata, self.path)),
            ],
        )

    def names_of(self, path: str) -> tuple[str, ...]:
        if is_well_known(path):
            return (path, "metadata")
        short = path.removeprefix(self.path)
        return (path, short, short.removeprefix("/mtls").removeprefix("/"))

    def authenticate(self, request: Request, form: Form) -> Client:
        """The client that a request comes from (RFC 6749 §2.3).

        Raises:
            Refusal: ``invalid_client`` or ``invalid_request``.
        """
        authorization, certificate = request.headers.get("authorization"), self.client_certificate(request)
        return self._authenticator.authenticate(authorization, form, certificate, self._rules())

    def client_certificate(self, request: Request) -> bytes | None:
        """The client certificate that came with a request, where one is asked for."""
        elsewhere = self.mtls_aliases and not request.url.path.startswith(f"{self.path}/mtls/")
        return None if elsewhere else certificate_of(request)

    def _rules(self) -> AssertionRules:
        return AssertionRules(
            issuer=self.issuer,
            token_endpoint=self.token_endpoint,
            audience=self.audience,
            algorithms=self.algorithms,
            max_life_s=self.max_assertion_life_s,
        )

    async def _alias(
        self, endpoint: Callable[[AuthorizationServer, Request], Awaitable[Response]], request: Request
    ) -> Response:
        if not self.mtls_aliases:
            raise HTTPException(404)
        return await endpoint(self, request)

    async def _metadata(self, request: Request) -> Response:
        return JSONResponse(server_metadata_document(self, oidc="openid-configuration" in request.url.path))

    async def _jwks(self, _request: Request) -> Response:
        return JSONResponse(self.jwks)
