"""`gatepass logout`: the token is revoked where its server offers that, and forgotten."""

from __future__ import annotations

from gatepass.cli.access import Access, Way, Where
from gatepass.cli.identity import Who  # noqa: TC001 - typer reads the annotations
from gatepass.cli.spinner import spinning
from gatepass.cli.voice import Voice, note

__all__ = ["logout"]


def logout(where: Where, who: Who, way: Way, voice: Voice) -> None:
    """Revoke the token, and forget it.

    Where the authorization server does not offer revocation (RFC 7009), the token is forgotten here and lives on there
    until it ends.

    \b
    $ gatepass logout reports
    """
    access = Access.to(where, who, way)
    known = access.auth.status().state != "absent"
    with spinning(f"Signing out of {access.auth.resource} ...", voice):
        revoked = access.auth.forget()
    if revoked:
        note(voice, "The token was revoked, and is forgotten.")
    elif known:
        note(voice, "The token is forgotten. Its server does not revoke it: it lives there until it ends.")
    else:
        note(voice, "There was no token.")
