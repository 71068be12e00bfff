"""A protected MCP server over a real socket: the official SDK behind a gate that wants bearer tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gatepass.testing.loopback_server import LoopbackServer
from gatepass.testing.metadata import is_well_known, resource_metadata_path
from gatepass.testing.plain_routes import plain_routes

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from starlette.requests import Request
    from starlette.types import ASGIApp

    from gatepass.testing.authorization_server import AuthorizationServer
    from gatepass.testing.tokens import IssuedToken

__all__ = ["ChallengeParameter", "ProtectedServer"]

ChallengeParameter = Literal["error", "error_description", "resource_metadata", "scope"]
PATH = "/mcp"


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
    too, and may be changed while the server runs, except `metadata` and `stateless`. For counting and for trouble, what
    is under ``/mcp`` is the ``"resource"``.

    Args:
        authorization_server: whose tokens are good; this server makes itself known to it as a resource.
        scopes: what a token must allow; also what the challenge asks for.
        scopes_for: more that a token must allow, by path (``"/mcp/plain/hello"``) or by tool (``"add"``).
        scopes_supported: what the metadata lists; None: not said.
        metadata: where the resource metadata stands: with the resource's path, at the root, or nowhere.
        challenge: the parameters of ``WWW-Authenticate``; empty: a bare ``Bearer``; None: no such header at all.
        stateless: whether MCP clients of the old protocol era are served without sessions.
        reject_all: answer 401 to every request, whatever its token.

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
        challenge: tuple[ChallengeParameter, ...] | None = ("error", "error_description", "resource_metadata", "scope"),
        stateless: bool = False,
        reject_all: bool = False,
    ) -> None:
        super().__init__()
        self.url = self.origin + PATH
        self.authorization_server = authorization_server
        self.scopes = tuple(scopes)
        self.scopes_for: Mapping[str, tuple[str, ...]] = scopes_for or {}
        self.scopes_supported = None if scopes_supported is None else tuple(scopes_supported)
        self.metadata: Literal["path", "root", "none"] = metadata
        self.challenge = challenge
        self.stateless = stateless
        self.reject_all = reject_all
        authorization_server.add_resource(self.url)

    @property
    def rejected(self) -> int:
        """How many requests were answered 401."""
        return self.count(status=401)

    @property
    def metadata_url(self) -> str | None:
        """The address of the resource metadata."""
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
        if self.scopes_supported is not None:
            document["scopes_supported"] = self.scopes_supported
        return JSONResponse(document)

    def is_resource(self, path: str) -> bool:
        """Whether a path is the resource's, or under it."""
        return path == PATH or path.startswith(PATH + "/")

    def admit(self, authorization: str | None) -> IssuedToken | None:
        """The token in an ``Authorization`` header, if it is good here (RFC 6750 §2.1)."""
        scheme, _, token = (authorization or "").partition(" ")
        if self.reject_all or scheme.lower() != "bearer":
            return None
        return self.authorization_server.verify(token.strip(), audience=self.url, now=self.now())

    def scopes_needed(self, path: str, tool: str | None) -> tuple[str, ...]:
        """What a token must allow to get at a path, and to call a tool."""
        more = (*self.scopes_for.get(path, ()), *(self.scopes_for.get(tool, ()) if tool else ()))
        return tuple(dict.fromkeys((*self.scopes, *more)))

    def unauthorized(self, authorization: str | None) -> Response:
        """401: bring a token, or another one. Without one, there is no error to name (RFC 6750 §3.1)."""
        if authorization is None:
            return self._refusal(401, self.scopes, error=None, description="A token is needed.")
        return self._refusal(401, self.scopes, error="invalid_token", description="The token is not good here.")

    def insufficient_scope(self, needed: tuple[str, ...]) -> Response:
        """403: bring a token that allows more (RFC 6750 §3.1)."""
        return self._refusal(403, needed, error="insufficient_scope", description="The token does not allow this.")

    def _refusal(self, status: int, scopes: tuple[str, ...], *, error: str | None, description: str) -> Response:
        """A refusal with its challenge (RFC 6750 §3, RFC 9728 §5.1)."""
        headers: dict[str, str] = {}
        if self.challenge is not None:
            values: dict[ChallengeParameter, str | None] = {
                "error": error,
                "error_description": description if error else None,
                "resource_metadata": self.metadata_url,
                "scope": " ".join(scopes) or None,
            }
            said = ", ".join(f'{name}="{values[name]}"' for name in self.challenge if values[name] is not None)
            headers["WWW-Authenticate"] = f"Bearer {said}".strip()
        return JSONResponse({"error": error or "unauthorized", "error_description": description}, status, headers)
