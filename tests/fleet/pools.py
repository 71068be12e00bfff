"""A program with a pool of processes, each of which calls the resource: `python -m fleet.pools GIVEN`.

It says in one JSON line which process got which status, a pair a call, once every process has had its turn.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager

import billiard
import httpx2
from fleet.ways_in import TIMEOUT_S, opened, way_in

WORKERS = 4
CALLS = 8

here = {}
"""What the calls of this process use."""


def begin(given):
    """Make the `Auth`: before the fork, or in the child."""
    auth = way_in(given, opened(given["store"]))
    here["url"], here["http"] = f"{given['url']}/plain/hello", httpx2.Client(auth=auth, timeout=TIMEOUT_S)
    if given["warm"]:
        auth.token()


def call(_number):
    time.sleep(0.02)  # so that the others get something to do
    return os.getpid(), here["http"].get(here["url"]).status_code


@contextmanager
def pool(kind, given):
    """The function that maps calls to processes."""
    if kind == "executor":
        begin(given)
        with ProcessPoolExecutor(WORKERS, mp_context=multiprocessing.get_context("fork")) as workers:
            yield workers.map
        return
    if kind == "billiard":  # Celery's; it replaces its processes now and then
        begin(given)
        workers = billiard.Pool(WORKERS, maxtasksperchild=5)
    elif kind == "fork":
        begin(given)
        workers = multiprocessing.get_context("fork").Pool(WORKERS)
    else:
        workers = multiprocessing.get_context(kind).Pool(WORKERS, begin, (given,))
    yield workers.map
    workers.close()
    workers.join()


def main():
    given, answers = json.loads(sys.argv[1]), []
    end = time.monotonic() + TIMEOUT_S
    with pool(given["kind"], given) as spread:
        while len({process for process, _ in answers}) < WORKERS and time.monotonic() < end:
            answers += spread(call, range(CALLS))
    print(json.dumps(answers))


if __name__ == "__main__":
    main()
