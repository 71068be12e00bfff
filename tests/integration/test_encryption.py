"""What is kept can be read with its key only; and trouble with a key costs sharing, not service."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest
from integration.patience import eventually
from integration.people import Person
from integration.ways_in import SECRET, auth_for, cost, hello
from security.leak_detector import Canary, Witness

import gatepass
from gatepass.testing import AuthorizationServer, ProtectedServer, Trouble

HERE = Path(__file__).parent
OLD, NEW, OTHER = (base64.b64encode(os.urandom(32)).decode() for _ in range(3))
NOTHING = {"resource metadata": 0, "server metadata": 0, "token": 0}
SCOPES = ("mcp:read", "mcp:write", "offline_access")


@pytest.fixture
def directory(tmp_path):
    return tmp_path / "store"


def sealed(directory, *keys):
    return gatepass.EncryptedStore(gatepass.FileStore(directory), keys or OLD)


def get_in(mcp_server, store):
    """A new Auth on that store gets in; the token it used."""
    auth = auth_for(mcp_server, store=store)
    with httpx2.Client(auth=auth) as http:
        assert http.get(hello(mcp_server)).status_code == 200
    return auth.token()


def come_back(mcp_server, directory, *keys):
    """A new process that gets in, with those keys in that order; without any, by its keyring. What it warned of."""
    issuer = mcp_server.authorization_server.issuer
    program = [sys.executable, HERE / "returning_sealed.py", mcp_server.url, issuer, directory, *keys]
    environment = {**os.environ, "CI_BOT_SECRET": SECRET, "OLD": OLD, "NEW": NEW, "OTHER": OTHER}
    done = subprocess.run(program, env=environment, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stdout) == (0, "ci-bot\n")
    return done.stderr


def forget(mcp_server):
    """Count from here on."""
    mcp_server.reset_counters()
    mcp_server.authorization_server.reset_counters()


def found(secrets, directory):
    """Those that stand in the clear in some file."""
    content = b"\n".join(file.read_bytes() for file in directory.iterdir())
    return [secret for secret in secrets if secret.encode() in content]


def warnings(caplog):
    return [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]


class TestTheSameKey:
    def test_a_restart_makes_no_request_but_its_own(self, mcp_server, directory):
        assert come_back(mcp_server, directory, "OLD") == ""
        forget(mcp_server)
        assert come_back(mcp_server, directory, "OLD") == ""
        assert cost(mcp_server) == {"resource": 1, **NOTHING}

    def test_a_key_is_rotated_and_no_program_notices(self, mcp_server, directory):
        get_in(mcp_server, sealed(directory, OLD))
        forget(mcp_server)
        for keys in (["OLD", "NEW"], ["NEW", "OLD"], ["OLD", "NEW"], ["NEW", "OLD"], ["NEW"]):
            assert come_back(mcp_server, directory, *keys) == ""
        assert cost(mcp_server) == {"resource": 5, **NOTHING}


class TestASignInThatIsKept:
    """A person's token, the client that registered itself for it, and the key that it is bound to."""

    @pytest.fixture
    def auth_server(self):
        with AuthorizationServer(
            authorization_endpoint=True, registration=True, refresh_tokens="rotating", scopes=SCOPES, dpop="optional"
        ) as server:
            server.trouble = Trouble(
                replace={"token_endpoint_auth_methods_supported": ["client_secret_basic"]}, paths=("metadata",)
            )
            yield server

    @pytest.fixture
    def mcp_server(self, auth_server):
        with ProtectedServer(auth_server, scopes=("mcp:read",)) as server:
            yield server

    @pytest.fixture
    def person(self):
        return Person()

    def sign_in(self, mcp_server, person, store):
        way_in = gatepass.AuthorizationCode(ask=person, subject="alice")
        issuer = mcp_server.authorization_server.issuer
        auth = gatepass.Auth(mcp_server.url, way_in, issuer=issuer, store=store, dpop=True)
        with httpx2.Client(auth=auth) as http:
            assert http.get(hello(mcp_server)).status_code == 200

    def secrets(self, directory, store):
        """All that must not be found."""
        records = {file.name.partition(".")[0]: store.read(file.stem).value for file in directory.glob("*.record")}
        token, registration, key = (json.loads(records[kind]) for kind in ("token", "registration", "key"))
        secret = (token["access_token"], token["refresh_token"], registration["client_secret"])
        return [*secret, json.loads(key["jwk"])["d"]]

    def test_no_secret_stands_on_the_disk(self, mcp_server, person, directory):
        store = sealed(directory)
        self.sign_in(mcp_server, person, store)
        secrets = self.secrets(directory, store)
        key = base64.b64decode(OLD)
        witness = Witness([*map(Canary, secrets), Canary(OLD, key.hex(), key.decode("latin-1"))])
        witness.files(directory)
        witness.thing(store)
        assert witness.leaks() == []
        witness.text("the test itself", secrets[1])
        assert witness.leaks() == ["the test itself"]

    def test_nor_what_stood_there_before_once_it_is_replaced(self, mcp_server, person, directory):
        self.sign_in(mcp_server, person, gatepass.FileStore(directory))
        token, refresh_token, client_secret, key = self.secrets(directory, gatepass.FileStore(directory))
        for file in (*directory.glob("token.*.record"), *directory.glob("key.*.record")):
            for left in (f"{file.stem}.corrupt-1795409909", f"{file.stem}.{'0' * 16}.tmp"):
                (directory / left).write_bytes(file.read_bytes())
        assert found([token, refresh_token, client_secret, key], directory) == [
            token,
            refresh_token,
            client_secret,
            key,
        ]
        self.sign_in(mcp_server, person, sealed(directory))
        assert found([token, refresh_token, key], directory) == []
        assert {file.suffix for file in directory.iterdir()} == {".lock", ".record"}
        assert person.asked == 2

    def test_what_a_program_reads_is_sealed_with_the_new_key_from_then_on(self, mcp_server, person, directory):
        for keys in ([OLD], [NEW, OLD], [NEW]):
            self.sign_in(mcp_server, person, sealed(directory, *keys))
        assert person.asked == 1
        assert mcp_server.authorization_server.count("token") == 1
        assert len(self.secrets(directory, sealed(directory, NEW, OLD))) == 4


class TestPlainRecords:
    def test_they_are_told_of_and_replaced_and_all_is_well_from_then_on(self, mcp_server, directory, caplog):
        first = get_in(mcp_server, gatepass.FileStore(directory))
        assert found([first], directory) == [first]
        second = get_in(mcp_server, sealed(directory))
        assert second != first
        assert found([first], directory) == []
        told = [record.gatepass_code for record in caplog.records if record.name == "gatepass.store"]
        assert told == ["store_record_unsealed"] * 3
        caplog.clear()
        forget(mcp_server)
        assert get_in(mcp_server, sealed(directory)) == second
        assert cost(mcp_server) == {"resource": 1, **NOTHING}
        assert warnings(caplog) == []


class TestAnotherKey:
    def test_service_goes_on_and_the_record_is_still_there(self, mcp_server, directory, caplog):
        kept = get_in(mcp_server, sealed(directory))
        before = {file.name: file.read_bytes() for file in directory.glob("*.record")}
        forget(mcp_server)
        auth = auth_for(mcp_server, store=sealed(directory, OTHER))
        with httpx2.Client(auth=auth) as http:
            assert [http.get(hello(mcp_server)).status_code for _ in range(3)] == [200] * 3
        assert cost(mcp_server)["token"] == 1
        (warning,) = warnings(caplog)
        assert "was sealed with the key" in warning
        assert warning.endswith("Tokens are kept in memory meanwhile.")
        assert {file.name: file.read_bytes() for file in directory.glob("*.record")} == before
        assert get_in(mcp_server, sealed(directory)) == kept

    def test_many_renewals_do_not_replace_it(self, auth_server, mcp_server, directory, monkeypatch):
        monkeypatch.setattr("gatepass.engine.shelf._REST_S", 0.0)
        kept = get_in(mcp_server, sealed(directory))
        auth_server.trouble = Trouble(replace={"expires_in": 1, "refresh_in": 0})
        auth = auth_for(mcp_server, store=sealed(directory, OTHER))
        tokens = {auth.token()}
        eventually(lambda: tokens.add(auth.token()) or len(tokens) > 2, "renewals")
        assert get_in(mcp_server, sealed(directory)) == kept

    def test_to_forget_the_token_removes_it(self, mcp_server, directory):
        get_in(mcp_server, sealed(directory))
        auth = auth_for(mcp_server, store=sealed(directory, OTHER))
        auth.forget()
        (record,) = directory.glob("token.*.record")
        assert gatepass.FileStore(directory).read(record.stem) is None


class TestNoKey:
    @pytest.mark.parametrize("text", [None, "open sesame"], ids=["not set", "none"])
    def test_service_goes_on_and_nothing_is_written(self, mcp_server, directory, monkeypatch, caplog, text):
        if text is not None:
            monkeypatch.setenv("STORE_KEY", text)
        auth = auth_for(mcp_server, store=sealed(directory, gatepass.Secret.env("STORE_KEY")))
        with httpx2.Client(auth=auth) as http:
            assert [http.get(hello(mcp_server)).status_code for _ in range(3)] == [200] * 3
        assert cost(mcp_server)["token"] == 1
        assert list(directory.glob("*.record")) == []
        (warning,) = warnings(caplog)
        assert "STORE_KEY" in warning
        assert "open sesame" not in warning


class TestTheKeyring:
    def test_it_gives_the_secret_of_the_client_and_the_key_of_the_store(
        self, mcp_server, directory, tmp_path, monkeypatch
    ):
        for name in ("HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"):
            monkeypatch.setenv(name, str(tmp_path))
        monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyrings.alt.file.PlaintextKeyring")
        for entry, secret in (("ci-bot", SECRET), ("store", OLD)):
            command = [sys.executable, "-m", "keyring", "set", "gatepass", entry]
            subprocess.run(command, input=secret, capture_output=True, text=True, timeout=30, check=True)
        assert come_back(mcp_server, directory) == ""
        forget(mcp_server)
        assert come_back(mcp_server, directory) == ""
        assert cost(mcp_server) == {"resource": 1, **NOTHING}
        assert get_in(mcp_server, sealed(directory, OLD))
        assert mcp_server.authorization_server.count("token") == 0
