"""An OAuth authorization server over a real socket, strict where the specifications are strict."""

from __future__ import annotations

import re
import threading
from typing import TYPE_CHECKING, ClassVar, Literal

from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gatepass.testing.client_authentication import AssertionRules, ClientAuthenticator
from gatepass.testing.clients import Client, register
from gatepass.testing.forms import Form, parse_form
from gatepass.testing.jose import ASYMMETRIC_ALGORITHMS, KeyMaterial
from gatepass.testing.loopback_server import LoopbackServer
from gatepass.testing.metadata import MetadataForm, is_well_known, server_metadata_document, server_metadata_paths
from gatepass.testing.refusal import Refusal
from gatepass.testing.tokens import IssuedToken, TokenFormat, TokenMint

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from starlette.requests import Request
    from starlette.types import ASGIApp

__all__ = ["AuthorizationServer"]

METHODS = ("client_secret_basic", "client_secret_post", "private_key_jwt")
SCOPE = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]+(?: [\x21\x23-\x5B\x5D-\x7E]+)*")
ABSOLUTE_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^#\s]+")
NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}


class AuthorizationServer(LoopbackServer):
    """An authorization server (RFC 6749, 8414, 8707, 9068; RFC 7523 for clients with keys).

    Register clients with `add_client`, then let them come: `with AuthorizationServer() as server: ...`. Every argument
    of the constructor is an attribute too, and may be changed while the server runs, except `path` and `metadata`. For
    counting and for trouble, its places are called ``"token"``, ``"metadata"`` and ``"jwks"``.

    Args:
        path: the path of the issuer, such as ``"/tenant1"``; ``"/"`` gives an issuer that ends with a slash.
        metadata: the form, and with it the place, of the metadata. ``"both"`` is ``"oauth"`` and ``"oidc"``.
        methods: what the metadata lists as the ways of client authentication; None: not said. What a client may use is
            a matter of its registration.
        algorithms: what an assertion may be signed with.
        audience: ``"issuer"`` takes an assertion only for the issuer, as one string; ``"lenient"`` takes a list, and
            the token endpoint, as well.
        max_assertion_life_s: how far ahead the ``exp`` of an assertion may be.
        scopes: the scopes that exist; None: any.
        resources: the resources that exist; None: any absolute URI. A `ProtectedServer` adds itself.
        resource: whether a token request names one: ``"refused"`` is for servers that don't know RFC 8707.
        default_resource: the audience of a token whose request named no resource; None: the issuer.
        token_format: ``"jwt"`` (RFC 9068) or ``"opaque"``.
        token_lifetime_s: how long a token lives.
        expires_in: how the response says so: a whole number (rounded down), the number as it is, a string, not at all.
        scope_in_response: when the response says which scope was granted.
        authorization_endpoint: whether the metadata names one. A server for machines has none.
    """

    main_place: ClassVar = "token"

    def __init__(
        self,
        *,
        path: str = "",
        metadata: MetadataForm = "oauth",
        methods: tuple[str, ...] | None = METHODS,
        algorithms: tuple[str, ...] = ASYMMETRIC_ALGORITHMS,
        audience: Literal["issuer", "lenient"] = "issuer",
        max_assertion_life_s: float = 300,
        scopes: tuple[str, ...] | None = None,
        resources: Iterable[str] | None = (),
        resource: Literal["optional", "required", "refused"] = "optional",
        default_resource: str | None = None,
        token_format: TokenFormat = "jwt",  # noqa: S107 - a format, no password
        token_lifetime_s: float = 300.0,
        expires_in: Literal["integer", "number", "string", "missing"] = "integer",
        scope_in_response: Literal["always", "if_different"] = "always",
        authorization_endpoint: bool = False,
    ) -> None:
        super().__init__()
        self.path = path.rstrip("/")
        self.issuer = self.origin + path
        self.token_endpoint = f"{self.origin}{self.path}/token"
        self.jwks_uri = f"{self.origin}{self.path}/jwks"
        self.metadata: MetadataForm = metadata
        self.methods = methods
        self.algorithms = algorithms
        self.audience: Literal["issuer", "lenient"] = audience
        self.max_assertion_life_s = max_assertion_life_s
        self.scopes = scopes
        self.resources = None if resources is None else frozenset(resources)
        self.resource: Literal["optional", "required", "refused"] = resource
        self.default_resource = default_resource
        self.token_format: TokenFormat = token_format
        self.token_lifetime_s = token_lifetime_s
        self.expires_in: Literal["integer", "number", "string", "missing"] = expires_in
        self.scope_in_response: Literal["always", "if_different"] = scope_in_response
        self.authorization_endpoint = authorization_endpoint
        self._books = threading.Lock()
        self._clients: dict[str, Client] = {}
        self._mint = TokenMint(self.issuer)
        self._authenticator = ClientAuthenticator(clients=self._clients, now=self.now)

    def add_client(
        self,
        client_id: str,
        *,
        secret: str | None = None,
        public_key: KeyMaterial | None = None,
        jwks: Mapping[str, object] | Sequence[KeyMaterial] = (),
        methods: Iterable[str] | None = None,
        grants: Iterable[str] | None = None,
        scopes: Iterable[str] | None = None,
        default_scopes: Iterable[str] | None = None,
        resources: Iterable[str] | None = None,
    ) -> Client:
        """Register a client, or replace the one of that id; see `Client` for what None means.

        Args:
            client_id: its identifier.
            secret: its secret.
            public_key: its public key: PEM, JWK, or a key of joserfc.
            jwks: its public keys, as a JWK set or one by one.
            methods: the ways it may authenticate; None: those that its secret and its keys allow.
            grants: the grants it may use; None: client credentials, if it can authenticate.
            scopes: the scopes it may have.
            default_scopes: what it gets when it asks for none.
            resources: the resources it may get tokens for; they count as known to the server.
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
        )
        for resource in client.resources or ():
            self.add_resource(resource)
        self._clients[client_id] = client
        return client

    def remove_client(self, client_id: str) -> None:
        """Strike a client off the books; its tokens stay good."""
        self._clients.pop(client_id, None)

    def add_resource(self, resource: str) -> None:
        """Make a resource known."""
        with self._books:
            if self.resources is not None:
                self.resources |= {resource}

    def issue_token(
        self,
        client_id: str,
        *,
        scopes: tuple[str, ...] = (),
        audience: str | tuple[str, ...] | None = None,
        lifetime_s: float | None = None,
    ) -> str:
        """A token without asking for it: to test a resource. A negative lifetime gives one that has ended."""
        several = (audience,) if isinstance(audience, str) else audience
        return self._mint.issue(
            client_id=client_id,
            scopes=scopes,
            audience=several or (self.default_resource or self.issuer,),
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
        """Take back every token issued so far."""
        self._mint.revoke_all()

    def app(self) -> ASGIApp:
        return Starlette(
            routes=[
                Route(f"{self.path}/token", self._token, methods=["POST"]),
                Route(f"{self.path}/jwks", self._jwks, methods=["GET"]),
                *(Route(place, self._metadata) for place in server_metadata_paths(self.metadata, self.path)),
            ],
        )

    def names_of(self, path: str) -> tuple[str, ...]:
        if is_well_known(path):
            return (path, "metadata")
        short = path.removeprefix(self.path)
        return (path, short, short.removeprefix("/"))

    async def _metadata(self, request: Request) -> Response:
        return JSONResponse(
            server_metadata_document(
                issuer=self.issuer,
                token_endpoint=self.token_endpoint,
                jwks_uri=self.jwks_uri,
                authorization_endpoint=f"{self.origin}{self.path}/authorize" if self.authorization_endpoint else None,
                scopes=self.scopes,
                grants=("client_credentials",),
                methods=self.methods,
                algorithms=self.algorithms if "private_key_jwt" in (self.methods or ()) else None,
                oidc="openid-configuration" in request.url.path,
            )
        )

    async def _jwks(self, _request: Request) -> Response:
        return JSONResponse(self._mint.jwks)

    async def _token(self, request: Request) -> Response:
        """The token endpoint (RFC 6749 §3.2)."""
        try:
            form = parse_form(request.headers.get("content-type", ""), request.url.query, await request.body())
            client = self._authenticator.authenticate(request.headers.get("authorization"), form, self._rules())
            token = self._grant(client, form)
        except Refusal as refusal:
            challenge = {"WWW-Authenticate": refusal.challenge} if refusal.challenge else {}
            body = {"error": refusal.error, "error_description": refusal.description}
            return JSONResponse(body, refusal.status, {**NO_STORE, **challenge})
        return JSONResponse(self._token_response(token, form), headers=NO_STORE)

    def _rules(self) -> AssertionRules:
        return AssertionRules(
            issuer=self.issuer,
            token_endpoint=self.token_endpoint,
            audience=self.audience,
            algorithms=self.algorithms,
            max_life_s=self.max_assertion_life_s,
        )

    def _grant(self, client: Client, form: Form) -> IssuedToken:
        grant_type = form.require("grant_type")
        if grant_type != "client_credentials":
            raise Refusal("unsupported_grant_type", "this server knows client_credentials only")
        if grant_type not in client.grants:
            raise Refusal("unauthorized_client", f"the client may not use {grant_type}")
        return self._mint.issue(
            client_id=client.client_id,
            scopes=self._granted_scopes(client, form.get("scope")),
            audience=self._audience(client, form.resources),
            now=self.now(),
            lifetime_s=self.token_lifetime_s,
            token_format=self.token_format,
        )

    def _granted_scopes(self, client: Client, scope: str | None) -> tuple[str, ...]:
        """What is asked for, all of it or nothing; without a request, the default (RFC 6749 §3.3)."""
        allowed = client.scopes if client.scopes is not None else self.scopes
        if scope is None:
            return client.default_scopes if client.default_scopes is not None else allowed or ()
        if not SCOPE.fullmatch(scope):
            raise Refusal("invalid_scope", "the scope is malformed")
        wanted = tuple(dict.fromkeys(scope.split(" ")))
        if allowed is not None and not set(wanted) <= set(allowed):
            raise Refusal("invalid_scope", "the client may not have all of these scopes")
        return wanted

    def _audience(self, client: Client, resources: tuple[str, ...]) -> tuple[str, ...]:
        """The resources that the token is for (RFC 8707 §2)."""
        if self.resource == "refused" and resources:
            raise Refusal("invalid_request", "resource is not a parameter of this server")
        if self.resource == "required" and not resources:
            raise Refusal("invalid_target", "resource is missing")
        for resource in resources:
            if not ABSOLUTE_URI.fullmatch(resource):
                raise Refusal("invalid_target", "resource is not an absolute URI without a fragment")
            known = self.resources is None or resource in self.resources
            if not known or (client.resources is not None and resource not in client.resources):
                raise Refusal("invalid_target", "the resource is unknown, or not for this client")
        return resources or (self.default_resource or self.issuer,)

    def _token_response(self, token: IssuedToken, form: Form) -> dict[str, object]:
        """RFC 6749 §5.1."""
        granted = " ".join(token.scopes)
        whole = int(self.token_lifetime_s)
        said: dict[str, object] = {"access_token": token.value, "token_type": "Bearer"}
        if self.expires_in != "missing":
            said["expires_in"] = {"integer": whole, "number": self.token_lifetime_s, "string": str(whole)}[
                self.expires_in
            ]
        if granted and (self.scope_in_response == "always" or granted != form.get("scope")):
            said["scope"] = granted
        return said
