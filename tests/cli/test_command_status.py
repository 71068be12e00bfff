"""`gatepass status` and `gatepass logout`."""

from __future__ import annotations

import datetime as dt
import json

import pytest
from cli.conftest import SECRET, ci_bot
from cli.entries import configure, entry
from cli.terminal import on_a_terminal, plain, widest

from gatepass.testing import AuthorizationServer, ProtectedServer

NOBODY = {"GATEPASS_CLIENT_ID": None, "GATEPASS_CLIENT_SECRET": None, "GATEPASS_ISSUER": None}
BOT = {**NOBODY, "BOT_SECRET": SECRET}


def rows(run):
    return [line.split("  ") for line in run.out.splitlines()]


class TestStatus:
    def test_it_tells_of_every_server_that_is_configured_and_sends_nothing(self, gatepass, url, authority, tmp_path):
        configure(tmp_path, entry(url, authority), entry("https://mcp.example.com/mcp", authority, "other"))
        gatepass("token", "reports", **BOT)
        requests = authority.count()
        run = gatepass("status", **BOT)
        assert (run.code, run.err) == (0, "")
        head, reports, other = run.out.splitlines()
        assert head.split() == ["SERVER", "TOKEN", "EXPIRES", "SCOPES", "ISSUER"]
        assert reports.split() == ["reports", "fresh", "in", "5", "min", "mcp:read", authority.issuer]
        assert other.split() == ["other", "absent", authority.issuer]
        assert authority.count() == requests

    def test_json_says_all_that_is_known(self, gatepass, url, authority):
        gatepass("token", url)
        (known,) = json.loads(gatepass("status", url, "--json").out)
        assert (known["server"], known["resource"], known["issuer"]) == (url, url, authority.issuer)
        assert (known["state"], known["generation"], known["scopes"]) == ("fresh", 1, ["mcp:read"])
        assert (known["refreshable"], known["lease"], known["store_failure"]) == (False, None, None)
        obtained, ends = (dt.datetime.fromisoformat(known[key]) for key in ("obtained_at", "expires_at"))
        assert (ends - obtained).total_seconds() == 300

    def test_a_server_with_a_problem_is_told_of_beside_the_others(self, gatepass, url, authority, tmp_path):
        configure(tmp_path, entry(url, authority), entry(url, authority, "bad", more="isuer = 1"))
        run = gatepass("status", **BOT)
        assert run.code == 3
        assert [row[0] for row in rows(run)] == ["SERVER", "reports"]
        assert "[servers.bad] isuer: there is no such key." in run.err

    @pytest.mark.parametrize("columns", [80, 120])
    def test_a_person_sees_a_table_that_fits(self, gatepass, environment, url, authority, tmp_path, columns):
        configure(tmp_path, entry(url, authority, "a-server-with-a-name-that-is-rather-long-for-a-table"))
        surroundings = {name: value for name, value in {**environment, **BOT}.items() if value}
        shown = on_a_terminal(["status"], surroundings, columns=columns)
        assert widest(shown) <= columns
        assert "absent" in plain(shown)

    def test_a_store_that_fails_is_noted(self, gatepass, url, tmp_path):
        (tmp_path / "file").touch()
        run = gatepass("status", url, "--store", tmp_path / "file" / "store")
        assert run.code == 0
        assert "absent" in run.out
        assert run.err.startswith("gatepass: note: The store ")

    def test_without_a_configuration_it_says_what_writes_one(self, gatepass):
        run = gatepass("status")
        assert (run.code, run.out) == (0, "")
        assert run.err == "gatepass: note: No server is configured. gatepass init URL writes an entry.\n"


class TestLogout:
    def test_the_token_is_revoked_and_forgotten(self, gatepass, tmp_path):
        with AuthorizationServer(revocation=True) as authority:
            authority.add_client("ci-bot", secret=SECRET)
            with ProtectedServer(authority) as server:
                identity = ci_bot(tmp_path, authority)
                gatepass("token", server.url, **identity)
                run = gatepass("logout", server.url, **identity)
                assert (run.code, run.out) == (0, "")
                assert run.err == "gatepass: note: The token was revoked, and is forgotten.\n"
                assert authority.count("revoke") == 1
                assert "absent" in gatepass("status", server.url, **identity).out

    def test_a_server_that_revokes_nothing_is_told_of(self, gatepass, url):
        gatepass("token", url)
        assert "Its server does not revoke it: it lives there until" in gatepass("logout", url).err
        assert gatepass("logout", url).err == "gatepass: note: There was no token.\n"
        assert gatepass("logout", url, "--quiet").err == ""

    def test_the_next_token_is_a_new_one(self, gatepass, url):
        first = gatepass("token", url).out
        gatepass("logout", url)
        assert gatepass("token", url).out != first
