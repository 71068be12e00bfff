"""`gatepass init`: from options without a question, and from a person at a terminal."""

from __future__ import annotations

import http.server
import os
import pty
import select
import subprocess
import sys
import threading
import time
import tomllib

import pytest
from cli.conftest import SECRET
from cli.entries import configure, entry

from gatepass.cli.configuration.place import ConfigFile
from gatepass.cli.init import _name_of, _write
from gatepass.errors import ConfigurationError
from gatepass.testing import AuthorizationServer, ProtectedServer

NOBODY = {"GATEPASS_CLIENT_ID": None, "GATEPASS_CLIENT_SECRET": None, "GATEPASS_ISSUER": None}
BOT = {**NOBODY, "BOT_SECRET": SECRET}
OPTIONS = ("--client-id", "ci-bot", "--client-secret-env", "BOT_SECRET")
PATIENCE_S = 60.0


@pytest.fixture
def project(tmp_path):
    (tmp_path / "project").mkdir()
    return tmp_path / "project"


@pytest.fixture
def open_server():
    """It answers 200 to every call, and 404 to all else."""

    class Open(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def do_GET(self):
            self.send_error(404)

        def log_message(self, *arguments):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Open) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/mcp"
        server.shutdown()
        thread.join()


def servers(path):
    return tomllib.loads(path.read_text())["servers"]


class TestFromOptions:
    def test_it_writes_what_it_found_and_was_told_and_that_works(self, gatepass, url, authority, project):
        run = gatepass("init", url, "reports", *OPTIONS, cwd=project, **BOT)
        assert run.code == 0
        path = project / "gatepass.toml"
        assert run.out == path.read_text()
        assert servers(path) == {
            "reports": {
                "url": url,
                "issuer": authority.issuer,
                "client-id": "ci-bot",
                "client-secret": {"env": "BOT_SECRET"},
            }
        }
        assert f"Tokens for it come from {authority.issuer}." in run.err
        assert "It asks for the scopes: mcp:read." in run.err
        assert run.err.endswith(f"This stands in {path} now. See whether it works: gatepass tools reports\n")
        assert gatepass("tools", "reports", cwd=project, **BOT).code == 0

    def test_what_is_there_already_stays_as_it_is(self, gatepass, url, authority, project):
        path = project / "gatepass.toml"
        before = "# ours\n" + entry("https://other.example", authority, "other")
        path.write_text(before)
        run = gatepass("init", url, "reports", *OPTIONS, cwd=project, **BOT)
        assert path.read_text() == before + run.out
        assert gatepass("token", "reports", cwd=project, **BOT).code == 3, "it was not trusted, and is not by that"

    def test_a_name_is_taken_only_by_force(self, gatepass, url, authority, project):
        path = project / "gatepass.toml"
        assert gatepass("init", url, "reports", *OPTIONS, cwd=project, **BOT).code == 0
        text = path.read_text()
        requests = authority.count()
        run = gatepass("init", url, "reports", "--client-id", "other", cwd=project, **BOT)
        assert (run.code, path.read_text(), authority.count()) == (2, text, requests)
        assert f"{path} has a server reports already. Give another name, or --force to replace it." in run.err
        run = gatepass("init", url, "reports", "--force", *OPTIONS, "--scopes", "mcp:read", cwd=project, **BOT)
        assert run.code == 0
        assert servers(path)["reports"]["scopes"] == ["mcp:read"]
        assert gatepass("token", "reports", cwd=project, **BOT).code == 0, "what was trusted is trusted still"

    def test_it_may_be_the_users_own_file_or_one_that_is_named(self, gatepass, url, project, tmp_path):
        gatepass("init", url, "mine", "--user", *OPTIONS, cwd=project, **BOT)
        gatepass("init", url, "named", "--config", tmp_path / "a" / "b.toml", *OPTIONS, cwd=project, **BOT)
        gatepass("init", url, "variable", *OPTIONS, cwd=project, GATEPASS_CONFIG=str(tmp_path / "c.toml"), **BOT)
        assert list(servers(tmp_path / ".config" / "gatepass" / "gatepass.toml")) == ["mine"]
        assert list(servers(tmp_path / "a" / "b.toml")) == ["named"]
        assert list(servers(tmp_path / "c.toml")) == ["variable"]
        assert list(project.iterdir()) == []
        assert gatepass("init", url, "--user", "--config", "x.toml", *OPTIONS, cwd=project, **BOT).code == 2

    def test_the_environment_says_what_options_leave_out(self, gatepass, url, project):
        assert gatepass("init", url, "reports", cwd=project).code == 0
        written = servers(project / "gatepass.toml")["reports"]
        assert (written["client-id"], written["client-secret"]) == ("ci-bot", {"env": "GATEPASS_CLIENT_SECRET"})

    def test_paths_are_kept_as_seen_from_the_file(self, gatepass, url, project):
        (project / "sub").mkdir()
        (project / "sub" / "key.pem").write_text("")
        (project / "gatepass.toml").write_text("")
        options = ("--client-id", "key-bot", "--private-key-file", "key.pem", "--store", "/tmp/tokens")
        assert gatepass("init", url, "reports", *options, cwd=project / "sub", **BOT).code == 0
        written = servers(project / "gatepass.toml")["reports"]
        assert (written["private-key"], written["store"]) == ({"file": "sub/key.pem"}, "/tmp/tokens")

    def test_a_secret_that_is_not_here_is_noted(self, gatepass, url, project):
        run = gatepass("init", url, "reports", *OPTIONS, cwd=project, **NOBODY)
        assert run.code == 0
        assert "note: The environment variable BOT_SECRET is not set here." in run.err

    def test_a_server_that_takes_only_bound_tokens_gets_dpop(self, gatepass, project):
        with AuthorizationServer(dpop="required") as authority:
            authority.add_client("ci-bot", secret=SECRET)
            with ProtectedServer(authority, dpop="required") as server:
                assert gatepass("init", server.url, "bound", *OPTIONS, cwd=project, **BOT).code == 0
                assert servers(project / "gatepass.toml")["bound"]["dpop"] is True
                assert gatepass("token", "bound", cwd=project, **BOT).code == 0

    @pytest.mark.parametrize(
        ("arguments", "code", "says"),
        [
            ((), 2, "Which client is this? Give --client-id ID"),
            (("--client-id", "x"), 2, "What proves the client?"),
            (("--client-id", "x", "--client-secret-from", "canary"), 2, "it says where a secret stands: env:NAME"),
            ((*OPTIONS, "--issuer", "https://other.example"), 5, "--issuer"),
            ((*OPTIONS, "--ca-file", "no.pem"), 3, "--ca-file no.pem can't be used"),
        ],
    )
    def test_what_is_missing_is_said_and_nothing_is_written(self, gatepass, url, project, arguments, code, says):
        run = gatepass("init", url, "reports", *arguments, cwd=project, **BOT)
        assert (run.code, run.out) == (code, "")
        assert says in run.err
        assert list(project.iterdir()) == []

    def test_a_server_that_nobody_knows_is_unreachable(self, gatepass, project):
        run = gatepass("init", "https://no-such-host.invalid/mcp", "x", *OPTIONS, cwd=project, **BOT)
        assert run.code == 6
        assert list(project.iterdir()) == []

    def test_a_server_where_programs_may_not_get_in_is_noted(self, gatepass, project):
        only_people = AuthorizationServer(client_credentials=False, authorization_endpoint=True)
        with only_people as authority, ProtectedServer(authority) as server:
            run = gatepass("init", server.url, "x", *OPTIONS, cwd=project, **BOT)
        assert run.code == 0
        assert "It lists neither client_credentials nor jwt-bearer among its grants" in run.err

    def test_a_server_that_lets_everybody_in_is_noted(self, gatepass, authority, project, open_server):
        run = gatepass("init", open_server, "x", "--issuer", authority.issuer, *OPTIONS, cwd=project, **BOT)
        assert run.code == 0
        assert f"{open_server} lets requests in without a token." in run.err

    def test_a_file_that_cannot_be_written_is_told_of(self, gatepass, url, project):
        (project / "file").touch()
        run = gatepass("init", url, "x", "--config", project / "file" / "x.toml", *OPTIONS, cwd=project, **BOT)
        assert (run.code, run.out) == (3, "")
        assert f"{project}/file/x.toml can't be written: " in run.err

    def test_a_name_that_is_none_is_refused(self, gatepass, url, project):
        run = gatepass("init", url, "a.b", *OPTIONS, cwd=project, **BOT)
        assert (run.code, run.err) == (
            2,
            "gatepass: NAME is made of letters, digits, - and _, and has 64 of them at the most.\n",
        )

    def test_a_file_that_is_no_toml_is_left_alone(self, gatepass, url, tmp_path):
        path = configure(tmp_path, "[servers.")
        run = gatepass("init", url, "x", "--user", *OPTIONS, **BOT)
        assert (run.code, path.read_text()) == (3, "[servers.")

    @pytest.mark.parametrize(
        ("url", "name"),
        [
            ("https://mcp.example.com/mcp", "example"),
            ("https://reports.acme.example/", "reports"),
            ("https://localhost:8000/mcp", "localhost"),
            ("http://127.0.0.1:8000/mcp", "server"),
            ("https://[::1]/mcp", "server"),
            ("nonsense", "server"),
        ],
    )
    def test_without_a_name_the_host_gives_one(self, url, name):
        assert _name_of(url) == name


class TestWriting:
    """What becomes of a file that is there already, and of what stands beside it."""

    def test_a_link_stays_one_and_the_file_keeps_its_mode(self, gatepass, url, project, tmp_path):
        target = tmp_path / "elsewhere.toml"
        target.touch(mode=0o600)
        (project / "gatepass.toml").symlink_to(target)
        assert gatepass("init", url, "reports", *OPTIONS, "--config", "gatepass.toml", cwd=project, **BOT).code == 0
        assert (project / "gatepass.toml").readlink() == target
        assert target.stat().st_mode & 0o777 == 0o600
        assert list(servers(target)) == ["reports"]
        assert sorted(path.name for path in tmp_path.iterdir() if path.suffix) == ["elsewhere.toml"]

    def test_nobody_can_foresee_what_the_draft_is_called(self, project, tmp_path, monkeypatch):
        path, victim = project / "gatepass.toml", tmp_path / "victim"
        (project / f".gatepass.toml.{os.getpid()}.tmp").symlink_to(victim)
        _write(ConfigFile(path, "named", None), "x", "[servers.x]\n")
        assert path.read_text() == "[servers.x]\n"
        monkeypatch.setattr("secrets.token_hex", lambda _: "known")
        (project / ".gatepass.toml.known.tmp").symlink_to(victim)
        with pytest.raises(ConfigurationError, match="can't be written: File exists"):
            _write(ConfigFile(path, "named", None), "y", "[servers.y]\n")
        assert path.read_text() == "[servers.x]\n"
        assert not victim.exists()

    def test_a_folder_that_is_gone_is_told_of(self, url, environment, project):
        program = 'cd "$1" && rmdir "$1" && shift && exec "$@"'
        command = ["sh", "-c", program, "sh", str(project), sys.executable, "-m", "gatepass", "init", url, *OPTIONS]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 3
        assert done.stderr.startswith("gatepass: The current folder can't be used: No such file or directory.")


class Terminal:
    """A person at a terminal, who answers one question after the other."""

    def __init__(self, environment, cwd, *arguments):
        self._screen, other = pty.openpty()
        command = [sys.executable, "-m", "gatepass", *arguments]
        self.process = subprocess.Popen(
            command, env=environment, cwd=cwd, stdin=other, stdout=subprocess.PIPE, stderr=other, start_new_session=True
        )
        os.close(other)
        self.seen = ""

    def answers(self, question, answer):
        """Wait for the question, and give the answer."""
        self._until(question)
        os.write(self._screen, answer.encode() + b"\n")

    def leaves(self, question):
        """Wait for the question, and press Ctrl-C."""
        self._until(question)
        self.process.send_signal(2)

    def end(self):
        """Exit code and standard output."""
        out = self.process.stdout.read().decode()
        self._until(None)
        self.process.stdout.close()
        os.close(self._screen)
        return self.process.wait(PATIENCE_S), out

    def _until(self, text):
        end = time.monotonic() + PATIENCE_S
        start = len(self.seen)
        while text is None or text not in self.seen[start:]:
            assert select.select([self._screen], [], [], max(0.0, end - time.monotonic()))[0], self.seen
            try:
                piece = os.read(self._screen, 4096)
            except OSError:  # nobody has it open any more
                piece = b""
            if not piece:
                assert text is None, self.seen
                return
            self.seen += piece.decode(errors="replace")


@pytest.fixture
def person(environment, project):
    def person(*arguments, **changes):
        changed = {**environment, **NOBODY, "TERM": "xterm", **changes}
        return Terminal({name: value for name, value in changed.items() if value}, project, *arguments)

    return person


class TestAtATerminal:
    def test_a_person_is_asked_for_what_is_missing(self, person, url, authority, project):
        terminal = person("init", url, "my-reports")
        terminal.answers("Which [1]:", "1")
        terminal.answers("Client id, as registered there:", "ci-bot")
        terminal.answers("Name of the variable [MY_REPORTS_CLIENT_SECRET]:", "")
        code, out = terminal.end()
        assert code == 0
        assert out == (project / "gatepass.toml").read_text()
        assert servers(project / "gatepass.toml")["my-reports"] == {
            "url": url,
            "issuer": authority.issuer,
            "client-id": "ci-bot",
            "client-secret": {"env": "MY_REPORTS_CLIENT_SECRET"},
        }
        assert "4  a private key, in a file" in terminal.seen

    @pytest.mark.parametrize(
        ("choice", "questions", "written"),
        [
            ("2", ["Path of the file [x.secret]:"], {"client-secret": {"file": "x.secret"}}),
            (
                "3",
                ["Service in the keyring [gatepass]:", "User name there [x]:"],
                {"client-secret": {"keyring": ["gatepass", "x"]}},
            ),
            ("4", ["Path of the file [x.pem]:"], {"private-key": {"file": "x.pem"}}),
        ],
    )
    def test_each_way_to_prove_it_asks_for_its_place(self, person, url, project, choice, questions, written):
        terminal = person("init", url, "x")
        terminal.answers("Which [1]:", choice)
        terminal.answers("Client id", "ci-bot")
        for question in questions:
            terminal.answers(question, "")
        assert terminal.end()[0] == 0
        assert servers(project / "gatepass.toml")["x"].items() >= written.items()

    def test_a_platform_needs_no_client_id(self, person, url, project):
        terminal = person("init", url, "x")
        terminal.answers("Which [1]:", "9")
        terminal.answers("Which [1]:", "5")
        terminal.answers("Platform [ambient]:", "github-actions")
        terminal.answers("Name for this workload [x]:", "bot")
        assert terminal.end()[0] == 0
        written = servers(project / "gatepass.toml")["x"]
        assert (written["workload"], written["subject"]) == ("github-actions", "bot")
        assert "client-id" not in written

    def test_what_options_say_is_not_asked_for(self, person, url, project):
        assert person("init", url, "x", *OPTIONS).end()[0] == 0
        assert person("init", url, "y", "--yes").end()[0] == 2
        assert list(servers(project / "gatepass.toml")) == ["x"]

    def test_whoever_has_enough_leaves_nothing_behind(self, person, url, project):
        terminal = person("init", url, "x")
        terminal.leaves("Which [1]:")
        code, out = terminal.end()
        assert (code, out) == (130, "")
        assert "Traceback" not in terminal.seen
        assert list(project.iterdir()) == []

    @pytest.mark.parametrize(("answer", "code"), [("yes", 0), ("", 3), ("no", 3)])
    def test_a_project_is_trusted_by_a_person_who_says_so(self, person, url, authority, project, answer, code):
        (project / "gatepass.toml").write_text(entry(url, authority))
        terminal = person("config", "trust")
        terminal.answers("yes or no [no]:", answer)
        assert terminal.end()[0] == code
        assert "client-secret = env:BOT_SECRET" in terminal.seen
        assert person("token", "reports", **BOT).end()[0] == code
