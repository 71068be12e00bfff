from __future__ import annotations

import base64
import copy
import hashlib
import logging
import pickle
import re
import shutil
import subprocess
import sys
import tempfile

import pytest
from canary import assert_hidden
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import settings
from hypothesis.stateful import initialize
from stores.test_store_machine import StoreMachine

from gatepass.core.secret import Secret
from gatepass.errors import StoreError
from gatepass.stores.base import Entry
from gatepass.stores.encrypted import EncryptedStore
from gatepass.stores.file import FileStore
from gatepass.stores.memory import MemoryStore
from gatepass.testing.store_contract import (
    ManualClock,
    StoreContract,
    in_threads,
    taken,
    trace_of,
    value,
    written,
)

OLD, NEW, OTHER = (base64.b64encode(bytes([number]) * 32).decode() for number in (1, 2, 3))
CANARY = b"CANARY"


def key_id(key):
    return hashlib.sha256(b"gatepass store key 1\n" + base64.b64decode(key)).hexdigest()[:8]


@pytest.fixture
def inner():
    return MemoryStore()


def refused(step, code):
    """What a step fails with; neither a token nor a key shows in its text or in our frames."""
    with pytest.raises(StoreError) as caught:
        step()
    assert_hidden(caught.value, CANARY.decode(), OLD, NEW)
    assert caught.value.__cause__ is caught.value.__context__ is None
    assert caught.value.code == code
    return str(caught.value)


class TestOverMemory(StoreContract):
    @pytest.fixture
    def store(self, clock: ManualClock) -> EncryptedStore:
        return EncryptedStore(MemoryStore(clock=clock), OLD)


class TestOverFiles(StoreContract):
    @pytest.fixture
    def store(self, tmp_path, clock: ManualClock) -> EncryptedStore:
        (tmp_path / "key").write_text(OLD)
        return EncryptedStore(FileStore(tmp_path / "store", clock=clock), [Secret.file(tmp_path / "key"), NEW])


class EncryptedStoreMachine(StoreMachine):
    @initialize()
    def open(self) -> None:
        self.directory = tempfile.mkdtemp()
        self.sides = [EncryptedStore(FileStore(self.directory, clock=self.clock), OLD) for _ in range(2)]

    def teardown(self) -> None:
        shutil.rmtree(self.directory)


TestEncryptedStoreMachine = EncryptedStoreMachine.TestCase
TestEncryptedStoreMachine.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)


class TestWhatTheInnerStoreGets:
    def test_it_is_what_the_module_says_it_is(self, inner):
        written(EncryptedStore(inner, OLD), "token.a", CANARY, expect=0)
        line, sealed = value(inner, "token.a").split(b"\n", 1)
        assert line == b"gatepass-sealed 1 " + key_id(OLD).encode()
        cipher = AESGCM(base64.b64decode(OLD))
        assert cipher.decrypt(sealed[:12], sealed[12:], b"gatepass-sealed 1 token.a") == CANARY

    def test_records_of_today_are_opened_for_ever(self, inner):
        sealed = bytes.fromhex(
            "67617465706173732d7365616c656420312061633539653030620a1d6a00f1072957ba1eb3062cc916ee52f960edfdf9eba0fbaf36fba06fa73bf86662"
        )
        written(inner, "token.a", sealed, expect=0)
        assert value(EncryptedStore(inner, OLD), "token.a") == CANARY

    def test_the_same_record_never_looks_the_same_and_shows_only_its_size(self, inner):
        store = EncryptedStore(inner, OLD)
        seen = set()
        version = 0
        for _ in range(50):
            version = written(store, "token.a", CANARY, expect=version)
            seen.add(value(inner, "token.a"))
        assert len(seen) == 50
        assert {len(sealed) for sealed in seen} == {55 + len(CANARY)}
        assert CANARY not in b"".join(seen)

    @pytest.mark.parametrize("shared", [True, False])
    def test_it_is_shared_as_the_inner_store_is(self, tmp_path, shared):
        assert EncryptedStore(FileStore(tmp_path) if shared else MemoryStore(), OLD).shared is shared

    def test_it_is_closed_with_the_store_if_it_can_be(self, inner):
        closed = []
        store = EncryptedStore(inner, OLD)
        store.close()
        inner.close = lambda: closed.append("closed")
        store.close()
        assert closed == ["closed"]


class TestKeys:
    CONTENT = bytes(range(224, 256))

    @pytest.mark.parametrize(
        "form",
        [
            base64.b64encode(CONTENT).decode(),
            base64.urlsafe_b64encode(CONTENT).decode(),
            base64.b64encode(CONTENT).decode().rstrip("="),
            base64.urlsafe_b64encode(CONTENT).decode().rstrip("="),
            CONTENT.hex(),
            CONTENT.hex().upper(),
        ],
    )
    def test_all_forms_of_a_key_are_the_same_key(self, inner, form):
        written(EncryptedStore(inner, base64.b64encode(self.CONTENT).decode()), "token.a", b"x", expect=0)
        assert value(EncryptedStore(inner, form), "token.a") == b"x"

    @pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
    def test_what_openssl_makes_is_a_key(self, inner, tmp_path):
        made = subprocess.run(["openssl", "rand", "-base64", "32"], capture_output=True, check=True, timeout=20)
        (tmp_path / "key").write_bytes(made.stdout)
        store = EncryptedStore(inner, Secret.file(tmp_path / "key"))
        written(store, "token.a", b"x", expect=0)
        assert value(store, "token.a") == b"x"

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "open sesame",
            OLD[:-2],
            OLD + "=",
            OLD + "\n",
            " " + OLD,
            "é" * 43,
            "0" * 63,
            "0" * 65,
            "x" * 64,
            OLD * 2,
        ],
        ids=ascii,
    )
    def test_anything_else_is_none(self, inner, text, tmp_path):
        said = refused(lambda: EncryptedStore(inner, [OLD, text]), "store_key_invalid")
        assert said.startswith("The text that was given holds no key for a store: 32 bytes as base64 or hex.")
        assert text == "" or text not in said

    def test_a_reference_to_what_is_none_is_told_at_the_first_use(self, inner, monkeypatch):
        monkeypatch.setenv("STORE_KEY", "open sesame")
        store = EncryptedStore(inner, Secret.env("STORE_KEY"))
        for step in (lambda: store.read("token.a"), lambda: store.write("token.a", CANARY, expect=0)):
            said = refused(step, "store_key_invalid")
            assert "environment variable STORE_KEY holds no key" in said
            assert "open sesame" not in said

    @pytest.mark.parametrize("keys", [None, [], [None], b"x" * 32, [b"x" * 32], [OLD, None]], ids=repr)
    def test_what_can_be_no_key_is_refused_at_once(self, inner, keys):
        assert "takes a key or several" in refused(lambda: EncryptedStore(inner, keys), "store_key_invalid")

    @pytest.mark.parametrize(
        ("secret", "what"),
        [
            (Secret.env("NOT_SET"), "The environment variable NOT_SET is not set."),
            (Secret.file("/not/there"), "The file /not/there can't be read"),
            (Secret.command([sys.executable, "-c", "exit(3)"]), "gave no secret: it ended with exit code 3."),
        ],
        ids=["variable", "file", "command"],
    )
    def test_without_its_key_nothing_is_read_or_written(self, inner, secret, what):
        version = written(inner, "token.a", b"as it was", expect=0)
        store = EncryptedStore(inner, secret)
        for step in (
            lambda: store.read("token.a"),
            lambda: store.read("token.b"),
            lambda: store.write("token.a", CANARY, expect=version),
            lambda: store.write("token.b", CANARY, expect=0),
        ):
            assert what in refused(step, "store_key_missing")
        assert inner.read("token.a") == Entry(version=version, value=b"as it was")
        assert inner.read("token.b") is None

    def test_leases_and_deletions_need_no_key(self, inner):
        store = EncryptedStore(inner, Secret.env("NOT_SET"))
        version = written(inner, "token.a", b"x", expect=0)
        lease = taken(store, "token.a", "one", 30)
        assert store.holder("token.a") == inner.holder("token.a") == lease
        store.release(lease)
        assert store.delete("token.a", expect=version)

    def test_making_a_store_reads_no_key_and_imports_nothing_dear(self):
        program = (
            "import sys; from gatepass.stores.encrypted import EncryptedStore; from gatepass.core.secret import Secret;"
            "from gatepass.stores.memory import MemoryStore;"
            "keys = [Secret.env('NOT_SET'), Secret.command(['nothing']), Secret.keyring('a', 'b')];"
            "EncryptedStore(MemoryStore(), keys);"
            "print([name for name in ('cryptography', 'keyring', 'subprocess') if name in sys.modules])"
        )
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=20)
        assert done.stdout == "[]\n"


class TestARecordOfAnotherKey:
    def test_it_is_an_error_that_says_which_key_is_wanted(self, inner):
        written(EncryptedStore(inner, OTHER), "token.a", CANARY, expect=0)
        said = refused(lambda: EncryptedStore(inner, [NEW, OLD]).read("token.a"), "store_key_unknown")
        assert f"sealed with the key {key_id(OTHER)}, and what is given is {key_id(NEW)}, {key_id(OLD)}." in said

    def test_it_is_not_replaced_by_who_has_seen_none_and_can_be_removed(self, inner):
        version = written(EncryptedStore(inner, OTHER), "token.a", b"theirs", expect=0)
        store = EncryptedStore(inner, OLD)
        assert store.write("token.a", b"mine", expect=0) is None
        assert value(EncryptedStore(inner, OTHER), "token.a", version) == b"theirs"
        assert store.delete("token.a")
        assert store.read("token.a") is None


class TestRotation:
    def test_the_first_key_seals_and_each_one_opens(self, inner):
        written(EncryptedStore(inner, OLD), "token.old", b"old", expect=0)
        both = EncryptedStore(inner, [NEW, OLD])
        assert value(both, "token.old") == b"old"
        written(both, "token.new", b"new", expect=0)
        assert value(EncryptedStore(inner, NEW), "token.new") == b"new"
        refused(lambda: EncryptedStore(inner, OLD).read("token.new"), "store_key_unknown")

    def test_what_another_key_opens_is_sealed_with_the_first_from_then_on(self, inner):
        first = written(EncryptedStore(inner, OLD), "token.a", b"x", expect=0)
        entry = EncryptedStore(inner, [NEW, OLD]).read("token.a")
        assert entry.value == b"x"
        assert entry.version > first
        assert EncryptedStore(inner, NEW).read("token.a") == entry

    def test_a_record_that_is_about_to_be_written_is_let_alone(self, inner):
        version = written(EncryptedStore(inner, OLD), "token.a", b"x", expect=0)
        lease = taken(inner, "token.a", "one", 30)
        both = EncryptedStore(inner, [NEW, OLD])
        assert both.read("token.a") == Entry(version=version, value=b"x")
        assert value(EncryptedStore(inner, OLD), "token.a", version) == b"x"
        assert written(both, "token.a", b"y", expect=version) > version
        inner.release(lease)
        assert value(EncryptedStore(inner, NEW), "token.a") == b"y"

    def test_whoever_writes_meanwhile_wins(self, inner):
        version = written(EncryptedStore(inner, OLD), "token.a", b"x", expect=0)

        class Busy(MemoryStore):
            def holder(self, name):
                written(EncryptedStore(inner, NEW), name, b"theirs", expect=version)
                return super().holder(name)

        busy = Busy()
        busy._cells = inner._cells
        assert EncryptedStore(busy, [NEW, OLD]).read("token.a") == Entry(version=version, value=b"x")
        assert value(EncryptedStore(inner, NEW), "token.a") == b"theirs"

    @pytest.mark.parametrize("step", ["holder", "write"])
    def test_a_store_that_can_not_be_written_is_read_all_the_same(self, inner, step, monkeypatch):
        version = written(EncryptedStore(inner, OLD), "token.a", b"x", expect=0)

        def full(*_arguments, **_more):
            raise StoreError("No room.", code="store_full")

        monkeypatch.setattr(inner, step, full)
        assert EncryptedStore(inner, [NEW, OLD]).read("token.a") == Entry(version=version, value=b"x")

    def test_a_key_that_is_left_out_of_its_place_matters_when_it_is_wanted(self, inner):
        written(EncryptedStore(inner, NEW), "token.new", b"x", expect=0)
        written(EncryptedStore(inner, OTHER), "token.other", b"x", expect=0)
        store = EncryptedStore(inner, [NEW, Secret.env("NOT_SET")])
        assert value(store, "token.new") == b"x"
        assert "NOT_SET" in refused(lambda: store.read("token.other"), "store_key_missing")

    def test_a_file_that_holds_another_key_now_is_found_without_a_restart(self, inner, tmp_path):
        new, old = tmp_path / "key", tmp_path / "old"
        new.write_text(OLD)
        old.write_text(OLD)
        store = EncryptedStore(inner, [Secret.file(new), Secret.file(old)])
        written(store, "token.a", b"x", expect=0)
        new.write_text(NEW)
        assert value(store, "token.a") == b"x"
        assert value(EncryptedStore(inner, NEW), "token.a") == b"x"


class Command:
    """A command that prints what stands in a file, and how often it was run."""

    def __init__(self, directory):
        self.said = directory / "said"
        self.runs = directory / "runs"
        self.runs.touch()
        program = (
            f"import pathlib; open({str(self.runs)!r}, 'a').write('x');"
            f"print(pathlib.Path({str(self.said)!r}).read_text())"
        )
        self.secret = Secret.command([sys.executable, "-c", program])

    @property
    def count(self):
        return len(self.runs.read_text())


@pytest.fixture
def command(tmp_path):
    return Command(tmp_path)


class TestAKeyThatIsDearToAskFor:
    """A command takes its time, and a keyring may ask a person."""

    def test_it_is_asked_for_once_whoever_wants_it(self, inner, command):
        command.said.write_text(OLD)
        store = EncryptedStore(inner, command.secret)
        in_threads([lambda: store.read("token.a")] * 4)
        written(store, "token.a", b"x", expect=0)
        assert value(store, "token.a") == b"x"
        assert command.count == 1

    def test_it_is_asked_for_again_when_a_record_wants_another_but_not_all_the_time(self, inner, command):
        clock = ManualClock()
        command.said.write_text(OLD)
        store = EncryptedStore(inner, command.secret, clock=clock)
        assert store.read("token.a") is None
        written(EncryptedStore(inner, NEW), "token.a", b"x", expect=0)
        refused(lambda: store.read("token.a"), "store_key_unknown")
        assert command.count == 1
        clock.advance(60)
        refused(lambda: store.read("token.a"), "store_key_unknown")
        refused(lambda: store.read("token.a"), "store_key_unknown")
        assert command.count == 2
        command.said.write_text(NEW)
        clock.advance(60)
        assert value(store, "token.a") == b"x"
        assert command.count == 3

    def test_one_that_fails_is_let_alone_for_a_while(self, inner, command):
        clock = ManualClock()
        store = EncryptedStore(inner, command.secret, clock=clock)
        for _ in range(3):
            refused(lambda: store.read("token.a"), "store_key_missing")
        assert command.count == 1
        command.said.write_text(OLD)
        clock.advance(60)
        assert store.read("token.a") is None
        assert command.count == 2

    def test_a_key_that_is_known_serves_while_another_can_not_be_had(self, inner, command):
        clock = ManualClock()
        command.said.write_text(OLD)
        store = EncryptedStore(inner, command.secret, clock=clock)
        written(store, "token.a", b"x", expect=0)
        written(EncryptedStore(inner, NEW), "token.b", b"x", expect=0)
        command.said.unlink()
        clock.advance(60)
        refused(lambda: store.read("token.b"), "store_key_unknown")
        assert value(store, "token.a") == b"x"
        assert command.count == 2


class TestWhatDoesNotOpen:
    def told(self, caplog):
        return [(record.name, record.gatepass_code) for record in caplog.records]

    def test_a_plain_record_is_told_of_once_not_used_and_replaced(self, inner, caplog):
        version = written(inner, "token.a", CANARY, expect=0)
        store = EncryptedStore(inner, OLD)
        for _ in range(3):
            assert store.read("token.a") == Entry(version=version, value=b"")
        assert self.told(caplog) == [("gatepass.store", "store_record_unsealed")]
        assert "The record token.a in MemoryStore(1 names) is not encrypted" in caplog.text
        assert CANARY.decode() not in caplog.text
        assert store.write("token.a", b"x", expect=0) is None
        assert written(store, "token.a", b"x", expect=version) > version
        assert value(store, "token.a") == b"x"

    def test_a_plain_record_that_comes_later_is_told_of_again(self, inner, caplog):
        version = written(inner, "token.a", b"{}", expect=0)
        store = EncryptedStore(inner, OLD)
        store.read("token.a")
        written(inner, "token.a", b"{}", expect=version)
        store.read("token.a")
        assert self.told(caplog) == [("gatepass.store", "store_record_unsealed")] * 2

    @pytest.mark.parametrize("change", ["written", "deleted"])
    def test_whoever_changes_a_plain_record_meanwhile_wins(self, inner, change):
        version = written(inner, "token.a", b"plain", expect=0)
        store = EncryptedStore(inner, OLD)
        store.read("token.a")
        if change == "written":
            written(inner, "token.a", b"theirs", expect=version)
        else:
            inner.delete("token.a")
        assert store.write("token.a", b"late", expect=version) is None
        entry = inner.read("token.a")
        assert (entry and entry.value) == (b"theirs" if change == "written" else None)

    def test_a_record_that_was_copied_to_another_name_does_not_open_there(self, inner, caplog):
        store = EncryptedStore(inner, OLD)
        written(store, "token.a", CANARY, expect=0)
        version = written(inner, "token.b", value(inner, "token.a"), expect=0)
        assert store.read("token.b") == Entry(version=version, value=b"")
        assert self.told(caplog) == [("gatepass.store", "store_record_corrupt")]
        assert value(store, "token.a") == CANARY

    def test_no_damage_goes_unnoticed(self, inner, caplog):
        caplog.set_level(logging.CRITICAL)
        store = EncryptedStore(inner, OLD)
        version = written(store, "token.a", CANARY, expect=0)
        sealed = value(inner, "token.a")
        damaged = [sealed[:length] for length in range(len(sealed))] + [sealed + b"\0"]
        damaged += [
            sealed[:place] + bytes([sealed[place] ^ bit]) + sealed[place + 1 :]
            for place in range(len(sealed))
            for bit in (1, 128)
        ]
        for content in damaged:
            version = written(inner, "token.a", content, expect=version)
            if re.match(rb"gatepass-sealed 1 (?!%b)[0-9a-f]{8}\n" % key_id(OLD).encode(), content):
                refused(lambda: store.read("token.a"), "store_key_unknown")
            else:
                assert store.read("token.a") == Entry(version=version, value=b"")
        assert len(damaged) == 3 * len(sealed) + 1

    def test_what_is_replaced_leaves_nothing_on_the_disk(self, tmp_path):
        home = tmp_path / "store"
        plain = FileStore(home)
        version = written(plain, "token.a", CANARY, expect=0)
        for left in ("token.a.corrupt-1795409909", f"token.a.{'0' * 16}.tmp"):
            (home / left).write_bytes(CANARY)
        store = EncryptedStore(FileStore(home), OLD)
        assert store.read("token.a").value == b""
        written(store, "token.a", CANARY, expect=version)
        assert sorted(path.name for path in home.iterdir()) == ["token.a.lock", "token.a.record"]
        assert CANARY not in (home / "token.a.record").read_bytes()
        assert value(store, "token.a") == CANARY


class TestWhatMustNotShow:
    def test_its_repr_is_the_inner_store_and_the_number_of_keys(self, inner):
        assert repr(EncryptedStore(inner, OLD)) == "EncryptedStore(MemoryStore(0 names), 1 key)"
        assert repr(EncryptedStore(inner, [NEW, OLD])) == "EncryptedStore(MemoryStore(0 names), 2 keys)"

    @pytest.mark.parametrize("spread", [pickle.dumps, copy.copy, copy.deepcopy])
    def test_it_can_not_be_pickled_or_copied(self, inner, spread):
        with pytest.raises(TypeError, match="can't be pickled") as caught:
            spread(EncryptedStore(inner, OLD))
        assert OLD not in str(caught.value)

    def test_a_traceback_that_shows_locals_shows_neither_value_nor_key(self, inner, monkeypatch):
        def fail(*_arguments, **_more):
            raise StoreError("The disk is gone.", code="store_failed")

        keys = EncryptedStore(inner, [NEW, OLD]), EncryptedStore(inner, OTHER)
        version = written(keys[0], "token.a", CANARY, expect=0)
        written(inner, "token.plain", CANARY, expect=0)
        shown = [
            trace_of(lambda: keys[1].read("token.a")),
            trace_of(lambda: EncryptedStore(inner, [OLD, "CANARY-and-no-key"])),
            trace_of(lambda: EncryptedStore(inner, [OLD, b"CANARY"])),
            trace_of(lambda: EncryptedStore(inner, Secret.env("NOT_SET")).write("token.a", CANARY, expect=0)),
        ]
        monkeypatch.setattr(inner, "write", fail)
        shown += [trace_of(lambda: keys[0].write("token.a", CANARY, expect=version))]
        monkeypatch.setattr(inner, "delete", fail)
        plain = keys[0].read("token.plain").version
        shown += [trace_of(lambda: keys[0].write("token.plain", CANARY, expect=plain))]
        for text in shown:
            assert "encrypted.py" in text
            assert "CANARY" not in text
            assert OLD not in text
            assert NEW not in text
