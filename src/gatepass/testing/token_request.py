"""A token request, once it is known who sent it, and the ways to answer one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from gatepass.testing.authorization_server import AuthorizationServer
    from gatepass.testing.bindings import Binding
    from gatepass.testing.clients import Client
    from gatepass.testing.forms import Form

__all__ = ["GrantType", "TokenRequest"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRequest:
    """What the token endpoint is asked for (RFC 6749 §3.2).

    Attributes:
        server: who is asked.
        client: who asks.
        form: for what.
        binding: the key and the certificate that the request showed.
    """

    server: AuthorizationServer
    client: Client
    form: Form
    binding: Binding


def _always(_server: AuthorizationServer) -> bool:
    return True


def _never(_server: AuthorizationServer) -> bool:
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantType:
    """A way to get a token.

    Attributes:
        name: its ``grant_type``.
        answer: gives the response to a request, or raises a `Refusal`.
        offered: whether a server knows it at the moment.
        anonymous: whether it asks for no client authentication.
    """

    name: str
    answer: Callable[[TokenRequest], dict[str, object]]
    offered: Callable[[AuthorizationServer], bool] = _always
    anonymous: Callable[[AuthorizationServer], bool] = _never
