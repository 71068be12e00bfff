"""A web application whose every answer needs the resource. Its `Auth` is made when it is imported: before any fork."""

from __future__ import annotations

import json
import os

import httpx2
from fleet.ways_in import TIMEOUT_S, opened, way_in

given = json.loads(os.environ["FLEET"])
url = f"{given['url']}/plain/hello"
auth = way_in(given, opened(given["store"]))
if given["warm"]:
    auth.token()

http = httpx2.Client(auth=auth, timeout=TIMEOUT_S)
ahttp = httpx2.AsyncClient(auth=auth, timeout=TIMEOUT_S)


def wsgi(environ, start_response):
    """What the resource answered, and which process has asked it."""
    body = told(http.get(url))
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


async def asgi(scope, receive, send):
    """The same."""
    body = told(await ahttp.get(url))
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def told(response):
    return json.dumps({"process": os.getpid(), "status": response.status_code}).encode()
