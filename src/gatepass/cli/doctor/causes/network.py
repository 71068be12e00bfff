"""Troubles below HTTP: a name, a port, a certificate, a proxy, and a network that answers in the place of a server."""

from __future__ import annotations

import datetime as dt
from http import HTTPStatus
from typing import TYPE_CHECKING

from gatepass.cli.doctor.exchanges import line
from gatepass.cli.doctor.report import Fix, Options, Trouble, Verdict
from gatepass.cli.exits import explain
from gatepass.protocol.urls import is_loopback, shown

if TYPE_CHECKING:
    from gatepass.cli.doctor.case import Case
    from gatepass.cli.doctor.reach import Reached
    from gatepass.errors import GatepassError

__all__ = ["day", "doubts", "lost", "portal", "unreached"]

_SIGN_IN_FIRST = HTTPStatus.NETWORK_AUTHENTICATION_REQUIRED


def unreached(there: Reached, url: str) -> Trouble:
    """Why nobody was reached there, or nobody who can be believed."""
    flaw, certificate = there.flaw, there.certificate
    place = f"{there.host}:{there.port}"
    signer = certificate.issuer if certificate else "somebody"
    options: Options = {}
    match flaw.id if flaw else None:
        case "host_unknown":
            cause = (
                f"The name {there.host} leads to no address: it is misspelt, it is known in another network only (is a "
                "VPN needed?), or this machine's DNS does not work."
            )
            mend = "Check the host name in the URL; try it from the network where it is known."
            options = {"url": "URL"}
        case "connection_refused":
            cause = f"Nobody listens at {place}: the server is down, or the port is wrong."
            mend = "See that it runs, and that the port in the URL is right."
        case "connection_timeout":
            cause = f"{place} does not answer, not even to refuse: a firewall, or a network that it is not part of."
            mend = "Is the way there open? Is a VPN needed, or a proxy (HTTPS_PROXY)?"
            options = {"proxy": "URL"}
        case "proxy_failed":
            cause = f"The proxy {there.proxy} does not lead to {place}: {flaw.said if flaw else ''}."
            mend = "Check HTTPS_PROXY or --proxy. For a server that needs none, add its host to NO_PROXY."
        case "certificate_expired":
            until = f": it was good until {day(certificate.not_after)}" if certificate else ""
            cause = f"The certificate of {place} is out of date{until}."
            mend = "Have it renewed. (If it is not out of date, this machine's clock is wrong.)"
        case "certificate_not_yet_valid":
            cause = f"The certificate of {place} is not good yet. As a rule, this machine's clock is wrong."
            mend = "Set this machine's clock."
        case "certificate_ca_unknown":
            cause = (
                f"The certificate of {place} is signed by {signer}, whom this machine does not know: a private CA, a "
                "proxy that opens TLS on the way, or a server that leaves its intermediate certificate out."
            )
            mend = "Give the certificate of that CA, in PEM."
            options = {"ca_file": "PATH"}
        case "certificate_name":
            names = certificate.names if certificate else ()
            cause = f"The certificate of {place} is for {', '.join(names) or 'another name'}, not for {there.host}."
            mend = "Use a name that is in the certificate; or have one made for this name."
            other = next((each for each in names if "*" not in each), None)
            options = {"url": url.replace(there.host, other, 1)} if other else {}
        case "tls_missing":
            cause = (
                f"{place} does not speak TLS: it is the port of plain HTTP, or the proxy in front is set up wrongly."
            )
            mend = "Check the port in the URL. Behind a proxy that ends TLS, give the public URL."
        case _:
            cause = f"No connection to {place}: {flaw.said if flaw else 'it broke off'}."
            mend = "Check host and port, and what lies between."
    return Trouble(id=flaw.id if flaw else "unreachable", cause=cause, fix=Fix(mend, options))


def lost(case: Case, error: GatepassError, url: str) -> Trouble:
    """Why no answer came from a server, by what the library says and what a look at the way there shows."""
    there = case.reach(url)
    if error.code == "unreachable" and there.flaw is not None:
        return unreached(there, url)
    fixes = {
        "timeout": Fix("See whether the server is well; or wait longer.", {"timeout": "SECONDS"}),
        "connection_broken": Fix("Try again; look at what lies between: a proxy, a firewall, a server that crashes."),
        "response_too_large": Fix("Is this the right URL? No OAuth document is as large as that."),
    }
    fix = fixes.get(error.code, Fix(f"See whether {there.host} is well."))
    return Trouble(id=error.code, cause=explain(error), fix=fix)


def portal(url: str) -> Trouble:
    """RFC 6585 §6: it is the network that answers."""
    return Trouble(
        id="captive_portal",
        cause=f"Not {url} answers, but the network, which wants a sign-in first ({line(_SIGN_IN_FIRST)}).",
        fix=Fix("Sign this machine in to its network, or give the proxy that leads out of it.", {"proxy": "URL"}),
    )


def doubts(there: Reached, url: str) -> list[Trouble]:
    """What does not stop anybody yet."""
    if there.certificate is not None and there.certificate.ends_soon:
        text = f"The certificate of {there.host} is good until {day(there.certificate.not_after)} only."
        fix = Fix("See that it is renewed.")
        return [Trouble(id="certificate_ends_soon", cause=text, fix=fix, verdict=Verdict.WARNING)]
    if url.startswith("http:") and not is_loopback(url):
        text = f"{shown(url)} is not encrypted: whoever is on the way can read the token."
        fix = Fix("Put TLS in front of it, unless the network is encrypted by other means.")
        return [Trouble(id="cleartext", cause=text, fix=fix, verdict=Verdict.WARNING)]
    return []


def day(epoch_s: float) -> str:
    """The date of a moment."""
    return dt.datetime.fromtimestamp(epoch_s, dt.UTC).strftime("%Y-%m-%d")
