"""Every command as a person sees it: on a real terminal, narrow or wide, with colours, without, or on a dumb one."""

from __future__ import annotations

import re
import shlex
import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import key_material
import pytest
from cli.conftest import SECRET, bare_environment
from cli.entries import configure, entry
from cli.terminal import COLOUR, CTRL_C, CTRL_D, GATEPASS, Screen, left_on_screen, plain

from gatepass.cli.app import _COMMANDS
from gatepass.testing import AuthorizationServer, ProtectedServer, Trouble

BROKEN = '[servers.another]\nurl = "https://a.example"\nclient-id = "x"\nisuer = "https://auth.example.com"\n'
SPINNER = re.compile("[\N{BRAILLE PATTERN DOTS-1}-\N{BRAILLE PATTERN DOTS-12345678}]")
CURSOR = re.compile(r"\x1b\[\?25([hl])")
RULE = "\N{BOX DRAWINGS LIGHT HORIZONTAL}"

BRIGHT, PLAIN, DUMB = {"TERM": "xterm-256color"}, {"TERM": "xterm-256color", "NO_COLOR": "1"}, {"TERM": "dumb"}
LOOKS = ((BRIGHT, 80), (BRIGHT, 120), (PLAIN, 80), (PLAIN, 120), (DUMB, 80), (DUMB, 120))


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A command, and the person in front of it.

    Attributes:
        line: the command; URL, ISSUER and KEY stand for what they are.
        code: how it ends.
        coloured: it uses colours where it may.
        table: it shows a table.
        types: what the person waits for, and types then.
        more: of the configuration.
        secret: the client's.
    """

    line: str
    code: int = 0
    coloured: bool = False
    table: bool = False
    types: tuple[tuple[str, str], ...] = ()
    more: str = ""
    secret: str = SECRET


SCENES = [
    Scene(line="--help", coloured=True),
    Scene(line="token --help", coloured=True),
    Scene(line="keys", coloured=True),
    Scene(line="tokn reports", code=2),
    Scene(line="config check"),
    Scene(line="config check --quiet", code=3, more=BROKEN),
    Scene(line="config show", coloured=True, table=True),
    Scene(line="config show reports", coloured=True, table=True),
    Scene(line="config trust project/gatepass.toml", types=(("yes or no [no]:", "yes\n"),)),
    Scene(
        line="init URL my-reports",
        types=(
            ("Which [1]:", "5\n"),
            ("Platform [ambient]:", "github-actions\n"),
            ("Name for this workload [my-reports]:", "the nightly build\n"),
        ),
    ),
    Scene(line="token reports"),
    Scene(line="token reports --no-store", code=4, secret="canary-wrong"),
    Scene(line="headers reports"),
    Scene(line="run reports -- sh -c 'echo done'"),
    Scene(line="tools reports", coloured=True, table=True),
    Scene(line="call reports whoami"),
    Scene(line="call reports who-am-i", code=5),
    Scene(line="proxy reports --http 127.0.0.1:0", code=130, types=(("the key is in", CTRL_C),)),
    Scene(line="status", coloured=True, table=True),
    Scene(line="logout reports"),
    Scene(line="doctor reports", coloured=True),
    Scene(line="testserver", code=130, coloured=True, types=(("--issuer http", CTRL_C),)),
    Scene(line="testserver --list-troubles", coloured=True, table=True),
    Scene(line="completion --help", coloured=True),
    Scene(line="keys new ci-bot.pem"),
    Scene(line="keys show KEY", coloured=True),
    Scene(line="keys check KEY --issuer ISSUER", coloured=True),
    Scene(line="keys jwks KEY"),
    Scene(line="keys rotate KEY"),
    Scene(line="keys client-metadata https://example.com/ci-bot.json --name 'The nightly report' --key KEY"),
]
UNATTENDED = [scene for scene in SCENES if scene.coloured and not scene.types]


@pytest.fixture(scope="module")
def authority():
    with AuthorizationServer(scopes=("mcp:read",), revocation=True) as server:
        server.add_client("ci-bot", secret=SECRET)
        yield server


@pytest.fixture(scope="module")
def mcp_server(authority):
    with ProtectedServer(authority, scopes=("mcp:read",)) as server:
        yield server


@pytest.fixture(scope="module")
def room(tmp_path_factory, authority, mcp_server):
    """Prepares a home for a scene; gives the command, its environment and the home."""

    def room(scene):
        home = tmp_path_factory.mktemp("at")
        longer = entry("https://mcp.example.com/mcp", authority, "a-server-with-a-name-that-is-rather-long-for-a-table")
        configure(home, entry(mcp_server.url, authority), longer, scene.more)
        (home / "project").mkdir()
        (home / "project" / "gatepass.toml").write_text(entry(mcp_server.url, authority, more="scopes = ['mcp:read']"))
        key = home / "key.pem"
        key.write_text(key_material.pem("P-256"))
        key.chmod(0o600)
        named = {"URL": mcp_server.url, "ISSUER": authority.issuer, "KEY": str(key)}
        words = [named.get(word, word) for word in shlex.split(scene.line)]
        return (*GATEPASS, *words), {**bare_environment(home), "BOT_SECRET": scene.secret}, home

    return room


@pytest.fixture
def seen(room):
    """All that a person sees of a scene, escape sequences and what they type included."""

    def seen(scene, look, columns):
        command, environment, home = room(scene)
        with Screen(command, {**environment, **look}, columns=columns, cwd=home) as screen:
            for question, answer in scene.types:
                screen.waits_for(question)
                screen.types(answer)
            return screen.ends(scene.code)

    return seen


def assert_aligned(table):
    """What stands in a column begins where its head does."""
    lines = table.splitlines()
    rule = next(number for number, line in enumerate(lines) if set(line.strip()) == {RULE})
    _, *starts = (name.start() for name in re.finditer(r"\S+(?: \S+)*", lines[rule - 1]))
    rows = lines[rule + 1 :]
    assert starts
    assert rows
    for row, start in ((row, start) for row in rows for start in starts):
        assert row[start - 2 : start].strip() == "", row


def assert_fits(screen, columns):
    """Lines that are too long have a word that is, such as a URL, a path or a token."""
    too_long = [line for line in screen.splitlines() if len(line) > columns]
    assert [line for line in too_long if len(line.split()) > 1 and max(map(len, line.split())) <= columns] == []


class TestEveryCommand:
    @pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.line)
    def test_it_fits_and_is_coloured_where_that_is_wanted_only(self, seen, scene):
        with ThreadPoolExecutor(2) as pool:
            runs = [(look, columns, pool.submit(seen, scene, look, columns)) for look, columns in LOOKS]
        for look, columns, run in runs:
            shown = run.result()
            assert bool(COLOUR.search(shown)) == (scene.coloured and look is BRIGHT)
            if look is DUMB:
                assert not {"\x1b", "\r", "\b"} & set(shown)
            screen = left_on_screen(shown)
            assert_fits(screen, columns)
            assert not SPINNER.search(screen)
            assert scene.secret not in shown
            if scene.table:
                assert_aligned(screen)

    @pytest.mark.parametrize("scene", UNATTENDED, ids=lambda scene: scene.line)
    def test_a_pipe_gets_none_of_its_colours(self, room, scene):
        command, environment, home = room(scene)
        surroundings = {**environment, **BRIGHT}
        done = subprocess.run(command, env=surroundings, cwd=home, capture_output=True, text=True, check=False)
        assert done.returncode == scene.code
        assert not {"\x1b", "\r", "\b"} & set(done.stdout + done.stderr)

    def test_none_is_left_out(self):
        assert {scene.line.split()[0] for scene in SCENES} | {"demo"} >= set(_COMMANDS)


class TestDemo:
    def test_it_fits_and_is_coloured_where_that_is_wanted_only(self, seen):
        scene = Scene(line="demo")
        with ThreadPoolExecutor(2) as pool:
            bright, dumb = (pool.submit(seen, scene, *look) for look in ((BRIGHT, 80), (DUMB, 120)))
        assert COLOUR.search(bright.result())
        assert not {"\x1b", "\r", "\b"} & set(dumb.result())
        for run, columns in ((bright, 80), (dumb, 120)):
            screen = left_on_screen(run.result())
            assert "10 claims, each of them checked" in screen
            assert_fits(screen, columns)

    def test_ctrl_c_is_clean(self, seen):
        screen = left_on_screen(seen(Scene(line="demo", code=130, types=(("token 1", CTRL_C),)), BRIGHT, 80))
        assert screen.endswith("\ngatepass: interrupted.")


class TestWhatIsLongInAMessage:
    def test_a_command_to_copy_is_one_for_a_shell(self, room):
        """Though it takes several lines."""
        command, environment, home = room(Scene(line="testserver"))
        with Screen(command, {**environment, **DUMB}, cwd=home) as screen:
            screen.waits_for("gatepass tools ")
            lines = screen.waits_for("\r\n\r\n").replace("\r", "")
            assert " \\\n" in lines
            tools = f"{shlex.join(GATEPASS)} tools {lines}"
            done = subprocess.run(tools, shell=True, env=environment, capture_output=True, text=True, check=True)
            screen.types(CTRL_C)
            screen.ends(130)
        assert "Adds two numbers." in done.stdout

    def test_a_request_that_is_refused_has_its_reason_below(self, room):
        command, environment, home = room(Scene(line="testserver"))
        with Screen(command, {**environment, **DUMB}, cwd=home) as screen:
            url = re.search(r"http\S+", screen.waits_for("/mcp"))[0]
            screen.waits_for("gatepass tools ")
            told = {"GATEPASS_CLIENT_ID": "ci-bot", "GATEPASS_CLIENT_SECRET": "canary-wrong"}
            refused = subprocess.run([*GATEPASS, "tools", url], env={**environment, **told}, check=False)
            screen.waits_for("401  \r\n        unauthorized: A token is needed.\r\n")
            screen.types(CTRL_C)
            screen.ends(130)
        assert refused.returncode == 4


WAITING = [
    ("token reports", "token", "Waiting for a token for http"),
    ("run reports -- echo done", "token", "Waiting for a token for http"),
    ("tools reports", "token", "Waiting for the list of tools"),
    ("call reports whoami", "token", "whoami"),
    ("logout reports", "revoke", "Signing out of http"),
    ("doctor reports", "token", "/token ..."),
    ("init URL my-reports", "metadata", "Asking http"),
]


@contextmanager
def hanging(server, path):
    """A server that gives no answer there."""
    server.trouble = Trouble(paths=(path,), connection="hang")
    try:
        yield
    finally:
        server.trouble = None


class TestCtrlC:
    @pytest.mark.parametrize(("line", "path", "says"), WAITING, ids=[line for line, _, _ in WAITING])
    def test_while_it_waits_leaves_nothing_of_the_wait(self, room, authority, line, path, says):
        command, environment, home = room(Scene(line=line))
        if line.startswith("logout"):
            subprocess.run([*GATEPASS, "token", "reports"], env=environment, stdout=subprocess.DEVNULL, check=True)
        with hanging(authority, path), Screen(command, {**environment, **BRIGHT}, cwd=home) as screen:
            screen.waits_for(says)
            screen.types(CTRL_C)
            shown = screen.ends(130)
        left = left_on_screen(shown, 80)
        assert left.endswith("\ngatepass: interrupted.")
        assert says not in left
        assert CURSOR.findall(shown)[-1:] in ([], ["h"])
        assert not (home / "gatepass.toml").exists()

    @pytest.mark.parametrize("key", [CTRL_C, CTRL_D])
    @pytest.mark.parametrize("answers", [0, 1, 2])
    def test_at_a_question_writes_nothing(self, room, key, answers):
        questions = (
            "Which [1]: ",
            "Client id, as registered there: ",
            "Name of the variable [MY_REPORTS_CLIENT_SECRET]: ",
        )
        command, environment, home = room(Scene(line="init URL my-reports"))
        with Screen(command, {**environment, **BRIGHT}, cwd=home) as screen:
            for question, answer in zip(questions, ("1\n", "ci-bot\n")[:answers], strict=False):
                screen.waits_for(question)
                screen.types(answer)
            screen.waits_for(questions[answers])
            screen.types(key)
            shown = screen.ends(130)
        echo = "^C" if key == CTRL_C else ""
        assert left_on_screen(shown).endswith(f"\n{(questions[answers] + echo).rstrip()}\ngatepass: interrupted.")
        assert not (home / "gatepass.toml").exists()

    def test_at_the_question_whether_to_trust_a_file_trusts_nothing(self, room):
        command, environment, home = room(Scene(line="config trust project/gatepass.toml"))
        with Screen(command, {**environment, **BRIGHT}, cwd=home) as screen:
            screen.waits_for("yes or no [no]:")
            screen.types(CTRL_C)
            screen.ends(130)
        assert not list(home.rglob("trusted"))


class TestQuestions:
    def test_a_person_sees_what_they_are_asked_and_what_they_answer(self, room, authority, mcp_server):
        command, environment, home = room(Scene(line="init URL my-reports"))
        with Screen(command, {**environment, **BRIGHT}, cwd=home) as screen:
            screen.waits_for("Which [1]:")
            screen.types("7\n")
            screen.waits_for("Which [1]:")
            screen.types("1\n")
            screen.waits_for("Client id, as registered there:")
            screen.types("ci-bit\x7f\x7fot\n")
            screen.waits_for("Name of the variable [MY_REPORTS_CLIENT_SECRET]:")
            screen.types("\n")
            left = left_on_screen(screen.ends())
        assert "Which [1]: 7\nWhich [1]: 1\nClient id, as registered there: ci-bot\n" in left
        written = (home / "gatepass.toml").read_text()
        assert written in left
        assert written == (
            f'[servers.my-reports]\nurl = "{mcp_server.url}"\nissuer = "{authority.issuer}"\nclient-id = "ci-bot"\n'
            'client-secret = { env = "MY_REPORTS_CLIENT_SECRET" }\n'
        )


class TestALongWait:
    def test_for_a_url_that_takes_two_lines_is_wiped_out_whole(self, room, authority):
        command, environment, home = room(Scene(line="token reports"))
        endpoint = f'token-endpoint = "{authority.token_endpoint}"'
        configure(home, entry(f"http://127.0.0.1:9/{'long' * 30}", authority, more=endpoint))
        with hanging(authority, "token"), Screen(command, {**environment, **BRIGHT}, cwd=home) as screen:
            screen.waits_for("long ...")
            screen.types(CTRL_C)
            shown = screen.ends(130)
        assert "Waiting for a token for" in plain(shown)
        assert left_on_screen(shown, 80).split() == ["gatepass:", "interrupted."]
