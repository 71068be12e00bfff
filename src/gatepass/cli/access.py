"""The way in that options, environment and gatepass.toml describe: an `Auth`, and an MCP client that goes along."""

from __future__ import annotations

import os
import re
import ssl
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import gatepass
from gatepass.cli.configuration.document import is_name
from gatepass.cli.configuration.place import Config, read_config
from gatepass.cli.exits import UsageError
from gatepass.cli.identity import Who, profile
from gatepass.cli.layers import Layer, environment, options, settle
from gatepass.cli.reference import Reference
from gatepass.cli.way import Way, Where

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from pathlib import Path

    import httpx2
    from mcp.client import Client

__all__ = ["Access", "Way", "Where"]

_TIMEOUT_S = 10.0
_GRACE_S = 1.0
"""A caller waits a little longer than one request may take, and so hears which request it was."""

_USER_INFO = re.compile(r"//[^/]*@")


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """The way in, ready to use.

    Attributes:
        auth: makes and keeps the token.
        http_options: for the client that talks to the MCP server.
        timeout_s: how long to wait for one answer of it, in seconds.
        said: all that was said of it, from the three places.
        layers: what each of the places said, whether it counts or not.
        config: the configuration in which its name was looked up; None for a URL.
        store: where its token is kept; None if it is not.
    """

    auth: gatepass.Auth
    http_options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    timeout_s: float | None = None
    said: Layer = field(default_factory=Layer)
    layers: tuple[Layer, ...] = ()
    config: Config | None = None
    store: gatepass.FileStore | None = None

    @classmethod
    def to(cls, where: str, who: Who, way: Way) -> Access:
        """The way in to an MCP server.

        Args:
            where: its name in the configuration, or its URL.
            who: who the program is, as options say it.
            way: where its token comes from, as options say it.

        Raises:
            UsageError: options contradict each other, or one is missing.
            ConfigurationError: one does not fit, or there is no server of that name.
        """
        layers, config = [options(who, way), environment(os.environ)], None
        if is_name(where):
            config = read_config(way.config)
            server = config.server(where)
            where = server.url
            layers.append(server.layer)
        elif "://" not in where:
            msg = "NAME|URL is neither the name of a server (letters, digits, - and _) nor a URL (https://...)."
            raise gatepass.ConfigurationError(msg, code="url_invalid")
        return replace(cls.described(where, settle(*layers), config), layers=tuple(layers))

    @classmethod
    def described(cls, url: str, said: Layer, config: Config | None = None) -> Access:
        """The way in to the server at that URL, by all that is said of it.

        Raises:
            UsageError: options contradict each other, or one is missing.
            ConfigurationError: one does not fit.
        """
        way = said.way
        if way.resource_indicator and way.no_resource_indicator:
            msg = "--resource-indicator and --no-resource-indicator contradict each other: leave one out."
            raise UsageError(msg)
        if way.proxy and _USER_INFO.search(way.proxy):
            msg = f"{said.named['proxy']} holds a user name or a password: set HTTPS_PROXY instead."
            raise UsageError(msg)
        trust = _trust(way.ca_file) if way.ca_file else None
        store = _store(way)
        auth = gatepass.Auth(
            url,
            profile(said.who, said.named),
            issuer=way.issuer,
            scopes=(way.scopes or "").split() or None,
            store=store,
            http=_token_http(way, trust),
            dpop=way.dpop,
            deadline_s=(way.timeout or _TIMEOUT_S) + _GRACE_S,
            token_endpoint=way.token_endpoint,
            resource_indicator=way.resource_indicator,
            send_resource=not way.no_resource_indicator,
            audience=way.audience,
            extra_parameters=_extra_parameters(way),
            whole_origin=way.whole_origin,
            allow_http=way.allow_http,
            allow_metadata_origins=way.allow_metadata_origin or (),
            allow_endpoint_origins=way.allow_endpoint_origin or (),
            allow_legacy_discovery=way.allow_legacy_discovery,
            step_up=way.step_up,
            tolerate_issuer_slash=way.tolerate_issuer_slash,
        )
        http_options = {"verify": None if way.cert_file else trust, "proxy": way.proxy, "timeout": way.timeout}
        return cls(
            auth=auth,
            http_options={name: value for name, value in http_options.items() if value is not None},
            timeout_s=way.timeout,
            said=said,
            config=config,
            store=store,
        )

    @property
    def secret_variables(self) -> tuple[str, ...]:
        """The environment variables that a secret stands in, be it one of a place that others overrule."""
        values = (value for layer in self.layers for value in layer.values.values())
        references = (value for value in values if isinstance(value, Reference))
        return tuple(reference.words[0] for reference in references if reference.kind == "env")

    def connect(self, *watchers: Callable[[httpx2.Response], Awaitable[None]]) -> Client:
        """An MCP client that goes this way; see `gatepass.connect`.

        A request may have to wait for its token, for as long as an answer may take. So it waits for both, and ends with
        the error of whoever gave none.

        Args:
            watchers: they are told of each response.
        """
        from importlib.metadata import version

        from mcp_types import Implementation

        told = self.http_options.get("event_hooks", {}).get("response", ())
        return gatepass.connect(
            self.auth,
            http_options={**self.http_options, "event_hooks": {"response": [*told, *watchers]}},
            read_timeout_seconds=None if self.timeout_s is None else 2 * (self.timeout_s + _GRACE_S),
            client_info=Implementation(name="gatepass", version=version("gatepass")),
        )


def _store(way: Way) -> gatepass.FileStore | None:
    if way.store and way.no_store:
        msg = "--store and --no-store contradict each other: leave one out."
        raise UsageError(msg)
    return None if way.no_store else gatepass.FileStore(way.store)


def _token_http(way: Way, trust: ssl.SSLContext | None) -> gatepass.TokenHttp:
    """With a certificate to show, a CA file is the only one that is trusted: a context of ours can't have both."""
    if way.cert_key_file and not way.cert_file:
        msg = "--cert-key-file is the key of a certificate: give --cert-file, too."
        raise UsageError(msg)
    timeout_s = way.timeout or _TIMEOUT_S
    if way.cert_file is None:
        return gatepass.TokenHttp(verify=trust or True, proxy=way.proxy, timeout_s=timeout_s)
    cert = (way.cert_file, way.cert_key_file) if way.cert_key_file else way.cert_file
    return gatepass.TokenHttp(verify=way.ca_file or True, cert=cert, proxy=way.proxy, timeout_s=timeout_s)


def _extra_parameters(way: Way) -> dict[str, str] | None:
    pairs = [pair.partition("=") for pair in way.extra_parameter or ()]
    if not all(mark and name for name, mark, _ in pairs):
        msg = "--extra-parameter takes NAME=VALUE."
        raise UsageError(msg)
    return {name: value for name, _, value in pairs} or None


def _trust(ca_file: Path) -> ssl.SSLContext:
    """The system's trust store, and the certificates of a file."""
    import httpx2

    context = httpx2.create_ssl_context()
    try:
        context.load_verify_locations(cafile=ca_file)
    except OSError as problem:  # ssl.SSLError is one, too
        reason = "it holds no certificate in PEM" if isinstance(problem, ssl.SSLError) else problem.strerror
    else:
        return context
    msg = f"--ca-file {ca_file} can't be used: {reason}."
    raise gatepass.ConfigurationError(msg, code="tls_invalid")
