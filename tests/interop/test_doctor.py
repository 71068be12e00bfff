"""The doctor at a certified authorization server, in front of an MCP server of the official SDK."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cli.doctor_cases import examined, finding, step_of, warnings
from interop.place import SECRET, Key, Place, client_with_key, client_with_secret

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@pytest.fixture
def told(oidc: Place, tmp_path: Path) -> dict[str, str]:
    """What a client with a secret is told."""
    file = tmp_path / "secret"
    file.write_text(SECRET)
    client_id = client_with_secret("client_secret_post")
    return {"url": oidc.url, "issuer": oidc.issuer, "client_id": client_id, "client_secret_file": str(file)}


def test_who_gets_in_is_told_so(told: dict[str, str]) -> None:
    report = examined(told)

    assert report.first_failure is None
    assert all(step.verdict in ("ok", "warning") for step in report.steps if step.id != "name")
    assert SECRET.strip() not in str(report)


def test_a_key_gets_in(told: dict[str, str], keys: Mapping[str, Key], tmp_path: Path) -> None:
    file = tmp_path / "key.pem"
    file.write_text(keys["ES256"].as_pem(private=True).decode())
    del told["client_secret_file"]

    report = examined({**told, "client_id": client_with_key("ES256"), "private_key_file": str(file)})

    assert report.first_failure is None
    assert ("client", "secret_stray_characters") not in warnings(report)


@pytest.mark.parametrize(
    ("wrong", "found"),
    [
        ({"client_id": "nobody"}, ("token", "client_refused")),
        ({"issuer": "https://auth.invalid"}, ("resource-metadata", "issuer_not_listed")),
    ],
    ids=lambda value: value[1] if isinstance(value, tuple) else "",
)
def test_what_is_wrong_is_named(told: dict[str, str], wrong: dict[str, str], found: tuple[str, str]) -> None:
    assert finding({**told, **wrong}) == found


def test_a_scope_that_the_server_leaves_out_is_warned_of(told: dict[str, str]) -> None:
    report = examined({**told, "scopes": "mcp:read mcp:nothing"})

    assert report.first_failure is None
    assert ("token", "scope_reduced") in warnings(report)


@pytest.mark.parametrize("oidc", ["lenient"], indirect=True)
def test_a_slash_after_the_issuer_is_found(told: dict[str, str], oidc: Place) -> None:
    told["url"] = oidc.elsewhere

    assert finding(told) == ("resource-metadata", "issuer_slash")
    assert finding({**told, "tolerate_issuer_slash": True}) is None


def test_the_token_is_shown_by_what_it_says(told: dict[str, str], oidc: Place) -> None:
    fields = dict(step_of(examined(told), "contents").exchanges[0].answered.fields)

    assert fields["iss"] == oidc.issuer
    assert fields["aud"] == oidc.url
