"""Fixtures for the tests of MCP clients: servers to let a client loose on, well or broken.

    def test_my_client_gets_in(gatepass_stage): ...

    @pytest.mark.parametrize("gatepass_trouble", ["wrong-issuer", "rate-limited"])
    def test_my_client_says_what_is_wrong(gatepass_stage): ...

pytest loads this in every run, so nothing is imported before a fixture is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gatepass.integrations.auth import Auth
    from gatepass.testing import AuthorizationServer, ProtectedServer, Stage

pytest.register_assert_rewrite("gatepass.testing.store_contract")


@pytest.fixture
def gatepass_trouble() -> str | None:
    """What is wrong with the servers: a name of the gallery, to be given by ``parametrize``; None: nothing."""
    return None


@pytest.fixture
def gatepass_stage(gatepass_trouble: str | None) -> Iterator[Stage]:
    """An MCP server, its authorization server, and what a client has to be told: ``told``."""
    try:
        from gatepass.testing import gallery
    except ModuleNotFoundError as missing:
        pytest.fail(f"{missing.name} is missing: this needs pip install 'gatepass[testing]'", pytrace=False)
    if gatepass_trouble not in (None, *(recipe.name for recipe in gallery.RECIPES)):
        pytest.fail(f"The gallery has no {gatepass_trouble!r}: gatepass testserver --list-troubles", pytrace=False)
    with gallery.open(gatepass_trouble) as stage:
        yield stage


@pytest.fixture
def gatepass_authorization_server(gatepass_stage: Stage) -> AuthorizationServer:
    """The authorization server."""
    return gatepass_stage.authorization_server


@pytest.fixture
def gatepass_mcp_server(gatepass_stage: Stage) -> ProtectedServer:
    """The protected MCP server."""
    return gatepass_stage.mcp_server


@pytest.fixture
def gatepass_auth(gatepass_stage: Stage) -> Auth:
    """A `gatepass.Auth` for the MCP server, with what a client is told."""
    from gatepass import Auth, ClientCredentials, ClientSecret, PrivateKeyJwt, Secret, TokenHttp

    told = gatepass_stage.told
    client_id, key_file = told["client_id"], told.get("private_key_file")
    client = (
        ClientSecret(client_id, Secret.file(told.get("client_secret_file", "")))
        if key_file is None
        else PrivateKeyJwt(client_id, Secret.file(key_file))
    )
    return Auth(
        told["url"],
        ClientCredentials(client),
        issuer=told.get("issuer"),
        scopes=told.get("scopes"),
        http=TokenHttp(verify=told.get("ca_file", True), timeout_s=told.get("timeout", 10.0)),
    )
