"""`gatepass doctor` as a process of its own: what it prints, writes, keeps and ends with."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading

import pytest
from cli.conftest import SECRET
from cli.entries import configure, entry
from cli.terminal import COLOUR, left_on_screen, on_a_terminal, plain, widest
from wire import Wire

from gatepass.cli.doctor.outline import STEPS
from gatepass.testing import gallery

UTF_8 = {"PYTHONUTF8": "1"}


def hear_sigint():
    """What runs in the background of a shell is started deaf to it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def told(stage):
    """The options of somebody who was told so."""
    options = []
    for name, value in stage.told.items():
        if name != "url":
            options += [f"--{name.replace('_', '-')}"] if value is True else [f"--{name.replace('_', '-')}", value]
    return [stage.url, *map(str, options)]


class TestTheReport:
    def test_it_shows_each_step_and_says_who_gets_in(self, gatepass, url):
        run = gatepass("doctor", url, **UTF_8)
        assert run.code == 0
        assert run.err == ""
        assert run.out.startswith(f"gatepass doctor: {url}  as ci-bot\n\n✓ The client's credential\n")
        assert run.out.endswith("✓ ci-bot gets in.\n")
        titles = [line[2:] for line in run.out.splitlines() if line[0:1] in ("✓", "\N{EN DASH}")][:-1]
        assert titles == [outline.title for outline in STEPS.values()]

    def test_each_step_says_what_was_asked_what_came_and_what_is_wanted(self, gatepass, url, authority):
        run = gatepass("doctor", url, **UTF_8)
        token = run.out.partition("✓ The token\n")[2].partition("\n\n")[0].splitlines()
        assert token == [
            f"  asked     POST {authority.token_endpoint}",
            "            Authorization  Basic ***",
            "            grant_type     client_credentials",
            "            scope          mcp:read",
            f"            resource       {url}",
            token[5],
            token[6],
            "            token_type    Bearer",
            "            expires_in    300",
            "            scope         mcp:read",
            "  wanted    200, JSON with `access_token`, `token_type` and `expires_in` (RFC 6749 §5.1)",
        ]
        assert token[5].startswith("  answered  200 OK application/json")
        assert token[6].startswith("            access_token  *** (")

    def test_the_first_failure_is_the_exit_code_and_stands_at_the_end(self, gatepass, closed_server):
        run = gatepass("doctor", closed_server.url, **UTF_8)
        assert run.code == 5
        assert "✕ A call with the token\n" in run.out
        assert run.out.rpartition("\n\n")[2].startswith("✕ The way in is barred: token_not_accepted\n  cause     ")

    @pytest.mark.parametrize(
        ("arguments", "changes", "code"),
        [
            ((), {"GATEPASS_CLIENT_SECRET": "wrong"}, 4),
            ((), {"GATEPASS_CLIENT_SECRET": None, "GATEPASS_PRIVATE_KEY_FILE": "/no/such/file"}, 3),
            (("--issuer", "https://auth.invalid"), {}, 5),
            (("--client-id", ""), {"GATEPASS_CLIENT_ID": None}, 2),
        ],
    )
    def test_what_is_wrong_decides_the_exit_code(self, gatepass, url, arguments, changes, code):
        assert gatepass("doctor", url, *arguments, **changes).code == code

    def test_a_server_that_is_not_there_is_unreachable(self, gatepass):
        assert gatepass("doctor", "https://127.0.0.1:1/mcp").code == 6

    def test_quiet_shows_what_is_wrong_and_the_end(self, gatepass, closed_server, url):
        run = gatepass("doctor", url, "--quiet", **UTF_8)
        assert run.out == "✓ ci-bot gets in.\n"
        run = gatepass("doctor", closed_server.url, "-q", **UTF_8)
        assert run.out.startswith("✕ A call with the token\n")

    def test_a_name_of_the_configuration_will_do(self, gatepass, url, authority, tmp_path):
        configure(tmp_path, entry(url, authority))
        identity = {"GATEPASS_CLIENT_ID": None, "GATEPASS_CLIENT_SECRET": None, "GATEPASS_ISSUER": None}
        run = gatepass("doctor", "reports", **identity, BOT_SECRET=SECRET, **UTF_8)
        assert run.code == 0
        assert "client-secret of reports  env:BOT_SECRET" in run.out

    def test_without_a_client_one_looks_as_far_as_anybody_can_see(self, gatepass, url, authority):
        nobody = {"GATEPASS_CLIENT_ID": None, "GATEPASS_CLIENT_SECRET": None, "GATEPASS_ISSUER": None}
        run = gatepass("doctor", url, **nobody, **UTF_8)
        assert run.code == 0
        assert "skipped   No client was given: --client-id says who it is. No token is asked for." in run.out
        assert run.out.endswith("! Nothing is in the way of a client, with 1 warning.\n")
        assert authority.count("token") == 0

    def test_nothing_is_kept_and_no_tool_is_called(self, gatepass, url, mcp_server, tmp_path):
        before = set(tmp_path.rglob("*"))
        assert gatepass("doctor", url).code == 0
        assert set(tmp_path.rglob("*")) == before

    def test_what_the_library_warns_of_stands_in_the_report_only(self, gatepass, url):
        run = gatepass("doctor", url, GATEPASS_ISSUER=None)
        assert run.err == ""
        assert "issuer_not_pinned" in run.out
        assert "Pin it" in gatepass("doctor", url, "-v", GATEPASS_ISSUER=None).err


class TestJson:
    def test_it_has_all_that_a_program_wants(self, gatepass, closed_server, authority):
        run = gatepass("doctor", closed_server.url, "--json")
        report = json.loads(run.out)
        assert list(report) == [
            "url", "client", "issuer", "at", "gatepass", "verdict", "failed", "diagnosis", "steps",
        ]  # fmt: skip
        assert report["url"] == closed_server.url
        assert (report["issuer"], report["verdict"]) == (authority.issuer, "failed")
        assert (report["failed"], report["diagnosis"]) == ("call", "token_not_accepted")
        assert [step["id"] for step in report["steps"]] == list(STEPS)
        for step in report["steps"]:
            assert list(step) == [
                "id", "title", "verdict", "asked", "answered", "wants", "skipped", "diagnosis", "cause", "fix", "also",
            ]  # fmt: skip
            assert len(step["asked"]) == len(step["answered"])

    def test_a_fix_is_there_to_be_used(self, gatepass):
        with gallery.open("issuer-with-trailing-slash") as stage:
            (step,) = [
                step
                for step in json.loads(gatepass("doctor", *told(stage), "--json").out)["steps"]
                if step["verdict"] == "failed"
            ]
            assert step["fix"] == {
                "text": "Have the two written alike; until then, tolerate the slash.",
                "options": {"tolerate_issuer_slash": True},
                "typed": "--tolerate-issuer-slash",
                "toml": "tolerate-issuer-slash = true",
                "tried": False,
            }
            assert gatepass("doctor", *told(stage), step["fix"]["typed"]).code == 0


class TestHtml:
    def test_the_page_is_written_beside_the_report(self, gatepass, closed_server, tmp_path):
        page = tmp_path / "report.html"
        run = gatepass("doctor", closed_server.url, "--html", page)
        assert run.code == 5
        assert run.err == f"gatepass: note: The page is in {page}.\n"
        text = page.read_text()
        assert text.startswith("<!doctype html>")
        assert SECRET not in text
        assert "eyJ" not in text

    def test_a_page_that_cannot_be_written_is_told_of_after_the_report(self, gatepass, url, tmp_path):
        run = gatepass("doctor", url, "--html", tmp_path / "no" / "page.html", **UTF_8)
        assert run.code == 3
        assert "gets in." in run.out
        assert run.err == f"gatepass: --html {tmp_path}/no/page.html can't be written: No such file or directory.\n"


class TestOnATerminal:
    @pytest.mark.parametrize("columns", [80, 120])
    def test_it_fits_the_width_and_leaves_no_progress_behind(self, environment, columns):
        with gallery.open("algorithm-not-offered") as stage:
            shown = on_a_terminal(["doctor", *told(stage)], environment, columns=columns, code=3)
        assert COLOUR.search(shown)
        assert "GET http://127.0.0.1" in shown
        screen = left_on_screen(shown)
        assert " ..." not in screen
        assert widest(screen) <= columns
        assert screen.splitlines()[0].startswith("gatepass doctor: http://127.0.0.1:")
        assert "\n✕ The way in is barred: alg_not_offered\n" in screen

    def test_what_goes_on_stands_below_what_it_belongs_to(self, environment):
        with gallery.open("missing-scope") as stage:
            screen = left_on_screen(on_a_terminal(["doctor", *told(stage)], environment, code=5))
        assert (
            "  fix       Ask for those, too. It was tried, and it gets in.\n"
            "            --scopes 'mcp:read mcp:write'\n"
            '            scopes = "mcp:read mcp:write"  # in gatepass.toml\n'
        ) in screen
        assert "(RFC\n" not in screen

    def test_without_colour_it_is_the_same_text(self, environment, url):
        shown = on_a_terminal(["doctor", url], {**environment, "NO_COLOR": "1"})
        assert not COLOUR.search(shown)
        assert left_on_screen(shown).endswith("✓ ci-bot gets in.")

    def test_a_dumb_terminal_gets_no_escape_sequence(self, environment, url):
        shown = on_a_terminal(["doctor", url], environment, term="dumb")
        assert plain(shown) == shown
        assert "\r" not in shown
        assert widest(shown) <= 80

    def test_a_terminal_that_knows_ascii_only_gets_that(self, environment, url):
        shown = on_a_terminal(["doctor", url], {**environment, "PYTHONIOENCODING": "ascii", "NO_COLOR": "1"})
        assert left_on_screen(shown).endswith("+ ci-bot gets in.")

    def test_ctrl_c_is_clean(self, environment, tmp_path):
        """In the middle of a request that is never answered."""
        asked = threading.Event()

        def hang(visit):
            asked.set()
            visit.over.wait(60)

        with Wire(hang) as server:
            process = subprocess.Popen(
                [sys.executable, "-m", "gatepass", "doctor", f"http://{server.where}/mcp"],
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                preexec_fn=hear_sigint,  # noqa: PLW1509 - it sets a signal's default, and nothing else
            )
            assert asked.wait(60)
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=60)
        assert (process.returncode, err) == (130, "gatepass: interrupted.\n")
