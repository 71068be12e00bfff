"""A protected MCP server over a real socket: the official SDK behind a gate that wants bearer tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gatepass.testing.bindings import Binding
from gatepass.testing.challenge import ChallengeParameter, challenges
from gatepass.testing.dpop import Proofs
from gatepass.testing.jose import ASYMMETRIC_ALGORITHMS
from gatepass.testing.loopback_server import LoopbackServer
from gatepass.testing.metadata import is_well_known, resource_metadata_path
from gatepass.testing.plain_routes import plain_routes
from gatepass.testing.refusal import Refusal
from gatepass.testing.tls import certificate_of, certificate_thumbprint

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from starlette.requests import Request
    from starlette.types import ASGIApp

    from gatepass.testing.authorization_server import AuthorizationServer
    from gatepass.testing.tls import Tls
    from gatepass.testing.tokens import IssuedToken

__all__ = ["ProtectedServer"]

PATH = "/mcp"
CHALLENGE: tuple[ChallengeParameter, ...] = ("error", "error_description", "resource_metadata", "scope", "algs")


class ProtectedServer(LoopbackServer):
    """An MCP server at ``/mcp`` that lets in who has a token of an authorization server (RFC 6750, RFC 9728).

    Its tools: ``echo(text)``, ``add(a, b)``, ``whoami()``, ``slow(seconds)`` with progress. Beside them, for plain HTTP
    and behind the same gate:

    - ``GET /mcp/plain/hello``: JSON with the client id of the token
    - ``GET /mcp/plain/sleep?ms=50``: JSON, that much later
    - ``GET /mcp/plain/stream?seconds=1``: server-sent events for that long
    - ``POST /mcp/plain/echo``: the body
    - ``/mcp/plain/redirect?to=URL&status=307``: a redirect

    Outside the resource and open to all: ``/other``, which tells what headers it got. Every argument is an attribute
    too, and may be changed while the server runs, except `metadata`, `stateless`, `tls` and `port`. For counting and
    for trouble, what is under ``/mcp`` is the ``"resource"``.

    Args:
        authorization_server: whose tokens are good; this server makes itself known to it as a resource.
        scopes: what a token must allow; also what the challenge asks for.
        scopes_for: more that a token must allow, by path (``"/mcp/plain/hello"``) or by tool (``"add"``).
        scopes_supported: what the metadata lists; None: not said.
        metadata: where the resource metadata stands: with the resource's path, at the root, or nowhere.
        metadata_at: where the challenge says that it stands, if that is somewhere else.
        challenge: the parameters of ``WWW-Authenticate``; empty: a bare ``Bearer``; None: no such header at all.
        stateless: whether MCP clients of the old protocol era are served without sessions.
        reject_all: answer 401 to every request, whatever its token.
        dpop: whether a token has to be bound to a key (RFC 9449). One that is needs a proof in any case.
        dpop_nonce: whether a proof needs a nonce of this server; the authorization server's are no good here.
        dpop_algorithms: what a proof may be signed with.
        tls: how the server speaks TLS; None: plain HTTP. A token that is bound to a client certificate is good on a
            connection with that certificate only (RFC 8705 §3).
        port: where it listens on 127.0.0.1; 0: on any port that is free.

    Attributes:
        url: the resource, which is also the MCP endpoint.
    """

    main_place: ClassVar = "resource"

    def __init__(
        self,
        authorization_server: AuthorizationServer,
        *,
        scopes: Iterable[str] = (),
        scopes_for: Mapping[str, tuple[str, ...]] | None = None,
        scopes_supported: Iterable[str] | None = None,
        metadata: Literal["path", "root", "none"] = "path",
        metadata_at: str | None = None,
        challenge: tuple[ChallengeParameter, ...] | None = CHALLENGE,
        stateless: bool = False,
        reject_all: bool = False,
        dpop: Literal["accepted", "required"] = "accepted",
        dpop_nonce: bool = False,
        dpop_algorithms: tuple[str, ...] = ASYMMETRIC_ALGORITHMS,
        tls: Tls | None = None,
        port: int = 0,
    ) -> None:
        super().__init__(tls=tls, port=port)
        self.url = self.origin + PATH
        self.authorization_server = authorization_server
        self.scopes = tuple(scopes)
        self.scopes_for: Mapping[str, tuple[str, ...]] = scopes_for or {}
        self.scopes_supported = None if scopes_supported is None else tuple(scopes_supported)
        self.metadata: Literal["path", "root", "none"] = metadata
        self.metadata_at = metadata_at
        self.challenge = challenge
        self.stateless = stateless
        self.reject_all = reject_all
        self.dpop: Literal["accepted", "required"] = dpop
        self.dpop_nonce = dpop_nonce
        self.dpop_algorithms = dpop_algorithms
        self._proofs = Proofs()

    @property
    def authorization_server(self) -> AuthorizationServer:
        """Whose tokens are good. Assign another one, and the resource has moved there (SEP-2352)."""
        return self._authorization_server

    @authorization_server.setter
    def authorization_server(self, authorization_server: AuthorizationServer) -> None:
        authorization_server.add_resource(self.url)
        self._authorization_server = authorization_server

    @property
    def rejected(self) -> int:
        """How many requests were answered 401."""
        return self.count(status=401)

    @property
    def proofs(self) -> int:
        """How many different DPoP proofs came: as many as requests, if each had one of its own."""
        return self._proofs.count

    def rotate_dpop_nonce(self, *, keep_old: bool = False) -> None:
        """A new nonce. The old ones are refused from now on, or still good: then a client hears of it by the way."""
        self._proofs.rotate_nonce(keep_old=keep_old)

    @property
    def schemes(self) -> tuple[str, ...]:
        """The authentication schemes that a token may come with."""
        if self.dpop == "required":
            return ("DPoP",)
        return ("Bearer",) if self.authorization_server.dpop == "off" else ("Bearer", "DPoP")

    @property
    def metadata_url(self) -> str | None:
        """The address of the resource metadata, as the challenge has it."""
        if self.metadata_at is not None:
            return self.metadata_at
        return None if self.metadata == "none" else self.origin + resource_metadata_path(self.metadata, PATH)

    def app(self) -> ASGIApp:
        # Imported here, because an authorization server alone should not cost the import of the SDK.
        from gatepass.testing.gate import Gate
        from gatepass.testing.mcp_app import mcp_app

        mcp = mcp_app(path=PATH, stateless=self.stateless)
        routes = [*mcp.routes, *plain_routes(PATH)]
        if self.metadata != "none":
            routes.append(Route(resource_metadata_path(self.metadata, PATH), self._metadata))
        return Starlette(
            routes=routes, middleware=[Middleware(Gate, server=self)], lifespan=mcp.router.lifespan_context
        )

    def names_of(self, path: str) -> tuple[str, ...]:
        if is_well_known(path):
            return (path, "metadata")
        return (path, "resource") if self.is_resource(path) else (path,)

    async def _metadata(self, _request: Request) -> Response:
        """Protected resource metadata (RFC 9728 §2)."""
        document: dict[str, object] = {
            "resource": self.url,
            "authorization_servers": [self.authorization_server.issuer],
            "bearer_methods_supported": ["header"],
        }
        if "DPoP" in self.schemes:
            document["dpop_signing_alg_values_supported"] = self.dpop_algorithms
        if self.dpop == "required":
            document["dpop_bound_access_tokens_required"] = True
        if self.tls is not None and self.tls.asks:
            document["tls_client_certificate_bound_access_tokens"] = True
        if self.scopes_supported is not None:
            document["scopes_supported"] = self.scopes_supported
        return JSONResponse(document)

    def is_resource(self, path: str) -> bool:
        """Whether a path is the resource's, or under it."""
        return path == PATH or path.startswith(PATH + "/")

    def admit(self, request: Request) -> IssuedToken:
        """The token that a request came with, if it is good here (RFC 6750 §2.1, RFC 8705 §3, RFC 9449 §7.1).

        Raises:
            Refusal: ``invalid_token``, ``invalid_dpop_proof`` or ``use_dpop_nonce``.
        """
        scheme, _, value = request.headers.get("authorization", "").partition(" ")
        shown = Binding(
            jkt=self._proven_key(request, value.strip()) if scheme.lower() == "dpop" else None,
            x5t=certificate_thumbprint(certificate_of(request)),
        )
        token = self.authorization_server.verify(value.strip(), audience=self.url, now=self.now())
        # The scheme tells which of the two it is (RFC 9449 §7.1, §7.2).
        bound = token is not None and token.binding.jkt is not None
        if (
            token is None
            or scheme.lower() != ("dpop" if bound else "bearer")
            or not token.binding.fits(shown)
            or (self.dpop == "required" and not bound)
            or self.reject_all
        ):
            raise Refusal("invalid_token", "The token is not good here.", status=401)
        return token

    def _proven_key(self, request: Request, token: str) -> str:
        return self._proofs.check(
            request.headers.getlist("dpop"),
            method=request.method,
            url=self.url_of(request),
            token=token,
            now=self.now(),
            algorithms=self.dpop_algorithms,
            nonce=self.dpop_nonce,
        )

    def scopes_needed(self, path: str, tool: str | None) -> tuple[str, ...]:
        """What a token must allow to get at a path, and to call a tool."""
        more = (*self.scopes_for.get(path, ()), *(self.scopes_for.get(tool, ()) if tool else ()))
        return tuple(dict.fromkeys((*self.scopes, *more)))

    def unauthorized(self, request: Request, refusal: Refusal) -> Response:
        """401: bring a token, or another one. Without one, there is no error to name (RFC 6750 §3.1)."""
        if "authorization" not in request.headers:
            return self._refuse(request, 401, self.scopes, error=None, description="A token is needed.")
        return self._refuse(request, 401, self.scopes, error=refusal.error, description=refusal.description)

    def insufficient_scope(self, request: Request, needed: tuple[str, ...]) -> Response:
        """403: bring a token that allows more (RFC 6750 §3.1)."""
        description = "The token does not allow this."
        return self._refuse(request, 403, needed, error="insufficient_scope", description=description)

    def _refuse(
        self, request: Request, status: int, scopes: tuple[str, ...], *, error: str | None, description: str
    ) -> Response:
        response = JSONResponse({"error": error or "unauthorized", "error_description": description}, status)
        if self.challenge is not None:
            values: dict[ChallengeParameter, str | None] = {
                "error": error,
                "error_description": description if error else None,
                "resource_metadata": self.metadata_url,
                "scope": " ".join(scopes) or None,
                "algs": " ".join(self.dpop_algorithms),
            }
            said: dict[ChallengeParameter, str | None] = {name: values[name] for name in self.challenge}
            scheme = request.headers.get("authorization", "").partition(" ")[0]
            for challenge in challenges(self.schemes, scheme, said):
                response.headers.append("WWW-Authenticate", challenge)
        return response

    def next_nonce(self, request: Request) -> str | None:
        """What the answer to a request offers for the next proof (RFC 9449 §8.2, §9)."""
        return self._proofs.nonce if self.dpop_nonce and "dpop" in request.headers else None
