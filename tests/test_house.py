"""The rules of the house that the linters can't say."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import gatepass

HOUSE = Path(gatepass.__file__).parent
PURE = [
    *(HOUSE / name for name in ("errors.py", "discovery.py", "dpop.py", "registration.py")),
    *(
        file
        for room in ("core", "protocol", "keys", "client_auth", "grants", "profiles", "lifecycle")
        for file in sorted((HOUSE / room).rglob("*.py"))
    ),
]
WAYS_OUT = {"open", "input", "print", "exec", "eval", "__import__"}
CLOCKS = {"now", "utcnow", "today"}


def calls(file: Path) -> set[str]:
    """The names that are called, and the attributes of `datetime` and `date` that are."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            found.add(node.func.id)
        if (
            isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id in {"datetime", "date"}
        ):
            found.add(f"datetime.{node.attr}")
    return found


@pytest.mark.parametrize("file", PURE, ids=lambda file: str(file.relative_to(HOUSE)))
def test_the_pure_part_opens_nothing_and_reads_no_clock(file: Path) -> None:
    assert calls(file) & (WAYS_OUT | {f"datetime.{name}" for name in CLOCKS}) == set()


def test_the_rule_sees_what_it_forbids(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.py"
    wrong.write_text("import datetime\nopen('x')\ndatetime.now()\n")
    assert calls(wrong) >= {"open", "datetime.now"}


def run(program: str) -> str:
    return subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout


LOADED = "import sys; print(*sorted({name.partition('.')[0] for name in sys.modules}))"


def test_importing_gatepass_imports_nothing_else() -> None:
    assert not {"httpx2", "msgspec", "mcp", "joserfc", "typer"} & set(run(f"import gatepass; {LOADED}").split())


def test_a_client_with_a_secret_does_not_pay_for_keys_files_or_the_mcp_sdk() -> None:
    use = "from gatepass import Auth, ClientCredentials, ClientSecret"
    make = "Auth('https://mcp.example.com/mcp', ClientCredentials(ClientSecret('id', 'secret')))"
    dear = {
        "joserfc",
        "cryptography",
        "mcp",
        "pydantic",
        "typer",
        "rich",
        "trio",
        "asyncio",
        "filelock",
        "platformdirs",
    }
    assert not dear & set(run(f"{use}; {make}; {LOADED}").split())


@pytest.mark.parametrize("name", gatepass.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(gatepass, name).__doc__


def test_the_public_names_are_what_dir_shows() -> None:
    assert set(dir(gatepass)) == set(gatepass.__all__)


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nothing"):
        gatepass.nothing  # noqa: B018
