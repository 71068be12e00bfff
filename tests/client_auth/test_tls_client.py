from __future__ import annotations

import pytest
from scripted import ScriptedWorld

from gatepass.client_auth.tls_client import TlsClient
from gatepass.errors import ConfigurationError
from gatepass.protocol.server import ServerMetadata

CA, SELF_SIGNED = "tls_client_auth", "self_signed_tls_client_auth"


def server(*methods: str) -> ServerMetadata:
    return ServerMetadata(issuer="https://as.example.com", token_endpoint_auth_methods_supported=methods or None)


@pytest.mark.parametrize(
    ("offered", "method"),
    [((), CA), ((CA,), CA), ((SELF_SIGNED,), SELF_SIGNED), ((SELF_SIGNED, CA, "none"), CA)],
)
def test_the_certificate_proves_the_client_and_the_request_says_only_which_it_is(offered, method):
    client = TlsClient("ci-bot")
    assert client.choose(server(*offered)) == method
    credentials = client.authenticate(ScriptedWorld(certificate="a-thumbprint"), server(*offered))
    assert (credentials.headers, credentials.form, credentials.hide) == ((), (("client_id", "ci-bot"),), ())


def test_without_a_certificate_on_the_connection_nothing_is_sent():
    with pytest.raises(ConfigurationError, match="TokenHttp") as caught:
        TlsClient("ci-bot").authenticate(ScriptedWorld(), server())
    assert caught.value.code == "certificate_missing"


def test_a_server_that_takes_no_certificates_is_not_asked():
    with pytest.raises(ConfigurationError) as caught:
        TlsClient("ci-bot").authenticate(ScriptedWorld(certificate="a-thumbprint"), server("client_secret_basic"))
    assert caught.value.code == "method_not_offered"
    assert "client_secret_basic" in str(caught.value)


def test_it_has_an_identity_and_no_secrets():
    assert TlsClient("ci-bot").identity == ("tls_client", "ci-bot")
    assert TlsClient("ci-bot").secrets == ()


@pytest.mark.parametrize("client_id", ["", "a\r\nb", None])
def test_a_client_id_that_cannot_be_sent_is_refused_at_once(client_id):
    with pytest.raises(ConfigurationError) as caught:
        TlsClient(client_id)
    assert caught.value.code == "client_id_invalid"
