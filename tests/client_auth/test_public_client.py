from __future__ import annotations

import pytest
from scripted import ScriptedWorld

from gatepass.client_auth.client_secret import ClientSecret
from gatepass.client_auth.public_client import PublicClient, as_client, no_client
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


SECRET = ClientSecret("ci-bot", "the-secret")


@pytest.mark.parametrize(
    ("given", "client"),
    [
        ("ci-bot", PublicClient("ci-bot")),
        (PublicClient("ci-bot"), PublicClient("ci-bot")),
        (SECRET, SECRET),
        (ClientSecret, None),
        (b"the-secret", None),
        (5, None),
        (None, None),
    ],
)
def test_a_client_id_alone_is_a_public_client_and_a_client_is_itself(given, client):
    assert as_client(given) == client


def test_what_is_no_client_is_named_by_its_type_alone():
    error = no_client("bytes")
    assert (error.code, "bytes" in str(error), "client" in str(error)) == ("client_invalid", True, True)


@pytest.mark.parametrize("client_id", ["", "a\nb"])
def test_a_client_id_alone_must_be_one(client_id):
    with pytest.raises(ConfigurationError) as caught:
        as_client(client_id)
    assert caught.value.code == "client_id_invalid"
