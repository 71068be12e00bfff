"""A program that nobody watches: somebody has signed in before, or does so at the system's browser.

Given its store and how long it works, it says in one JSON line which tokens it had, one a generation.
"""

from __future__ import annotations

import json
import sys

from interop.visit import generations

import gatepass


def main() -> None:
    given = json.loads(sys.argv[1])
    way_in = gatepass.AuthorizationCode(given["client"], subject="alice")
    store = gatepass.FileStore(given["store"])
    auth = gatepass.Auth(given["url"], way_in, issuer=given["issuer"], store=store)
    print(json.dumps(generations(auth, given["generations"])))


if __name__ == "__main__":
    main()
