from __future__ import annotations

from gatepass.core.target import Target


def test_a_further_parameter_may_be_secret_and_is_not_shown():
    target = Target(endpoint="https://mcp.example.com/mcp", extra=(("key", "canary"),))
    assert "mcp.example.com" in repr(target)
    assert "canary" not in repr(target)
