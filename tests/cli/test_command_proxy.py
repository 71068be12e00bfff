"""`gatepass proxy`: the process itself: how it begins, what it prints, how it ends. What passes is tests/bridge's."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest
from cli.conftest import checked

from gatepass.bridge import relay, stdio
from gatepass.cli.app import run as run_here
from gatepass.cli.proxy import proxy

KEY = "canary-key-of-local-callers"
INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "host", "version": "1"}},
}
INITIALIZED = {"jsonrpc": "2.0", "method": "notifications/initialized"}
CALL = {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "add", "arguments": {"a": 2, "b": 3}}}


def lines(*messages):
    return "".join(json.dumps(message) + "\n" for message in messages)


@contextmanager
def running(environment, *arguments):
    """The command, at work."""
    command = [sys.executable, "-m", "gatepass", "proxy", *map(str, arguments)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def ending(process, number):
    """Send it a signal, and see how it ends."""
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    return checked(process.returncode, out, err)


class TestACall:
    @pytest.mark.parametrize(
        ("arguments", "says"),
        [
            ([], "Give --stdio for a host that starts it, or --http 127.0.0.1:PORT"),
            (["--stdio", "--http", "127.0.0.1:0"], "--stdio and --http exclude each other"),
            (["--stdio", "--key-env", "KEY"], "--key-env goes with --http"),
            (["--stdio", "--key-file", "key"], "--key-file goes with --http"),
            (["--http", "127.0.0.1:0", "--key-env", "KEY", "--key-file", "key"], "both give the key: leave one out."),
            (["--http", "8900"], "--http takes a host and a port, such as 127.0.0.1:8900."),
            (["--http", "127.0.0.1:65536"], "--http takes a host and a port"),
            (["--http", "0.0.0.0:8900"], "others could reach that address, and the token with it."),
            (["--http", "[::]:8900"], "others could reach that address"),
            (["--http", "host.example:8900"], "others could reach that address"),
        ],
    )
    def test_that_can_not_be_meant_says_so(self, arguments, says, capsys, monkeypatch):
        monkeypatch.setenv("GATEPASS_CLIENT_ID", "ci-bot")
        monkeypatch.setenv("GATEPASS_CLIENT_SECRET", "canary")
        assert run_here(["proxy", "https://mcp.example.com/mcp", *arguments]) == 2
        shown = capsys.readouterr()
        assert shown.out == ""
        assert says in shown.err

    def test_for_a_port_that_somebody_has_says_so(self, capsys, monkeypatch):
        monkeypatch.setenv("GATEPASS_CLIENT_ID", "ci-bot")
        monkeypatch.setenv("GATEPASS_CLIENT_SECRET", "canary")
        with socket.create_server(("127.0.0.1", 0)) as taken:
            address = f"127.0.0.1:{taken.getsockname()[1]}"
            assert run_here(["proxy", "https://mcp.example.com/mcp", "--http", address]) == 2
        assert f"--http {address}: the port can't be had (Address already in use)." in capsys.readouterr().err

    def test_for_a_key_that_is_not_there_is_one_of_configuration(self, capsys, monkeypatch):
        monkeypatch.setenv("GATEPASS_CLIENT_ID", "ci-bot")
        monkeypatch.setenv("GATEPASS_CLIENT_SECRET", "canary")
        arguments = ["proxy", "https://mcp.example.com/mcp", "--http", "127.0.0.1:0", "--key-env", "NO_SUCH_KEY"]
        assert run_here(arguments) == 3
        assert "NO_SUCH_KEY is not set" in capsys.readouterr().err


class TestOnStdio:
    def test_a_conversation_can_be_piped_through(self, environment, url, mcp_server):
        with running(environment, url, "--stdio") as process:
            out, err = process.communicate(lines(INITIALIZE, INITIALIZED, CALL), timeout=30)
            run = checked(process.returncode, out, err)
        assert (run.code, run.err) == (0, "")
        first, second = map(json.loads, run.out.splitlines())
        assert first["result"]["serverInfo"]["name"] == "gatepass-testing"
        assert second["result"]["structuredContent"] == {"result": 5}
        assert mcp_server.count(method="DELETE", status=200) == 1

    def test_of_many_messages_that_are_piped_each_has_its_answer(self, environment, url):
        calls = [CALL | {"id": number} for number in range(2, 502)]
        with running(environment, url, "--stdio") as process:
            out, err = process.communicate(lines(INITIALIZE, INITIALIZED, *calls), timeout=60)
            run = checked(process.returncode, out, err)
        assert (run.code, run.err) == (0, "")
        answers = [json.loads(line) for line in run.out.splitlines()]
        assert sorted(answer["id"] for answer in answers if "result" in answer) == list(range(1, 502))

    def test_calls_that_are_left_without_an_answer_are_a_failure(self, capfd, environment, monkeypatch):
        monkeypatch.setattr(relay, "_LAST_ANSWER_S", 0.01)
        for name in ("GATEPASS_CLIENT_ID", "GATEPASS_CLIENT_SECRET"):
            monkeypatch.setenv(name, environment[name])
        stdin, stdout = os.pipe(), os.dup(1)
        os.write(stdin[1], lines(INITIALIZE).encode())
        os.close(stdin[1])
        monkeypatch.setattr(stdio, "claim", lambda: (stdin[0], stdout))
        with socket.create_server(("127.0.0.1", 0)) as silent:
            silent_url = f"http://127.0.0.1:{silent.getsockname()[1]}/mcp"
            assert run_here(["proxy", silent_url, "--stdio", "--no-store", "--issuer", silent_url]) == 6
        shown = capfd.readouterr()
        assert json.loads(shown.out)["error"]["data"]["code"] == "answer_lost"
        assert shown.err.startswith("gatepass: Calls without an answer at the end: 1.")
        assert shown.err.count("\n") == 1

    def test_stdout_is_for_messages_however_much_is_said_besides(self, environment, url):
        with running(environment, url, "--stdio", "-vv") as process:
            out, err = process.communicate("no message\n" + lines(INITIALIZE), timeout=30)
            run = checked(process.returncode, out, err)
        assert [json.loads(line)["id"] for line in run.out.splitlines()] == [None, 1]
        assert "httpx2" in run.err

    def test_a_server_has_its_name_in_the_configuration(self, environment, url, tmp_path, monkeypatch):
        (tmp_path / "gatepass.toml").write_text(f'[servers.sums]\nurl = "{url}"\n')
        with running({**environment, "GATEPASS_CONFIG": str(tmp_path / "gatepass.toml")}, "sums", "--stdio") as process:
            out, err = process.communicate(lines(INITIALIZE), timeout=30)
            assert checked(process.returncode, out, err).code == 0
        assert json.loads(out)["id"] == 1

    @pytest.mark.parametrize(
        ("number", "code", "says"),
        [(signal.SIGINT, 130, "gatepass: interrupted.\n"), (signal.SIGTERM, 0, ""), (signal.SIGHUP, 0, "")],
    )
    def test_it_ends_its_session_when_it_is_told_to_end(self, number, code, says, environment, url, mcp_server):
        with running(environment, url, "--stdio") as process:
            process.stdin.write(lines(INITIALIZE, INITIALIZED))
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["id"] == 1
            mcp_server.wait_for("resource", method="GET", status=200)
            run = ending(process, number)
        assert (run.code, run.out, run.err) == (code, "", says)
        assert mcp_server.count(method="DELETE", status=200) == 1

    def test_a_person_who_starts_it_is_told_what_it_is_for(self, environment, url):
        ours, theirs = os.openpty()
        command = [sys.executable, "-m", "gatepass", "proxy", url, "--stdio"]
        pipe = subprocess.PIPE
        with subprocess.Popen(command, env=environment, stdin=theirs, stdout=pipe, stderr=pipe, text=True) as process:
            os.close(theirs)
            assert process.stderr.readline().startswith("gatepass: note: This speaks MCP on stdin and stdout")
            os.close(ours)
            assert process.wait(timeout=30) == 0


class TestOnALoopbackPort:
    def test_a_key_of_its_own_is_made_for_now(self, environment, url, tmp_path, mcp_server):
        with running(environment, url, "--http", "127.0.0.1:0") as process:
            endpoint = process.stdout.readline().strip()
            port = endpoint.removeprefix("http://127.0.0.1:").removesuffix("/mcp")
            file = tmp_path / "state" / "gatepass" / f"proxy-127-0-0-1-{port}.key"
            assert str(file) in process.stderr.readline()
            assert stat.S_IMODE(file.stat().st_mode) == 0o600
            key = file.read_text().strip()
            assert httpx2.post(endpoint, json=INITIALIZE, trust_env=False).status_code == 401
            headers = {"Authorization": f"Bearer {key}", "Accept": "application/json, text/event-stream"}
            answer = httpx2.post(endpoint, json=INITIALIZE, headers=headers, trust_env=False)
            assert "gatepass-testing" in answer.text
            assert answer.headers["mcp-session-id"]
            run = ending(process, signal.SIGINT)
        assert (run.code, run.out, run.err) == (130, "", "gatepass: interrupted.\n")
        assert key not in run.out + run.err
        assert not file.exists()

    def test_a_terminal_that_closes_leaves_no_key_behind(self, environment, url, tmp_path):
        with running(environment, url, "--http", "127.0.0.1:0", "--json") as process:
            told = json.loads(process.stdout.readline())
            assert httpx2.get(told["url"], trust_env=False).status_code == 401
            assert ending(process, signal.SIGHUP).code == 0
        assert not Path(told["key_file"]).exists()

    def test_what_was_started_to_outlive_its_terminal_does(self, environment, url):
        command = ["nohup", sys.executable, "-m", "gatepass", "proxy", url, "--http", "[0:0:0:0:0:0:0:1]:0"]
        pipe = subprocess.PIPE
        with subprocess.Popen(command, env=environment, stdout=pipe, stderr=pipe, text=True) as process:
            endpoint = process.stdout.readline().strip()
            assert endpoint.startswith("http://[::1]:")
            assert httpx2.get(endpoint, trust_env=False).status_code == 401
            process.send_signal(signal.SIGHUP)
            assert httpx2.get(endpoint, trust_env=False).status_code == 401
            assert ending(process, signal.SIGTERM).code == 0

    def test_a_program_is_told_where_it_serves_and_where_the_key_is(self, environment, url, tmp_path):
        file = tmp_path / "sums.key"
        with running(environment, url, "--http", "[::1]:0", "--key-file", file, "--json", "--quiet") as process:
            told = json.loads(process.stdout.readline())
            assert told["url"].startswith("http://[::1]:")
            assert told["key_file"] == str(file)
            headers = {"Authorization": f"Bearer {file.read_text().strip()}"}
            assert httpx2.get(told["url"], headers=headers, trust_env=False).status_code == 400
            assert ending(process, signal.SIGTERM).code == 0
        assert file.exists(), "it is there for the next time"

    def test_a_key_of_yours_is_not_shown(self, environment, url):
        with running(
            {**environment, "SUMS_KEY": KEY}, url, "--http", "localhost:0", "--key-env", "SUMS_KEY"
        ) as process:
            endpoint = process.stdout.readline().strip()
            headers = {"Authorization": f"Bearer {KEY}"}
            assert httpx2.get(endpoint, headers=headers, trust_env=False).status_code == 400
            run = ending(process, signal.SIGTERM)
        assert (run.code, run.out, run.err) == (0, "", "")


def test_the_examples_of_the_help_are_those_of_the_page():
    page = (Path(__file__).parents[2] / "docs" / "proxy.md").read_text()
    assert "gatepass proxy reports --stdio" in page
    assert "gatepass proxy reports --http 127.0.0.1:8900 --key-file reports.key" in page
    in_a_pipe = """printf 'Authorization: Bearer %s' "$(cat reports.key)" |\n          curl -H @- localhost:8900/mcp"""
    assert in_a_pipe in proxy.__doc__
    assert in_a_pipe.replace("\n    ", "\n") in page
