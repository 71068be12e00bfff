"""Callables of the user's: plain ones are called, asynchronous ones get an event loop of their own on the worker.

What they raise may hold anything in its text, so only its kind is passed on.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

from gatepass.errors import ConfigurationError, GatepassError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ["called"]


def called(
    function: Callable[[str], object] | None, argument: str, *, what: str, code: str, timeout_s: float
) -> object:
    """What the function returns, awaited if need be.

    Args:
        function: the user's.
        argument: what it is called with.
        what: what it is called in an error.
        code: the error's.
        timeout_s: how long an asynchronous one may take, in seconds.

    Raises:
        ConfigurationError: it failed.
    """
    try:
        answer: object = function(argument) if function is not None else None
        return _run_to_its_end(answer, what, code, timeout_s) if inspect.isawaitable(answer) else answer
    except (GatepassError, KeyboardInterrupt):
        raise
    except BaseException as problem:  # noqa: BLE001 - a callable may raise anything, and its text may hold a secret
        kind = type(problem).__name__
    raise ConfigurationError(f"{what} failed: {kind}.", code=code)


def _run_to_its_end(answer: Awaitable[object], what: str, code: str, timeout_s: float) -> object:
    import asyncio

    async def wait() -> object:
        async with asyncio.timeout(timeout_s):
            return await answer

    if _in_a_loop():
        if inspect.iscoroutine(answer):
            answer.close()
        msg = (
            f"{what} is asynchronous, but no thread can be started to run it in, "
            "and it can't run within your event loop. Give a synchronous one."
        )
        raise ConfigurationError(msg, code=code)
    return asyncio.run(wait())


def _in_a_loop() -> bool:
    """Whether asyncio runs in this thread, as it does where a caller mints for want of workers."""
    import asyncio

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
