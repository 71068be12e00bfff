"""`gatepass keys`: key pairs of a client, from the first to the last day of each."""

from __future__ import annotations

from gatepass.cli.group import Group
from gatepass.cli.keys.check import check
from gatepass.cli.keys.client_metadata import client_metadata
from gatepass.cli.keys.jwks import jwks
from gatepass.cli.keys.new import new
from gatepass.cli.keys.rotate import rotate
from gatepass.cli.keys.show import show

__all__ = ["keys"]

keys = Group(
    help="""Make, show, check, publish and rotate the keys that a client proves itself with.

A private key is written to a file, and never printed. What is printed is what others may know: its public half.

\b
$ gatepass keys new ci-bot.pem > ci-bot.pub.pem
$ gatepass keys check ci-bot.pem --issuer https://auth.example.com
$ gatepass keys rotate ci-bot.pem > jwks.json
""",
    commands=(new, show, check, jwks, rotate, client_metadata),
)
