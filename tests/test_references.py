"""Secrets in the keyring of the system, each in a process of its own. The other places: engine/test_world.py."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gatepass.core.secret import Secret
from gatepass.errors import ConfigurationError

CANARY = "c4n4ry"
IN_A_FILE = "keyrings.alt.file.PlaintextKeyring"

ODD_KEYRINGS = f"""
from keyring.backend import KeyringBackend
from keyring.errors import KeyringLocked


class Locked(KeyringBackend):
    priority = 1

    def get_password(self, service, username):
        raise KeyringLocked("{CANARY}")

    set_password = get_password


class Broken(KeyringBackend):
    priority = 1

    def get_password(self, service, username):
        raise RuntimeError("{CANARY}")

    set_password = get_password
"""

PROGRAM = """
import sys
sys.path.insert(0, {tests!r})
from canary import assert_hidden
from gatepass.core.secret import Secret
from gatepass.errors import ConfigurationError
from gatepass.references import read

{before}
try:
    print(ascii(read(Secret.keyring("gatepass", "ci-bot").reference)))
except ConfigurationError as error:
    assert error.__context__ is None
    assert_hidden(error, {canary!r})
    print(error.code, error)
"""


@pytest.fixture
def run(tmp_path: Path):
    """Reads the entry in a keyring of that kind, and gives what it read, or the code and text of the error."""
    (tmp_path / "odd_keyrings.py").write_text(ODD_KEYRINGS)

    def run(keyring: str, before: str = "") -> str:
        places = dict.fromkeys(("HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "PYTHONPATH"), str(tmp_path))
        environment = {**os.environ, **places, "PYTHON_KEYRING_BACKEND": keyring}
        program = PROGRAM.format(before=before, canary=CANARY, tests=str(Path(__file__).parent))
        done = subprocess.run(
            [sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=60, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout.removesuffix("\n")

    return run


def put(secret: str) -> str:
    return f"import keyring; keyring.set_password('gatepass', 'ci-bot', {secret!r})"


@pytest.mark.parametrize(
    ("stored", "secret"), [("s3cret", "s3cret"), ("päß€🔑", "päß€🔑"), ("abc\n", "abc"), (" a b ", " a b ")], ids=ascii
)
def test_what_is_in_the_keyring_is_read_without_its_last_line_break(run, stored, secret):
    assert run(IN_A_FILE, put(stored)) == ascii(secret)
    assert run(IN_A_FILE) == ascii(secret)  # it is still there for the next process


FAILED = "keyring_failed The keyring entry gatepass / ci-bot can't be read: "
ABSENT = "secret_missing There is no keyring entry gatepass / ci-bot. Make it with the command `keyring set`."
EMPTY = "secret_empty The keyring entry gatepass / ci-bot gives an empty secret."
NOT_INSTALLED = (
    "extra_missing The keyring entry gatepass / ci-bot can't be read, for keyring is not installed: "
    "pip install 'gatepass[keyring]'"
)


@pytest.mark.parametrize(
    ("keyring", "before", "said"),
    [
        (IN_A_FILE, "", ABSENT),
        ("keyring.backends.null.Keyring", "", ABSENT),
        (IN_A_FILE, put(""), EMPTY),
        ("keyring.backends.fail.Keyring", "", FAILED + "there is no keyring here."),
        ("odd_keyrings.Locked", "", FAILED + "the keyring is locked."),
        ("odd_keyrings.Broken", "", FAILED + "the keyring failed with RuntimeError."),
        ("odd_keyrings.NotThere", "", FAILED + "the keyring failed with AttributeError."),
        (IN_A_FILE, "sys.modules['keyring'] = None", NOT_INSTALLED),
    ],
    ids=["no entry", "switched off", "empty", "no keyring", "locked", "broken", "none of that name", "not installed"],
)
def test_what_can_not_be_read_says_why_in_words_of_our_own(run, keyring, before, said):
    assert run(keyring, before) == said


def test_a_reference_says_where_and_reads_nothing_by_itself():
    secret = Secret.keyring("gatepass", "ci-bot")
    assert repr(secret) == "Secret(keyring entry gatepass / ci-bot)"
    with pytest.raises(ConfigurationError, match="stands in keyring entry gatepass / ci-bot") as caught:
        secret.reveal()
    assert caught.value.code == "secret_unread"


@pytest.mark.parametrize("name", ["", "my-s3cret!", "a b", "1A", "p\u00e4ss", "A=B"])
def test_a_secret_in_the_place_of_a_variables_name_is_refused_and_not_quoted(name: str) -> None:
    with pytest.raises(ConfigurationError) as failure:
        Secret.env(name)
    assert failure.value.code == "secret_invalid"
    assert not name or name not in str(failure.value)
