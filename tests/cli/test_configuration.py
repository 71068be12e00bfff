"""gatepass.toml: what may stand in it, what is said of the rest, where it is looked for, how an entry is written."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from gatepass.cli.configuration.document import KEYS, is_name, read_document
from gatepass.cli.configuration.doubts import doubts
from gatepass.cli.configuration.place import read_config
from gatepass.cli.configuration.trust import trust
from gatepass.cli.configuration.writer import entry_text, with_entry
from gatepass.cli.identity import AuthMethod
from gatepass.cli.layers import Layer
from gatepass.cli.reference import Reference
from gatepass.errors import ConfigurationError

PATH = Path("/project/gatepass.toml")
EVERYTHING = """\
[servers.reports]
url = "https://mcp.example.com/mcp"
client-id = "ci-bot"
client-secret = { env = "CI_SECRET" }
private-key = { file = "keys/ci.pem" }
private-key-password = { command = ["vault", "read"] }
key-id = "k1"
thumbprint-key-id = false
algorithm = "ES256"
assertion = "kubernetes"
assertion-audience = "token_endpoint"
auth-method = "private_key_jwt"
workload = { file = "/run/jwt" }
subject = "bot"
issuer = "https://auth.example.com"
scopes = ["a", "b"]
dpop = true
token-endpoint = "https://auth.example.com/token"
audience = "api"
resource-indicator = "urn:mcp"
no-resource-indicator = false
extra-parameter = { tenant = "acme" }
step-up = true
whole-origin = true
allow-http = true
allow-metadata-origin = "https://m.example"
allow-endpoint-origin = ["https://e.example"]
allow-legacy-discovery = true
tolerate-issuer-slash = true
store = "tokens"
no-store = false
ca-file = "/etc/ca.pem"
cert-file = "~/client.pem"
cert-key-file = "client.key"
proxy = "http://proxy.example:3128"
timeout = 5
"""


def read(text):
    return read_document(text, PATH)


def problems(text):
    return [(each.line, each.server, each.key, each.text) for each in read(text).all_problems]


def entry(line):
    return f'[servers.x]\nurl = "https://a.example"\n{line}\n'


class TestAFile:
    def test_every_key_is_read(self, monkeypatch):
        monkeypatch.setenv("HOME", "/home/me")
        document = read(EVERYTHING)
        assert document.all_problems == ()
        server = document.servers["reports"]
        assert server.layer.values.keys() == set(KEYS.values())
        who, way = server.layer.who, server.layer.way
        assert (server.url, who.client_id, way.scopes) == ("https://mcp.example.com/mcp", "ci-bot", "a b")
        assert who.client_secret_from == Reference("env", ("CI_SECRET",))
        assert who.private_key_from == Reference("file", ("/project/keys/ci.pem",))
        assert who.private_key_password_from == Reference("command", ("vault", "read"))
        assert who.assertion_from == Reference("platform", ("kubernetes",))
        assert who.workload == Reference("file", ("/run/jwt",))
        assert who.auth_method is AuthMethod.JWT
        assert way.extra_parameter == ["tenant=acme"]
        assert way.allow_metadata_origin == ["https://m.example"]
        assert (way.store, way.cert_file) == (Path("/project/tokens"), Path("/home/me/client.pem"))
        assert (way.dpop, way.no_store, way.timeout) == (True, False, 5.0)
        assert server.layer.named["private_key_from"] == "private-key of reports"

    def test_the_examples_of_the_documentation_are_such_files(self):
        page = Path(__file__).parents[2] / "docs" / "command.md"
        examples = re.findall(r"^```toml\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
        assert len(examples) == 2
        for example in examples:
            assert read(example).servers
            assert problems(example) == []

    def test_the_documentation_names_every_key(self):
        page = Path(__file__).parents[2] / "docs" / "command.md"
        table = page.read_text().partition("### The keys")[2].partition("Paths start")[0]
        assert set(re.findall(r"`([a-z-]+)`", table)) >= {"url", *KEYS}

    def test_one_without_servers_is_empty(self):
        assert (read("").servers, read("").all_problems) == ({}, ())

    @pytest.mark.parametrize(
        ("line", "key", "says"),
        [
            ('isuer = "https://a.example"', "isuer", "Did you mean issuer?"),
            ('client_id = "x"', "client_id", "Did you mean client-id?"),
            ('qqqqqq = "canary"', "qqqqqq", "There are: url, client-id"),
            ('client-secret-env = "S"', "client-secret-env", 'write client-secret = { env = "..." }.'),
            ('private-key-file = "k"', "private-key-file", 'write private-key = { file = "..." }.'),
            ('client-secret = "canary"', "client-secret", "a secret does not belong into this file. Say where"),
            ('private-key = "canary"', "private-key", 'Say where it stands: { env = "NAME" }'),
            ('client-secret = { value = "canary" }', "client-secret", "it does not say where that stands."),
            ('workload = "canary"', "workload", "or the name of a platform: ambient, aws"),
            ("issuer = 7", "issuer", "it is no text: write it in quotes."),
            ('issuer = ""', "issuer", "it is empty: leave the key out."),
            (
                'issuer = "https://canary:canary@a.example"',
                "issuer",
                "it holds a user name or a password: leave it out.",
            ),
            ('proxy = "http://canary:canary@p.example"', "proxy", "leave it out, and set HTTPS_PROXY."),
            ("scopes = [1]", "scopes", "it is no text"),
            ('dpop = "canary"', "dpop", "it is neither true nor false."),
            ('timeout = "canary"', "timeout", "it is no number of seconds from 0.001 to 3600."),
            ("timeout = 0", "timeout", "it is no number of seconds"),
            ("timeout = true", "timeout", "it is no number of seconds"),
            ('auth-method = "canary"', "auth-method", "it is none of auto, client_secret_basic"),
            ('extra-parameter = "canary=1"', "extra-parameter", "it is no table of texts"),
            ("extra-parameter = { a = 1 }", "extra-parameter", "it is no table of texts"),
        ],
    )
    def test_what_does_not_fit_is_named_with_its_line_and_without_its_value(self, line, key, says):
        ((number, server, wrong, text),) = problems(entry(line))
        assert (number, server, wrong) == (3, "x", key)
        assert says in text
        assert "canary" not in text

    @pytest.mark.parametrize(
        ("text", "line", "says"),
        [
            ("[servers.x\n", 1, "no TOML: Expected ']'"),
            (entry("a = 1") + entry("b = 1"), 4, "no TOML: Cannot declare ('servers', 'x') twice."),
            ('url = "https://a.example"\n', 1, "it stands outside of a table: write it below [servers.NAME]."),
            ("[server.x]\n", None, "there is no such table. Servers are described below [servers.NAME]."),
            ("servers = 7\n", 1, "it is not a table."),
            ("[servers]\nx = 7\n", 1, "it is not a table. Write [servers.x], and its keys below."),
            ('[servers."a.b"]\n', None, "a name is made of letters, digits, - and _"),
            ("[servers.x]\n", 1, "it has no url."),
            ("[servers.x]\nurl = 7\n", 2, "it is no text"),
        ],
    )
    def test_what_is_wrong_with_the_file_itself_is_said_with_its_line(self, text, line, says):
        ((number, _, _, said),) = problems(text)
        assert number == line
        assert said.startswith(says)

    def test_all_problems_are_told_at_once(self):
        text = 'top = 1\n[servers.x]\na = 1\nb = 2\n[servers.y]\nurl = "https://a.example"\n'
        found = problems(text)
        assert [(line, key) for line, _, key, _ in found] == [(1, "top"), (2, None), (3, "a"), (4, "b")]
        assert read(text).servers["y"].problems == ()

    @pytest.mark.parametrize(
        ("text", "line"),
        [
            ("[servers.x]\n'isuer' = 1\n", 2),
            ("[ servers . x ]  # here\n\n  isuer=1\n", 3),
            ("[servers]\n[servers.x]\n[servers.x.isuer]\n", 3),
            ("servers.x.isuer = 1\n", None),
        ],
    )
    def test_a_key_is_found_however_it_is_written_if_it_can_be(self, text, line):
        found = {key: number for number, _, key, _ in problems(text)}
        assert found["isuer"] == line

    @pytest.mark.parametrize(
        ("text", "fits"),
        [("reports", True), ("a-b_C9", True), ("x" * 64, True), ("x" * 65, False), ("-a", False), ("a.b", False)],
    )
    def test_a_name_is_told_from_a_url(self, text, fits):
        assert is_name(text) is fits
        assert not is_name("https://mcp.example.com")


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home with a project in it, which is the current folder."""
    for name in ("GATEPASS_CONFIG", "XDG_CONFIG_HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "project" / "sub").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "project" / "sub")
    return tmp_path


def write(path, *names):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f'[servers.{name}]\nurl = "https://{path.parent.name}.example"\n' for name in names))
    return path


def url_of(name):
    return read_config().server(name).url


def code_of(call) -> str:
    with pytest.raises(ConfigurationError) as caught:
        call()
    return caught.value.code


class TestPlaces:
    def test_the_project_goes_before_the_user(self, home):
        write(home / ".config" / "gatepass" / "gatepass.toml", "mine", "both")
        trusted(write(home / "project" / "gatepass.toml", "both", "ours"))
        assert read_config().names == ("both", "ours", "mine")
        assert url_of("mine") == "https://gatepass.example"
        assert url_of("both") == url_of("ours") == "https://project.example"

    def test_the_nearest_file_of_the_project_is_the_only_one(self, home):
        trusted(write(home / "project" / "gatepass.toml", "above"))
        trusted(write(home / "project" / "sub" / "gatepass.toml", "here"))
        assert read_config().names == ("here",)

    def test_the_users_own_file_needs_no_trust_wherever_one_is(self, home, monkeypatch):
        path = write(home / ".config" / "gatepass" / "gatepass.toml", "mine")
        monkeypatch.chdir(path.parent)
        assert url_of("mine")
        assert [file.kind for file in read_config().files] == ["user"]

    def test_nothing_above_the_home_folder_is_looked_at(self, home, monkeypatch):
        write(home / "gatepass.toml", "above")
        monkeypatch.setenv("HOME", str(home / "project"))
        assert read_config().names == ()

    def test_a_file_that_is_named_is_the_only_one_and_an_option_goes_before_the_variable(self, home, monkeypatch):
        trusted(write(home / "project" / "gatepass.toml", "ours"))
        one, other = write(home / "one" / "a.toml", "one"), write(home / "other" / "b.toml", "other")
        monkeypatch.setenv("GATEPASS_CONFIG", str(one))
        assert read_config().names == ("one",)
        assert read_config(other).server("other").url == "https://other.example"

    def test_what_is_named_must_be_there(self, home):
        assert code_of(lambda: read_config(home / "nothing.toml")) == "config_unreadable"
        assert code_of(lambda: read_config(home)) == "config_unreadable"

    def test_a_name_that_is_not_there_is_told_with_the_nearest_one(self, home):
        write(home / ".config" / "gatepass" / "gatepass.toml", "reports")
        with pytest.raises(ConfigurationError, match=r"no server reprots in .*gatepass.toml. Did you mean reports\?"):
            url_of("reprots")
        with pytest.raises(ConfigurationError, match=r"There are: reports\."):
            url_of("zzz")

    def test_without_any_file_it_says_what_writes_one(self, home):
        with pytest.raises(ConfigurationError, match=r"no server x in any gatepass.toml\. gatepass init URL writes"):
            url_of("x")

    def test_a_problem_elsewhere_in_the_file_is_no_problem_of_this_server(self, home):
        path = write(home / ".config" / "gatepass" / "gatepass.toml", "good", "bad")
        path.write_text(path.read_text() + "isuer = 1\nfoo = 1\n")
        assert url_of("good")
        with pytest.raises(ConfigurationError, match=r"gatepass.toml:5: \[servers.bad\] isuer: .*\n.*shows 2 problems"):
            url_of("bad")

    @pytest.mark.parametrize("content", [b"[servers.x", b"\xff"])
    def test_a_file_that_cannot_be_read_as_toml_stops_every_name(self, home, content):
        write(home / ".config" / "gatepass" / "gatepass.toml").write_bytes(content)
        assert code_of(lambda: url_of("x")) == "config_invalid"

    def test_a_folder_that_is_gone_has_no_project(self, home, monkeypatch):
        write(home / ".config" / "gatepass" / "gatepass.toml", "mine")
        (home / "gone").mkdir()
        monkeypatch.chdir(home / "gone")
        (home / "gone").rmdir()
        assert read_config().names == ("mine",)


def trusted(path):
    (file,) = read_config(path).files
    trust(path, file.digest)
    return path


class TestTrust:
    def test_a_project_counts_when_it_is_trusted_and_no_more_when_it_changes(self, home):
        path = write(home / "project" / "gatepass.toml", "x")
        assert code_of(lambda: url_of("x")) == "config_untrusted"
        trusted(path)
        assert url_of("x")
        path.write_text(path.read_text() + "# and more\n")
        assert code_of(lambda: url_of("x")) == "config_untrusted"
        trusted(path)
        assert url_of("x")

    def test_a_project_that_is_not_trusted_hides_no_server_and_takes_none_over(self, home):
        write(home / ".config" / "gatepass" / "gatepass.toml", "mine", "both")
        write(home / "project" / "gatepass.toml", "both")
        assert url_of("mine")
        assert code_of(lambda: url_of("both")) == "config_untrusted"

    def test_the_same_content_elsewhere_is_not_trusted_by_that(self, home):
        path = trusted(write(home / "project" / "gatepass.toml", "x"))
        (home / "project" / "sub" / "gatepass.toml").write_bytes(path.read_bytes())
        assert code_of(lambda: url_of("x")) == "config_untrusted"

    def test_what_is_trusted_is_readable_by_nobody_else(self, home):
        trusted(write(home / "project" / "gatepass.toml", "x"))
        (list_,) = (home / ".local" / "state" / "gatepass").iterdir()
        assert (list_.name, list_.stat().st_mode & 0o777) == ("trusted", 0o600)

    def test_a_list_that_cannot_be_kept_is_an_error(self, home):
        path = write(home / "project" / "gatepass.toml", "x")
        (home / ".local").write_text("in the way")
        assert code_of(lambda: trust(path, "0")) == "trust_not_kept"


class TestAnEntry:
    def test_what_was_read_is_written_again(self, tmp_path):
        server = read(EVERYTHING).servers["reports"]
        text = entry_text("reports", server.url, server.layer.values, PATH.parent)
        assert read(text).servers["reports"].layer.values == server.layer.values
        assert 'private-key = { file = "keys/ci.pem" }' in text
        assert text.splitlines()[:4] == [
            "[servers.reports]",
            'url = "https://mcp.example.com/mcp"',
            'issuer = "https://auth.example.com"',
            'client-id = "ci-bot"',
        ]

    @pytest.mark.parametrize("text", ['a"b\\c', "tab\tline\nend\r", "\x00\x1f\x7f", "umlaut ä 👩 \u2028"])
    def test_every_text_survives(self, text):
        written = entry_text("x", "u", {"audience": text}, PATH.parent)
        assert tomllib.loads(written)["servers"]["x"]["audience"] == text

    @pytest.mark.parametrize(
        ("before", "after"),
        [
            ("", '[servers.b]\nurl = "new"\n'),
            ("# a comment", '# a comment\n\n[servers.b]\nurl = "new"\n'),
            ('[servers.a]\nurl = "1"\n', '[servers.a]\nurl = "1"\n\n[servers.b]\nurl = "new"\n'),
            (
                '# top\n[servers.b] # old\nurl = "1"\n\n# of c\n[servers.c]\nurl = "2" # two\n',
                '# top\n[servers.b]\nurl = "new"\n\n# of c\n[servers.c]\nurl = "2" # two\n',
            ),
            (
                '[servers.b]\nurl = "1"\n[servers.b.extra-parameter]\na = "b"\n[servers.c]\nurl = "2"\n',
                '[servers.b]\nurl = "new"\n[servers.c]\nurl = "2"\n',
            ),
        ],
    )
    def test_it_takes_its_place_and_nothing_else_changes(self, before, after):
        assert with_entry(before, "b", '[servers.b]\nurl = "new"\n') == after

    @pytest.mark.parametrize(
        "before",
        ['servers = { b = { url = "1" } }\n', '[servers]\nb.url = "1"\n', '[servers.b]\nurl = """\n[x]\n"""\n'],
    )
    def test_a_file_that_is_written_in_another_way_is_left_alone(self, before):
        with pytest.raises(ConfigurationError) as caught:
            with_entry(before, "b", '[servers.b]\nurl = "new"\n')
        assert caught.value.code == "config_unwritable"


class TestDoubts:
    def test_what_is_not_here_is_told_without_reading_it(self, tmp_path, monkeypatch):
        monkeypatch.delenv("NOT_SET", raising=False)
        monkeypatch.setenv("SET", "canary")
        (tmp_path / "there").write_text("canary")
        said = Layer(
            values={
                "client_secret_from": Reference("env", ("NOT_SET",)),
                "private_key_from": Reference("file", (str(tmp_path / "nothing"),)),
                "assertion_from": Reference("command", ("no-such-program", "x")),
                "private_key_password_from": Reference("keyring", ("a", "b")),
                "workload": Reference("platform", ("ambient",)),
                "client_id": "x",
            }
        )
        assert doubts(said).keys() == {"client_secret_from", "private_key_from", "assertion_from"}
        here = {
            "client_secret_from": Reference("env", ("SET",)),
            "workload": Reference("file", (str(tmp_path / "there"),)),
        }
        assert doubts(Layer(values=here)) == {}
