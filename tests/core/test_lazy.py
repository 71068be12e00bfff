"""Names that are imported when they are first used."""

from __future__ import annotations

import subprocess
import sys

import pytest

from gatepass import identity, signers


@pytest.mark.parametrize("package", [identity, signers], ids=lambda package: package.__name__)
def test_every_name_is_there_and_no_other(package):
    assert [name for name in package.__all__ if not hasattr(package, name)] == []
    assert set(package.__all__) <= set(dir(package))
    with pytest.raises(AttributeError, match=f"module '{package.__name__}' has no attribute 'nothing'"):
        _ = package.nothing


def test_it_is_imported_when_it_is_used_and_not_before():
    program = (
        "import sys; from gatepass import identity; room = 'gatepass.identity.kubernetes';"
        "print(room in sys.modules); identity.KubernetesToken;"
        "print(room in sys.modules, 'KubernetesToken' in vars(identity))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True", "True"]
