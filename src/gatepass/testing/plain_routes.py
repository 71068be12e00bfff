"""Plain HTTP routes, for clients that speak no MCP: under the resource, and one beside it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from starlette.requests import Request

__all__ = ["plain_routes"]

EVENT_INTERVAL_S = 0.05
REDIRECTS = ("301", "302", "303", "307", "308")


def plain_routes(resource_path: str) -> list[Route]:
    """The routes; those under the resource expect the gate in front of them."""
    plain = f"{resource_path}/plain"
    return [
        Route(f"{plain}/hello", hello),
        Route(f"{plain}/sleep", sleep),
        Route(f"{plain}/stream", stream),
        Route(f"{plain}/echo", echo, methods=["POST"]),
        Route(f"{plain}/redirect", redirect, methods=["GET", "POST"]),
        Route("/other", other, methods=["GET", "POST"]),
    ]


async def hello(request: Request) -> Response:
    """Greets the client that the token was issued to."""
    return JSONResponse({"hello": request.user.access_token.client_id})


async def sleep(request: Request) -> Response:
    """Answers ``ms`` milliseconds later."""
    milliseconds = float(request.query_params.get("ms", "50"))
    await asyncio.sleep(milliseconds / 1000)
    return JSONResponse({"slept_ms": milliseconds})


async def stream(request: Request) -> Response:
    """Server-sent events for ``seconds`` seconds."""
    return StreamingResponse(_ticks(float(request.query_params.get("seconds", "1"))), media_type="text/event-stream")


async def _ticks(seconds: float) -> AsyncGenerator[str]:
    clock = asyncio.get_running_loop().time
    end = clock() + seconds
    number = 0
    while True:
        yield f"id: {number}\ndata: tick\n\n"
        left = end - clock()
        if left <= 0:
            return
        number += 1
        await asyncio.sleep(min(EVENT_INTERVAL_S, left))


async def echo(request: Request) -> Response:
    """Gives the body back."""
    return Response(await request.body(), media_type=request.headers.get("content-type"))


async def redirect(request: Request) -> Response:
    """Redirects to ``to``, with ``status`` (307)."""
    to, status = request.query_params.get("to"), request.query_params.get("status", "307")
    if not to or status not in REDIRECTS:
        return PlainTextResponse(f"to=URL is needed, and status is one of {', '.join(REDIRECTS)}.", 400)
    return RedirectResponse(to, int(status))


async def other(request: Request) -> Response:
    """Tells what headers it got: nothing of ours should be among them."""
    return JSONResponse({"headers": dict(request.headers)})
