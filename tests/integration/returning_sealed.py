"""A program that comes back, and gets in with what an earlier run left encrypted in a directory."""

from __future__ import annotations

import sys

import httpx2

import gatepass


def main(resource: str, issuer: str, directory: str, *keys: str) -> None:
    """Print whom the resource greets.

    The secret and the keys, by the names of their variables, are in the environment; if none is named, in the keyring.
    """
    env, keyring = gatepass.Secret.env, gatepass.Secret.keyring
    secret = env("CI_BOT_SECRET") if keys else keyring("gatepass", "ci-bot")
    store_keys = [env(key) for key in keys] or [keyring("gatepass", "store")]
    store = gatepass.EncryptedStore(gatepass.FileStore(directory), store_keys)
    way_in = gatepass.ClientCredentials(gatepass.ClientSecret("ci-bot", secret))
    with httpx2.Client(auth=gatepass.Auth(resource, way_in, issuer=issuer, store=store)) as http:
        print(http.get(f"{resource}/plain/hello").json()["hello"])


main(*sys.argv[1:])
