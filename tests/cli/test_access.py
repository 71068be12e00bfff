"""The way in that options and environment describe."""

from __future__ import annotations

from pathlib import Path

import pytest

import gatepass
from gatepass.cli.access import Access, Way
from gatepass.cli.exits import UsageError
from gatepass.cli.identity import Who

URL = "https://mcp.example.com/mcp"
WHO = Who(client_id="ci-bot", client_secret_env="S")


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch):
    for name in ("GATEPASS_ISSUER", "GATEPASS_SCOPES"):
        monkeypatch.delenv(name, raising=False)


def target(url=URL, **options):
    return Access.to(url, WHO, Way(no_store=True, **options)).auth._source.target


class TestAccess:
    def test_issuer_and_scopes_come_from_options_or_else_from_the_environment(self, monkeypatch):
        monkeypatch.setenv("GATEPASS_ISSUER", "https://env.example.com")
        monkeypatch.setenv("GATEPASS_SCOPES", "a  b")
        found = target()
        assert (found.issuer, found.scopes) == ("https://env.example.com", ("a", "b"))
        found = target(issuer="https://auth.example.com", scopes="c")
        assert (found.issuer, found.scopes) == ("https://auth.example.com", ("c",))

    def test_an_empty_variable_says_nothing(self, monkeypatch):
        monkeypatch.setenv("GATEPASS_ISSUER", "")
        monkeypatch.setenv("GATEPASS_SCOPES", "")
        assert (target().issuer, target().scopes) == (None, None)

    def test_every_option_for_odd_servers_arrives(self):
        found = target(
            issuer="https://auth.example.com/",
            token_endpoint="https://auth.example.com/token",
            audience="mcp",
            resource_indicator="urn:mcp",
            allow_metadata_origin=["https://meta.example.com/x"],
            allow_endpoint_origin=["https://token.example.com"],
            tolerate_issuer_slash=True,
        )
        assert found.token_endpoint == "https://auth.example.com/token"
        assert (found.audience, found.resource) == ("mcp", "urn:mcp")
        assert found.allow_metadata_origins == ("https://meta.example.com",)
        assert found.allow_endpoint_origins == ("https://token.example.com",)
        assert found.tolerate_issuer_slash
        assert not target(no_resource_indicator=True).send_resource

    def test_a_url_in_the_clear_is_taken_where_that_is_said(self):
        plain = "http://mcp.mesh.example/mcp"
        with pytest.raises(gatepass.ConfigurationError) as failure:
            target(plain)
        assert failure.value.code == "insecure_url"
        assert target(plain, allow_http=True, issuer="https://auth.example.com").endpoint == plain

    @pytest.mark.parametrize(
        ("options", "says"),
        [
            ({"store": Path("s"), "no_store": True}, "--store and --no-store contradict"),
            (
                {"resource_indicator": "urn:x", "no_resource_indicator": True},
                "--resource-indicator and --no-resource-indicator contradict",
            ),
        ],
    )
    def test_options_that_contradict_each_other_are_refused(self, options, says):
        with pytest.raises(UsageError, match=says):
            Access.to(URL, WHO, Way(**options))

    @pytest.mark.parametrize(
        ("text", "says"), [(None, "No such file or directory"), ("nothing of the kind", "holds no certificate in PEM")]
    )
    def test_a_file_without_certificates_is_named(self, tmp_path, text, says):
        path = tmp_path / "ca.pem"
        if text is not None:
            path.write_text(text)
        with pytest.raises(gatepass.ConfigurationError, match=f"--ca-file {path} can't be used: .*{says}"):
            target(ca_file=path)
