"""`gatepass call`: arguments as the tool wants them, results where a script finds them."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import pytest
from cli.terminal import ESCAPE, left_on_screen, on_a_terminal, plain
from cli.tool_servers import (
    DOCUMENT,
    PICTURE,
    SOUND,
    GatedServer,
    fastmcp_app,
    python_sdk_app,
    typescript_server,
)

from gatepass.testing import Trouble

SDKS = ["python", "fastmcp", "typescript"]


@pytest.fixture(scope="module")
def runs(together, mcp_server):
    url = mcp_server.url
    return together(
        add=["call", url, "add", "a=2", "b:=3"],
        failing=["call", url, "slow", "seconds=-1", "--json"],
        unknown=["call", url, "ad", "a=1"],
        unfit=["call", url, "add", "a=1", "b=two"],
    )


@pytest.fixture(scope="module")
def python_server(authority):
    with GatedServer(authority, python_sdk_app, scopes=("mcp:read",)) as server:
        yield server


@pytest.fixture(scope="module")
def servers(authority, python_server, tmp_path_factory):
    """The URLs of servers with the same tools, by the SDK that each is made with."""
    with (
        GatedServer(authority, fastmcp_app, scopes=("mcp:read",)) as with_fastmcp,
        typescript_server(authority, tmp_path_factory.mktemp("typescript") / "stderr.txt") as with_typescript,
    ):
        yield {"python": python_server.url, "fastmcp": with_fastmcp.url, "typescript": with_typescript}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    return tmp_path_factory.mktemp("pictures")


@pytest.fixture(scope="module")
def sdk_runs(together, servers, pictures):
    commands = {
        f"{sdk} {name}": command
        for sdk, url in servers.items()
        for name, command in {
            "tools": ["tools", url],
            "add": ["call", url, "add", "a=1", "b=2", "--json"],
            "picture": ["call", url, "picture", "--save", pictures / sdk],
            "fail": ["call", url, "fail"],
            "steps": ["call", url, "steps", "--verbose"],
        }.items()
    }
    return together(**commands)


@pytest.fixture
def run(environment, tmp_path):
    """Runs the command in a folder of its own, and gives its exit code, and its output as bytes."""

    def run(*arguments, stdin=b"", **changes):
        return subprocess.run(
            [sys.executable, "-m", "gatepass", *map(str, arguments)],
            env={**environment, **changes},
            cwd=tmp_path,
            input=stdin,
            capture_output=True,
            timeout=60,
            check=False,
        )

    return run


def hear_ctrl_c():
    """What runs in the background of a shell is started deaf to it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class TestCall:
    def test_arguments_are_typed_by_the_tool_and_the_text_is_printed(self, runs):
        run = runs["add"]
        assert (run.code, run.out, run.err) == (0, "5\n", "")

    def test_a_tool_that_fails_ends_with_1_and_its_text_on_stderr(self, runs):
        run = runs["failing"]
        assert run.code == 1
        assert run.err.startswith("gatepass: Error executing tool slow")

    def test_json_is_the_whole_result(self, runs):
        result = json.loads(runs["failing"].out)
        assert result["isError"] is True
        assert result["content"][0]["type"] == "text"

    def test_a_tool_that_is_not_there_is_the_servers_refusal(self, runs):
        run = runs["unknown"]
        assert (run.code, run.out) == (5, "")
        assert "Did you mean add?" in run.err

    def test_a_value_that_does_not_fit_is_a_matter_of_usage(self, runs):
        run = runs["unfit"]
        assert (run.code, run.out) == (2, "")
        assert "b is declared as integer" in run.err

    def test_ctrl_c_ends_a_call_cleanly(self, url, environment, mcp_server):
        command = [sys.executable, "-m", "gatepass", "call", url, "slow", "seconds=60"]
        with subprocess.Popen(
            command,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            preexec_fn=hear_ctrl_c,  # noqa: PLW1509 - it takes no lock
        ) as process:
            # A 401, the handshake, the list of tools and the call: then it waits.
            mcp_server.wait_for("resource", count=4, timeout_s=30)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=30)
        assert (process.returncode, out, err) == (130, b"", b"gatepass: interrupted.\n")


@pytest.mark.parametrize("sdk", SDKS)
class TestAServerOfEachSdk:
    def test_its_tools_are_listed_with_their_arguments(self, sdk_runs, sdk):
        run = sdk_runs[f"{sdk} tools"]
        assert (run.code, run.err) == (0, "")
        first, second, *_ = run.out.splitlines()[1:]
        assert first.split() == ["add", "Adds", "two", "numbers.", "a:", "number,", "b:", "number"]
        assert second.split() == ["picture", "Draws", "something."]

    def test_its_answer_is_printed(self, sdk_runs, sdk):
        run = sdk_runs[f"{sdk} add"]
        assert (run.code, run.err) == (0, "")
        assert float(json.loads(run.out)["content"][0]["text"]) == 3

    def test_its_picture_is_saved_among_the_rest_of_the_result(self, sdk_runs, sdk, pictures):
        run = sdk_runs[f"{sdk} picture"]
        picture = pictures / sdk / "picture-1.png"
        assert (run.code, run.err) == (0, "")
        assert run.out == f"one pixel\n{picture}\nhttps://example.com/more\n"
        assert picture.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
        assert [path.name for path in picture.parent.iterdir()] == ["picture-1.png"]

    def test_its_failure_is_the_tools(self, sdk_runs, sdk):
        run = sdk_runs[f"{sdk} fail"]
        assert (run.code, run.out) == (1, "")
        assert "no luck today" in run.err

    def test_its_progress_is_told_to_those_who_want_to_hear(self, sdk_runs, sdk):
        run = sdk_runs[f"{sdk} steps"]
        told = [line for line in run.err.splitlines() if line.startswith("gatepass.progress: ")]
        assert told == [f"gatepass.progress: steps: {step} of 3, step {step}" for step in (1, 2, 3)]
        assert (run.code, run.out) == (0, "done\n")


class TestArgumentsFromFiles:
    def test_a_text_arrives_as_it_is(self, run, python_server, tmp_path):
        (tmp_path / "letter.txt").write_bytes("Grüße\r\n 12\n\n".encode())
        done = run("call", python_server.url, "length", "text=@letter.txt")
        assert (done.returncode, done.stdout.decode()) == (0, "12 'Grüße\\r\\n 12\\n\\n'\n")

    def test_the_standard_input_is_a_file_too(self, run, python_server):
        done = run("call", python_server.url, "length", "text=@-", stdin=b"from a pipe")
        assert (done.returncode, done.stdout) == (0, b"11 'from a pipe'\n")

    def test_json_comes_from_a_file_alone_or_with_all_the_rest(self, run, python_server, tmp_path):
        (tmp_path / "item.json").write_text('{"name": "otter"}')
        done = run("call", python_server.url, "weigh", "item:=@item.json", 'tags:=["sea"]')
        assert json.loads(done.stdout) == {"item": {"name": "otter"}, "tags": ["sea"]}
        everything = b'{"item": {"name": "seal"}, "tags": ["ice"]}'
        done = run("call", python_server.url, "weigh", "@-", stdin=everything)
        assert json.loads(done.stdout) == json.loads(everything)

    def test_a_file_that_is_not_there_is_known_before_anything_is_sent(self, run, python_server):
        python_server.reset_counters()
        done = run("call", python_server.url, "length", "text=@canary.txt")
        assert (done.returncode, done.stdout) == (2, b"")
        assert done.stderr.startswith(b"gatepass: text=@FILE can't be read: No such file or directory.")
        assert b"canary" not in done.stderr
        assert python_server.requests == []


class TestSaving:
    def test_bytes_of_every_kind_are_saved_in_order_and_nothing_is_overwritten(self, run, python_server, tmp_path):
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "everything-2.wav").write_text("mine")
        done = run("call", python_server.url, "everything", "--save", "out")
        assert (done.returncode, done.stderr) == (0, b"")
        saved = ["out/everything-1.png", "out/everything-3.wav", "out/everything-4.pdf"]
        assert done.stdout.decode().splitlines() == [saved[0], "and", *saved[1:]]
        assert [(tmp_path / name).read_bytes() for name in saved] == [PICTURE, SOUND, DOCUMENT]
        assert (tmp_path / "out" / "everything-2.wav").read_text() == "mine"

    def test_what_is_not_what_it_is_called_gets_no_name_that_opens_it(self, run, python_server, tmp_path):
        done = run("call", python_server.url, "disguised", "--save", "out")
        assert (done.returncode, done.stdout) == (0, b"out/disguised-1.bin\n")
        assert b"the server calls it image/png, which it is not" in done.stderr

    def test_json_and_files_go_together(self, run, python_server, tmp_path):
        done = run("call", python_server.url, "picture", "--json", "--save", "out")
        assert [part["type"] for part in json.loads(done.stdout)["content"]] == ["text", "image", "resource_link"]
        assert b"out/picture-1.png holds a picture (image/png)." in done.stderr
        assert (tmp_path / "out" / "picture-1.png").read_bytes() == PICTURE

    def test_one_picture_goes_into_a_pipe_byte_by_byte(self, run, python_server):
        done = run("call", python_server.url, "picture", "--save", "-", "--quiet")
        assert (done.returncode, done.stdout, done.stderr) == (0, PICTURE, b"")

    def test_several_do_not(self, run, python_server):
        done = run("call", python_server.url, "everything", "--save", "-")
        assert (done.returncode, done.stdout) == (2, b"")
        assert b"and this one has 3" in done.stderr

    def test_a_terminal_gets_no_bytes(self, environment, python_server):
        shown = on_a_terminal(["call", python_server.url, "picture", "--save", "-"], environment, code=2)
        assert "stdout is a terminal" in shown

    def test_a_folder_that_can_not_be_made_is_known_before_the_tool_is_called(self, run, python_server, tmp_path):
        (tmp_path / "file").write_text("")
        python_server.reset_counters()
        done = run("call", python_server.url, "picture", "--save", "file/out")
        assert (done.returncode, done.stdout) == (3, b"")
        assert b"Nothing can be saved in file/out: " in done.stderr
        assert python_server.requests == []


class TestInAPipe:
    def test_progress_is_nobodys_business(self, run, python_server):
        done = run("call", python_server.url, "steps")
        assert (done.returncode, done.stdout, done.stderr) == (0, b"done\n", b"")

    def test_a_reader_that_has_seen_enough_ends_it_without_a_word(self, environment, python_server):
        command = [sys.executable, "-m", "gatepass", "call", python_server.url, "lines", "count=100000"]
        with subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0
        ) as process:
            assert process.stdout.read(2) == b"0\n"
            process.stdout.close()
            assert process.stderr.read() == b""
        assert process.returncode == 141


class TestProgressOnATerminal:
    def test_a_bar_is_shown_while_it_takes_long_and_is_gone_then(self, environment, python_server):
        shown = on_a_terminal(["call", python_server.url, "dawdle", "seconds=3"], environment)
        frames = plain(shown).replace("\r", "\n").splitlines()
        assert any(frame.startswith("dawdle ") and "digging" in frame and "%" in frame for frame in frames)
        assert left_on_screen(shown) == "found"

    @pytest.mark.parametrize(("term", "option"), [("dumb", "--json"), ("xterm-256color", "--quiet")])
    def test_there_is_none_on_a_dumb_terminal_or_where_it_is_to_be_quiet(
        self, environment, python_server, term, option
    ):
        shown = on_a_terminal(["call", python_server.url, "steps", option], environment, term=term)
        assert ESCAPE.search(shown) is None
        assert "done" in shown


class TestAnAnswerThatIsMissing:
    def test_of_a_call_it_is_said_that_it_may_have_been_done(self, gatepass, python_server):
        run = gatepass("call", python_server.url, "dawdle", "seconds=60", "--timeout", "1")
        assert (run.code, run.out) == (6, "")
        assert "dawdle may have done its work all the same: look before you call it again." in run.err

    def test_of_a_token_it_is_not(self, gatepass, python_server, authority):
        authority.trouble = Trouble(connection="hang")
        try:
            run = gatepass("call", python_server.url, "add", "a=1", "b=2", "--timeout", "1", "--no-store")
        finally:
            authority.trouble = None
        assert (run.code, run.out) == (6, "")
        assert "may have done its work" not in run.err

    def test_the_status_of_a_server_in_trouble_is_named(self, gatepass, python_server):
        python_server.trouble = Trouble(status=503)
        try:
            run = gatepass("call", python_server.url, "add", "a=1", "b=2")
        finally:
            python_server.trouble = None
        assert run.code == 5
        assert "The MCP server answered with status 503. It is in trouble: its log says why." in run.err
