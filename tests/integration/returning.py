"""A program that comes back, and gets in with what an earlier run left in a directory."""

from __future__ import annotations

import sys

import httpx2

import gatepass


def main(resource: str, issuer: str, directory: str) -> None:
    """Print whom the resource greets; the secret is in the environment."""
    client = gatepass.ClientSecret("ci-bot", gatepass.Secret.env("CI_BOT_SECRET"))
    store = gatepass.FileStore(directory)
    auth = gatepass.Auth(resource, gatepass.ClientCredentials(client), issuer=issuer, store=store)
    with httpx2.Client(auth=auth) as http:
        print(http.get(f"{resource}/plain/hello").json()["hello"])


main(*sys.argv[1:])
