from __future__ import annotations

import subprocess
import sys

import pytest

from gatepass import identity

LIBRARIES = ("httpx2", "google", "requests", "azure", "msal", "boto3", "botocore", "spiffe", "grpc")


def test_no_library_is_imported_before_a_platform_is_asked():
    program = f"""
import sys
from gatepass.identity import *
assert Ambient()("https://auth.example.com") is None
print([name for name in {LIBRARIES} if name in sys.modules])
"""
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert told.stdout == "[]\n"


@pytest.mark.parametrize("name", identity.__all__)
def test_every_name_is_there(name):
    assert getattr(identity, name).__doc__


def test_the_names_are_what_dir_shows():
    assert dir(identity) == sorted(identity.__all__)


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="nothing"):
        identity.nothing  # noqa: B018
