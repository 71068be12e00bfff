"""The detector hears what leaks: each way out has a program that uses it, and that it catches."""

from __future__ import annotations

import logging
import secrets
import threading
import warnings
from base64 import b64encode, urlsafe_b64encode
from urllib.parse import quote_plus

import pytest
from security.leak_detector import Canary, Witness

LIBRARY = """
import logging, subprocess, sys, threading, warnings
log = logging.getLogger("some.library")

def local(secret):
    held = secret
    raise ValueError("no")

def hidden_context(secret):
    try:
        raise KeyError(secret)
    except KeyError:
        raise ValueError("no") from None

def noted(secret):
    error = ValueError("no")
    error.add_note(secret)
    raise error

def attribute(secret):
    error = ValueError("no")
    error.secret = secret
    raise error

def grouped(secret):
    raise ExceptionGroup("several", [ValueError("no"), KeyError(secret)])

def in_bytes(secret):
    body = secret.encode()
    raise ValueError("no")

def logged(secret):
    log.debug("sending %s", secret)

def logged_extra(secret):
    log.debug("sending", extra={"body": secret})

def logged_exception(secret):
    try:
        local(secret)
    except ValueError:
        log.exception("failed")

def in_a_thread(secret):
    thread = threading.Thread(target=local, args=(secret,))
    thread.start()
    thread.join()

def warned(secret):
    warnings.warn("do not use " + secret)

def told_to_a_process(secret):
    subprocess.run([sys.executable, "-c", "", secret], check=True)
"""
RAISING = ("local", "hidden_context", "noted", "attribute", "grouped", "in_bytes")
SILENT = ("logged", "logged_extra", "logged_exception", "in_a_thread", "warned", "told_to_a_process")


@pytest.fixture
def library():
    """A library that leaks, not made of frames of a test."""
    names = {"__name__": "leaky"}
    exec(compile(LIBRARY, "/site-packages/leaky.py", "exec"), names)
    return names


@pytest.fixture
def canary():
    return Canary(f"Canary+/{secrets.token_hex(16)}")


@pytest.mark.parametrize("way", RAISING)
def test_what_an_exception_shows_is_heard(library, canary, way):
    with Witness([canary]) as witness:
        try:
            library[way](canary.value)
        except Exception as error:  # noqa: BLE001 - of many kinds
            witness.error(error)
    assert witness.leaks()


@pytest.mark.parametrize("way", SILENT)
def test_what_is_said_aside_is_heard(library, canary, way):
    with Witness([canary]) as witness:
        library[way](canary.value)
    assert witness.leaks()


@pytest.mark.parametrize(
    "encode",
    [
        str,
        repr,
        quote_plus,
        lambda text: b64encode(f"ci-bot:{text}".encode()).decode(),
        lambda text: b64encode(f"a-bot:{text}".encode()).decode(),
        lambda text: b64encode(f"an-bot:{text}".encode()).decode(),
        lambda text: text.encode().hex(),
        lambda text: f'{{"token": "{text}"}}',
    ],
)
def test_it_is_heard_in_every_encoding_of_a_request(canary, encode):
    witness = Witness([canary])
    witness.text("somewhere", f"<{encode(canary.value)}>")
    assert witness.leaks() == ["somewhere"]


def test_a_part_that_is_secret_by_itself_is_heard():
    signature = urlsafe_b64encode(secrets.token_bytes(32)).decode()
    witness = Witness([Canary(f"aaaaaaaa.bbbbbbbb.{signature}", signature)])
    witness.text("somewhere", f"cut off: {signature}")
    assert witness.leaks()


def test_an_object_that_shows_itself_is_heard(canary):
    class Shown:
        def __init__(self, secret):
            self.secret = secret

        def __repr__(self):
            return f"Shown({self.secret})"

    witness = Witness([canary])
    witness.thing(Shown(canary.value))
    assert "the repr of Shown" in witness.leaks()


def test_an_object_that_can_be_pickled_is_heard(canary):
    witness = Witness([canary])
    witness.thing(_Pickled(canary.value))
    assert witness.leaks() == ["dumps of _Pickled"]


class _Pickled:
    def __init__(self, secret):
        self.secret = secret

    def __repr__(self):
        return "***"


def test_a_file_is_heard_and_the_one_that_is_meant_to_hold_it_is_not(canary, tmp_path):
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "record").write_text(canary.value)
    (tmp_path / "a log").write_text(f"token={canary.value}")
    witness = Witness([canary])
    witness.files(tmp_path, but=tmp_path / "store")
    assert witness.leaks() == ["the file a log"]


def test_the_name_of_a_file_is_heard_even_where_its_content_may_be_secret(canary, tmp_path):
    (tmp_path / f"token-{canary.value.encode().hex()}").write_text("")
    witness = Witness([canary])
    witness.names(tmp_path)
    assert witness.leaks() == ["the name of a file"]


def test_frames_of_the_test_itself_may_hold_it(canary):
    def holding(secret):
        raise LookupError(len(secret))

    with Witness([canary]) as witness, pytest.raises(LookupError) as caught:
        holding(canary.value)
    witness.error(caught.value)
    assert witness.leaks() == []
    assert witness.words > 0


def test_a_logger_with_a_level_of_its_own_is_heard(canary):
    shy = logging.getLogger("some.shy.library")
    shy.setLevel(logging.ERROR)
    with Witness([canary]) as witness:
        shy.debug(canary.value)
    assert witness.leaks() == ["the log of some.shy.library"]
    assert shy.level == logging.ERROR


def test_everything_is_as_it_was_afterwards(canary):
    before = (threading.excepthook, logging.getLogger().level, list(logging.getLogger().handlers), warnings.showwarning)
    with Witness([canary]):
        pass
    after = (threading.excepthook, logging.getLogger().level, list(logging.getLogger().handlers), warnings.showwarning)
    assert after == before
