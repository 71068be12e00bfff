from __future__ import annotations

import pytest
from bridge.gated import SCOPE, SECRET

from gatepass.testing import AuthorizationServer


@pytest.fixture
def authority():
    with AuthorizationServer(scopes=(SCOPE,)) as server:
        server.add_client("ci-bot", secret=SECRET)
        yield server
