"""Fresh processes: what an import costs, how long the first answer takes, and eight that start cold at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.bench import finish
from benchmarks.programs import fixed_header, with_gatepass, with_gatepass_and_key, with_sdk, with_sdk_and_key
from benchmarks.results import FIXED, GATEPASS, SDK, Result, best, compare

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from benchmarks.bench import Bench

__all__ = ["first_answer", "import_time", "processes"]

PROCESSES = 8
ROUNDS = 10
SDK_IMPORT = "from mcp.client.auth.extensions.client_credentials import ClientCredentialsOAuthProvider"
NAMES_IMPORT = "from gatepass import Auth, ClientCredentials, ClientSecret"


def import_time(bench: Bench) -> Iterator[Result]:
    """The import as such, and with the names that a program with a client secret uses."""
    took = _fresh(
        bench, {"httpx2": "import httpx2", "gatepass": "import gatepass", "names": NAMES_IMPORT, "sdk": SDK_IMPORT}
    )
    seconds = {FIXED: took["httpx2"], GATEPASS: took["gatepass"], SDK: took["sdk"]}
    yield compare("import, against `import httpx2`", seconds, at_most=1.15)
    seconds = {FIXED: took["httpx2"], GATEPASS: took["names"], SDK: took["sdk"]}
    yield compare("import of Auth, ClientCredentials, ClientSecret", seconds, at_most=1.15)


def first_answer(bench: Bench) -> Iterator[Result]:
    """From the start of the process to its end, with one authorized call between."""
    site, key_file = bench.servers.site, bench.key_file
    what = "process start to first answer"

    took = _fresh(
        bench,
        {
            "fixed": fixed_header(site),
            "stored": with_gatepass(site, folder=bench.folder / "first-answer"),
            "cold": with_gatepass(site),
        },
    )
    yield compare(f"{what}, token stored", {FIXED: took["fixed"], GATEPASS: took["stored"]}, at_most=1.1)
    yield compare(f"{what}, cold", {FIXED: took["fixed"], GATEPASS: took["cold"]}, at_most=1.1)

    took = _fresh(
        bench,
        {
            "fixed": fixed_header(site, asynchronous=True),
            "gatepass": with_gatepass(site, asynchronous=True),
            "sdk": with_sdk(site),
            "gatepass, key": with_gatepass_and_key(site, key_file),
            "sdk, key": with_sdk_and_key(site, key_file),
        },
    )
    seconds = {FIXED: took["fixed"], GATEPASS: took["gatepass"], SDK: took["sdk"]}
    yield compare(f"{what}, cold, asyncio", seconds, at_most=1.1)
    seconds = {FIXED: took["fixed"], GATEPASS: took["gatepass, key"], SDK: took["sdk, key"]}
    yield compare(f"{what}, cold, asyncio, RSA key", seconds)


def processes(bench: Bench) -> Iterator[Result]:
    """Eight at the same moment, with a file store between those of gatepass."""
    site = bench.servers.site
    programs = {
        FIXED: fixed_header(site),
        GATEPASS: with_gatepass(site, folder=bench.folder / "processes"),
        SDK: with_sdk(site),
    }
    sent: dict[str, str] = {}
    for name, program in programs.items():
        bench.servers.reset()
        finish([bench.start_python(program) for _ in range(PROCESSES)])
        counts = bench.servers.counts()
        sent[name] = f"{counts.token} / {counts.discovery}"
    yield Result(
        measure=f"{PROCESSES} processes cold: token / discovery requests",
        fixed_header=sent[FIXED],
        gatepass=sent[GATEPASS],
        official_sdk=sent[SDK],
        aim="1 / 2",
        met=sent[GATEPASS] == "1 / 2",
    )


def _fresh(bench: Bench, programs: Mapping[str, str]) -> dict[str, float]:
    for program in programs.values():
        bench.time_python(program)  # writes the byte code, and the token where one is to be stored

    def sampler(program: str) -> Callable[[], float]:
        return lambda: bench.time_python(program)

    samples = {name: sampler(program) for name, program in programs.items()}
    return best(samples, bench.rounds(ROUNDS), patience_s=2.0)
