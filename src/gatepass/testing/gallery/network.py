"""Troubles between client and servers: names, ports, certificates, and what stands in the way."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from gatepass.testing.certificates import Certificates
from gatepass.testing.gallery.recipe import recipe
from gatepass.testing.trouble import HTML_PAGE, Trouble

if TYPE_CHECKING:
    from pathlib import Path

    from gatepass.testing.stage import Stage
    from gatepass.testing.tls import Tls

__all__ = ["RECIPES"]


def _private(directory: Path) -> Tls:
    return Certificates(directory).tls()


def _expired(directory: Path) -> Tls:
    return Certificates(directory, life=dt.timedelta(days=-1)).tls()


def _of_another_name(directory: Path) -> Tls:
    return Certificates(directory, names=("mcp.example.com",)).tls()


@recipe("unreachable", fault="configuration", mend="Check the host name in the URL.")
def unknown_host(stage: Stage) -> None:
    """There is no host of the name in the URL that the client was told."""
    stage.mend = {"url": stage.url}
    stage.told["url"] = "https://mcp.invalid/mcp"


@recipe("unreachable", fault="network", mend="See that it runs, and that the port is right.")
def mcp_server_down(stage: Stage) -> None:
    """Nobody listens where the MCP server should be."""
    stage.servers.remove(stage.mcp_server)


@recipe("unreachable", fault="network", mend="See that it runs, and that the way there is open.")
def authorization_server_down(stage: Stage) -> None:
    """Nobody listens where the authorization server should be."""
    stage.servers.remove(stage.authorization_server)


@recipe("unreachable", fault="configuration", mend="Give the client the certificate of that CA.", tls=_private)
def private_ca(stage: Stage) -> None:
    """The servers' certificates are signed by a CA that the client does not know."""
    stage.mend = {"ca_file": str(stage.directory / "ca.pem")}


@recipe("unreachable", fault="server", mend="Have the certificate renewed.", tls=_expired)
def expired_certificate(stage: Stage) -> None:
    """The servers' certificates have expired."""
    stage.told["ca_file"] = str(stage.directory / "ca.pem")


@recipe(
    "unreachable",
    fault="configuration",
    mend="Give the client the URL with the name in the certificate.",
    tls=_of_another_name,
)
def certificate_of_another_name(stage: Stage) -> None:
    """The servers' certificates are for another name than the one in the URL."""
    stage.told["ca_file"] = str(stage.directory / "ca.pem")


@recipe(
    "mcp_error",
    fault="network",
    mend="Sign this machine in to its network, or give the client the proxy that leads out of it.",
)
def captive_portal(stage: Stage) -> None:
    """The network answers instead of the servers, and wants a sign-in first (511)."""
    everything = Trouble(paths=("metadata", "token", "resource"), status=511, body=HTML_PAGE)
    stage.mcp_server.trouble = stage.authorization_server.trouble = everything


RECIPES = (
    unknown_host,
    mcp_server_down,
    authorization_server_down,
    private_ca,
    expired_certificate,
    certificate_of_another_name,
    captive_portal,
)
