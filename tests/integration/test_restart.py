"""A token outlives the program that asked for it; and a store that fails costs sharing, not service."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import httpx2
import pytest
from integration.crowd import outcome_of
from integration.forks import NOBODY, in_child, needs_fork, needs_root, open_to_all
from integration.patience import eventually
from integration.visitors import PLAIN
from integration.ways_in import SECRET, auth_for, by_key, cost, hello

import gatepass
from gatepass.testing import Trouble

HERE = Path(__file__).parent
NOTHING = {"resource metadata": 0, "server metadata": 0, "token": 0}

everybody = pytest.mark.parametrize("visitor", PLAIN)


@pytest.fixture
def directory(tmp_path):
    return tmp_path / "store"


def forget(mcp_server):
    """Count from here on."""
    mcp_server.reset_counters()
    mcp_server.authorization_server.reset_counters()


def come_back(mcp_server, directory):
    """A new process, started, that gets in."""
    program = [sys.executable, HERE / "returning.py", mcp_server.url, mcp_server.authorization_server.issuer, directory]
    environment = {**os.environ, "CI_BOT_SECRET": SECRET}
    return subprocess.Popen(program, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def said(process):
    out, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, "")
    return out.strip()


def records(directory, kind):
    return sorted(directory.glob(f"{kind}.*.record"))


class TestARestart:
    @everybody
    @pytest.mark.parametrize("scopes", [None, ["mcp:read"]], ids=["unpinned", "pinned"])
    def test_with_a_stored_token_there_is_no_request_but_the_users_own(self, mcp_server, directory, visitor, scopes):
        visitor(auth_for(mcp_server, store=gatepass.FileStore(directory), scopes=scopes)).fetch(hello(mcp_server))
        forget(mcp_server)
        later = auth_for(mcp_server, store=gatepass.FileStore(directory), scopes=scopes)
        assert visitor(later).fetch(hello(mcp_server)).status_code == 200
        assert cost(mcp_server) == {"resource": 1, **NOTHING}

    def test_with_an_expired_one_there_is_one_token_request(self, auth_server, mcp_server, directory):
        auth_server.trouble = Trouble(replace={"expires_in": 1, "refresh_in": 0}, times=1)
        auth = auth_for(mcp_server, store=gatepass.FileStore(directory))
        with httpx2.Client(auth=auth) as http:
            http.get(hello(mcp_server))
        forget(mcp_server)
        store = gatepass.FileStore(directory)
        for record in records(directory, "token"):
            age(store, record.name.removesuffix(".record"), by_s=10)
        with httpx2.Client(auth=auth_for(mcp_server, store=gatepass.FileStore(directory))) as http:
            assert http.get(hello(mcp_server)).status_code == 200
        assert cost(mcp_server) == {"resource": 1, **NOTHING, "token": 1}

    def test_a_new_process_makes_no_request_but_its_own(self, mcp_server, directory):
        assert said(come_back(mcp_server, directory)) == "ci-bot"
        forget(mcp_server)
        assert said(come_back(mcp_server, directory)) == "ci-bot"
        assert cost(mcp_server) == {"resource": 1, **NOTHING}

    def test_processes_that_start_together_share_one_token_request(self, auth_server, mcp_server, directory):
        auth_server.trouble = Trouble(delay_s=0.5)
        processes = [come_back(mcp_server, directory) for _ in range(4)]
        assert [said(process) for process in processes] == ["ci-bot"] * 4
        assert auth_server.count("token") == 1

    def test_a_revoked_token_in_the_store_is_replaced_there(self, auth_server, mcp_server, directory):
        first = auth_for(mcp_server, store=gatepass.FileStore(directory)).token()
        auth_server.revoke_all()
        with httpx2.Client(auth=auth_for(mcp_server, store=gatepass.FileStore(directory))) as http:
            assert http.get(hello(mcp_server)).status_code == 200
        assert auth_server.count("token") == 2
        assert auth_for(mcp_server, store=gatepass.FileStore(directory)).token() != first
        assert auth_server.count("token") == 2

    def test_another_identity_does_not_use_it(self, auth_server, mcp_server, directory):
        store = gatepass.FileStore(directory)
        first = auth_for(mcp_server, store=store).token()
        assert auth_for(mcp_server, by_key(auth_server), store=store).token() != first
        assert auth_for(mcp_server, store=store, scopes=["mcp:read"]).token() != first
        assert auth_for(mcp_server, store=store, audience="https://else.example").token() != first

    def test_one_of_another_issuer_than_the_pinned_one_is_not_used(self, auth_server, mcp_server, directory):
        from gatepass.testing import AuthorizationServer

        store = gatepass.FileStore(directory)
        auth_for(mcp_server, store=store, issuer=None).token()
        with AuthorizationServer() as other, pytest.raises(gatepass.RemoteError) as caught:
            auth_for(mcp_server, store=store, issuer=other.issuer).token()
        assert caught.value.code == "issuer_not_listed"


def age(store, name, by_s):
    """Let a stored token be older than it is."""
    import msgspec

    entry = store.read(name)
    record = msgspec.json.decode(entry.value)
    record["obtained_at"] -= by_s
    assert store.write(name, msgspec.json.encode(record), expect=entry.version)


class TestAStoreThatFails:
    def serves(self, mcp_server, directory):
        """A new Auth on that directory gets in, and in again without another token request."""
        auth = auth_for(mcp_server, store=gatepass.FileStore(directory))
        with httpx2.Client(auth=auth) as http:
            answers = [http.get(hello(mcp_server)).status_code for _ in range(3)]
        return answers == [200] * 3 and cost(mcp_server)["token"]

    @pytest.mark.parametrize("kind", ["token", "metadata", "challenge"])
    @pytest.mark.parametrize("damage", [b"", b"garbage", b"{}", None], ids=["empty", "garbage", "JSON", "half"])
    def test_a_damaged_record_is_set_aside_and_service_goes_on(self, mcp_server, directory, caplog, kind, damage):
        assert self.serves(mcp_server, directory)
        (record,) = records(directory, kind)
        content = record.read_bytes()
        record.write_bytes(content[: len(content) // 2] if damage is None else damage)
        assert self.serves(mcp_server, directory)
        assert [file.name.partition(".corrupt-")[0] for file in directory.glob("*.corrupt-*")] == [record.stem]
        said = [each.getMessage() for each in caplog.records if each.levelname == "WARNING"]
        assert len(said) == 1
        assert str(record) in said[0]
        assert "was damaged" in said[0]
        assert self.serves(mcp_server, directory)  # by now it is whole again
        assert cost(mcp_server)["token"] == (2 if kind == "token" else 1)

    def test_a_record_of_another_shape_is_replaced(self, mcp_server, directory, caplog):
        assert self.serves(mcp_server, directory)
        (record,) = records(directory, "token")
        store = gatepass.FileStore(directory)
        entry = store.read(record.stem)
        store.write(record.stem, b'{"access_token": 7}', expect=entry.version)
        assert self.serves(mcp_server, directory) == 2
        assert "can't be read" in caplog.text
        assert self.serves(mcp_server, directory) == 2

    def test_a_file_in_place_of_the_directory_costs_one_warning(self, mcp_server, directory, caplog):
        directory.write_text("not a directory")
        self.one_warning(mcp_server, directory, caplog, str(directory), "or give FileStore another one")

    def test_a_record_that_is_a_link_is_not_followed(self, mcp_server, directory, tmp_path, caplog):
        assert self.serves(mcp_server, directory)
        (record,) = records(directory, "token")
        (tmp_path / "elsewhere").write_bytes(record.read_bytes())
        record.unlink()
        record.symlink_to(tmp_path / "elsewhere")
        before = (tmp_path / "elsewhere").read_bytes()
        self.one_warning(mcp_server, directory, caplog, str(record), "is a symbolic link. Remove it")
        assert (tmp_path / "elsewhere").read_bytes() == before

    def test_a_record_that_others_may_read_is_not_used(self, mcp_server, directory, caplog):
        assert self.serves(mcp_server, directory)
        (record,) = records(directory, "token")
        record.chmod(0o644)
        self.one_warning(mcp_server, directory, caplog, str(record), "chmod 600")

    def test_a_directory_that_others_may_write_is_not_used(self, mcp_server, directory, caplog):
        directory.mkdir()
        directory.chmod(0o777)
        self.one_warning(mcp_server, directory, caplog, str(directory), "chmod go-w")
        assert list(directory.iterdir()) == []

    @needs_root
    def test_a_directory_of_somebody_elses_is_not_used(self, mcp_server, directory, caplog):
        directory.mkdir(mode=0o700)
        os.chown(directory, NOBODY, NOBODY)
        self.one_warning(mcp_server, directory, caplog, str(directory), "Change its owner")
        assert list(directory.iterdir()) == []

    @needs_fork
    @needs_root
    @pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
    def test_a_directory_that_can_not_be_written_costs_a_warning(self, mcp_server, directory, caplog):
        assert self.serves(mcp_server, directory)  # every import is done before the user changes
        caplog.clear()

        def visit():
            return self.serves(mcp_server, closed), [record.getMessage() for record in caplog.records]

        with open_to_all() as closed:
            os.chown(closed, NOBODY, NOBODY)
            closed.chmod(0o555)
            served, warnings = in_child(visit, user=NOBODY)
            assert list(closed.iterdir()) == []
        assert served
        assert len(warnings) == 1
        assert f"The store {closed} can't be written (Permission denied)." in warnings[0]

    def one_warning(self, mcp_server, directory, caplog, *parts):
        """Service goes on, and one warning names what is wrong and what to do."""
        caplog.clear()
        assert self.serves(mcp_server, directory)
        (warning,) = [each.getMessage() for each in caplog.records if each.levelname == "WARNING"]
        for part in (*parts, "Tokens are kept in memory meanwhile."):
            assert part in warning

    def test_a_store_that_raises_anything_costs_a_warning(self, mcp_server, caplog):
        class Broken(gatepass.MemoryStore):
            shared = True

            def read(self, name):
                raise RuntimeError(name)

            write = acquire = release = read

        auth = auth_for(mcp_server, store=Broken())
        with httpx2.Client(auth=auth) as http:
            assert [http.get(hello(mcp_server)).status_code for _ in range(3)] == [200] * 3
        assert cost(mcp_server)["token"] == 1
        assert [each.getMessage() for each in caplog.records if each.levelname == "WARNING"] == [
            "The store failed with RuntimeError. Tokens are kept in memory meanwhile."
        ]

    def test_a_store_that_hangs_holds_up_a_caller_no_longer_than_its_patience(self, mcp_server):
        let_go = threading.Event()

        class Hanging(gatepass.MemoryStore):
            def read(self, name):
                let_go.wait(30)
                return super().read(name)

        auth = auth_for(mcp_server, store=Hanging(), deadline_s=0.2)
        assert outcome_of(auth.token).code == "deadline"
        let_go.set()
        eventually(lambda: isinstance(outcome_of(auth.token), str), "a token came when the store was back")
