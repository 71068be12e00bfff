from __future__ import annotations

import pytest
from scripted import ScriptedWorld

from gatepass.client_auth.base import is_client
from gatepass.client_auth.nobody import Nobody
from gatepass.protocol.server import ServerMetadata


@pytest.mark.parametrize("offered", [None, (), ("client_secret_basic",)])
def test_nobody_says_nothing_whatever_the_server_offers(offered):
    server = ServerMetadata(issuer="https://as.example.com", token_endpoint_auth_methods_supported=offered)
    assert Nobody().choose(server) == "none"
    credentials = Nobody().authenticate(ScriptedWorld(), server)
    assert (credentials.headers, credentials.form, credentials.hide) == ((), (), ())


def test_nobody_is_a_client_all_the_same():
    assert is_client(Nobody())
    assert (Nobody().client_id, Nobody().identity, Nobody().secrets) == ("", ("nobody",), ())
