"""Where a server describes itself, and what it says: RFC 8414, OpenID Connect Discovery, RFC 9728."""

from __future__ import annotations

from typing import Literal

__all__ = [
    "MetadataForm",
    "is_well_known",
    "resource_metadata_path",
    "server_metadata_document",
    "server_metadata_paths",
]

MetadataForm = Literal["oauth", "oidc", "oidc_inserted", "both", "none"]

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


def server_metadata_document(
    *,
    issuer: str,
    token_endpoint: str,
    jwks_uri: str,
    authorization_endpoint: str | None,
    scopes: tuple[str, ...] | None,
    grants: tuple[str, ...],
    methods: tuple[str, ...] | None,
    algorithms: tuple[str, ...] | None,
    oidc: bool,
) -> dict[str, object]:
    """Authorization server metadata (RFC 8414 §2); None leaves a member out."""
    document: dict[str, object | None] = {
        "issuer": issuer,
        "authorization_endpoint": authorization_endpoint,
        "token_endpoint": token_endpoint,
        "jwks_uri": jwks_uri,
        "scopes_supported": scopes,
        # Required, even where there is no authorization endpoint to send one to.
        "response_types_supported": ["code"] if authorization_endpoint else ["none"],
        "grant_types_supported": grants,
        "token_endpoint_auth_methods_supported": methods,
        "token_endpoint_auth_signing_alg_values_supported": algorithms,
        "code_challenge_methods_supported": ["S256"] if authorization_endpoint else None,
        "subject_types_supported": ["public"] if oidc else None,
        "id_token_signing_alg_values_supported": ["ES256"] if oidc else None,
    }
    return {name: value for name, value in document.items() if value is not None}
