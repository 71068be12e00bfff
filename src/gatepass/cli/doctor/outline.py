"""The steps of the way in: what each is about, what the specifications want there, and where that is written."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from gatepass.cli.doctor.report import Exchange, Step, Trouble, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["STEPS", "skipped", "step"]


class _Outline(NamedTuple):
    title: str
    wants: str
    source: str


STEPS = {
    "client": _Outline(
        "The client's credential",
        "a client id, and what proves it: a secret, a key, an assertion or a certificate that can be read",
        "RFC 6749 §2.3",
    ),
    "name": _Outline("The MCP server's name", "a host name that leads to an address", "RFC 3986 §3.2.2"),
    "connection": _Outline(
        "The connection to the MCP server",
        "TLS, with a certificate for this host that this machine trusts; on loopback, http will do",
        "RFC 9110 §4.3.4",
    ),
    "challenge": _Outline(
        "The MCP server's challenge",
        "to a request without a token: 401, with WWW-Authenticate: Bearer resource_metadata=...",
        "RFC 9728 §5.1",
    ),
    "resource-metadata": _Outline(
        "What the MCP server says of itself",
        "JSON whose `resource` covers the URL, and whose `authorization_servers` have the issuer",
        "RFC 9728 §3",
    ),
    "issuer-connection": _Outline(
        "The connection to the authorization server",
        "TLS, with a certificate for this host that this machine trusts; on loopback, http will do",
        "RFC 9110 §4.3.4",
    ),
    "server-metadata": _Outline(
        "What the authorization server says of itself",
        "JSON whose `issuer` is identical to the one asked for, with a `token_endpoint` that is https",
        "RFC 8414 §3",
    ),
    "offer": _Outline(
        "What it offers, and what the client wants",
        "a grant, a way to authenticate and an algorithm that both know",
        "RFC 8414 §2",
    ),
    "token": _Outline(
        "The token",
        "200, JSON with `access_token`, `token_type` and `expires_in`",
        "RFC 6749 §5.1",
    ),
    "contents": _Outline(
        "What the token says",
        "a token for this MCP server, by this issuer, with the scopes that were asked for",
        "RFC 8707 §2, RFC 6749 §3.3",
    ),
    "call": _Outline(
        "A call with the token",
        "an MCP session, and the list of tools",
        "RFC 6750 §2.1",
    ),
    "clocks": _Outline(
        "The clocks",
        "clocks that agree, since what a JWT says of time is checked on both sides",
        "RFC 9110 §6.6.1, RFC 7519 §4.1.4",
    ),
}


def step(
    name: str,
    exchanges: Iterable[Exchange] = (),
    troubles: Iterable[Trouble] = (),
    *,
    exit_code: int = 0,
    wants: str | None = None,
) -> Step:
    """A step that was taken."""
    outline = STEPS[name]
    worst_first = sorted(troubles, key=lambda trouble: trouble.verdict is not Verdict.FAILED)
    return Step(
        id=name,
        title=outline.title,
        wants=wants or outline.wants,
        source=outline.source,
        exchanges=tuple(exchanges),
        troubles=tuple(worst_first),
        exit_code=exit_code,
    )


def skipped(name: str, why: str) -> Step:
    """A step that was not taken."""
    outline = STEPS[name]
    return Step(id=name, title=outline.title, wants=outline.wants, source=outline.source, skipped=why)
