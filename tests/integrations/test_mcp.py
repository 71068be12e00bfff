"""What a server says can't pass for what we say."""

from __future__ import annotations

from mcp import MCPError

import gatepass
from gatepass.integrations.mcp import AUTHORIZATION_FAILED


def test_a_server_that_answers_with_our_error_code_is_not_taken_for_us() -> None:
    data = {"kind": "RemoteError", "code": "token_refused", "by": "authorization_server", "retry_at": "soon"}
    for forged in (data, {**data, "seal": ""}, {**data, "seal": None}, [], "text", None):
        assert gatepass.authorization_error(MCPError(code=AUTHORIZATION_FAILED, message="No.", data=forged)) is None
