"""The official conformance suite: which scenarios it has, and how one of them is played by our client."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
from interop.node.install import NODE, installed

CLIENT = Path(__file__).with_name("client.py")
SPEC_VERSIONS = ("2025-11-25", "2026-07-28")
"""The two wires. An extension belongs to no version, and is played at both."""
BEFORE = "2025-03-26"
"""The version of the scenarios for old servers."""


_LISTED = re.compile(r"- (?P<name>auth/\S+) \[(?P<versions>[^\]]*)\]")


class Check(msgspec.Struct, frozen=True):
    """One finding of the suite. INFO is a line of its request log, everything else a verdict."""

    id: str
    status: str
    description: str = ""
    details: dict[str, Any] = {}


class Played(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one scenario.

    Attributes:
        checks: the suite's findings, in the order of events.
        exit_code: the suite's, which is not 0 if a check failed or warned, or the client failed.
        log: what the suite and the client said.
    """

    checks: list[Check]
    exit_code: int
    log: str

    @property
    def clean(self) -> bool:
        """Something was checked, and neither the suite nor the client has anything to complain of."""
        return self.exit_code == 0 and {check.status for check in self.checks} in ({"SUCCESS"}, {"SUCCESS", "INFO"})

    def ids(self, *statuses: str) -> list[str]:
        """The checks that ended so."""
        return [check.id for check in self.checks if check.status in statuses]

    def answered(self, field: str, value: str) -> list[int]:
        """The statuses that the suite's servers answered to requests with `value` in a `field` of their log."""
        answers = (check.details for check in self.checks if check.id.startswith("outgoing"))
        return [details["statusCode"] for details in answers if details.get(field) == value]


def play(scenario: str, spec_version: str, results: Path) -> Played:
    """Play one scenario against our client, leaving the suite's files under the empty directory `results`.

    `--force`, because without it the suite skips what it takes for inapplicable, and calls that a success.
    """
    ran = _suite(
        "client",
        f"--command={shlex.join([sys.executable, str(CLIENT)])}",
        f"--scenario={scenario}",
        f"--spec-version={spec_version}",
        f"--output-dir={results}",
        "--force",
    )
    files = list(results.glob("**/checks.json"))
    checks = msgspec.json.decode(files[0].read_bytes(), type=list[Check]) if files else []
    return Played(checks=checks, exit_code=ran.returncode, log=ran.stdout + ran.stderr)


def plays() -> list[tuple[str, str]]:
    """Every scenario for clients that is about authorization, of every suite in the package, at each version."""
    found = (_LISTED.search(line) for line in _suite("list", "--client").stdout.splitlines())
    return [(match["name"], version) for match in found if match for version in _versions(match["versions"])]


def _versions(listed: str) -> tuple[str, ...]:
    if listed == "extension":
        return SPEC_VERSIONS
    return tuple(version for version in (BEFORE, *SPEC_VERSIONS) if version in listed.split(","))


def _suite(*arguments: str) -> subprocess.CompletedProcess[str]:
    home = installed()
    script = home / "node_modules/@modelcontextprotocol/conformance/dist/index.js"
    command = [str(NODE), "--no-deprecation", str(script), *arguments]
    return subprocess.run(command, cwd=home, capture_output=True, text=True, timeout=120, check=False)
