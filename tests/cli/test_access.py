"""The way in that options and environment describe."""

from __future__ import annotations

import os
from pathlib import Path

import httpx2
import pytest

import gatepass
from gatepass.cli.access import Access, Way
from gatepass.cli.exits import UsageError, explain
from gatepass.cli.identity import AuthMethod, Who
from gatepass.cli.reference import Reference
from gatepass.testing import Trouble

URL = "https://mcp.example.com/mcp"
WHO = Who(client_id="ci-bot", client_secret_env="S")


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch):
    for name in os.environ:
        if name.startswith("GATEPASS_"):
            monkeypatch.delenv(name)


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
            allow_legacy_discovery=True,
            step_up=True,
            extra_parameter=["tenant=acme", "a=b=c"],
        )
        assert found.token_endpoint == "https://auth.example.com/token"
        assert (found.audience, found.resource) == ("mcp", "urn:mcp")
        assert found.allow_metadata_origins == ("https://meta.example.com",)
        assert found.allow_endpoint_origins == ("https://token.example.com",)
        assert (found.tolerate_issuer_slash, found.allow_legacy_discovery, found.step_up) == (True, True, True)
        assert found.extra == (("tenant", "acme"), ("a", "b=c"))
        assert not target(no_resource_indicator=True).send_resource

    def test_the_token_may_be_bound_and_go_to_the_whole_origin(self):
        auth = Access.to(URL, WHO, Way(no_store=True, dpop=True, whole_origin=True)).auth
        assert "dpop" in auth._source.shelf._whose[2]
        assert auth.reach.covers(httpx2.URL("https://mcp.example.com/elsewhere"))

    def test_a_certificate_is_shown_to_both_servers(self):
        way = Way(no_store=True, cert_file=Path("c.pem"), cert_key_file=Path("k.pem"))
        access = Access.to(URL, Who(client_id="ci-bot", auth_method=AuthMethod.TLS), way)
        assert access.auth._source.profile.client == gatepass.TlsClient("ci-bot")
        with pytest.raises(gatepass.ConfigurationError, match=r"cert='c\.pem' can't be read"):
            access.auth._http.certificate()
        assert access.http_options == {}

    def test_a_proxy_is_for_both_servers(self):
        access = Access.to(URL, WHO, Way(no_store=True, proxy="http://proxy.example:3128", timeout=2.0))
        assert access.http_options == {"proxy": "http://proxy.example:3128", "timeout": 2.0}
        assert access.auth._http._proxy == "http://proxy.example:3128"

    def test_a_workload_gets_in_by_its_own_jwt(self):
        who = Who(workload=Reference("platform", ("github-actions",)), subject="bot", assertion_audience="api")
        profile = Access.to(URL, who, Way()).auth._source.profile
        assert type(profile) is gatepass.WorkloadIdentity
        assert (type(profile.source).__name__, profile.subject, profile.audience) == ("GitHubActions", "bot", "api")
        assert profile.client.identity == ("nobody",)

    @pytest.mark.parametrize(
        ("who", "client"),
        [
            ({"client_id": "ci-bot"}, gatepass.PublicClient),
            ({"client_id": "ci-bot", "client_secret_env": "S"}, gatepass.ClientSecret),
            ({"client_id": "ci-bot", "private_key_file": Path("k.pem")}, gatepass.PrivateKeyJwt),
        ],
    )
    def test_beside_the_jwt_of_a_workload_a_client_may_prove_itself(self, who, client):
        workload = Reference("file", ("jwt",))
        profile = Access.to(URL, Who(workload=workload, subject="bot", **who), Way()).auth._source.profile
        assert type(profile.client) is client

    @pytest.mark.parametrize("where", ["mcp.example.com/mcp", "127.0.0.1:8000/mcp", "reports ", "./gatepass.toml"])
    def test_what_is_neither_a_name_nor_a_url_is_told_apart_first(self, where):
        with pytest.raises(gatepass.ConfigurationError, match="is neither the name of a server"):
            Access.to(where, Who(), Way())

    def test_a_workload_without_a_name_keeps_no_token(self):
        who = Who(workload=Reference("platform", ("ambient",)))
        assert Access.to(URL, who, Way(no_store=True)).store is None
        with pytest.raises(gatepass.ConfigurationError) as failure:
            Access.to(URL, who, Way())
        assert explain(failure.value).startswith("--subject is needed: ")
        assert explain(failure.value).endswith("\nOr keep no token: --no-store.")

    def test_the_variables_of_its_secrets_are_known(self, monkeypatch):
        assert Access.to(URL, WHO, Way()).secret_variables == ("S",)
        monkeypatch.setenv("GATEPASS_CLIENT_SECRET", "canary")
        assert Access.to(URL, Who(client_id="x"), Way()).secret_variables == ("GATEPASS_CLIENT_SECRET",)

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
            ({"cert_key_file": Path("k")}, "--cert-key-file is the key of a certificate: give --cert-file"),
            ({"extra_parameter": ["x"]}, "--extra-parameter takes NAME=VALUE"),
            ({"extra_parameter": ["=x"]}, "--extra-parameter takes NAME=VALUE"),
            ({"proxy": "http://canary:canary@proxy.example"}, "--proxy holds a user name or a password: set HTTPS_"),
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


class TestAWaitForAnAnswer:
    """However long it takes to get a token, the MCP client's own patience is longer."""

    @pytest.mark.parametrize("command", [("tools",), ("call", "add", "a=1", "b=2")])
    def test_that_the_authorization_server_does_not_give_ends_with_its_name(self, gatepass, url, authority, command):
        authority.trouble = Trouble(connection="hang")
        try:
            run = gatepass(command[0], url, *command[1:], "--timeout", "1")
        finally:
            authority.trouble = None
        assert (run.code, run.out) == (6, "")
        assert f"127.0.0.1:{authority.port} gave no answer within 1 s." in run.err
        assert "The MCP server" not in run.err

    def test_that_the_mcp_server_does_not_give_ends_with_its_name(self, gatepass, url, mcp_server):
        mcp_server.trouble = Trouble(connection="hang")
        try:
            run = gatepass("tools", url, "--timeout", "1")
        finally:
            mcp_server.trouble = None
        assert (run.code, run.out) == (6, "")
        assert f"gatepass: 127.0.0.1:{mcp_server.port} gave no answer in time." in run.err
