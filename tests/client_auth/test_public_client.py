from __future__ import annotations

import pytest
from scripted import ScriptedWorld

from gatepass.client_auth.public_client import PublicClient
from gatepass.errors import ConfigurationError
from gatepass.protocol.server import ServerMetadata


def server(*methods: str) -> ServerMetadata:
    return ServerMetadata(issuer="https://as.example.com", token_endpoint_auth_methods_supported=methods or None)


@pytest.mark.parametrize("offered", [(), ("none",), ("client_secret_basic", "none")])
def test_a_public_client_says_who_it_is_and_nothing_more(offered):
    client = PublicClient("ci-bot")
    assert client.choose(server(*offered)) == "none"
    credentials = client.authenticate(ScriptedWorld(), server(*offered))
    assert (credentials.headers, credentials.form, credentials.hide) == ((), (("client_id", "ci-bot"),), ())


def test_a_server_that_wants_proof_is_not_asked():
    with pytest.raises(ConfigurationError) as caught:
        PublicClient("ci-bot").authenticate(ScriptedWorld(), server("client_secret_basic"))
    assert caught.value.code == "method_not_offered"
    assert "client_secret_basic" in str(caught.value)


def test_it_has_an_identity_and_no_secrets():
    assert PublicClient("ci-bot").identity == ("none", "ci-bot")
    assert PublicClient("ci-bot").secrets == ()


@pytest.mark.parametrize("client_id", ["", "a\r\nb", None])
def test_a_client_id_that_cannot_be_sent_is_refused_at_once(client_id):
    with pytest.raises(ConfigurationError) as caught:
        PublicClient(client_id)
    assert caught.value.code == "client_id_invalid"
