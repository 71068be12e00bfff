"""Signing out: what was issued is revoked where that is offered (RFC 7009), and forgotten in any case."""

from __future__ import annotations

import asyncio

import httpx2
import pytest
from integration.people import Person
from integration.ways_in import auth_for, hello

import gatepass
from gatepass.testing import AuthorizationServer, ProtectedServer, Trouble


def get(auth, url):
    with httpx2.Client(auth=auth) as http:
        return http.get(url)


def kept(directory):
    """All that stands in a store."""
    return b"".join(path.read_bytes() for path in directory.iterdir())


@pytest.mark.parametrize("how", ["forget", "aforget"])
def test_the_token_is_revoked_and_forgotten_and_the_next_call_gets_another(mcp_server, auth_server, tmp_path, how):
    auth_server.revocation = True
    auth = auth_for(mcp_server, store=gatepass.FileStore(tmp_path / "store"), scopes=["mcp:read"])
    first = auth.token()
    assert first.encode() in kept(tmp_path / "store")
    assert auth.forget() if how == "forget" else asyncio.run(auth.aforget())
    assert auth_server.verify(first, audience=mcp_server.url) is None
    assert first.encode() not in kept(tmp_path / "store")
    assert get(auth, hello(mcp_server)).status_code == 200
    assert auth.token() != first


def test_a_refresh_token_is_revoked_first(tmp_path):
    with (
        AuthorizationServer(
            authorization_endpoint=True, registration=True, revocation=True, refresh_tokens="rotating"
        ) as auth_server,
        ProtectedServer(auth_server) as mcp_server,
    ):
        person = Person()
        auth = gatepass.Auth(mcp_server.url, gatepass.AuthorizationCode(ask=person), issuer=auth_server.issuer)
        assert get(auth, hello(mcp_server)).status_code == 200
        assert auth.forget()
        assert auth_server.count("revoke") == 2
        assert get(auth, hello(mcp_server)).status_code == 200
        assert person.asked == 2
        assert auth_server.count("register") == 1, "the client stays known"


def test_where_it_is_not_offered_the_token_is_only_forgotten(mcp_server, auth_server):
    auth = auth_for(mcp_server, scopes=["mcp:read"])
    first = auth.token()
    assert auth.forget() is False
    assert auth.token() != first


def test_without_a_token_there_is_nothing_to_do(mcp_server, auth_server):
    auth_server.revocation = True
    assert auth_for(mcp_server).forget() is False
    assert auth_server.count("revoke") == 0


def test_one_that_another_process_left_in_the_store_is_revoked_too(mcp_server, auth_server, tmp_path):
    auth_server.revocation = True
    first = auth_for(mcp_server, store=gatepass.FileStore(tmp_path / "store")).token()
    assert auth_for(mcp_server, store=gatepass.FileStore(tmp_path / "store")).forget()
    assert auth_server.verify(first, audience=mcp_server.url) is None


def test_a_server_that_fails_does_not_keep_the_token_from_being_forgotten(mcp_server, auth_server):
    auth_server.revocation = True
    auth = auth_for(mcp_server, scopes=["mcp:read"])
    first = auth.token()
    auth_server.trouble = Trouble(paths=("revoke",), status=503)
    with pytest.raises(gatepass.RemoteError) as failed:
        auth.forget()
    assert (failed.value.code, failed.value.retryable) == ("revocation_endpoint_busy", True)
    assert auth.token() != first


def test_the_key_that_was_made_for_the_token_goes_with_it(mcp_server, auth_server, tmp_path):
    auth_server.dpop = "optional"
    auth = auth_for(mcp_server, store=gatepass.FileStore(tmp_path / "store"), scopes=["mcp:read"], dpop=True)
    assert get(auth, hello(mcp_server)).status_code == 200
    assert b"kty" in kept(tmp_path / "store")
    auth.forget()
    assert b"kty" not in kept(tmp_path / "store")
    assert get(auth, hello(mcp_server)).status_code == 200
