"""HTTP clients that are authorized already: httpx2 clients with the resource as their base URL.

A plain client that follows redirects carries the token along to siblings of the resource, because a redirect does not
pass an `Auth` again. These take it off before each hop that leaves the resource. Where the token is bound to a
certificate (RFC 8705), they show that, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx2

if TYPE_CHECKING:
    from collections.abc import Callable

    from gatepass.integrations.auth import Auth

__all__ = ["AuthorizedAsyncClient", "AuthorizedClient"]

Hooks = dict[str, list[Any]]


class AuthorizedClient(httpx2.Client):
    """An `httpx2.Client` that gets into one resource. An empty URL is the endpoint, a relative one lies below it.

    Args:
        auth: the way in.
        options: keyword options of `httpx2.Client`, but for `auth` and `base_url`.
    """

    def __init__(self, auth: Auth, **options: Any) -> None:
        super().__init__(auth=auth, base_url=auth.resource, **_with_certificate(auth, options))
        self._endpoint = auth.resource
        self._way_in = auth
        self.event_hooks = super().event_hooks

    @property
    def event_hooks(self) -> Hooks:
        """The hooks of the client. Whatever is assigned, to it or to an entry, the one that guards the token stays."""
        return _GuardedHooks(super().event_hooks, self._assign_hooks)

    @event_hooks.setter
    def event_hooks(self, event_hooks: Hooks) -> None:
        self._assign_hooks(event_hooks)

    def _assign_hooks(self, event_hooks: Hooks) -> None:
        httpx2.Client.event_hooks.fset(self, _with_guard(event_hooks, self._guard))  # type: ignore[attr-defined]  # a property

    def _guard(self, request: httpx2.Request) -> None:
        self._way_in.follow(request)

    def build_request(self, method: str, url: httpx2.URL | str, **options: Any) -> httpx2.Request:
        """As `httpx2.Client.build_request`; an empty URL is the endpoint itself, without a slash added."""
        return super().build_request(method, url if str(url) else self._endpoint, **options)


class AuthorizedAsyncClient(httpx2.AsyncClient):
    """An `httpx2.AsyncClient` that gets into one resource; otherwise as `AuthorizedClient`.

    Args:
        auth: the way in.
        options: keyword options of `httpx2.AsyncClient`, but for `auth` and `base_url`.
    """

    def __init__(self, auth: Auth, **options: Any) -> None:
        super().__init__(auth=auth, base_url=auth.resource, **_with_certificate(auth, options))
        self._endpoint = auth.resource
        self._way_in = auth
        self.event_hooks = super().event_hooks

    @property
    def event_hooks(self) -> Hooks:
        """The hooks of the client. Whatever is assigned, to it or to an entry, the one that guards the token stays."""
        return _GuardedHooks(super().event_hooks, self._assign_hooks)

    @event_hooks.setter
    def event_hooks(self, event_hooks: Hooks) -> None:
        self._assign_hooks(event_hooks)

    def _assign_hooks(self, event_hooks: Hooks) -> None:
        httpx2.AsyncClient.event_hooks.fset(self, _with_guard(event_hooks, self._guard))  # type: ignore[attr-defined]  # a property

    async def _guard(self, request: httpx2.Request) -> None:
        await self._way_in.afollow(request)

    def build_request(self, method: str, url: httpx2.URL | str, **options: Any) -> httpx2.Request:
        """As `httpx2.AsyncClient.build_request`; an empty URL is the endpoint itself, without a slash added."""
        return super().build_request(method, url if str(url) else self._endpoint, **options)


def _with_certificate(auth: Auth, options: dict[str, Any]) -> dict[str, Any]:
    context = None if options.keys() & {"verify", "transport"} else auth.tls_context()
    return options if context is None else {"verify": context, **options}


class _GuardedHooks(Hooks):
    """The hooks as a user sees them: ``client.event_hooks["request"] = [...]``, too, keeps the guard."""

    def __init__(self, hooks: Hooks, assign: Callable[[Hooks], None]) -> None:
        super().__init__(hooks)
        self._assign = assign

    def __setitem__(self, event: str, hooks: list[Any]) -> None:
        super().__setitem__(event, hooks)
        self._assign(self)


def _with_guard(hooks: Hooks, guard: Any) -> Hooks:
    others = [hook for hook in hooks.get("request", ()) if hook != guard]
    return {"request": [*others, guard], "response": list(hooks.get("response", ()))}
