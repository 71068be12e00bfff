"""gatepass against a certified authorization server and an MCP server of the official SDK, in earnest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from interop.place import SECRET, SECRET_METHODS, Key, Method, Place, client_with_key, client_with_secret
from interop.visit import auth_for, visit, warm_welcome
from joserfc.jwk import ECKey

import gatepass

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

ALGORITHMS = ["RS256", "PS256", "ES256", "EdDSA"]


def pem(key: Key) -> str:
    return key.as_pem(private=True).decode()


def keyed(keys: Mapping[str, Key], algorithm: str) -> gatepass.PrivateKeyJwt:
    """The client registered for this algorithm. Only PS256 has to be asked for: an RSA key would rather make RS256."""
    asked = algorithm if algorithm == "PS256" else None
    return gatepass.PrivateKeyJwt(client_with_key(algorithm), key=pem(keys[algorithm]), algorithm=asked)


@pytest.mark.parametrize("mode", ["auto", "legacy"])
@pytest.mark.parametrize("method", SECRET_METHODS)
def test_a_secret_gets_in_and_calls_a_tool(oidc: Place, method: Method, mode: str) -> None:
    client_id = client_with_secret(method)

    assert visit(auth_for(oidc, gatepass.ClientSecret(client_id, SECRET, method)), mode=mode) == warm_welcome(client_id)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_private_key_gets_in_and_calls_a_tool(oidc: Place, keys: Mapping[str, Key], algorithm: str) -> None:
    assert visit(auth_for(oidc, keyed(keys, algorithm))) == warm_welcome(client_with_key(algorithm))


def test_a_key_in_a_file_gets_in(oidc: Place, keys: Mapping[str, Key], tmp_path: Path) -> None:
    file = tmp_path / "bot.pem"
    file.write_text(pem(keys["ES256"]))
    identity = gatepass.PrivateKeyJwt("bot-ES256", key=file)

    assert visit(auth_for(oidc, identity)) == warm_welcome("bot-ES256")


def test_the_method_is_chosen_and_the_issuer_found_where_nothing_is_configured(oidc: Place) -> None:
    client_id = client_with_secret("client_secret_basic")
    auth = gatepass.Auth(oidc.url, gatepass.ClientCredentials(gatepass.ClientSecret(client_id, SECRET)))

    assert visit(auth) == warm_welcome(client_id)


def test_it_works_under_trio(oidc: Place, keys: Mapping[str, Key]) -> None:
    assert visit(auth_for(oidc, keyed(keys, "ES256")), backend="trio") == warm_welcome("bot-ES256")


@pytest.mark.parametrize("oidc", ["lenient"], indirect=True)
def test_a_slash_that_a_resource_put_after_its_issuer_is_tolerated_where_that_is_asked_for(oidc: Place) -> None:
    client_id = client_with_secret("client_secret_basic")
    way_in = gatepass.ClientCredentials(gatepass.ClientSecret(client_id, SECRET))

    with pytest.raises(gatepass.RemoteError) as refused:
        gatepass.Auth(oidc.elsewhere, way_in, issuer=oidc.issuer).token()
    assert refused.value.code == "issuer_not_listed"

    tolerant = gatepass.Auth(oidc.elsewhere, way_in, issuer=oidc.issuer, tolerate_issuer_slash=True)
    assert visit(tolerant) == warm_welcome(client_id)


@pytest.mark.parametrize("method", SECRET_METHODS)
def test_a_wrong_secret_is_refused_as_invalid_client(oidc: Place, method: Method) -> None:
    auth = auth_for(oidc, gatepass.ClientSecret(client_with_secret(method), SECRET + "!", method))

    with pytest.raises(gatepass.RemoteError) as refused:
        auth.token()

    assert (refused.value.error, refused.value.status, refused.value.retryable) == ("invalid_client", 401, False)


def test_a_client_nobody_knows_is_refused_as_invalid_client(oidc: Place) -> None:
    with pytest.raises(gatepass.RemoteError) as refused:
        auth_for(oidc, gatepass.ClientSecret("nobody", SECRET)).token()

    assert refused.value.error == "invalid_client"


def test_a_wrong_key_is_refused_as_invalid_client(oidc: Place) -> None:
    identity = gatepass.PrivateKeyJwt("bot-ES256", key=pem(ECKey.generate_key("P-256")))

    with pytest.raises(gatepass.RemoteError) as refused:
        auth_for(oidc, identity).token()

    assert refused.value.error == "invalid_client"


def test_the_token_endpoint_as_audience_is_for_lenient_servers_only(oidc: Place, keys: Mapping[str, Key]) -> None:
    identity = gatepass.PrivateKeyJwt("bot-ES256", key=pem(keys["ES256"]), audience=oidc.token_endpoint)
    auth = auth_for(oidc, identity)

    if oidc.strict:
        with pytest.raises(gatepass.RemoteError, match="invalid_client"):
            auth.token()
    else:
        assert auth.token()


def test_an_algorithm_that_is_not_offered_is_refused_before_anything_is_sent(oidc: Place) -> None:
    identity = gatepass.PrivateKeyJwt("bot-ES256", key=pem(ECKey.generate_key("P-384")))

    with pytest.raises(gatepass.ConfigurationError, match="ES256") as refused:
        auth_for(oidc, identity).token()

    assert refused.value.code == "alg_not_offered"


def test_an_issuer_that_the_server_does_not_name_is_refused(oidc: Place) -> None:
    way_in = gatepass.ClientCredentials(gatepass.ClientSecret(client_with_secret("client_secret_basic"), SECRET))

    with pytest.raises(gatepass.RemoteError) as refused:
        gatepass.Auth(oidc.url, way_in, issuer=f"{oidc.issuer}/").token()

    assert refused.value.code == "issuer_not_listed"


def test_a_resource_that_the_issuer_does_not_know_is_refused_as_invalid_target(oidc: Place) -> None:
    way_in = gatepass.ClientCredentials(gatepass.ClientSecret(client_with_secret("client_secret_basic"), SECRET))

    with pytest.raises(gatepass.RemoteError) as refused:
        gatepass.Auth(oidc.url, way_in, issuer=oidc.issuer, resource_indicator="http://127.0.0.1/nobody").token()

    assert refused.value.error == "invalid_target"


def test_what_the_issuer_refuses_reaches_whoever_connects_with_its_reason(oidc: Place) -> None:
    identity = gatepass.ClientSecret(client_with_secret("client_secret_basic"), SECRET + "!")

    with pytest.raises(gatepass.RemoteError) as refused:
        visit(auth_for(oidc, identity))

    reason = refused.value
    assert (reason.by, reason.error, reason.status) == ("authorization_server", "invalid_client", 401)


def test_what_the_mcp_server_refuses_reaches_whoever_connects_with_its_reason(oidc: Place) -> None:
    way_in = gatepass.ClientCredentials(gatepass.ClientSecret(client_with_secret("client_secret_basic"), SECRET))

    with pytest.raises(gatepass.RemoteError) as refused:
        visit(gatepass.Auth(oidc.url, way_in, issuer=oidc.issuer, scopes=["mcp:write"]))

    reason = refused.value
    assert (reason.by, reason.code, reason.status) == ("resource_server", "insufficient_scope", 403)
