"""gatepass against an authorization server with opaque tokens and a slash at the end of its token endpoint."""

from __future__ import annotations

import httpx2
import pytest
from interop import raw
from interop.place import SECRET, SECRET_METHODS, Method, Place, client_with_secret
from interop.visit import auth_for, visit, warm_welcome

import gatepass


@pytest.mark.parametrize("method", SECRET_METHODS)
def test_a_secret_gets_in_and_calls_a_tool_wherever_the_metadata_is(toolkit: Place, method: Method) -> None:
    client_id = client_with_secret(method)

    assert visit(auth_for(toolkit, gatepass.ClientSecret(client_id, SECRET, method))) == warm_welcome(client_id)


def test_a_token_revoked_in_the_middle_of_a_session_is_renewed(toolkit: Place) -> None:
    client_id = client_with_secret("client_secret_basic")
    auth = auth_for(toolkit, gatepass.ClientSecret(client_id, SECRET))
    first = auth.token()

    def revoke() -> None:
        form = {"token": auth.token(), "client_id": client_id, "client_secret": SECRET}
        httpx2.post(f"{toolkit.issuer}/revoke_token/", data=form).raise_for_status()

    assert visit(auth, between=revoke) == warm_welcome(client_id)
    assert auth.token() != first


@pytest.mark.parametrize("method", SECRET_METHODS)
def test_a_wrong_secret_is_refused_as_invalid_client(toolkit: Place, method: Method) -> None:
    auth = auth_for(toolkit, gatepass.ClientSecret(client_with_secret(method), SECRET + "!", method))

    with pytest.raises(gatepass.RemoteError) as refused:
        auth.token()

    assert (refused.value.error, refused.value.status, refused.value.retryable) == ("invalid_client", 401, False)


def test_a_scope_that_does_not_exist_is_refused_as_invalid_scope(toolkit: Place) -> None:
    way_in = gatepass.ClientCredentials(gatepass.ClientSecret(client_with_secret("client_secret_basic"), SECRET))
    token_endpoint = None if toolkit.metadata else toolkit.token_endpoint
    auth = gatepass.Auth(
        toolkit.url, way_in, issuer=toolkit.issuer, token_endpoint=token_endpoint, scopes=["mcp:everything"]
    )

    with pytest.raises(gatepass.RemoteError) as refused:
        auth.token()

    assert refused.value.error == "invalid_scope"


@pytest.mark.parametrize("toolkit", ["oauth"], indirect=True)
def test_signing_out_ends_the_token_at_the_server(toolkit: Place) -> None:
    auth = auth_for(toolkit, gatepass.ClientSecret(client_with_secret("client_secret_basic"), SECRET))
    token = auth.token()
    assert raw.knock(toolkit, token).status_code == 200

    assert auth.forget()

    assert raw.knock(toolkit, token).status_code == 401


@pytest.mark.parametrize("toolkit", ["openid", "none"], indirect=True)
def test_signing_out_says_that_the_server_was_not_told_where_its_metadata_names_no_place_for_that(
    toolkit: Place,
) -> None:
    auth = auth_for(toolkit, gatepass.ClientSecret(client_with_secret("client_secret_basic"), SECRET))
    token = auth.token()

    assert not auth.forget()

    assert auth.token() != token
