"""URLs and the rules that guard them: resource indicators (RFC 8707), well-known addresses, origins, https.

A URL is read by one strict reading, and what two programs might read in two ways (a backslash, a space, a user name,
a dot segment in any encoding) is refused or counts as out of reach: a doubt never widens where a token may go.
"""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlsplit

from gatepass.core.value import Value
from gatepass.errors import ConfigurationError, RemoteError
from gatepass.protocol.text import clean

if TYPE_CHECKING:
    from gatepass.errors import Party

__all__ = [
    "canonical_resource",
    "check_issuer",
    "covers",
    "is_http_url",
    "is_loopback",
    "origin",
    "require_secure",
    "require_secure_endpoint",
    "resource_metadata_candidates",
    "same_origin",
    "server_metadata_candidates",
    "shown",
]

_DEFAULT_PORTS = {"http": 80, "https": 443}
_AMBIGUOUS = re.compile(r"[\x00-\x20\x7f\\]")
_AUTHORITY = re.compile(r"(?:\[(?P<v6>[0-9a-f:.]+)\]|(?P<name>[a-z0-9._-]+))(?::(?P<port>[0-9]{0,5}))?")
_HIGHEST_PORT = 65_535
_LEGAL_IN_PATH = "/%:@!$&'()*+,;=-._~"
_PERCENT = re.compile(r"%[0-9A-Fa-f]{2}")
_UNRESERVED = re.compile(r"[A-Za-z0-9._~-]")
_DOT_SEGMENT = re.compile(r"(?:^|[/\\])\.{1,2}[\s\x00]*(?:[;/\\]|$)")
_USER = re.compile(r"(^|//)[^/]*@")
_DEEPEST_ENCODING = 3


class _Url(Value, frozen=True):
    scheme: str
    host: str
    port: int
    path: str
    query: str
    has_fragment: bool

    @property
    def origin(self) -> str:
        return f"{self.scheme}://{self.authority}"

    @property
    def authority(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        if ":" in self.host:
            return self.host == "::1"
        return self.host == "localhost" or _is_loopback_v4(self.host)


def _read(url: object) -> _Url | str:
    """The parts of an http or https URL, or in words what is wrong with it."""
    if not isinstance(url, str):
        return "is not a string"
    if _AMBIGUOUS.search(url) or not _encodable(url):
        return "holds a space, a control character or a backslash"
    scheme, mark, _ = url.partition("://")
    scheme = scheme.lower()
    if scheme not in _DEFAULT_PORTS or not mark:
        return "does not start with https:// (or http:// on loopback)"
    try:
        parts = urlsplit(url)
    except ValueError:
        return "has a host that can't be read"
    if "@" in parts.netloc:
        return "holds a user name or a password"
    authority = _AUTHORITY.fullmatch(parts.netloc.lower())
    host = authority and (authority["name"] or _ip_v6(authority["v6"]))
    if not authority or not host:
        return "has no host, or one that is not a name in ASCII (write xn--... for others) or an IP address"
    port = int(authority["port"] or _DEFAULT_PORTS[scheme])
    if not 0 < port <= _HIGHEST_PORT:
        return "has a port that does not exist"
    return _Url(
        scheme=scheme,
        host=host,
        port=port,
        path=quote(parts.path, safe=_LEGAL_IN_PATH) or "/",
        query=parts.query,
        has_fragment="#" in url,
    )


def _encodable(url: str) -> bool:
    """Whether there is no half of a character in it."""
    try:
        url.encode()
    except UnicodeEncodeError:
        return False
    return True


def _ip_v6(text: str) -> str | None:
    try:
        return IPv6Address(text).compressed
    except AddressValueError:
        return None


def _is_loopback_v4(host: str) -> bool:
    try:
        return IPv4Address(host).is_loopback
    except AddressValueError:
        return False


def canonical_resource(url: str, *, field: str = "resource") -> str:
    """The canonical URI of an MCP endpoint, fit to be a resource indicator (RFC 8707 §2).

    Scheme and host in lower case, no default port, no query, no fragment. The slash of a bare origin is dropped; one
    after a path stays, since `/mcp` and `/mcp/` are two resources to many servers.

    Raises:
        ConfigurationError: this is no URL that a token could be bound to (code ``resource_invalid``).
    """
    read = _read(url)
    if isinstance(read, str):
        raise ConfigurationError(f"{field} {read}. Give the MCP endpoint's full URL.", code="resource_invalid")
    if _climbs(read.path):
        message = f"{field} holds a dot segment (/./ or /../). Give the MCP endpoint's full URL without one."
        raise ConfigurationError(message, code="resource_invalid")
    return read.origin + ("" if read.path == "/" else read.path)


def origin(url: str, *, field: str = "url") -> str:
    """Scheme, host and port of a URL (RFC 6454 §4), the default port left out.

    Raises:
        ConfigurationError: this is no http or https URL (code ``url_invalid``).
    """
    return _require(url, field=field, code="url_invalid").origin


def same_origin(a: str, b: str) -> bool:
    """Whether two URLs have the same scheme, host and port. One that can't be read matches nothing."""
    one, other = _read(a), _read(b)
    return not isinstance(one, str) and not isinstance(other, str) and one.origin == other.origin


def is_http_url(url: str) -> bool:
    """Whether this is a full http or https URL that can be read in one way only."""
    return not isinstance(_read(url), str)


def is_loopback(url: str) -> bool:
    """Whether the host is this machine by its literal name: localhost, 127.0.0.0/8 or ::1 (RFC 8252 §7.3)."""
    read = _read(url)
    return not isinstance(read, str) and read.is_loopback


@lru_cache(maxsize=512)
def covers(resource: str, url: str) -> bool:
    """Whether a request to `url` is within `resource`: on its origin, and at its path or below.

    Paths are compared segment by segment, so `/mcp` covers `/mcp`, `/mcp/` and `/mcp/x` but not `/mcpx`. A slash at
    the resource's end makes no difference: servers redirect between the two forms, and nobody can own only one. The
    query is no part of the reach. A path that some server could read as climbing out is not covered.
    """
    base, wanted = _read(resource), _read(url)
    if isinstance(base, str) or isinstance(wanted, str):
        return False
    if base.origin != wanted.origin or base.has_fragment or _climbs(base.path) or _climbs(wanted.path):
        return False
    prefix = _equivalent(base.path).removesuffix("/")
    path = _equivalent(wanted.path)
    return path == prefix or path.startswith(prefix + "/")


def _climbs(path: str) -> bool:
    """Whether a path has a dot segment, as it stands or after decoding it as often as a chain of servers may."""
    for _ in range(_DEEPEST_ENCODING + 1):
        if _DOT_SEGMENT.search(path):
            return True
        decoded = unquote(path, errors="replace")
        if decoded == path:
            return False
        path = decoded
    return True


def _equivalent(path: str) -> str:
    """One spelling for the paths that RFC 3986 §6.2.2 calls equivalent."""
    return _PERCENT.sub(_normal_percent, path)


def _normal_percent(match: re.Match[str]) -> str:
    char = chr(int(match[0][1:], 16))
    return char if _UNRESERVED.fullmatch(char) else match[0].upper()


def resource_metadata_candidates(endpoint: str) -> tuple[str, ...]:
    """Where the metadata of a resource may stand, in the order to try (RFC 9728 §3.1).

    For a path with a slash at its end both spellings are tried: the specification keeps the slash, some servers don't.

    Raises:
        ConfigurationError: the endpoint is no usable URL (code ``resource_invalid``).
    """
    read = _require(endpoint, field="resource", code="resource_invalid")
    root = f"{read.origin}/.well-known/oauth-protected-resource"
    path = "" if read.path == "/" else read.path
    return tuple(dict.fromkeys((root + path, root + path.removesuffix("/"), root)))


def server_metadata_candidates(issuer: str) -> tuple[str, ...]:
    """Where the metadata of an issuer may stand, in the order to try (RFC 8414 §3.1 and §5, OIDC Discovery §4.1).

    Raises:
        ConfigurationError: this can't be an issuer (code ``issuer_invalid``).
    """
    read = _require(issuer, field="issuer", code="issuer_invalid")
    path = read.path.removesuffix("/")
    candidates = (
        f"{read.origin}/.well-known/oauth-authorization-server{path}",
        f"{read.origin}/.well-known/openid-configuration{path}",
        f"{read.origin}{path}/.well-known/openid-configuration",
    )
    return tuple(dict.fromkeys(candidates))


def check_issuer(issuer: str, *, field: str = "issuer") -> None:
    """Refuse what can't be an issuer identifier (RFC 8414 §2): https (or http on loopback), no query, no fragment.

    Raises:
        ConfigurationError: codes ``issuer_invalid`` and ``insecure_url``.
    """
    read = _require(issuer, field=field, code="issuer_invalid")
    if read.query or read.has_fragment or _climbs(read.path):
        message = f"{field} holds a query, a fragment or a dot segment. Copy the issuer from the server's own metadata."
        raise ConfigurationError(message, code="issuer_invalid")
    require_secure(issuer, field=field)


def require_secure(url: str, *, field: str) -> None:
    """Refuse a URL of the user's that would send a credential in the clear: https, or http on loopback.

    Raises:
        ConfigurationError: the URL is not secure (code ``insecure_url``) or no URL (code ``url_invalid``).
    """
    read = _require(url, field=field, code="url_invalid")
    if read.scheme != "https" and not read.is_loopback:
        message = f"{field} is {shown(url)}, which is not encrypted. Use https; http is accepted on loopback only."
        raise ConfigurationError(message, code="insecure_url")


def require_secure_endpoint(url: str, *, field: str, document: str, by: Party = "authorization_server") -> None:
    """Refuse an endpoint that a server names and that is not https (or http on loopback), or has a fragment.

    Raises:
        RemoteError: the server named an endpoint that must not see a credential (code ``insecure_endpoint``).
    """
    read = _read(url)
    if isinstance(read, str):
        flaw = f"its {field} {read}"
    elif read.has_fragment:
        flaw = f"its {field} holds a fragment"
    elif read.scheme != "https" and not read.is_loopback:
        flaw = f"its {field} is {shown(url)}, which is not encrypted"
    else:
        return
    message = f"{document} is refused: {flaw}. Ask whoever runs the server to name an https URL."
    raise RemoteError(message, by=by, code="insecure_endpoint")


def shown(url: str) -> str:
    """A URL for an error message: without user name, query and fragment, where secrets stand; cleaned and bounded."""
    bare = re.split(r"[?#]", url, maxsplit=1)[0]
    return clean(_USER.sub(r"\1", bare)) or "(empty)"


def _require(url: str, *, field: str, code: str) -> _Url:
    read = _read(url)
    if isinstance(read, str):
        raise ConfigurationError(f"{field} {read}. Give a full URL, such as https://example.com/path.", code=code)
    return read
