"""The measures by name, in the order of the page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.assertion import assertion
from benchmarks.concurrency import concurrency, long_poll
from benchmarks.crowd import crowd
from benchmarks.hot_path import hot_path
from benchmarks.identities import identities
from benchmarks.mcp_client import mcp_client
from benchmarks.proof import proof
from benchmarks.requests_sent import herd, restarts, trouble
from benchmarks.short_tokens import short_tokens
from benchmarks.startup import command, first_answer, import_time, processes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.bench import Bench
    from benchmarks.results import Result

__all__ = ["ALL"]

ALL: dict[str, Callable[[Bench], Iterator[Result]]] = {
    "hot-path": hot_path,
    "concurrency": concurrency,
    "long-poll": long_poll,
    "mcp-client": mcp_client,
    "short-tokens": short_tokens,
    "herd": herd,
    "trouble": trouble,
    "restarts": restarts,
    "processes": processes,
    "import": import_time,
    "start": first_answer,
    "command": command,
    "identities": identities,
    "crowd": crowd,
    "assertion": assertion,
    "proof": proof,
}
