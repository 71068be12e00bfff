"""The sign of life: after a while, on a terminal, and gone when all is over."""

from __future__ import annotations

import pytest
from cli.conftest import SECRET
from cli.terminal import left_on_screen, on_a_terminal, plain

from gatepass.cli.spinner import _Spinner
from gatepass.testing import Trouble


class TestASpinner:
    @pytest.mark.parametrize("more", [(), ("--quiet",)])
    def test_a_person_sees_it_while_a_server_hangs(self, environment, url, authority, more):
        authority.trouble = Trouble(connection="hang")
        try:
            shown = on_a_terminal(["token", url, "--timeout", "1.5", *more], environment, code=6)
        finally:
            authority.trouble = None
        assert (f"Waiting for a token for {url}" in plain(shown)) == (not more)
        assert "Waiting" not in left_on_screen(shown)
        assert SECRET not in shown

    def test_a_dumb_terminal_is_spared(self, environment, url, authority):
        authority.trouble = Trouble(connection="hang")
        try:
            shown = on_a_terminal(["token", url, "--timeout", "1.5"], environment, term="dumb", code=6)
        finally:
            authority.trouble = None
        assert "Waiting" not in shown

    def test_what_is_over_before_it_starts_never_shows_it(self):
        spinner = _Spinner("x")
        spinner.stop()
        spinner.start()
        assert spinner._status is None
