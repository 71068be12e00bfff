"""Auth: what a program holds in its hand. One object for one resource and one identity, for every kind of client."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NoReturn, Self

import httpx2

from gatepass.core.target import Target
from gatepass.engine.pool import shared_pool
from gatepass.engine.sign_out import sign_out
from gatepass.engine.source import Source
from gatepass.engine.token_http import TokenHttp
from gatepass.engine.world import RealWorld
from gatepass.errors import ConfigurationError
from gatepass.integrations import arguments
from gatepass.integrations.flow import Reach, adrive, attach, authorize, drive, follow, outside
from gatepass.lifecycle.policy import Policy
from gatepass.signers.key_ring import KeyRing
from gatepass.stores.memory import MemoryStore

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncGenerator, Generator, Iterable, Mapping
    from types import TracebackType

    import httpx

    from gatepass.client_auth.private_key_jwt import KeyMaterial
    from gatepass.engine.event import Listener
    from gatepass.engine.status import Status
    from gatepass.lifecycle.policy import Held
    from gatepass.profiles.base import Profile
    from gatepass.stores.base import Store

__all__ = ["Auth"]

_STATUS_S = 60.0
"""How long a store may take, at the very most, to say how things are."""

_shared_http = TokenHttp()
_shared_keys = KeyRing()


class Auth(httpx2.Auth):
    """Gets requests into one protected resource, as one identity.

    It is an `httpx2.Auth` for sync and async clients, `for_httpx()` makes one for httpx, `token()` and `headers()`
    serve everything else, and `gatepass.connect` makes an MCP client of it. One object may be shared by threads, event
    loops and forked children; it makes one token request for all of them.

    Args:
        resource: the URL of the MCP endpoint: https, or http on loopback.
        profile: the way in, such as ``ClientCredentials(ClientSecret("id", Secret.env("SECRET")))``.
        issuer: the authorization server that the credentials belong to (RFC 8414 §2). Left out, the resource's metadata
            names it, which is warned of once: a resource could name any.
        scopes: what to ask for, as a list or separated by spaces. Left out, what the challenge or the metadata says.
        store: where tokens are kept; in memory if left out.
        http: how authorization servers are reached: proxy, CA bundle, client certificate, time-out.
        dpop: bind tokens to a key (RFC 9449): True for one that is made, and kept in the store; or a key of yours, as
            `PrivateKeyJwt` takes it, or a `Signer`.
        deadline_s: how long a caller waits for a token, in seconds; at most a day. Left out, 10 seconds, or as long as
            a person may take to sign in.
        token_endpoint: use this token endpoint; with `issuer` given, too, nothing is discovered.
        resource_indicator: send this as `resource` (RFC 8707) instead of what was discovered: any absolute URI.
        send_resource: False leaves `resource` out, for servers that refuse it.
        audience: an `audience` parameter, for servers that want one.
        step_up: when the resource wants more scopes than were pinned, ask for these, too.
        extra_parameters: more parameters for each token request.
        whole_origin: the token goes to every path of the resource's origin (the old HTTP+SSE transport needs it).
        allow_http: take a resource that is http and not on loopback, with `issuer` pinned. Tokens then travel in the
            clear: for networks that are encrypted otherwise, such as a service mesh. It is about the resource only;
            authorization servers stay https, or http on loopback.
        allow_metadata_origins: other origins that may serve the resource's metadata.
        allow_endpoint_origins: other origins that endpoints of an issuer that is not pinned may have.
        allow_legacy_discovery: where the resource publishes no metadata and no issuer is pinned, take its own origin
            for its authorization server, as the MCP specification of 2025-03-26 had it.
        tolerate_issuer_slash: take an issuer that differs only by a trailing slash for the same.
        on_event: a callable that is told of everything that happens, as an `Event`: `Telemetry()`, or one of yours. It
            is called at once and wherever that is, so it must not wait.

    Raises:
        ConfigurationError: an argument does not fit; its name stands in the text.
    """

    def __init__(
        self,
        resource: str,
        profile: Profile,
        *,
        issuer: str | None = None,
        scopes: Iterable[str] | None = None,
        store: Store | None = None,
        http: TokenHttp | None = None,
        dpop: bool | KeyMaterial = False,
        deadline_s: float | None = None,
        token_endpoint: str | None = None,
        resource_indicator: str | None = None,
        send_resource: bool = True,
        audience: str | None = None,
        extra_parameters: Mapping[str, str] | None = None,
        whole_origin: bool = False,
        allow_http: bool = False,
        allow_metadata_origins: Iterable[str] = (),
        allow_endpoint_origins: Iterable[str] = (),
        allow_legacy_discovery: bool = False,
        step_up: bool = False,
        tolerate_issuer_slash: bool = False,
        on_event: Listener | None = None,
    ) -> None:
        kind, masked = type(dpop).__name__, arguments.masked_dpop(dpop)
        del dpop  # so that no frame of a later error holds it in the clear
        key = arguments.checked_dpop(masked, kind)
        arguments.check_profile(profile)
        arguments.check_store(store)
        arguments.check_subject(profile, store)
        arguments.check_http(http)
        arguments.check_deadline(deadline_s)
        arguments.check_listener(on_event)
        endpoint = arguments.checked_resource(resource, allow_http=allow_http)
        target = Target(
            endpoint=endpoint,
            issuer=arguments.checked_issuer(issuer, endpoint=endpoint),
            scopes=arguments.checked_scopes(scopes),
            token_endpoint=arguments.checked_token_endpoint(token_endpoint),
            resource=arguments.checked_indicator(resource_indicator),
            send_resource=send_resource,
            audience=arguments.checked_audience(audience),
            extra=arguments.checked_extra(extra_parameters),
            allow_metadata_origins=arguments.checked_origins(allow_metadata_origins, "allow_metadata_origins"),
            allow_endpoint_origins=arguments.checked_origins(allow_endpoint_origins, "allow_endpoint_origins"),
            allow_legacy_discovery=allow_legacy_discovery,
            step_up=step_up,
            tolerate_issuer_slash=tolerate_issuer_slash,
        )
        self.url = resource
        """The URL of the MCP endpoint, as it was given."""
        self.resource = target.endpoint
        """The same in canonical form, which tells what a token may be sent to (RFC 8707 §2)."""
        self.extension = profile.traits.extension
        """The extension of MCP that a client of this way in advertises; None if it is none."""
        self._deadline_s = profile.traits.patience_s if deadline_s is None else deadline_s
        self.reach = Reach(httpx2.URL(target.endpoint), whole_origin=whole_origin)
        self._http = http if http is not None else _shared_http
        self._source = Source(
            profile=profile,
            target=target,
            store=store if store is not None else MemoryStore(),
            world=RealWorld(self._http, _shared_keys, resource=target.endpoint, on_event=on_event),
            pool=shared_pool(),
            policy=Policy(),
            dpop=key,
            watched=on_event is not None,
        )

    def token(self) -> str:
        """The access token, ready to use; made if need be.

        Raises:
            GatepassError: there is none; the reason.
        """
        return self._taken(self._source.get(self._deadline_s))

    async def atoken(self) -> str:
        """As `token`, for asyncio and trio."""
        return self._taken(await self._source.aget(self._deadline_s))

    def _taken(self, held: Held) -> str:
        if self._source.watched:
            self._source.used(held)
        return held.record.access_token

    def warm(self, min_ttl_s: float = 0.0) -> None:
        """Have a token ready before the first request needs it.

        Args:
            min_ttl_s: have it renewed first if it would end in less than so many seconds. Where the server gives none
                that lives so long, one with half of its life ahead will do.

        Raises:
            GatepassError: there is none; the reason.
        """
        self._source.get(self._deadline_s, min_ttl_s=min_ttl_s)

    async def awarm(self, min_ttl_s: float = 0.0) -> None:
        """As `warm`, for asyncio and trio."""
        await self._source.aget(self._deadline_s, min_ttl_s=min_ttl_s)

    def status(self) -> Status:
        """Where the token stands, here and in the store. Nothing is renewed."""
        from gatepass.engine.status import status_of  # few ask

        return status_of(self._source)

    async def astatus(self) -> Status:
        """As `status`, for asyncio and trio."""
        from gatepass.engine.status import status_of
        from gatepass.engine.work import do_aside

        return await do_aside(partial(status_of, self._source), _STATUS_S)

    def close(self, timeout_s: float = 10.0) -> None:
        """Make no more tokens, and wait for the one that is on its way, so that it reaches the store.

        What is at hand still serves, until it expires; then calls fail with the code ``closed``. Most programs need not
        close: one that ends in the middle of a renewal leaves others who share its store waiting for 5 seconds, and
        only a person's refresh token that is lost costs more. ``with auth:`` does it.

        Args:
            timeout_s: how long to wait, in seconds; at most a day.
        """
        arguments.check_timeout(timeout_s)
        self._source.close(timeout_s)

    async def aclose(self, timeout_s: float = 10.0) -> None:
        """As `close`, for asyncio and trio."""
        arguments.check_timeout(timeout_s)
        await self._source.aclose(timeout_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def headers(self, method: str, url: str) -> dict[str, str]:
        """The headers that get a request in; none for a URL outside the resource, which the log hears of once.

        Args:
            method: the method of the request (a DPoP proof depends on it).
            url: its URL.

        Raises:
            GatepassError: there is no token; the reason.
        """
        request = self._covered(method, url)
        if request is None:
            return {}
        for _ in drive(attach(self._source, request), self._source, self._deadline_s):
            pass
        return _shown(request)

    async def aheaders(self, method: str, url: str) -> dict[str, str]:
        """As `headers`, for asyncio and trio."""
        request = self._covered(method, url)
        if request is None:
            return {}
        async for _ in adrive(attach(self._source, request), self._source, self._deadline_s):
            pass
        return _shown(request)

    def rejected(self, token: str) -> bool:
        """Say that the resource answered a request with this token by a 401; the next call then gets another one.

        For requests that no `Auth` sees the answer of. Clients that are given the `Auth` itself do this by themselves.

        Args:
            token: the access token that was refused.

        Returns:
            Whether it is worth sending the request again: a renewal is forced once in five seconds at the most.
        """
        held = self._source.held
        if held is None or held.record.access_token == token:
            return held is not None and self._source.reject(held)
        return not self._source.hand.refuses(held.record.access_token)

    def nonce_given(self, nonce: str) -> None:
        """Say that the resource gave a nonce for DPoP proofs (its header ``DPoP-Nonce``, RFC 9449 §9).

        For requests that no `Auth` sees the answer of. Clients that are given the `Auth` itself do this by themselves.
        """
        self._source.nonce = nonce

    def forget(self) -> bool:
        """Sign out: revoke the token where the authorization server offers that (RFC 7009), and forget it.

        The token is forgotten here and in the store in any case; the next call that needs one obtains another.

        Returns:
            Whether the authorization server revoked it; False where it does not offer that, or there was none.

        Raises:
            GatepassError: it could not be revoked, or the store may still have it.
        """
        return self._source.do(partial(sign_out, self._source))

    async def aforget(self) -> bool:
        """As `forget`, for asyncio and trio."""
        return await self._source.ado(partial(sign_out, self._source))

    def tls_context(self) -> ssl.SSLContext | None:
        """What a client needs to show the certificate that tokens are bound to (RFC 8705 §3); None if there is none.

        ``httpx2.Client(auth=auth, verify=auth.tls_context())``; `AuthorizedClient` and `connect` do this by themselves.
        """
        return self._http.tls_context()

    def follow(self, request: httpx2.Request) -> None:
        """Make a request right that another one was redirected to. For `AuthorizedClient`, which calls it."""
        for _ in drive(follow(self._source, self.reach, request), self._source, self._deadline_s):
            pass

    async def afollow(self, request: httpx2.Request) -> None:
        """As `follow`, for `AuthorizedAsyncClient`."""
        async for _ in adrive(follow(self._source, self.reach, request), self._source, self._deadline_s):
            pass

    def for_httpx(self) -> httpx.Auth:
        """This object as an `httpx.Auth`, for sync and async clients of httpx."""
        from gatepass.integrations.httpx import HttpxAuth

        return HttpxAuth(self._source, self.reach, self._deadline_s)

    def sync_auth_flow(self, request: httpx2.Request) -> Generator[httpx2.Request, httpx2.Response, None]:
        """Get a request of a synchronous client in. For httpx2, which calls it."""
        flow = authorize(self._source, self.reach, request, httpx2.RequestNotRead)
        return drive(flow, self._source, self._deadline_s)

    def async_auth_flow(self, request: httpx2.Request) -> AsyncGenerator[httpx2.Request, httpx2.Response]:
        """Get a request of an asynchronous client in. For httpx2, which calls it."""
        flow = authorize(self._source, self.reach, request, httpx2.RequestNotRead)
        return adrive(flow, self._source, self._deadline_s)

    def _covered(self, method: str, url: str) -> httpx2.Request | None:
        """A request to the resource; None for one that goes elsewhere."""
        if not method:
            msg = "method is empty; name the HTTP method of the request, such as 'POST'."
            raise ConfigurationError(msg, code="http_method_invalid")
        try:
            parsed = httpx2.URL(url)
        except (httpx2.InvalidURL, TypeError):
            parsed = httpx2.URL("")
        if not parsed.host:
            msg = "url is not a full URL; give the one that the request goes to, such as 'https://example.com/path'."
            raise ConfigurationError(msg, code="url_invalid")
        if self.reach.covers(parsed):
            return httpx2.Request(method, parsed)
        self._source.world.notice(outside(self.reach, parsed))
        return None

    def __repr__(self) -> str:
        if not hasattr(self, "_source"):  # in a traceback of its constructor
            return "Auth(...)"
        return f"Auth({self.resource!r}, {self._source.profile!r})"

    def __reduce__(self) -> NoReturn:
        msg = "An Auth can't be pickled: it holds secrets. Make one in each process; a FileStore shares their tokens."
        raise TypeError(msg)


def _shown(request: httpx2.Request) -> dict[str, str]:
    """The headers that gatepass puts on a request."""
    return {name: request.headers[name] for name in ("Authorization", "DPoP") if name in request.headers}
