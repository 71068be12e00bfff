"""`gatepass demo`: what it shows, and that it shows no secret."""

from __future__ import annotations

import re

from gatepass import __all__ as public_names
from gatepass.cli.demo import demo as run_demo
from gatepass.cli.voice import Voice


class TestDemo:
    def test_it_gets_in_stays_in_and_checks_what_it_says(self, demo):
        shown, home = demo()
        assert (shown.code, shown.err) == (0, "")
        assert re.findall(r"^(\d)  ", shown.out, re.MULTILINE) == list("12345")
        assert "token 3" in shown.out
        assert "28 of 28 calls" in shown.out
        assert shown.out.count("\N{CHECK MARK}") == 11
        assert "10 claims, each of them checked" in shown.out
        assert max(map(len, shown.out.splitlines())) <= 80
        assert "eyJ" not in shown.out
        assert "PRIVATE KEY" not in shown.out
        assert list(home.iterdir()) == []

    def test_a_quiet_one_says_nothing(self, capsys, monkeypatch):
        async def played(page):
            page.title("a title")
            page.fact("a name", 1)

        monkeypatch.setattr("gatepass.cli.demo._play", played)
        run_demo(Voice(quiet=True))
        assert capsys.readouterr().out == ""
        run_demo(Voice())
        assert "a title" in capsys.readouterr().out

    def test_the_lines_it_recommends_use_public_names(self):
        from gatepass.cli.page import _PROGRAM

        (imported,) = re.findall(r"from gatepass import (.*)", _PROGRAM)
        assert set(imported.split(", ")) <= set(public_names)
        compile(_PROGRAM, "program", "exec", flags=0x2000)  # a top-level await may stand in it
