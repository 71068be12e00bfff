"""`gatepass testserver`: what it tells, what it shows, how it ends, and that nothing is left of it."""

from __future__ import annotations

import asyncio
import json
import shlex
import signal
import socket
import stat
import subprocess
import sys
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx2
import pytest

import gatepass
from gatepass.cli.app import run
from gatepass.testing import gallery


def hear_sigint():
    """What runs in the background of a shell is started deaf to it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.fixture
def serving(environment, tmp_path):
    """Runs the command while a test looks at it. What it leaves unread, and how it ended, stand in the process."""

    @contextmanager
    def serving(*arguments, end=signal.SIGTERM):
        command = [sys.executable, "-m", "gatepass", "testserver", *arguments]
        process = subprocess.Popen(
            command,
            env={**environment, "TMPDIR": str(tmp_path)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=hear_sigint,  # noqa: PLW1509 - no threads are about here
        )
        with process:
            try:
                yield process
                process.send_signal(end)
                process.out, process.err = "" if process.stdout.closed else process.stdout.read(), process.stderr.read()
                process.wait(60)
            finally:
                process.kill()

    return serving


def free_ports():
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        return one.getsockname()[1], other.getsockname()[1]


def auth(told, secret_file=None):
    """The way in of a client that is told so."""
    secret = gatepass.Secret.file(secret_file or told["client_secret_file"])
    client = gatepass.ClientSecret(told["client_id"], secret)
    return gatepass.Auth(told["url"], gatepass.ClientCredentials(client), issuer=told.get("issuer"))


def introduced(process):
    """What a person reads until the command is ready; the last line is a command to try."""
    lines = []
    for line in process.stdout:
        lines.append(line.strip())
        if lines[-1].startswith("gatepass "):
            return lines
    pytest.fail(process.stderr.read())


def issuer_in(facts):
    """The issuer that was told."""
    (issuer,) = (fact.split()[1] for fact in facts if fact.startswith("issuer "))
    return issuer


def shown(process, text):
    """The next line with that text in it, its columns closed up."""
    return " ".join(next(line for line in process.stdout if text in line).split())


async def whoami(auth):
    async with gatepass.connect(auth, http_options={"trust_env": False}) as mcp:
        return (await mcp.call_tool("whoami", {})).structured_content["client_id"]


class TestForScripts:
    def test_one_line_says_all_that_a_client_has_to_know_and_nothing_is_left_in_the_end(self, serving, tmp_path):
        with serving("--json") as process:
            said = json.loads(process.stdout.readline())
            assert asyncio.run(whoami(auth(said["told"]))) == "ci-bot"
            (client,) = said["clients"]
            assert client["client_secret_file"] == said["told"]["client_secret_file"]
            for name in ("client_secret_file", "private_key_file"):
                assert stat.S_IMODE(Path(client[name]).stat().st_mode) == 0o600
                assert Path(client[name]).is_relative_to(tmp_path)
            assert said["issuer"] == said["told"]["issuer"]
            assert said["trouble"] is said["mend"] is None
        assert (process.returncode, process.out, process.err) == (0, "", "")
        assert list(tmp_path.glob("gatepass-*")) == []

    def test_a_broken_one_says_what_is_wrong_and_what_mends_it(self, serving):
        with serving("--json", "--trouble", "issuer-with-trailing-slash") as process:
            said = json.loads(process.stdout.readline())
            recipe = gallery.find("issuer-with-trailing-slash")
            assert said["trouble"]["name"] == recipe.name
            assert said["trouble"]["codes"] == ["issuer_mismatch"]
            assert said["mend"] == {"tolerate_issuer_slash": True}
            with pytest.raises(gatepass.RemoteError) as caught:
                auth(said["told"]).token()
            assert caught.value.code == "issuer_mismatch"

    def test_clients_ports_and_lives_of_tokens_are_as_one_likes_them(self, serving):
        port, issuer_port = free_ports()
        options = ("--client", "one", "--client", "two", "--token-lifetime", "0.5m")
        with serving("--json", *options, "--port", str(port), "--issuer-port", str(issuer_port)) as process:
            said = json.loads(process.stdout.readline())
            assert said["url"] == f"http://127.0.0.1:{port}/mcp"
            assert said["issuer"] == f"http://127.0.0.1:{issuer_port}"
            assert [client["client_id"] for client in said["clients"]] == ["one", "two"]
            for client in said["clients"]:
                secret = Path(client["client_secret_file"]).read_text().strip()
                answer = httpx2.post(
                    said["token_endpoint"],
                    data={"grant_type": "client_credentials"},
                    auth=(client["client_id"], secret),
                    trust_env=False,
                )
                assert answer.json()["expires_in"] == 30


class TestTheEnd:
    @pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGHUP])
    def test_no_secret_outlives_it(self, serving, tmp_path, end):
        with serving("--json", end=end) as process:
            said = json.loads(process.stdout.readline())
            assert Path(said["clients"][0]["client_secret_file"]).is_relative_to(tmp_path)
        assert (process.returncode, process.err) == (0, "")
        assert not list(tmp_path.glob("gatepass-*"))

    def test_one_that_is_to_outlive_its_terminal_does(self, environment):
        program = "trap '' HUP; exec \"$@\""
        command = ["sh", "-c", program, "sh", sys.executable, "-m", "gatepass", "testserver", "--json"]
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as process:
            url = json.loads(process.stdout.readline())["url"]
            process.send_signal(signal.SIGHUP)
            assert httpx2.post(url, trust_env=False).status_code == 401
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0


class TestForPeople:
    def test_it_says_how_to_get_in_and_shows_each_request(self, serving, gatepass):
        with serving(end=signal.SIGINT) as process:
            *_, command = introduced(process)
            tools = gatepass(*shlex.split(command)[1:], "--no-store", GATEPASS_CLIENT_SECRET=None)
            assert (tools.code, tools.err) == (0, "")
            assert "echo" in tools.out
            assert shown(process, "POST /mcp") == "mcp POST /mcp 401 unauthorized: A token is needed."
            assert shown(process, "POST /token") == "issuer POST /token 200 client_credentials mcp:read"
            assert shown(process, "tools/list") == "mcp POST /mcp 200 tools/list"
        assert (process.returncode, process.err) == (130, "gatepass: interrupted.\n")

    def test_it_shows_why_a_request_is_refused_and_no_secret(self, serving, gatepass):
        with serving("--trouble", "wrong-secret") as process:
            *facts, command = introduced(process)
            assert any(gallery.find("wrong-secret").what in fact for fact in facts)
            options = shlex.split(command)[1:]
            assert gatepass(*options, "--no-store", GATEPASS_CLIENT_SECRET=None).code == 4
            refused = shown(process, "POST /token")
            assert "401 invalid_client: the client secret is wrong" in refused
            secret = Path(options[options.index("--client-secret-file") + 1]).read_text().strip()
        assert secret not in "".join((*facts, command, refused, process.out))
        assert (process.returncode, process.err) == (0, "")

    def test_it_shows_what_never_got_an_answer(self, serving):
        with serving("--trouble", "token-endpoint-hangs") as process:
            with pytest.raises(httpx2.ReadTimeout):
                httpx2.post(f"{issuer_in(introduced(process))}/token", data={}, trust_env=False, timeout=0.2)
            assert shown(process, "/token") == "issuer POST /token - was never answered"

    def test_it_shows_no_requests_if_it_is_to_be_quiet(self, serving):
        with serving("--quiet") as process:
            issuer = issuer_in(introduced(process))
            assert httpx2.get(f"{issuer}/jwks", trust_env=False).status_code == 200
        assert process.out.strip() == ""

    def test_nothing_that_a_client_sends_can_steer_the_terminal(self, serving):
        with serving() as process:
            issuer = issuer_in(introduced(process))
            httpx2.post(f"{issuer}/%1B%5B2Jtoken%0Aissuer", trust_env=False)
            httpx2.post(f"{issuer}/token", data={"grant_type": "\x1b[2J\nissuer"}, trust_env=False)
            assert "/%1B%5B2Jtoken%0Aissuer" in shown(process, "404")
            assert "\x1b" not in shown(process, "POST /token ")

    def test_it_ends_when_nobody_reads_any_more(self, serving, tmp_path):
        with serving() as process:
            issuer = issuer_in(introduced(process))
            process.stdout.close()
            with httpx2.Client(base_url=issuer, trust_env=False) as http, suppress(httpx2.TransportError):
                for _ in range(100):
                    http.get("jwks")
            process.wait(60)
        assert process.returncode == 141
        assert list(tmp_path.glob("gatepass-*")) == []


class TestWithoutServers:
    def test_the_gallery_is_listed_for_people_and_for_programs(self, capsys):
        assert run(["testserver", "--list-troubles"]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert [line.split()[0] for line in lines] == ["NAME", *(recipe.name for recipe in gallery.RECIPES)]
        assert run(["testserver", "--list-troubles", "--json"]) == 0
        listed = json.loads(capsys.readouterr().out)
        assert [each["name"] for each in listed] == [recipe.name for recipe in gallery.RECIPES]
        assert listed[0].keys() == {"name", "what", "fault", "mend", "codes", "error"}

    @pytest.mark.parametrize(
        ("arguments", "says"),
        [
            (["--trouble", "wrong-secrets"], "The gallery has no 'wrong-secrets'. Did you mean wrong-secret?"),
            (["--trouble", "?"], "The gallery has no '?'. gatepass testserver --list-troubles shows all."),
            (["--token-lifetime", "soon"], "Invalid value for '--token-lifetime': it is a time such as 90s, 5m or 1h."),
            (["--token-lifetime", "0"], "Invalid value for '--token-lifetime': it is a time such as 90s, 5m or 1h."),
            (["--client", ""], "--client is empty: give an id."),
            (["--client", "x" * 300], "The servers can't start: File name too long."),
            (["--port", "65536"], "Invalid value for '--port'"),
        ],
    )
    def test_a_call_that_cannot_be_meant_says_so(self, capsys, arguments, says):
        assert run(["testserver", *arguments]) == 2
        shown = capsys.readouterr()
        assert shown.out == ""
        assert shown.err.startswith(f"gatepass: {says}")

    @pytest.mark.parametrize("option", ["--port", "--issuer-port"])
    def test_a_port_that_somebody_else_has_is_named(self, capsys, authority, option):
        assert run(["testserver", option, str(authority.port)]) == 2
        assert capsys.readouterr().err == (
            f"gatepass: The servers can't start with {option} {authority.port}: Address already in use. "
            "Without a port, they take any that is free.\n"
        )
