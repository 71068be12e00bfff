"""A program that lives on a refresh token, which many share: it asks for a token whenever it is told to.

It writes down which refresh token it is about to present, and what passes through the store; where the orders are given
one by one, it answers each.
"""

from __future__ import annotations

import json
import sys
import threading
from pathlib import Path
from urllib.parse import parse_qs

import httpx2
from fleet.diary import Diary, Witness
from fleet.ways_in import digest, opened, way_in

import gatepass


class Presented(httpx2.HTTPTransport):
    """The network, with a note of each refresh token on its way there."""

    def __init__(self, diary):
        super().__init__()
        self._diary = diary

    def handle_request(self, request):
        for value in parse_qs(request.read().decode()).get("refresh_token", ()):
            self._diary.note("presents", token=digest(value))
        return super().handle_request(request)


def main():
    given = json.loads(sys.argv[1])
    diary = Diary(Path(given["diary"]))
    http = gatepass.TokenHttp(transport=Presented(diary))
    with way_in(given, Witness(opened(given["store"]), diary, given["number"]), http=http) as auth:
        if given["pause_s"] is None:
            obey(auth)
        else:
            live(auth, diary, given["pause_s"])


def obey(auth):
    """Make so many calls, as often as that is asked for."""
    for order in sys.stdin:
        print(json.dumps([outcome(auth) for _ in range(int(order))]), flush=True)


def live(auth, diary, pause_s):
    """Call all the time."""
    stop, told = threading.Event(), ""
    threading.Thread(target=lambda: (sys.stdin.read(), stop.set())).start()
    while not stop.wait(pause_s * (10 if is_error(told) else 1)):
        told = outcome(auth)
        diary.note("heard", outcome=told)


def outcome(auth):
    """A name for the token that it got, or for the error in place of one."""
    try:
        return digest(auth.token())
    except Exception as error:  # noqa: BLE001 - whatever it is, it is told
        return f"{type(error).__name__}: {error}"


def is_error(told):
    """Whether that names an error."""
    return ":" in told


if __name__ == "__main__":
    main()
