"""Where a server describes itself, and what it says: RFC 8414, OpenID Connect Discovery, RFC 9728."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from gatepass.testing.grants import GRANT_TYPES
from gatepass.testing.grants.token_exchange import ID_JAG
from gatepass.testing.tls import TLS_METHODS

if TYPE_CHECKING:
    from gatepass.testing.authorization_server import AuthorizationServer

__all__ = [
    "MetadataForm",
    "is_well_known",
    "resource_metadata_path",
    "server_metadata_document",
    "server_metadata_paths",
]

MetadataForm = Literal["oauth", "oidc", "oidc_inserted", "both", "none"]

ID_JAG_PROFILE = "urn:ietf:params:oauth:grant-profile:id-jag"
OAUTH = "/.well-known/oauth-authorization-server"
OIDC = "/.well-known/openid-configuration"
RESOURCE = "/.well-known/oauth-protected-resource"


def server_metadata_paths(form: MetadataForm, issuer_path: str) -> tuple[str, ...]:
    """The paths where the metadata of an issuer with that path stands.

    RFC 8414 §3.1 puts the well-known part before the issuer's path, OpenID Connect Discovery §4 behind it. Some servers
    have OIDC's name in RFC 8414's place (``"oidc_inserted"``, RFC 8414 §5).
    """
    path = issuer_path.rstrip("/")
    places: dict[MetadataForm, tuple[str, ...]] = {
        "oauth": (OAUTH + path,),
        "oidc": (path + OIDC,),
        "oidc_inserted": (OIDC + path,),
        "both": (OAUTH + path, path + OIDC),
        "none": (),
    }
    return places[form]


def resource_metadata_path(form: Literal["path", "root"], resource_path: str) -> str:
    """The path where the metadata of a resource stands (RFC 9728 §3.1); ``"root"`` leaves the resource's path out."""
    return RESOURCE + resource_path if form == "path" else RESOURCE


def is_well_known(path: str) -> bool:
    """Whether a client that asks for this path is looking for metadata."""
    return any(name in path for name in (OAUTH, OIDC, RESOURCE))


def server_metadata_document(server: AuthorizationServer, *, oidc: bool) -> dict[str, object]:
    """Authorization server metadata (RFC 8414 §2); a member that is None is left out."""
    person = server.authorization_endpoint
    certificates = server.tls is not None and server.tls.asks
    document: dict[str, object | None] = {
        "issuer": server.issuer,
        "authorization_endpoint": server.endpoint("authorize") if person else None,
        "token_endpoint": server.token_endpoint,
        "registration_endpoint": server.endpoint("register") if server.registration else None,
        "revocation_endpoint": server.endpoint("revoke") if server.revocation else None,
        "jwks_uri": server.jwks_uri,
        "scopes_supported": server.scopes,
        # Required, even where there is no authorization endpoint to send one to.
        "response_types_supported": ["code"] if person else ["none"],
        "grant_types_supported": [grant.name for grant in GRANT_TYPES.values() if grant.offered(server)],
        "token_endpoint_auth_methods_supported": _methods(server, person=person, certificates=certificates),
        "token_endpoint_auth_signing_alg_values_supported": (
            server.algorithms if "private_key_jwt" in (server.methods or ()) else None
        ),
        "tls_client_certificate_bound_access_tokens": True if certificates else None,
        "mtls_endpoint_aliases": _aliases(server) if server.mtls_aliases else None,
        "code_challenge_methods_supported": server.pkce_methods if person else None,
        "authorization_response_iss_parameter_supported": True if person and server.advertise_iss else None,
        "dpop_signing_alg_values_supported": server.dpop_algorithms if server.dpop != "off" else None,
        "client_id_metadata_document_supported": True if server.books.documents else None,
        # draft-ietf-oauth-identity-assertion-authz-grant §7
        "identity_chaining_requested_token_types_supported": [ID_JAG] if server.books.identity_provider else None,
        "authorization_grant_profiles_supported": [ID_JAG_PROFILE] if server.books.trusted_issuers else None,
        "subject_types_supported": ["public"] if oidc else None,
        "id_token_signing_alg_values_supported": ["ES256"] if oidc else None,
    }
    return {name: value for name, value in document.items() if value is not None}


def _methods(server: AuthorizationServer, *, person: bool, certificates: bool) -> list[str] | None:
    """What the server says, and what goes without saying."""
    if server.methods is None:
        return None
    # Where a person is in it, clients run on that person's machine, and can keep no secret.
    several = (*server.methods, *(("none",) if person else ()), *(TLS_METHODS if certificates else ()))
    return list(dict.fromkeys(several))


def _aliases(server: AuthorizationServer) -> dict[str, str]:
    """The endpoints where a client certificate is asked for (RFC 8705 §5)."""
    aliases = {"token_endpoint": server.endpoint("mtls/token")}
    return {**aliases, "revocation_endpoint": server.endpoint("mtls/revoke")} if server.revocation else aliases
