from __future__ import annotations

import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from canary import assert_hidden
from key_material import jwk, pem, private_key, verifies

import gatepass.keys
from gatepass.core.secret import EnvReference, FileReference, Secret
from gatepass.core.world import PrivateKey
from gatepass.errors import ConfigurationError
from gatepass.signers import key_ring
from gatepass.signers.key_ring import KeyRing


class Reveals:
    """Reads secrets, and counts how often it had to."""

    def __init__(self, **variables: str) -> None:
        self.variables = variables
        self.count = 0

    def __call__(self, secret: Secret) -> str:
        self.count += 1
        match secret.reference:
            case None:
                return secret.reveal()
            case FileReference(path):
                return Path(path).read_text("utf-8")
            case EnvReference(name):
                return self.variables[name]
            case other:
                raise AssertionError(other)


@pytest.fixture
def parses(monkeypatch):
    """What was parsed."""
    parsed: list[str] = []
    real = gatepass.keys.parse_private_key

    def counting(text, password, *, origin):
        parsed.append(origin)
        return real(text, password, origin=origin)

    monkeypatch.setattr(gatepass.keys, "parse_private_key", counting)
    return parsed


def belongs_to(signer, number: int) -> bool:
    return verifies("ES256", private_key("P-256", number).public_key(), b"data", signer.sign("ES256", b"data"))


def file_key(path: Path, password: Secret | None = None) -> PrivateKey:
    return PrivateKey(text=Secret.file(path), password=password)


def test_a_signer_is_returned_as_it_is():
    signer = KeyRing().signer(PrivateKey(text=Secret(pem("P-256"))), Reveals())
    assert KeyRing().signer(signer, Reveals()) is signer


def test_a_file_is_read_and_parsed_once(tmp_path, parses):
    path = tmp_path / "ci-bot.pem"
    path.write_text(pem("P-256"))
    ring, reveal, key = KeyRing(), Reveals(), file_key(path)
    first = ring.signer(key, reveal)
    assert all(ring.signer(key, reveal) is first for _ in range(5))
    assert belongs_to(first, 0)
    assert reveal.count == 1
    assert parses == [f"file {path}"]


def test_a_file_that_was_replaced_is_read_again(tmp_path):
    path, new = tmp_path / "ci-bot.pem", tmp_path / "new.pem"
    path.write_text(pem("P-256"))
    ring, reveal, key = KeyRing(), Reveals(), file_key(path)
    assert belongs_to(ring.signer(key, reveal), 0)
    new.write_text(pem("P-256", number=1))
    os.utime(new, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
    new.replace(path)
    assert belongs_to(ring.signer(key, reveal), 1)
    assert reveal.count == 2


def test_a_file_that_was_written_again_is_read_again(tmp_path):
    path = tmp_path / "ci-bot.pem"
    path.write_text(pem("P-256"))
    ring, key = KeyRing(), file_key(path)
    assert belongs_to(ring.signer(key, Reveals()), 0)
    path.write_text(pem("P-256", number=1))
    os.utime(path, ns=(0, 1))
    assert belongs_to(ring.signer(key, Reveals()), 1)


def test_a_link_that_points_elsewhere_is_followed(tmp_path):
    for number in (0, 1):
        (tmp_path / f"{number}.pem").write_text(pem("P-256", number=number))
    link = tmp_path / "ci-bot.pem"
    link.symlink_to("0.pem")
    ring, key = KeyRing(), file_key(link)
    assert belongs_to(ring.signer(key, Reveals()), 0)
    link.unlink()
    link.symlink_to("1.pem")
    assert belongs_to(ring.signer(key, Reveals()), 1)


def test_a_file_that_was_only_touched_is_read_but_not_parsed_again(tmp_path, parses):
    path = tmp_path / "ci-bot.pem"
    path.write_text(pem("P-256"))
    ring, reveal, key = KeyRing(), Reveals(), file_key(path)
    first = ring.signer(key, reveal)
    os.utime(path, ns=(0, 1))
    assert ring.signer(key, reveal) is first
    assert reveal.count == 2
    assert len(parses) == 1


def test_refresh_reads_a_file_again_whatever_its_state_says(tmp_path, parses):
    path = tmp_path / "ci-bot.pem"
    path.write_text(pem("P-256"))
    ring, reveal, key = KeyRing(), Reveals(), file_key(path)
    first = ring.signer(key, reveal)
    ring.refresh()
    assert ring.signer(key, reveal) is first
    assert reveal.count == 2
    assert len(parses) == 1


def test_another_secret_is_revealed_each_time_and_parsed_when_it_changes(parses):
    reveal = Reveals(KEY=pem("P-256"))
    ring, key = KeyRing(), PrivateKey(text=Secret.env("KEY"))
    first = ring.signer(key, reveal)
    assert ring.signer(key, reveal) is first
    reveal.variables["KEY"] = pem("P-256", number=1)
    assert belongs_to(ring.signer(key, reveal), 1)
    reveal.variables["KEY"] = pem("P-256")
    assert ring.signer(key, reveal) is first
    assert parses == ["environment variable KEY"] * 2


def test_one_key_that_is_configured_twice_is_parsed_once(tmp_path, parses):
    path = tmp_path / "ci-bot.pem"
    path.write_text(pem("P-256"))
    ring = KeyRing()
    signers = {
        id(ring.signer(key, Reveals()))
        for key in (file_key(path), file_key(path), PrivateKey(text=Secret(pem("P-256"))))
    }
    assert len(signers) == 1
    assert len(parses) == 1


def test_a_password_opens_the_key_and_a_wrong_one_does_not_open_it_from_memory(tmp_path):
    path = tmp_path / "ci-bot.pem"
    path.write_text(pem("P-256", password="right"))
    ring = KeyRing()
    assert belongs_to(ring.signer(file_key(path, Secret("right")), Reveals()), 0)
    with pytest.raises(ConfigurationError) as caught:
        ring.signer(file_key(path, Secret("canary-wrong")), Reveals())
    assert caught.value.code == "key_password_wrong"
    assert str(path) in str(caught.value)
    assert_hidden(caught.value, "canary-wrong", path.read_text().splitlines()[1])


def test_text_and_password_are_told_apart():
    ring = KeyRing()
    assert ring._name("ab", "c") != ring._name("a", "bc")
    assert ring._name("ab", None) != ring._name("a", "b")
    assert ring._name("ab", "c") == ring._name("ab", "c")
    assert ring._name("ab", "c") != KeyRing()._name("ab", "c")


@pytest.mark.parametrize(
    ("name", "reason"),
    [("missing.pem", "No such file"), ("plain/ci-bot.pem", "Not a directory"), ("a\0b", "not a path")],
)
def test_a_file_that_is_not_there_is_named(tmp_path, name, reason):
    (tmp_path / "plain").write_text("")
    with pytest.raises(ConfigurationError) as caught:
        KeyRing().signer(PrivateKey(text=Secret.file(f"{tmp_path}/{name}")), Reveals())
    assert caught.value.code == "key_file_unreadable"
    assert str(tmp_path) in str(caught.value)
    assert reason in str(caught.value)
    assert caught.value.__context__ is None


def test_a_file_that_disappears_is_an_error_and_back_again_a_key(tmp_path):
    path = tmp_path / "ci-bot.pem"
    path.write_text(pem("P-256"))
    ring, key = KeyRing(), file_key(path)
    ring.signer(key, Reveals())
    path.unlink()
    with pytest.raises(ConfigurationError):
        ring.signer(key, Reveals())
    path.write_text(pem("P-256", number=1))
    os.utime(path, ns=(0, 1))  # its inode and the tick of the clock may be those of the first
    assert belongs_to(ring.signer(key, Reveals()), 1)


def test_a_key_that_will_not_do_is_looked_at_again_next_time(tmp_path):
    path = tmp_path / "ci-bot.pem"
    path.write_text("not yet")
    ring, key = KeyRing(), file_key(path)
    for _ in range(2):
        with pytest.raises(ConfigurationError) as caught:
            ring.signer(key, Reveals())
        assert caught.value.code == "key_invalid"
    path.write_text(pem("P-256"))
    assert belongs_to(ring.signer(key, Reveals()), 0)


def test_an_error_about_a_key_holds_nothing_of_it():
    text = pem("P-256", password="right")
    with pytest.raises(ConfigurationError) as caught:
        KeyRing().signer(PrivateKey(text=Secret(text), password=Secret("canary-wrong")), Reveals())
    assert_hidden(caught.value, "canary-wrong", text.splitlines()[1])


def test_the_ring_holds_no_text_and_does_not_grow_without_end(monkeypatch):
    monkeypatch.setattr(key_ring, "_KEYS_MAX", 3)
    ring, reveal = KeyRing(), Reveals()
    for number in range(5):
        ring.signer(PrivateKey(text=Secret(pem("P-256", number=number))), reveal)
    assert len(ring._by_text) == 3
    assert repr(ring) == "KeyRing(3 keys)"
    held = repr(vars(ring))
    assert not any(pem("P-256", number=number).splitlines()[1] in held for number in range(5))


def test_a_slow_read_of_one_key_does_not_hold_up_another(tmp_path):
    ring = KeyRing()
    reading, go_on = threading.Event(), threading.Event()

    def slow(secret: Secret) -> str:
        reading.set()
        assert go_on.wait(30)
        return secret.reveal()

    with ThreadPoolExecutor(1) as pool:
        hanging = pool.submit(ring.signer, PrivateKey(text=Secret(pem("P-256"))), slow)
        assert reading.wait(30)
        assert belongs_to(ring.signer(PrivateKey(text=Secret(pem("P-256", number=1))), Reveals()), 1)
        ring.refresh()
        go_on.set()
        assert belongs_to(hanging.result(30), 0)


def test_threads_that_want_the_same_key_all_get_it(tmp_path):
    path = tmp_path / "ci-bot.pem"
    path.write_text(pem("P-256"))
    ring, key = KeyRing(), file_key(path)
    barrier = threading.Barrier(8)

    def use(_: int) -> bool:
        barrier.wait(30)
        return belongs_to(ring.signer(key, Reveals()), 0)

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(use, range(8))) == [True] * 8


def test_a_jwk_in_a_file_is_read_too(tmp_path):
    path = tmp_path / "ci-bot.json"
    path.write_text(json.dumps(jwk("P-256", kid="mine")))
    assert KeyRing().signer(file_key(path), Reveals()).public_jwk["kid"] == "mine"
