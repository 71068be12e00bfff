"""A program that calls the resource all the time, from a thread and from a task, until its orders come to an end.

It writes down each call that failed, each that came with a token that had ended before, and the first one that
succeeded after one that did not.
"""

from __future__ import annotations

import base64
import json
import sys
import threading
import time
from pathlib import Path

import anyio
import httpx2
from fleet.diary import Diary, Witness
from fleet.ways_in import TIMEOUT_S, opened, way_in

import gatepass


class Caller:
    """One thread or task, and how it fares."""

    def __init__(self, diary):
        self._diary = diary
        self._well = False

    def fares(self, began_at, answer):
        """Note what is worth a note: an answer, or the error in place of one."""
        well = isinstance(answer, httpx2.Response) and answer.status_code == 200
        if well and token_end(answer.request.headers["Authorization"]) < began_at:
            self._diary.note("used an old token", began_at=began_at)
        if well and not self._well:
            self._diary.note("is well", began_at=began_at)
        if not well:
            self._diary.note("failed", began_at=began_at, **described(answer))
        self._well = well


def described(answer):
    if isinstance(answer, httpx2.Response):
        return {"error": f"status {answer.status_code}"}
    typed = isinstance(answer, gatepass.GatepassError)
    return {"error": f"{type(answer).__name__}: {answer}", "retry_at": answer.retry_at if typed else None}


def main():
    given = json.loads(sys.argv[1])
    diary = Diary(Path(given["diary"]))
    auth = way_in(given, Witness(opened(given["store"]), diary, given["number"]))
    url, pause_s, stop = f"{given['url']}/plain/hello", given["pause_s"], threading.Event()

    def on_a_thread():
        caller = Caller(diary)
        with httpx2.Client(auth=auth, timeout=TIMEOUT_S) as http:
            while not stop.wait(pause_s):
                began_at = time.time()
                try:
                    answer = http.get(url)
                except Exception as error:  # noqa: BLE001 - whatever it is, it is written down
                    answer = error
                caller.fares(began_at, answer)

    async def in_a_task():
        caller = Caller(diary)
        async with httpx2.AsyncClient(auth=auth, timeout=TIMEOUT_S) as http:
            while not stop.is_set():
                await anyio.sleep(pause_s)
                began_at = time.time()
                try:
                    answer = await http.get(url)
                except Exception as error:  # noqa: BLE001 - likewise
                    answer = error
                caller.fares(began_at, answer)

    callers = [threading.Thread(target=on_a_thread), threading.Thread(target=anyio.run, args=(in_a_task,))]
    for caller in callers:
        caller.start()
    with auth:
        sys.stdin.read()
        stop.set()
        for caller in callers:
            caller.join()


def token_end(authorization):
    """When the token in a header ends, in epoch seconds (RFC 9068 §2.2)."""
    claims = authorization.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))["exp"]


if __name__ == "__main__":
    main()
