from __future__ import annotations

import subprocess
import sys

import pytest

import gatepass.signers


@pytest.mark.parametrize("name", gatepass.signers.__all__)
def test_a_signer_costs_no_library_before_it_is_used(name):
    dear = {"pkcs11", "hvac", "requests", "boto3", "botocore", "joserfc", "cryptography"}
    program = f"import sys; from gatepass.signers import {name}; print({dear!r} & set(sys.modules) or 'nothing')"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout == "nothing\n"


def test_the_public_names_are_what_dir_shows():
    assert dir(gatepass.signers) == gatepass.signers.__all__ == sorted(gatepass.signers.__all__)
    with pytest.raises(AttributeError, match="nothing"):
        gatepass.signers.nothing  # noqa: B018
