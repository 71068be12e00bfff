"""Entries of gatepass.toml, for the commands that are tested."""

from __future__ import annotations


def entry(url, authority, name="reports", *, more=""):
    """ci-bot, whose secret stands in the variable BOT_SECRET."""
    return (
        f'[servers.{name}]\nurl = "{url}"\nissuer = "{authority.issuer}"\n'
        f'client-id = "ci-bot"\nclient-secret = {{ env = "BOT_SECRET" }}\n{more}\n'
    )


def configure(home, *entries):
    """The user's own gatepass.toml."""
    path = home / ".config" / "gatepass" / "gatepass.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(entries))
    return path
