"""Every command as a process of its own, where nobody here wrote the other side: oidc-provider, servers of three SDKs.

There is a desk in front of each server, where somebody types `COMMANDS`, in this order, and then starts the proxy. The
client ``bot`` has a secret; the client ``key-bot`` has the key that ``gatepass keys new`` made for it.
"""

from __future__ import annotations

import base64
import json
import shlex
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_plus

import anyio
import httpx2
import jwt
import key_material
import pytest
from cli.conftest import Run, bare_environment, checked, ended
from interop import sdks
from interop.conftest import OIDC_PROVIDER, SCOPES, client, listener, mcp_url, own_keys
from interop.node.install import installed
from interop.place import SECRET as AWKWARD
from interop.processes import serving
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

from gatepass.cli import app

if TYPE_CHECKING:
    from collections.abc import Iterator

SECRET = f"canary {AWKWARD.strip()}"
LIFE_S = 3600
ANSWER_TIMEOUT_S = 60

MAKES = {"python": sdks.python, "fastmcp": sdks.fastmcp, "typescript": sdks.typescript}
OPTIONS = {"fastmcp": "--tolerate-issuer-slash"}
"""What a server of that make has to be met with."""

SCOPES_WANTED = {"python": ["mcp:read"], "fastmcp": ["mcp:read"], "typescript": []}
TOOLS = {"add", "picture", "fail", "steps"}

HELLO = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "host", "version": "1"}},
}
ADD = {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "add", "arguments": {"a": 1, "b": 2}}}
ACCEPT = {"Accept": "application/json, text/event-stream"}

VISIT = f"""
import httpx2, os, sys
headers = {{**{ACCEPT}, "Authorization": os.environ["GATEPASS_AUTHORIZATION"]}}
print(httpx2.post(sys.argv[1], headers=headers, json={HELLO}).status_code)
sys.exit(7)
"""
"""A program that `gatepass run` runs."""

COMMANDS = {
    "init": (
        "init {url} by-secret --client-id bot --client-secret-file ../bot.secret {options}",
        (0, 'issuer = "{issuer}" client-id = "bot" client-secret = {{ file = "../bot.secret" }}'),
        "Tokens for it come from {issuer}.",
    ),
    "init with a key": (
        "init {url} by-key --client-id key-bot --private-key-file ../bot.pem {options} --quiet",
        (0, 'issuer = "{issuer}" client-id = "key-bot" private-key = {{ file = "../bot.pem" }}'),
        "",
    ),
    "config check": ("config check", (0, ""), "Nothing is wrong with 2 servers in {folder}/gatepass.toml."),
    "config show": ("config show by-key", (0, "private-key file:{folder}/../bot.pem {folder}/gatepass.toml:"), ""),
    "config trust": ("config trust --yes", (0, ""), "{folder}/gatepass.toml is trusted, as it is now."),
    "keys check": (
        "keys check ../bot.pem --issuer by-key",
        (0, "would sign with ES256"),
        "The server takes such keys.",
    ),
    "status before": ("status", (0, "by-secret absent {issuer} by-key absent {issuer}"), ""),
    "token": ("token by-secret", (0, "eyJ"), ""),
    "token from the store": ("token by-secret", (0, "eyJ"), ""),
    "token for long": (
        "token by-secret --min-ttl 2h",
        (0, "eyJ"),
        "A token of this server lives for 3600 s, too short",
    ),
    "token with a key": ("token by-key --json", (0, '"token_type": "Bearer"'), ""),
    "headers": ("headers by-key", (0, '{{ "Authorization": "Bearer eyJ'), ""),
    "run": ("run by-secret -- {python} -c {visit} {url}", (7, "200"), ""),
    "tools": ("tools by-key", (0, "TOOL WHAT IT DOES ARGUMENTS add Adds two numbers. a: number, b: number "), ""),
    "call": ("call by-secret add a=1 b=2 --json", (0, '"content": [ {{ "type": "text", "text": "3'), ""),
    "call with progress": ("call by-key steps --verbose", (0, "done"), "gatepass.progress: steps: 3 of 3, step 3"),
    "call that fails": ("call by-secret fail", (1, ""), "no luck today"),
    "doctor": (
        "doctor by-secret --html report.html",
        (0, "\N{CHECK MARK} bot gets in."),
        "The page is in report.html.",
    ),
    "doctor with a key": ("doctor by-key --json", (0, '"verdict": "ok", "failed": null, "diagnosis": null'), ""),
    "status after": ("status by-secret --json", (0, '"state": "fresh", "generation": 1'), ""),
    "logout": ("logout by-secret", (0, ""), "The token is forgotten. Its server does not revoke it"),
    "status at the end": ("status by-secret", (0, "by-secret absent {issuer}"), ""),
}
"""Each with its exit code, what stands on stdout, and what on stderr; white space is as it may be, "" is nothing."""

HAND_OUT_TOKENS = {"token", "token from the store", "token for long", "token with a key", "headers"}
NEED_NO_SERVER = {"demo", "testserver", "completion"}

WRONG = "--client-secret-file ../wrong.secret --no-store"
REFUSED = {
    "token": f"token by-secret {WRONG}",
    "token with a key": "token by-key --private-key-file ../wrong.pem --no-store",
    "headers": f"headers by-secret {WRONG}",
    "run": f"run by-secret {WRONG} -- true",
    "tools": f"tools by-secret {WRONG}",
    "call": f"call by-secret add a=1 b=2 {WRONG}",
    "doctor": f"doctor by-secret {WRONG}",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """Where somebody sits in front of a server.

    Attributes:
        folder: the current folder; the home folder is in it, secrets and keys are in the one above.
        issuer: who issues tokens for the server.
        url: the server's.
        options: what it has to be met with.
    """

    folder: Path
    issuer: str
    url: str
    options: str = ""

    @property
    def environment(self) -> dict[str, str]:
        return {**bare_environment(self.folder / "home"), "PYTHONUTF8": "1"}

    def type(self, line: str) -> Run:
        """Run a command to its end."""
        words = [self.filled(word) for word in shlex.split(line)]
        return ended(self.environment, [word for word in words if word], self.folder)

    def start(self, line: str) -> subprocess.Popen[str]:
        """Start a command that goes on."""
        command = [sys.executable, "-m", "gatepass", *shlex.split(line)]
        pipe = subprocess.PIPE
        return subprocess.Popen(
            command, cwd=self.folder, env=self.environment, stdin=pipe, stdout=pipe, stderr=pipe, text=True
        )

    def filled(self, text: str) -> str:
        names = {"folder": self.folder, "issuer": self.issuer, "url": self.url, "options": self.options}
        return text.format(**names, python=sys.executable, visit=VISIT)


@dataclass(frozen=True, slots=True, kw_only=True)
class OnStdio:
    """What the official client had from the proxy on stdio, and what was said on stderr meanwhile."""

    tools: set[str]
    added: str
    reported: list[float]
    said: Run


@dataclass(frozen=True, slots=True, kw_only=True)
class OnLoopback:
    """What a program had from the proxy on loopback."""

    status_without_key: int
    answers: list[Any]
    key: str
    key_file: Path
    run: Run


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """What was done at a desk."""

    desk: Desk
    runs: dict[str, Run]
    stdio: OnStdio
    loopback: OnLoopback

    def token(self, name: str) -> str:
        return self.runs[name].out.strip()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where secrets and keys are."""
    folder = tmp_path_factory.mktemp("commands")
    (folder / "bot.secret").write_text(SECRET)
    (folder / "wrong.secret").write_text("canary of another")
    (folder / "wrong.pem").write_text(key_material.pem("P-256"))
    return folder


@pytest.fixture(scope="module")
def registered(folder: Path) -> Any:
    """The JWK set that was printed when the key was made, and that the authorization server is given."""
    made = ended(bare_environment(folder), ["keys", "new", "bot.pem", "--format", "jwks"], folder)
    assert made.code == 0
    return json.loads(made.out)


@pytest.fixture(scope="module")
def desks(folder: Path, registered: Any) -> Iterator[dict[str, Desk]]:
    """A desk in front of a server of each make, all of them behind one oidc-provider."""
    by_key = {"token_endpoint_auth_method": "private_key_jwt", "token_endpoint_auth_signing_alg": "ES256"}
    clients = [
        client("bot", client_secret=SECRET, token_life_s=LIFE_S),
        client("key-bot", **by_key, jwks=registered, token_life_s=LIFE_S),
    ]
    with ExitStack() as stack:
        sockets = {make: stack.enter_context(listener()) for make in MAKES}
        urls = {make: mcp_url(own) for make, own in sockets.items()}
        given = {"clients": clients, "jwks": own_keys(), "resources": dict.fromkeys(urls.values(), SCOPES)}
        log = folder / "oidc-provider.txt"
        issuer = stack.enter_context(serving(OIDC_PROVIDER, given, directory=installed(), log=log))
        for make, serve in MAKES.items():
            stack.enter_context(serve(issuer, sockets[make], folder / f"{make}.txt"))
            (folder / make).mkdir()
        yield {
            make: Desk(folder=folder / make, issuer=issuer, url=urls[make], options=OPTIONS.get(make, ""))
            for make in MAKES
        }


@pytest.fixture(scope="module")
def sessions(desks: dict[str, Desk]) -> dict[str, Session]:
    """What is done at each desk, at all of them at a time."""
    with ThreadPoolExecutor(len(desks)) as pool:
        return dict(zip(desks, pool.map(session_at, desks.values()), strict=True))


@pytest.fixture(scope="module")
def refused(sessions: dict[str, Session]) -> dict[str, Run]:
    """The runs of somebody whose secret or key is a wrong one."""
    desk = sessions["python"].desk
    with ThreadPoolExecutor(2) as pool:
        return dict(zip(REFUSED, pool.map(desk.type, REFUSED.values()), strict=True))


def session_at(desk: Desk) -> Session:
    runs = {name: desk.type(line) for name, (line, *_) in COMMANDS.items()}
    loopback = on_loopback(desk, "proxy by-key --http 127.0.0.1:0 --json", HELLO, ADD)
    return Session(desk=desk, runs=runs, stdio=anyio.run(on_stdio, desk), loopback=loopback)


async def on_stdio(desk: Desk) -> OnStdio:
    """The official client, which starts the proxy as a host does."""
    log = desk.folder / "stdio.txt"
    command = ["-m", "gatepass", "proxy", "by-secret", "--stdio", "--verbose"]
    parameters = StdioServerParameters(command=sys.executable, args=command, env=desk.environment, cwd=desk.folder)
    reported = []

    async def report(progress: float, _total: float | None, _message: str | None) -> None:
        reported.append(progress)

    with log.open("w") as stderr:
        async with Client(stdio_client(parameters, stderr), read_timeout_seconds=ANSWER_TIMEOUT_S) as host:
            tools = {tool.name for tool in (await host.list_tools()).tools}
            added = (await host.call_tool("add", {"a": 1, "b": 2})).content[0]
            await host.call_tool("steps", progress_callback=report)
    return OnStdio(tools=tools, added=added.text, reported=reported, said=checked(0, "", log.read_text()))


def on_loopback(desk: Desk, line: str, *messages: object) -> OnLoopback:
    """A program that knows HTTP and JSON, and sends these messages, one after the other."""
    answers = []
    with desk.start(line) as process, httpx2.Client(trust_env=False, timeout=ANSWER_TIMEOUT_S) as caller:
        try:
            told = json.loads(process.stdout.readline())
            key = Path(told["key_file"]).read_text().strip()
            status_without_key = caller.post(told["url"], json=HELLO, headers=ACCEPT).status_code
            headers = {**ACCEPT, "Authorization": f"Bearer {key}"}
            for message in messages:
                response = caller.post(told["url"], json=message, headers=headers)
                headers |= {name: value for name, value in response.headers.items() if name == "mcp-session-id"}
                answers.append(message_in(response.text))
            process.terminate()
            out, err = process.communicate(timeout=ANSWER_TIMEOUT_S)
        finally:
            process.kill()
    return OnLoopback(
        status_without_key=status_without_key,
        answers=answers,
        key=key,
        key_file=Path(told["key_file"]),
        run=checked(process.returncode, out, err),
    )


def message_in(body: str) -> Any:
    """The message in an answer that is JSON, or a stream of events with one message."""
    (message,) = [line for each in body.splitlines() if (line := each.removeprefix("data: ")).startswith("{")]
    return json.loads(message)


def lets_in(url: str, authorization: str) -> bool:
    headers = {**ACCEPT, "Authorization": authorization}
    return httpx2.post(url, json=HELLO, headers=headers, trust_env=False).status_code == 200


def flat(text: str) -> str:
    return " ".join(text.split())


def assert_says(text: str, wanted: str) -> None:
    said = flat(text)
    assert wanted in said
    assert bool(wanted) == bool(said), "it says what nobody expects"


@pytest.mark.parametrize("make", MAKES)
class TestASession:
    @pytest.mark.parametrize("name", COMMANDS)
    def test_each_command_does_what_it_is_there_for(self, sessions: dict[str, Session], make: str, name: str) -> None:
        session = sessions[make]
        _, (code, out), err = COMMANDS[name]
        run = session.runs[name]
        assert run.code == code, run.err
        assert_says(run.out, session.desk.filled(out))
        assert_says(run.err, session.desk.filled(err))
        assert ("eyJ" in run.out) == (name in HAND_OUT_TOKENS)

    def test_a_token_is_kept_until_it_is_to_live_longer(self, sessions: dict[str, Session], make: str) -> None:
        session = sessions[make]
        assert session.token("token from the store") == session.token("token")
        assert session.token("token for long") == session.token("token")

    def test_what_is_handed_out_lets_its_owner_in_and_nobody_else(
        self, sessions: dict[str, Session], make: str
    ) -> None:
        session = sessions[make]
        desk = session.desk
        by_secret, by_key = session.token("token for long"), json.loads(session.runs["token with a key"].out)
        for token, who in ((by_secret, "bot"), (by_key["access_token"], "key-bot")):
            claims = jwt.decode(token, options={"verify_signature": False, "verify_aud": False})
            assert (claims["iss"], claims["aud"], claims["client_id"]) == (desk.issuer, desk.url, who)
            assert lets_in(desk.url, f"Bearer {token}")
            assert not lets_in(desk.url, f"Bearer {token[:-8]}AAAAAAAA")
        assert by_key["scope"].split() == SCOPES_WANTED[make]
        assert json.loads(session.runs["headers"].out) == {"Authorization": f"Bearer {by_key['access_token']}"}

    def test_tools_and_progress_are_those_of_the_server(self, sessions: dict[str, Session], make: str) -> None:
        runs = sessions[make].runs
        assert {line.split()[0] for line in runs["tools"].out.splitlines()[1:]} >= TOOLS
        told = [line for line in runs["call with progress"].err.splitlines() if line.startswith("gatepass.progress: ")]
        assert told == [f"gatepass.progress: steps: {step} of 3, step {step}" for step in (1, 2, 3)]

    def test_the_doctor_finds_nothing_to_mend(self, sessions: dict[str, Session], make: str) -> None:
        session = sessions[make]
        report = json.loads(session.runs["doctor with a key"].out)
        assert {step["id"]: step["verdict"] for step in report["steps"] if step["verdict"] != "ok"} == {
            "name": "skipped"  # it is an address
        }
        page = (session.desk.folder / "report.html").read_text()
        assert "gets in" in page
        assert not [word for word in ("canary", "eyJ") if word in page]

    def test_the_proxy_on_stdio_brings_the_server_to_the_official_client(
        self, sessions: dict[str, Session], make: str
    ) -> None:
        stdio = sessions[make].stdio
        assert stdio.tools >= TOOLS
        assert float(stdio.added) == 3
        assert stdio.reported == [1, 2, 3]
        assert "httpx2: HTTP Request" in stdio.said.err

    def test_the_proxy_on_loopback_brings_it_to_whoever_has_the_key(
        self, sessions: dict[str, Session], make: str
    ) -> None:
        loopback = sessions[make].loopback
        hello, added = loopback.answers
        assert loopback.status_without_key == 401
        assert hello["result"]["serverInfo"]["name"].startswith("a ")
        assert float(added["result"]["content"][0]["text"]) == 3
        assert (loopback.run.code, loopback.run.out) == (0, "")
        assert f"the key is in {loopback.key_file}." in flat(loopback.run.err)
        assert loopback.key not in loopback.run.err
        assert not loopback.key_file.exists()

    def test_no_secret_stands_where_it_does_not_belong(
        self, sessions: dict[str, Session], folder: Path, make: str
    ) -> None:
        session = sessions[make]
        pair = f"bot:{quote_plus(SECRET)}".encode()
        secrets = {
            SECRET,
            quote_plus(SECRET),
            base64.b64encode(pair).decode(),
            *(folder / "bot.pem").read_text().splitlines()[1:-1],
        }
        everywhere = [run.out + run.err for run in (*session.runs.values(), session.stdio.said, session.loopback.run)]
        kept = [path.read_text() for path in session.desk.folder.rglob("*") if path.is_file()]
        assert (session.desk.folder / "gatepass.toml").read_text() in kept
        assert not [secret for secret in secrets for text in (*everywhere, *kept) if secret in text]


class TestAWrongProof:
    @pytest.mark.parametrize("name", REFUSED)
    def test_it_is_named_and_ends_what_needs_a_token(self, refused: dict[str, Run], name: str) -> None:
        run = refused[name]
        assert run.code == 4
        in_the_report = name == "doctor"
        said, other = (run.out, run.err) if in_the_report else (run.err, run.out)
        assert 'refused the token request: invalid_client ("client authentication failed"), status 401.' in flat(said)
        assert "Check the client id, and that its secret or key is the one registered there" in flat(said)
        assert other == ""

    def test_it_is_the_answer_to_what_passes_through_the_proxy(self, sessions: dict[str, Session]) -> None:
        desk = sessions["python"].desk
        with desk.start(f"proxy by-secret --stdio {WRONG}") as process:
            out, err = process.communicate(json.dumps(HELLO) + "\n", timeout=ANSWER_TIMEOUT_S)
        on_stdio = checked(process.returncode, out, err)
        loopback = on_loopback(desk, f"proxy by-secret --http 127.0.0.1:0 --json --quiet {WRONG}", HELLO)
        for answer in (json.loads(on_stdio.out), *loopback.answers):
            assert (answer["id"], answer["error"]["code"]) == (1, -32011)
            assert answer["error"]["data"]["error"] == "invalid_client"
            assert "Check the client id, and that its secret or key" in answer["error"]["message"]
        assert (on_stdio.code, on_stdio.err) == (loopback.run.code, loopback.run.err) == (0, "")


def test_an_issuer_with_a_slash_too_many_is_met_with_an_option_that_init_names(desks: dict[str, Desk]) -> None:
    desk = desks["fastmcp"]
    run = desk.type("init {url} without-options --client-id bot --client-secret-file ../bot.secret --config new.toml")
    assert (run.code, run.out) == (4, "")
    assert f'is of the issuer "{desk.issuer}", not of "{desk.issuer}/"' in flat(run.err)
    assert OPTIONS["fastmcp"] in run.err
    assert not (desk.folder / "new.toml").exists()


def test_a_key_that_was_made_is_shown_as_it_was_registered(folder: Path, registered: Any) -> None:
    key = folder / "bot.pem"
    shown, public = (
        ended(bare_environment(folder), ["keys", *line], folder) for line in (["show", key, "--json"], ["jwks", key])
    )
    (half,) = registered["keys"]
    assert json.loads(shown.out)["kid"] == half["kid"]
    assert json.loads(public.out) == registered
    assert not half.keys() & {"d", "k"}
    assert stat.S_IMODE(key.stat().st_mode) == 0o600


def test_no_command_is_left_out() -> None:
    typed = {line.split()[0] for line, *_ in COMMANDS.values()}
    assert typed | {"proxy"} | NEED_NO_SERVER == set(app._COMMANDS)
