"""The documentation, held to what it says: its Python runs, its links lead somewhere, its tables are complete.

A block with `import gatepass` is a program; one without goes on from the block before it. Programs run as they stand,
but for the names of servers and places (`stand_ins`), in a directory that holds what they look for (`files`). A block
below `<!-- not run: why -->` is left out.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import key_material
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey
from redis_servers import redis_server

import gatepass
from gatepass.testing import AuthorizationServer, ManualClock, ProtectedServer, StoreContract

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "gatepass"
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")])
TEXT = {page: page.read_text() for page in PAGES}
EVERYTHING = "\n".join(TEXT.values())

CLIENT_ID = "ci-bot"
SECRET = "the secret of ci-bot"
KEY_PASSWORD = "open sesame"
TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ENVIRONMENT = {"CI_BOT_SECRET": SECRET, "CI_BOT_KEY_PASSWORD": KEY_PASSWORD, "GATEPASS_STORE_KEY": "9" * 64}


def stand_ins(
    auth_server: AuthorizationServer, idp: AuthorizationServer, mcp_server: ProtectedServer, here: Path
) -> dict[str, str]:
    """What is replaced in an example before it runs, and by what."""
    return {
        "https://idp.example.com": idp.issuer,
        "https://auth.example.com": auth_server.issuer,
        "https://mcp.example.com": mcp_server.origin,
        "reports/today": "plain/hello",
        "/run/secrets": str(here),
    }


def files(auth_server: AuthorizationServer, idp: AuthorizationServer) -> dict[str, str]:
    """What an example finds in its directory."""
    return {
        "ci-bot.pem": key_material.pem("P-256"),
        "ci-bot-locked.pem": key_material.pem("P-256", password=KEY_PASSWORD),
        "ci-bot": SECRET + "\n",
        "id-token.jwt": idp.issue_id_token("alice", f"{CLIENT_ID}-at-the-idp"),
        "workload.jwt": workload_jwt(auth_server.issuer),
        "vault": f"#!/bin/sh\necho '{SECRET}'\n",
    }


def workload_jwt(audience: str) -> str:
    """What a platform would give a workload: a JWT, made anew for each example."""
    now = int(time.time())
    claims = {
        "iss": CLIENT_ID,
        "sub": CLIENT_ID,
        "aud": audience,
        "iat": now,
        "exp": now + 60,
        "jti": os.urandom(8).hex(),
    }
    return jwt.encode({"alg": "ES256"}, claims, ECKey.import_key(key_material.pem("P-256")))


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A fenced block of a page."""

    page: Path
    line: int
    language: str
    code: str
    above: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks_of(page: Path) -> Iterator[Block]:
    above, start, code = "", 0, list[str]()
    language: str | None = None
    for number, line in enumerate(TEXT[page].splitlines(), 1):
        if language is None and line.startswith("```"):
            language, start, code = line.removeprefix("```"), number + 1, []
        elif line == "```":
            assert language, f"{page}:{start} has no language"
            yield Block(page=page, line=start, language=language, code="\n".join(code), above=above)
            language = None
        elif language is None:
            above = line or above
        else:
            code.append(line)


BLOCKS = [block for page in PAGES for block in blocks_of(page)]


def programs() -> list[list[Block]]:
    """The blocks of Python, each after those that it goes on from."""
    found: list[list[Block]] = []
    for block in BLOCKS:
        if block.language != "python" or block.above.startswith("<!-- not run: "):
            continue
        if "import gatepass" in block.code.splitlines():
            found.append([block])
        else:
            assert found[-1][0].page == block.page, f"{block} goes on from nothing"
            found[-1].append(block)
    return found


PROGRAMS = programs()


@pytest.fixture(scope="module")
def auth_server() -> Iterator[AuthorizationServer]:
    with AuthorizationServer(
        authorization_endpoint=True, registration=True, revocation=True, dpop="optional"
    ) as server:
        server.add_trusted_issuer(CLIENT_ID, [key_material.jwk("P-256", public=True)])
        keys = [key_material.jwk("P-256", public=True, **name) for name in ({}, {"kid": "2026-11"})]
        server.add_client(CLIENT_ID, secret=SECRET, jwks=keys)
        yield server


@pytest.fixture(scope="module")
def idp(auth_server: AuthorizationServer) -> Iterator[AuthorizationServer]:
    with AuthorizationServer(resources=None) as server:
        server.add_client(f"{CLIENT_ID}-at-the-idp", secret=SECRET, grants=[TOKEN_EXCHANGE])
        server.map_client(f"{CLIENT_ID}-at-the-idp", auth_server.issuer, CLIENT_ID)
        auth_server.add_trusted_issuer(server.issuer, server.jwks)
        yield server


@pytest.fixture(scope="module")
def mcp_server(auth_server: AuthorizationServer) -> Iterator[ProtectedServer]:
    with ProtectedServer(auth_server, scopes=["mcp:read"]) as server:
        yield server


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server.url


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: str(program[0]))
def test_the_example_runs(
    program: list[Block],
    auth_server: AuthorizationServer,
    idp: AuthorizationServer,
    mcp_server: ProtectedServer,
    redis_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, content in files(auth_server, idp).items():
        (tmp_path / name).write_text(content)
    (tmp_path / "vault").chmod(0o700)
    surroundings = {
        "HOME": str(tmp_path),
        "XDG_STATE_HOME": str(tmp_path / "state"),
        "PATH": f"{tmp_path}:/usr/bin:/bin",
    }
    for name, value in (ENVIRONMENT | surroundings | {"REDIS_URL": redis_url}).items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "__main__"}
    for block in program:
        code = block.code
        for written, meant in stand_ins(auth_server, idp, mcp_server, tmp_path).items():
            code = code.replace(written, meant)
        run(block, code, names)


def run(block: Block, code: str, names: dict[str, Any]) -> None:
    """Run one block: as a program, as the body of an async function, or as a file of tests."""
    if "\ndef test_" in code:
        Path("test_example.py").write_text(code)
        command = [sys.executable, "-m", "pytest", "-q", "-c", os.devnull, "-p", "no:cacheprovider"]
        command += ["-p", "gatepass.pytest_plugin", "test_example.py"]
        alone = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        done = subprocess.run(command, env=alone, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stdout
        return
    in_its_place = "\n" * (block.line - 1) + code
    compiled = compile(in_its_place, block.page, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    result = eval(compiled, names)
    if inspect.iscoroutine(result):
        asyncio.run(result)


def test_every_block_of_python_runs_or_says_why_not() -> None:
    ran = {str(block) for program in PROGRAMS for block in program}
    left_out = [block for block in BLOCKS if block.language == "python" and str(block) not in ran]
    assert all(re.fullmatch(r"<!-- not run: \S.* -->", block.above) for block in left_out)


class TestTheStoreOfTheDocs(StoreContract):
    """The example of a store keeps the contract that the page tells of."""

    @pytest.fixture
    def store(self, clock: ManualClock) -> gatepass.Store:
        (code,) = (block.code for block in BLOCKS if "class CompressedStore" in block.code)
        names: dict[str, Any] = {}
        exec(code.partition("\nauth = ")[0], names)
        return names["CompressedStore"](gatepass.MemoryStore(clock=clock))


# What the pages point at


def slug(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", TEXT[page]):
        if target.startswith("https://"):
            continue
        place, _, anchor = target.partition("#")
        there = (page.parent / place).resolve() if place else page
        assert there.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", TEXT[there], re.MULTILINE)
            assert anchor in {slug(heading) for heading in headings}, target


def test_every_page_and_every_decision_can_be_found() -> None:
    pages = {page for page in PAGES if page.parent == ROOT / "docs" and page.name != "README.md"}
    index = TEXT[ROOT / "docs" / "README.md"]
    assert all(f"({page.name})" in index for page in pages)
    for decision in (ROOT / "docs" / "decisions").glob("*.md"):
        assert f"({decision.relative_to(ROOT / 'docs').as_posix()})" in index
        text = decision.read_text()
        assert re.match(rf"# {int(decision.name[:4])}\. \S", text)
        assert all(part in text for part in ("**Context.**", "**Choice.**", "**What it costs.**"))


def test_every_place_that_is_named_exists() -> None:
    named = re.findall(r"`((?:src|tests|docs|benchmarks)/[\w./-]+)`", EVERYTHING)
    (house,) = (block.code for block in BLOCKS if block.code.startswith("src/gatepass/"))
    rooms = [line.split()[0] for line in house.splitlines()[1:]]
    assert [place for place in named if not (ROOT / place).exists()] == []
    assert [room for room in rooms if not (SOURCE / room).exists()] == []


def test_every_make_target_that_is_named_exists() -> None:
    named = set(re.findall(r"(?:`|\$ )make (\w+)", EVERYTHING))
    assert named <= set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {"demo", "test", "check", "bench", "conformance"} <= named


def test_every_option_of_the_command_that_is_named_exists(capsys: pytest.CaptureFixture[str]) -> None:
    from gatepass.cli.app import _COMMANDS, run
    from gatepass.cli.group import Group

    for name in _COMMANDS:
        command = getattr(import_module(f"gatepass.cli.{name}"), name)
        for words in (
            [[each.__name__.replace("_", "-")] for each in command.commands] if isinstance(command, Group) else [[]]
        ):
            assert run([name, *words, "--help"]) == 0
    others = {"conformance.md", "benchmarks.md", "simulation.md"}  # whose commands are not ours
    ours = "\n".join(text for page, text in TEXT.items() if page.name not in others)
    named = set(re.findall(r"(?:`|\s)(--[a-z-]+)", ours))
    assert named <= set(re.findall(r"--[a-z-]+", capsys.readouterr().out))


# What the tables promise to have all of

RAISED_BY = {
    "unfit": "ConfigurationError",
    "check_text": "ConfigurationError",
    "_require": "ConfigurationError",
    "read_metadata": "RemoteError",
    "ConfigurationError": "ConfigurationError",
    "called": "ConfigurationError",
    "SignInRequiredError": "SignInRequiredError",
    "RemoteError": "RemoteError",
    "UnreachableError": "UnreachableError",
    "StoreError": "StoreError",
    "GatepassError": "GatepassError",
    "Notice": "What the log says",
}
"""Whose call brings a code into the world, and under which heading the code stands."""

PASSED_ON = {("RemoteError", "issuer_invalid")}
"""Codes that an error takes over from one of another class."""


def codes_of_the_source() -> set[tuple[str, str]]:
    """Every code with its heading."""
    found = set(PASSED_ON)
    for path in SOURCE.rglob("*.py"):
        if path.relative_to(SOURCE).parts[0] in {"cli", "testing"}:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "code":
                found |= {("RemoteError", code) for code in constants(node.value)}
            if isinstance(node, ast.Call) and (heading := RAISED_BY.get(ast.unparse(node.func).rpartition(".")[2])):
                found |= {(heading, code) for code in codes_of(node)}
    return found


def codes_of(call: ast.Call) -> list[str]:
    given = {keyword.arg: keyword.value for keyword in call.keywords}
    match ast.unparse(call.func):
        case "unfit":
            return constants(call.args[1])
        case "check_text":
            return [f"{field}_invalid" for field in constants(given["field"])]
        case _:
            return constants(given.get("code"))


def constants(value: ast.expr | None) -> list[str]:
    """The strings that an expression may be."""
    match value:
        case ast.Constant(value=str(text)):
            return [text]
        case ast.IfExp(body=one, orelse=other):
            return constants(one) + constants(other)
        case _:
            return []


def rows(heading: str, page: str = "errors.md") -> list[str]:
    """The first column of the table of codes under a heading of a page."""
    section = TEXT[ROOT / "docs" / page].partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return re.findall(r"^\| `?([a-z0-9_]+)`? \|", section.partition("|---")[2], re.MULTILINE)


def test_the_page_about_errors_has_every_code_and_no_other() -> None:
    written = [(heading, code) for heading in dict.fromkeys(RAISED_BY.values()) for code in rows(heading)]
    written += [("What the log says", code) for code in rows("Events", "watching.md")]
    assert len(written) == len(set(written))
    assert set(written) == codes_of_the_source()


def test_the_page_about_errors_has_every_exit_code_and_no_other() -> None:
    from gatepass.cli.exits import TABLE

    assert rows("Exit codes of the command") == re.findall(r"^ +(\d+)", TABLE, re.MULTILINE)


@pytest.mark.parametrize(
    "subject",
    [
        gatepass.Auth,
        gatepass.TokenHttp,
        gatepass.ClientSecret,
        gatepass.PrivateKeyJwt,
        gatepass.ClientAssertion,
        gatepass.WorkloadIdentity,
        gatepass.EnterpriseAuthorization,
        gatepass.IdentityProvider,
        gatepass.AuthorizationCode,
        gatepass.FileStore,
        gatepass.RedisStore,
        gatepass.KeyValueStore,
        gatepass.EncryptedStore,
        gatepass.Telemetry,
        gatepass.connect,
    ],
    ids=lambda subject: subject.__name__,
)
def test_every_option_is_told_of(subject: Any) -> None:
    options = inspect.signature(subject).parameters.keys() - {"options"}
    assert [name for name in options if not re.search(rf"`{name}\b|\b{name}=", EVERYTHING)] == []


def test_every_public_name_is_told_of_and_no_other() -> None:
    assert [name for name in gatepass.__all__ if not re.search(rf"\b{name}\b", EVERYTHING)] == []
    used = set(re.findall(r"\bgatepass\.([A-Z]\w+|connect|authorization_error)\b", EVERYTHING))
    assert used <= set(gatepass.__all__)
