"""A look at a server from outside, before anything is configured: who issues its tokens, to whom, and how."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gatepass.cli.access import Access
from gatepass.cli.identity import AuthMethod
from gatepass.cli.layers import as_options, settle
from gatepass.core.http import HttpRequest
from gatepass.discovery import discover
from gatepass.engine.world import RealWorld
from gatepass.protocol.challenge import resource_challenge
from gatepass.signers.key_ring import KeyRing

if TYPE_CHECKING:
    from gatepass.cli.layers import Layer
    from gatepass.core.world import Notice

__all__ = ["Survey", "survey"]

_FIRST_ERROR = 400
_HELLO = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "gatepass", "version": "0"},
    },
}
"""What an MCP client begins with: a server that wants a token says so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """What a server and its authorization server say of themselves.

    Attributes:
        is_open: a request without a token was let in.
        issuer: who issues its tokens.
        methods: how clients may prove themselves there; None if unsaid.
        grants: the grants that it knows; None if unsaid.
        scopes: what the server asks for; None if unsaid.
        dpop_required: it takes only tokens that are bound to a key.
    """

    is_open: bool
    issuer: str
    methods: tuple[str, ...] | None
    grants: tuple[str, ...] | None
    scopes: tuple[str, ...] | None
    dpop_required: bool


def survey(url: str, said: Layer) -> Survey:
    """Ask the server, and its authorization server, without any credential.

    Args:
        url: the MCP endpoint.
        said: what is said of it already, such as its issuer, or how to get there.

    Raises:
        GatepassError: it can't be reached, or its documents can't be used; the reason.
    """
    nobody = as_options({"client_id": "nobody", "auth_method": AuthMethod.NONE, "no_store": True})
    auth = Access.described(url, settle(nobody, said)).auth
    target = auth._source.target  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  # of our own house
    world = _World(auth._http, KeyRing())  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    answer = world.send(
        HttpRequest(
            method="POST",
            url=target.endpoint,
            headers=(("Content-Type", "application/json"), ("Accept", "application/json, text/event-stream")),
            body=json.dumps(_HELLO).encode(),
        )
    )
    challenge = resource_challenge(answer.header_values("WWW-Authenticate"))
    found = discover(world, target, challenge)
    return Survey(
        is_open=answer.status < _FIRST_ERROR,
        issuer=found.server.issuer,
        methods=found.server.token_endpoint_auth_methods_supported or None,
        grants=found.server.grant_types_supported or None,
        scopes=(challenge.scope if challenge else None) or found.scopes_supported,
        dpop_required=found.dpop_required,
    )


class _World(RealWorld):
    """The real one, without what it would note about an issuer that is about to be pinned."""

    def notice(self, notice: Notice) -> None:
        pass
