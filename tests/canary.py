"""Looks for a secret where an error could show it: its text, its chain, and the locals of our frames."""

from __future__ import annotations

import traceback


def assert_hidden(error: BaseException, *canaries: str) -> None:
    """No canary stands in the error as a traceback that shows locals would render it, the caller's own frames aside."""
    seen: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and link not in seen:
        seen.append(link)
        shown = [str(link), repr(link), repr(vars(link))]
        for frame, _ in traceback.walk_tb(link.__traceback__):
            if "/src/gatepass/" in frame.f_code.co_filename:
                shown += [f"{name} in {frame.f_code.co_name}: {_repr(v)}" for name, v in frame.f_locals.items()]
        for canary in canaries:
            found = [text for text in shown if canary in text]
            assert not found, f"the secret shows in {found[0].split(':')[0]!r}"
        link = link.__cause__ or link.__context__


def _repr(value: object) -> str:
    try:
        return repr(value)
    except AttributeError:  # an object that its constructor did not finish
        return ""
