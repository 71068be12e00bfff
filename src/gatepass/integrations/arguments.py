"""What the arguments of an `Auth` must be. Each is checked before anything is sent, and an error names it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, cast

from gatepass.client_auth.base import check_text
from gatepass.core.duration import is_duration
from gatepass.engine.token_http import TokenHttp
from gatepass.errors import ConfigurationError
from gatepass.protocol.scope import check_scopes
from gatepass.protocol.urls import canonical_resource, check_issuer, is_loopback, origin, require_secure, shown
from gatepass.stores.base import Store

if TYPE_CHECKING:
    from gatepass.client_auth.private_key_jwt import KeyMaterial
    from gatepass.core.secret import Secret
    from gatepass.core.world import PrivateKey, Signer
    from gatepass.profiles.base import Profile

__all__ = [
    "check_deadline",
    "check_http",
    "check_listener",
    "check_profile",
    "check_store",
    "check_subject",
    "check_timeout",
    "checked_audience",
    "checked_dpop",
    "checked_extra",
    "checked_indicator",
    "checked_issuer",
    "checked_origins",
    "checked_resource",
    "checked_scopes",
    "checked_token_endpoint",
    "masked_dpop",
]

_LONGEST_DEADLINE_S = 86_400.0

_OURS = frozenset(
    {
        "assertion", "audience", "client_assertion", "client_assertion_type", "client_id", "client_secret", "code",
        "code_challenge", "code_challenge_method", "code_verifier", "dpop_jkt", "grant_type", "password",
        "redirect_uri", "refresh_token", "requested_token_type", "resource", "response_type", "scope", "state",
        "subject_token", "subject_token_type", "username",
    }
)  # fmt: skip
"""Parameters of a token request that have a place of their own."""

_ABSOLUTE_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[A-Za-z0-9._~:/?\[\]@!$&'()*+,;=%-]+")
_HALF_A_CHARACTER = re.compile("[\ud800-\udfff]")
_MEMBERS_OF_A_STORE = tuple(name for name in vars(Store) if not name.startswith("_"))


def check_profile(profile: Profile) -> None:
    """Refuse what is no way in."""
    if isinstance(profile, type) or not hasattr(profile, "grant"):
        msg = "The second argument is the way in, such as ClientCredentials(ClientSecret(...))."
        raise ConfigurationError(msg, code="profile_invalid")


def check_subject(profile: Profile, store: Store | None) -> None:
    """Refuse a store that others may use without saying for whom: two users must never get each other's token."""
    if profile.traits.subject_missing and store is not None:
        msg = (
            f"subject is needed: {type(profile).__name__} acts for somebody, and whoever is given the same store would "
            "be served the same token. Say for whom, in words of your own: subject='alice'."
        )
        raise ConfigurationError(msg, code="subject_missing")


def masked_dpop(dpop: bool | KeyMaterial) -> bool | Secret | Signer | None:
    """The key that tokens are bound to, with nothing left in the clear; None for what can be none.

    It does not raise for that, so that its caller can drop the key first: an error's frames must not hold it.
    """
    if isinstance(dpop, bool):
        return dpop
    from gatepass.client_auth.private_key_jwt import masked_key  # most clients have no key

    return masked_key(dpop)


def checked_dpop(masked: bool | Secret | Signer | None, kind: str) -> bool | PrivateKey | Signer:
    """The key that tokens are bound to; True for one that is made.

    Args:
        masked: what `masked_dpop` gave.
        kind: what was given to it, for the error.
    """
    if isinstance(masked, bool):
        return masked
    if masked is None:
        msg = f"dpop must be True, a Path, PEM or JWK text, a mapping, a Secret or a Signer, not {kind}."
        raise ConfigurationError(msg, code="dpop_invalid")
    from gatepass.client_auth.private_key_jwt import checked_key  # most clients have no key

    return checked_key(masked, None, field="dpop")


def check_deadline(deadline_s: object) -> None:
    """Refuse a wait of no time, of more than a day, or of what is no number."""
    if deadline_s is not None and not is_duration(deadline_s, most_s=_LONGEST_DEADLINE_S):
        msg = f"deadline_s is {deadline_s!r}; it must be a number of seconds, more than 0 and at most a day (86400)."
        raise ConfigurationError(msg, code="deadline_invalid")


def check_timeout(timeout_s: object) -> None:
    """Refuse a wait of no time, of more than a day, or of what is no number."""
    if not is_duration(timeout_s, most_s=_LONGEST_DEADLINE_S):
        msg = f"timeout_s is {timeout_s!r}; it must be a number of seconds, more than 0 and at most a day (86400)."
        raise ConfigurationError(msg, code="timeout_invalid")


def check_listener(on_event: object) -> None:
    """Refuse what can't be called, and the class of what could be."""
    if on_event is None or (callable(on_event) and not isinstance(on_event, type)):
        return
    what = f"the class {on_event.__name__}" if isinstance(on_event, type) else f"of the type {type(on_event).__name__}"
    msg = f"on_event is {what}. Give a callable that takes an Event, such as print or Telemetry()."
    raise ConfigurationError(msg, code="on_event_invalid")


def check_http(http: object) -> None:
    """Refuse what is no token client."""
    if http is not None and not isinstance(http, TokenHttp):
        msg = f"http is of the type {type(http).__name__}. Give a TokenHttp, or leave it out."
        raise ConfigurationError(msg, code="http_invalid")


def check_store(store: object) -> None:
    """Refuse what can't be a store: it lacks a member of `Store`, or it is the class of one."""
    if store is None:
        return
    if isinstance(store, type):
        msg = f"store is the class {store.__name__}. Give an object of it: {store.__name__}()."
        raise ConfigurationError(msg, code="store_invalid")
    missing = [name for name in _MEMBERS_OF_A_STORE if not hasattr(store, name)]
    if missing:
        msg = f"store is of the type {type(store).__name__}, which has no {', '.join(missing)}. Give a Store."
        raise ConfigurationError(msg, code="store_invalid")


def checked_resource(resource: str, *, allow_http: bool) -> str:
    """The MCP endpoint in canonical form (RFC 8707 §2); http is for loopback, unless it is allowed by name."""
    endpoint = canonical_resource(resource)
    if endpoint.startswith("http:") and not allow_http and not is_loopback(endpoint):
        msg = (
            f"resource is {shown(endpoint)}, which is not encrypted: whoever is on the way could read the token. "
            "Use https; or allow_http=True, if the network is encrypted by other means."
        )
        raise ConfigurationError(msg, code="insecure_url")
    return endpoint


def checked_issuer(issuer: str | None, *, endpoint: str) -> str | None:
    """The pinned issuer, verbatim (RFC 8414 §2). Where the resource speaks in the clear, anybody could name another."""
    if issuer is not None:
        check_issuer(issuer)
    elif endpoint.startswith("http:") and not is_loopback(endpoint):
        msg = "issuer is needed with allow_http=True: else whoever is on the way says where your credentials go."
        raise ConfigurationError(msg, code="issuer_unknown")
    return issuer


def checked_token_endpoint(url: str | None) -> str | None:
    """The configured token endpoint: https, or http on loopback."""
    if url is not None:
        require_secure(url, field="token_endpoint")
    return url


def checked_scopes(scopes: object) -> tuple[str, ...] | None:
    """The scopes, given as a list or separated by spaces."""
    if scopes is None:
        return None
    if not isinstance(scopes, Iterable):
        msg = f"scopes is of the type {type(scopes).__name__}. Give a list of strings, or one with spaces between."
        raise ConfigurationError(msg, code="scope_invalid")
    return check_scopes(scopes.split() if isinstance(scopes, str) else cast("Iterable[object]", scopes), "scopes")


def checked_indicator(indicator: object) -> str | None:
    """The resource indicator: an absolute URI without a fragment, of whatever scheme (RFC 8707 §2)."""
    if indicator is None:
        return None
    if isinstance(indicator, str) and _ABSOLUTE_URI.fullmatch(indicator):
        return indicator
    msg = "resource_indicator is no absolute URI without a fragment. Give one such as https://... or urn:..."
    raise ConfigurationError(msg, code="resource_indicator_invalid")


def checked_audience(audience: object) -> str | None:
    """The `audience` parameter."""
    return None if audience is None else check_text(audience, field="audience")


def checked_extra(parameters: object) -> tuple[tuple[str, str], ...]:
    """More parameters for each token request; none replaces one of ours. A value may be secret and is never shown."""
    if parameters is None:
        return ()
    if not isinstance(parameters, Mapping):
        msg = f"extra_parameters is of the type {type(parameters).__name__}. Give a dict of strings."
        raise ConfigurationError(msg, code="extra_parameters_invalid")
    pairs = tuple(_checked_pair(*pair) for pair in cast("Mapping[object, object]", parameters).items())
    taken = sorted(_OURS & {name for name, _ in pairs})
    if taken:
        msg = f"extra_parameters can't set {', '.join(taken)}: each has an argument of its own."
        raise ConfigurationError(msg, code="extra_parameters_invalid")
    return pairs


def _checked_pair(name: object, value: object) -> tuple[str, str]:
    if isinstance(name, str) and isinstance(value, str) and name and not _HALF_A_CHARACTER.search(name + value):
        return name, value
    what = f"the value of {name!r}" if isinstance(name, str) and name else f"the name {name!r}"
    msg = f"extra_parameters can't be sent: {what} must be a string of whole characters, and no name may be empty."
    raise ConfigurationError(msg, code="extra_parameters_invalid")


def checked_origins(origins: object, field: str) -> tuple[str, ...]:
    """A list of origins (RFC 6454 §4), given as URLs on them."""
    if isinstance(origins, str) or not isinstance(origins, Iterable):
        msg = f"{field} is of the type {type(origins).__name__}. Give a list, such as ['https://example.com']."
        raise ConfigurationError(msg, code="url_invalid")
    listed = cast("Iterable[str]", origins)
    return tuple(origin(url, field=f"{field}[{index}]") for index, url in enumerate(listed))
