"""A final failure is remembered, so that a wrong secret hammers nobody, and forgotten when the secret changes."""

from __future__ import annotations

import key_material
import pytest
from integration.crowd import Background, everywhere
from integration.patience import eventually
from integration.ways_in import SCOPES, SECRET, auth_for, by_secret, held_back

import gatepass
from gatepass.testing import Trouble


def fifty(auth):
    """The code that each of fifty more calls ends with; None for a token."""
    return {getattr(outcome, "error", None) for outcome in everywhere(auth.token, auth.atoken, 50)}


class TestMemory:
    def test_fifty_more_calls_make_no_more_requests(self, auth_server, mcp_server):
        auth = auth_for(mcp_server, by_secret("not it"))
        assert fifty(auth) == fifty(auth) == {"invalid_client"}
        assert auth_server.count("token") == 1

    @pytest.mark.parametrize(
        "trouble",
        [
            Trouble(status=403),
            Trouble(status=400, body={"error": "invalid_scope"}),
            Trouble(status=404),
            Trouble(status=302, headers={"Location": "/login"}),
            Trouble(body={"token_type": "Bearer"}),
            Trouble(body={"access_token": "x", "token_type": "mac"}),
        ],
        ids=["an empty 403", "invalid scope", "404", "a redirect", "no access_token", "a token type of its own"],
    )
    def test_whatever_the_refusal_is_made_of_it_is_asked_for_once(self, auth_server, mcp_server, trouble):
        auth_server.trouble = trouble
        auth = auth_for(mcp_server)
        for _ in range(5):
            with pytest.raises(gatepass.RemoteError) as caught:
                auth.token()
            assert not caught.value.retryable
        assert auth_server.count("token") == 1

    def test_it_is_this_processs_own_and_no_other_auths(self, auth_server, mcp_server, tmp_path):
        store = gatepass.FileStore(tmp_path / "store")
        assert fifty(auth_for(mcp_server, by_secret("not it"), store=store)) == {"invalid_client"}
        assert auth_for(mcp_server, store=store).token()
        assert auth_server.count("token") == 2

    def test_it_never_stands_in_the_way_of_a_valid_token(self, auth_server, mcp_server, tmp_path):
        store = gatepass.FileStore(tmp_path / "store")
        refused = auth_for(mcp_server, by_secret("not it"), store=store)
        with pytest.raises(gatepass.RemoteError):
            refused.token()
        token = auth_for(mcp_server, store=store).token()  # the same identity, elsewhere, with the right secret
        assert refused.token() == token


class TestARotatedSecret:
    def test_a_file_with_the_new_secret_ends_the_memory_at_once(self, auth_server, mcp_server, tmp_path):
        file = tmp_path / "secret"
        file.write_text("not it\n")
        auth = auth_for(mcp_server, by_secret(gatepass.Secret.file(file)))
        assert fifty(auth) == {"invalid_client"}
        file.write_text(f"{SECRET}\n")
        assert auth.token()
        assert auth_server.count("token") == 2

    def test_so_does_the_environment(self, auth_server, mcp_server, monkeypatch):
        monkeypatch.setenv("CI_BOT_SECRET", "not it")
        auth = auth_for(mcp_server, by_secret(gatepass.Secret.env("CI_BOT_SECRET")))
        assert fifty(auth) == {"invalid_client"}
        monkeypatch.setenv("CI_BOT_SECRET", SECRET)
        assert auth.token()
        assert auth_server.count("token") == 2

    def test_a_file_that_was_missing_is_found_when_it_is_there(self, auth_server, mcp_server, tmp_path):
        auth = auth_for(mcp_server, by_secret(gatepass.Secret.file(tmp_path / "secret")))
        with pytest.raises(gatepass.ConfigurationError, match="No such file"):
            auth.token()
        (tmp_path / "secret").write_text(SECRET)
        assert auth.token()

    def test_one_that_is_rotated_during_the_request_is_read_again_once(self, auth_server, mcp_server, tmp_path):
        file = tmp_path / "secret"
        file.write_text("the old one")
        with held_back(auth_server):
            call = Background(auth_for(mcp_server, by_secret(gatepass.Secret.file(file))).token)
            eventually(lambda: auth_server.count("token") == 1, "the token was asked for")
            file.write_text(SECRET)
        assert isinstance(call.outcome(), str)
        assert auth_server.count("token") == 2


class TestARotatedKey:
    @pytest.fixture
    def key(self, auth_server, tmp_path):
        """A key file; the server has another key on its books until it is rotated."""
        file = tmp_path / "key.pem"
        file.write_text(key_material.pem("P-256", number=1))
        auth_server.add_client("key-bot", public_key=key_material.public_pem("P-256"), scopes=SCOPES)
        return file

    def test_a_file_with_the_new_key_ends_the_memory_at_once(self, auth_server, mcp_server, key):
        auth = auth_for(mcp_server, gatepass.PrivateKeyJwt("key-bot", key))
        assert fifty(auth) == {"invalid_client"}
        key.write_text(key_material.pem("P-256"))
        assert auth.token()
        assert auth_server.count("token") == 2

    def test_one_that_is_rotated_during_the_request_is_read_again_once(self, auth_server, mcp_server, key):
        with held_back(auth_server):
            call = Background(auth_for(mcp_server, gatepass.PrivateKeyJwt("key-bot", key)).token)
            eventually(lambda: auth_server.count("token") == 1, "the token was asked for")
            key.write_text(key_material.pem("P-256"))
        assert isinstance(call.outcome(), str)
        assert auth_server.count("token") == 2

    def test_a_key_that_is_rotated_on_both_sides_is_used_without_a_refusal(self, auth_server, mcp_server, key):
        key.write_text(key_material.pem("P-256"))
        auth_server.token_lifetime_s = 0
        auth = auth_for(mcp_server, gatepass.PrivateKeyJwt("key-bot", key))
        assert auth.token()
        auth_server.add_client("key-bot", public_key=key_material.public_pem("Ed25519"), scopes=SCOPES)
        key.write_text(key_material.pem("Ed25519"))
        assert auth.token()
        assert auth_server.count("token", status=401) == 0
