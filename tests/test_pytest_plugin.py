"""The pytest plugin, in a pytest of its own: what its fixtures give, and that it costs nobody anything before."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

PYPROJECT = Path(__file__).parents[1] / "pyproject.toml"


@pytest.fixture
def run(pytester, monkeypatch):
    """Runs a file of tests with the plugin, and with no other."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")

    def run(tests, conftest=""):
        pytester.makeconftest(conftest)
        pytester.makepyfile(tests)
        return pytester.runpytest_subprocess("-p", "gatepass.pytest_plugin", "-W", "error", "-p", "no:cacheprovider")

    return run


class TestFixtures:
    def test_a_client_gets_into_the_servers_with_what_it_is_told(self, run):
        run(
            """
            import gatepass

            def test_it_gets_in(gatepass_auth, gatepass_stage, gatepass_mcp_server, gatepass_authorization_server):
                with gatepass.AuthorizedClient(gatepass_auth) as http:
                    assert http.get("plain/hello").json() == {"hello": gatepass_stage.told["client_id"]}
                assert gatepass_authorization_server.count("token") == 1
                assert gatepass_mcp_server.rejected == 1
            """
        ).assert_outcomes(passed=1)

    def test_the_servers_have_the_troubles_that_a_test_is_parametrized_with(self, run):
        run(
            """
            import gatepass
            import pytest
            from gatepass.testing import gallery

            @pytest.mark.parametrize("gatepass_trouble", ["wrong-secret", "algorithm-not-offered", "private-ca"])
            def test_it_says_what_is_wrong(gatepass_auth, gatepass_trouble):
                with pytest.raises(gatepass.GatepassError) as caught:
                    gatepass_auth.token()
                assert caught.value.code in gallery.find(gatepass_trouble).codes

            @pytest.fixture
            def gatepass_trouble():
                return "expired-certificate"

            def test_or_that_its_own_fixture_names(gatepass_auth):
                with pytest.raises(gatepass.UnreachableError, match="expired"):
                    gatepass_auth.token()
            """
        ).assert_outcomes(passed=4)

    @pytest.mark.parametrize(
        ("conftest", "trouble", "says"),
        [
            ("", "'wrong-sekret'", "The gallery has no 'wrong-sekret': gatepass testserver --list-troubles*"),
            ("import sys; sys.modules['starlette'] = None", "None", "*needs pip install 'gatepass?testing?'*"),
        ],
        ids=["an unknown name", "without the extra"],
    )
    def test_servers_that_cannot_be_had_are_an_error_in_a_line(self, run, conftest, trouble, says):
        tests = f"""
            import pytest

            @pytest.mark.parametrize("gatepass_trouble", [{trouble}])
            def test_it(gatepass_stage): ...

            def test_that_needs_no_server(): ...
            """
        result = run(tests, conftest)
        result.assert_outcomes(errors=1, passed=1)
        result.stdout.fnmatch_lines([says])


class TestCost:
    def test_nothing_is_imported_before_a_fixture_is_used(self, run):
        run(
            """
            import sys

            def test_it():
                dear = {"httpx2", "mcp", "starlette", "uvicorn", "joserfc", "cryptography", "msgspec"}
                assert not dear & sys.modules.keys()
                assert {name for name in sys.modules if name.startswith("gatepass")} == {
                    "gatepass", "gatepass.pytest_plugin"
                }
            """
        ).assert_outcomes(passed=1)

    def test_the_store_contract_tells_what_it_compared(self, run):
        run(
            """
            def test_its_assertions_are_rewritten():
                from gatepass.testing import store_contract
                assert type(store_contract.__loader__).__name__ == "AssertionRewritingHook"
            """
        ).assert_outcomes(passed=1)

    def test_pytest_finds_it_by_itself(self):
        points = tomllib.loads(PYPROJECT.read_text())["project"]["entry-points"]
        assert points["pytest11"] == {"gatepass": "gatepass.pytest_plugin"}
