"""Fresh processes: what an import costs, how long the first answer takes, the command, and eight that start cold."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from benchmarks.contenders import CONTENDERS, FIXED, GATEPASS, YARDSTICKS
from benchmarks.contenders.base import READY
from benchmarks.results import Result, best, compare, contenders_for, with_yardsticks, without, yardstick_of
from benchmarks.servers import CLIENT_ID, CLIENT_SECRET, SCOPE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from benchmarks.bench import Bench
    from benchmarks.results import Figure

__all__ = ["command", "first_answer", "import_time", "processes"]

PROCESSES = 8
ROUNDS = 10
WHAT = "process start to first answer"
COMMAND_AT_MOST = 3
CONFIGURATION = """\
[servers.bench]
url = "{site.url}"
issuer = "{site.issuer}"
scopes = "{scope}"
client-id = "{client_id}"
client-secret = {{ env = "BENCH_SECRET" }}
"""


def import_time(bench: Bench) -> Iterator[Result]:
    """The package as such, and the names that a program with a client secret uses."""
    programs = {name: each.imports for name, each in with_yardsticks(CONTENDERS).items()}
    seconds = _fresh(bench, {**programs, "package": "import gatepass"})
    package = {GATEPASS: seconds.pop("package"), yardstick_of(GATEPASS): seconds[yardstick_of(GATEPASS)]}
    yield compare("import-package", "`import gatepass`, against its HTTP client", package, at_most=1.15)
    yield compare("import", "import of what a program uses, against its HTTP client", seconds, at_most=1.15)


def first_answer(bench: Bench) -> Iterator[Result]:
    """From the start of the process to its end, with one authorized call between."""
    site = bench.servers.site
    for kind, asynchronous in (("sync", False), ("async", True)):
        contenders = with_yardsticks(contenders_for(kind))
        took = _fresh(bench, {name: each.program(site, asynchronous=asynchronous) for name, each in contenders.items()})
        yield compare(f"start-{kind}", f"{WHAT}, cold, {kind}", took, at_most=1.1, notes=without(kind))

    stored = {name: bench.folder / f"start-{name}" for name in (GATEPASS, "httpx-auth")}
    programs = {
        **{yardstick_of(name): YARDSTICKS[CONTENDERS[name].speaks].program(site) for name in stored},
        **{name: CONTENDERS[name].program(site, folder=folder) for name, folder in stored.items()},
    }
    notes = {**without("disk"), "FastMCP": "It has no synchronous side."}
    yield compare("start-stored", f"{WHAT}, token stored, sync", _fresh(bench, programs), at_most=1.1, notes=notes)


def command(bench: Bench) -> Iterator[Result]:
    """`gatepass token NAME` as a script calls it, from its start to its end, when the token is at hand."""
    home = bench.folder / "command"
    home.mkdir()
    config = home / "gatepass.toml"
    config.write_text(CONFIGURATION.format(site=bench.servers.site, scope=SCOPE, client_id=CLIENT_ID))
    ours = {"HOME": str(home), "GATEPASS_CONFIG": str(config), "BENCH_SECRET": CLIENT_SECRET}
    others = {name: value for name, value in os.environ.items() if not name.startswith(("GATEPASS_", "XDG_", "PYTHON"))}

    def sampler(*words: str) -> Callable[[], float]:
        def sample() -> float:
            start = perf_counter()
            subprocess.run(words, cwd=home, env={**others, **ours}, stdout=subprocess.DEVNULL, check=True)
            return perf_counter() - start

        return sample

    token = sampler(str(Path(sys.executable).with_name("gatepass")), "token", "bench")
    token()  # from now on it is at hand
    took = best({"token": token, "nothing": sampler(sys.executable, "-c", "pass")}, bench.rounds(ROUNDS))
    ratio = took["token"] / took["nothing"]
    yield Result(
        name="command",
        measure="`gatepass token NAME`, token at hand, against `python -c pass`",
        figures={GATEPASS: ratio},
        yardstick=f"1.00 = {took['nothing'] * 1e3:.3g} ms",
        aim=f"{COMMAND_AT_MOST:g}",
        met=ratio <= COMMAND_AT_MOST,
    )


def processes(bench: Bench) -> Iterator[Result]:
    """Eight that call in the same moment, with a store on disk between them where there is one; the worst of it."""
    site = bench.servers.site
    sent: dict[str, Figure] = {}
    for number in range(bench.rounds(3)):
        for name, each in {FIXED: YARDSTICKS["httpx2"], **CONTENDERS}.items():
            folder = None if "disk" in each.lacks else bench.folder / f"processes-{name}-{number}"
            program = each.program(site, asynchronous="sync" in each.lacks, folder=folder)
            bench.servers.reset()
            bench.run_at_once([program.replace(READY, "print(flush=True)\ninput()")] * PROCESSES)
            counts = bench.servers.counts()
            sent[name] = max((counts.token, counts.discovery), sent.get(name, (0, 0)))
    yield Result(
        name="processes",
        measure=f"{PROCESSES} processes cold: token requests + discovery",
        figures=sent,
        form="{:.0f} + {:.0f}",
        notes=without("disk"),
        aim="1 + 2",
        met=sent[GATEPASS] == (1, 2),
    )


def _fresh(bench: Bench, programs: Mapping[str, str]) -> dict[str, float]:
    for program in programs.values():
        bench.time_python(program)  # writes the byte code, and the token where one is to be stored

    def sampler(program: str) -> Callable[[], float]:
        return lambda: bench.time_python(program)

    samples = {name: sampler(program) for name, program in programs.items()}
    return best(samples, bench.rounds(ROUNDS), patience_s=10.0)
