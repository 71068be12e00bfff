"""Callables of the user's, plain and asynchronous: what they return, and how little is told of what they raise."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable

import pytest
import trio
from canary import assert_hidden

from gatepass.engine.callables import called
from gatepass.errors import ConfigurationError, RemoteError

CANARY = "c4n4ry"


def call(function: Callable[[str], object] | None, *, timeout_s: float = 30.0) -> object:
    return called(function, "aud", what="The callable", code="callable_failed", timeout_s=timeout_s)


def refused(function: Callable[[str], object], *, timeout_s: float = 30.0) -> ConfigurationError:
    """What a call fails with; no secret shows in its text or in our frames."""
    with pytest.raises(ConfigurationError) as failure:
        call(function, timeout_s=timeout_s)
    assert failure.value.code == "callable_failed"
    assert_hidden(failure.value, CANARY)
    assert failure.value.__context__ is None
    return failure.value


@pytest.mark.parametrize("answer", ["text", "", None, 7, ("a", "b")], ids=repr)
def test_it_gets_its_argument_and_what_it_returns_is_passed_on(answer: object) -> None:
    assert call(lambda argument: (argument, answer)) == ("aud", answer)


def test_where_there_is_none_nothing_is_returned() -> None:
    assert call(None) is None


async def slowly(argument: str) -> str:
    await asyncio.sleep(0)
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(None, lambda: f"{argument}.b.c")


class Awaits:
    """Something to await that is no coroutine."""

    def __init__(self, argument: str) -> None:
        self.argument = argument

    def __await__(self):
        return slowly(self.argument).__await__()


@pytest.mark.parametrize("function", [slowly, Awaits], ids=["coroutine", "awaitable"])
def test_an_asynchronous_one_gets_a_loop_of_its_own(function: Callable[[str], object]) -> None:
    assert [call(function) for _ in range(2)] == ["aud.b.c"] * 2


def test_that_works_for_a_caller_whose_loop_is_running() -> None:
    async def program() -> object:
        return await asyncio.to_thread(call, slowly)  # as a worker does

    assert asyncio.run(program()) == "aud.b.c"


def test_within_a_running_loop_it_is_refused_and_not_begun() -> None:
    begun: list[str] = []

    async def function(argument: str) -> str:
        begun.append(argument)
        return argument

    async def program(function: Callable[[str], object]) -> ConfigurationError:
        return refused(function)

    for each in (function, Awaits):
        assert "Give a synchronous one" in str(asyncio.run(program(each)))
    assert begun == []


def test_within_a_run_of_trio_it_has_its_loop() -> None:
    async def program() -> object:
        return call(slowly)

    assert trio.run(program) == "aud.b.c"


def test_one_that_never_ends_is_left() -> None:
    async def function(argument: str) -> str:
        await asyncio.Event().wait()
        return CANARY

    assert str(refused(function, timeout_s=0.05)) == "The callable failed: TimeoutError."


@pytest.mark.parametrize(
    "problem",
    [ValueError(CANARY), SystemExit(CANARY), asyncio.CancelledError(CANARY), GeneratorExit(CANARY)],
    ids=lambda e: type(e).__name__,
)
@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
def test_one_that_fails_is_told_by_the_kind_of_its_failure(problem: BaseException, asynchronous: bool) -> None:
    def function(argument: str) -> str:
        secret = CANARY
        raise problem from ValueError(secret)

    async def afunction(argument: str) -> str:
        return function(argument)

    failure = refused(afunction if asynchronous else function)
    assert str(failure) == f"The callable failed: {type(problem).__name__}."
    assert failure.__cause__ is None
    assert CANARY not in "".join(traceback.format_exception(failure))


@pytest.mark.parametrize("problem", [RemoteError("No.", code="idp_says_no"), KeyboardInterrupt()], ids=type)
@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
def test_an_error_of_ours_and_ctrl_c_pass_through(problem: BaseException, asynchronous: bool) -> None:
    def function(argument: str) -> str:
        raise problem

    async def afunction(argument: str) -> str:
        return function(argument)

    with pytest.raises(type(problem)) as failure:
        call(afunction if asynchronous else function)
    assert failure.value is problem
