"""Clients, as an authorization server has them on its books."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from gatepass.testing.jose import KeyMaterial, public_key_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from joserfc.jwk import Key

__all__ = ["Client", "register"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """A registered client (RFC 7591 §2 has the same things under longer names).

    Attributes:
        client_id: its identifier.
        methods: the ways it may authenticate.
        grants: the grants it may use.
        scopes: the scopes it may have; None: any that the server knows.
        default_scopes: what it gets when it asks for none; None: all of `scopes`.
        resources: the resources it may get tokens for; None: any that the server knows.
        secret: its secret.
        keys: its public keys.
    """

    client_id: str
    methods: tuple[str, ...]
    grants: tuple[str, ...]
    scopes: tuple[str, ...] | None = None
    default_scopes: tuple[str, ...] | None = None
    resources: tuple[str, ...] | None = None
    secret: str | None = field(default=None, repr=False)
    keys: tuple[Key, ...] = field(default=(), repr=False)


def register(
    client_id: str,
    *,
    secret: str | None,
    public_key: KeyMaterial | None,
    jwks: Mapping[str, object] | Sequence[KeyMaterial],
    methods: Iterable[str] | None,
    grants: Iterable[str] | None,
    scopes: Iterable[str] | None,
    default_scopes: Iterable[str] | None,
    resources: Iterable[str] | None,
) -> Client:
    """A client that may do what its credentials allow, unless told otherwise."""
    several = cast("Sequence[KeyMaterial]", jwks["keys"]) if isinstance(jwks, Mapping) else jwks
    keys = tuple(public_key_of(each) for each in (*several, *(() if public_key is None else (public_key,))))
    possible = [
        *(("client_secret_basic", "client_secret_post") if secret is not None else ()),
        *(("private_key_jwt",) if keys else ()),
    ]
    own_methods = tuple(methods) if methods is not None else tuple(possible or ["none"])
    confidential = own_methods != ("none",)
    return Client(
        client_id=client_id,
        methods=own_methods,
        # RFC 6749 §4.4: a public client must not use client credentials, unless a test insists.
        grants=tuple(grants) if grants is not None else ("client_credentials",) if confidential else (),
        scopes=_frozen(scopes),
        default_scopes=_frozen(default_scopes),
        resources=_frozen(resources),
        secret=secret,
        keys=keys,
    )


def _frozen(values: Iterable[str] | None) -> tuple[str, ...] | None:
    return None if values is None else tuple(values)
