"""Clients, as an authorization server has them on its books."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gatepass.testing.jose import public_key_of, public_keys_of
from gatepass.testing.tls import certificate_from_pem

if TYPE_CHECKING:
    from collections.abc import Iterable

    from joserfc.jwk import Key

    from gatepass.testing.jose import KeyMaterial, KeySetMaterial

__all__ = ["ANONYMOUS", "CLIENT_CREDENTIALS", "JWT_BEARER", "Client", "register"]

CLIENT_CREDENTIALS = "client_credentials"
JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """A registered client (RFC 7591 §2 has the same things under longer names).

    Attributes:
        client_id: its identifier.
        methods: the ways it may authenticate.
        grants: the grants it may use; None: any, but a public client has no client credentials (RFC 6749 §4.4).
        scopes: the scopes it may have; None: any that the server knows.
        default_scopes: what it gets when it asks for none; None: all of `scopes`.
        resources: the resources it may get tokens for; None: any that the server knows.
        redirect_uris: where a person may be sent back to; on loopback, the port is of no account (RFC 8252 §7.3).
        secret: its secret.
        keys: its public keys.
        certificate: the one certificate that is its own, in DER (RFC 8705 §2.2).
        certificate_subject: the subject that an authority certified (RFC 8705 §2.1).
    """

    client_id: str
    methods: tuple[str, ...]
    grants: tuple[str, ...] | None = None
    scopes: tuple[str, ...] | None = None
    default_scopes: tuple[str, ...] | None = None
    resources: tuple[str, ...] | None = None
    redirect_uris: tuple[str, ...] = ()
    secret: str | None = field(default=None, repr=False)
    keys: tuple[Key, ...] = field(default=(), repr=False)
    certificate: bytes | None = field(default=None, repr=False)
    certificate_subject: str | None = None

    @property
    def public(self) -> bool:
        """Whether it cannot authenticate (RFC 6749 §2.1)."""
        return self.methods == ("none",)

    def may_use(self, grant_type: str) -> bool:
        """Whether it is registered for a grant."""
        if self.grants is None:
            return grant_type != CLIENT_CREDENTIALS or not self.public
        return grant_type in self.grants


ANONYMOUS = Client(client_id="", methods=("none",), grants=(JWT_BEARER,))
"""Who names no client at all (RFC 7521 §4.1)."""


def register(
    client_id: str,
    *,
    secret: str | None,
    public_key: KeyMaterial | None,
    jwks: KeySetMaterial,
    methods: Iterable[str] | None,
    grants: Iterable[str] | None,
    scopes: Iterable[str] | None,
    default_scopes: Iterable[str] | None,
    resources: Iterable[str] | None,
    redirect_uris: Iterable[str],
    certificate: str | bytes | None,
    certificate_subject: str | None,
) -> Client:
    """A client that may do what its credentials allow, unless told otherwise."""
    keys = (*public_keys_of(jwks), *(() if public_key is None else (public_key_of(public_key),)))
    possible = [
        *(("client_secret_basic", "client_secret_post") if secret is not None else ()),
        *(("private_key_jwt",) if keys else ()),
        *(("self_signed_tls_client_auth",) if certificate is not None else ()),
        *(("tls_client_auth",) if certificate_subject is not None else ()),
    ]
    return Client(
        client_id=client_id,
        methods=tuple(methods) if methods is not None else tuple(possible or ["none"]),
        grants=_frozen(grants),
        scopes=_frozen(scopes),
        default_scopes=_frozen(default_scopes),
        resources=_frozen(resources),
        redirect_uris=tuple(redirect_uris),
        secret=secret,
        keys=keys,
        certificate=None if certificate is None else certificate_from_pem(certificate),
        certificate_subject=certificate_subject,
    )


def _frozen(values: Iterable[str] | None) -> tuple[str, ...] | None:
    return None if values is None else tuple(values)
