"""Client credentials: the client's own name, in one request."""

from __future__ import annotations

import pytest
from canary import assert_hidden
from errands import ISSUED, RS, TOKEN, errand, form, header, known, refusal, server
from scripted import ScriptedWorld

from gatepass.client_auth.client_secret import ClientSecret
from gatepass.errors import ConfigurationError, RemoteError
from gatepass.profiles.client_credentials import ClientCredentials
from gatepass.profiles.obtain import obtain

CLIENT = ClientSecret("ci", "the-secret")
PROFILE = ClientCredentials(CLIENT)


def test_a_known_way_takes_one_request() -> None:
    with ScriptedWorld([(TOKEN, ISSUED)]) as world:
        issued = PROFILE.grant(world, errand(scopes=("meta:a", "meta:b")))
    assert issued.token.access_token.reveal() == "the-token"
    assert issued.sent == world.now()
    assert form(world.requests[0]) == {"grant_type": "client_credentials", "scope": "meta:a meta:b", "resource": RS}
    assert header(world.requests[0], "Authorization")


def test_a_refusal_that_quotes_the_secret_does_not_pass_it_on() -> None:
    answer = refusal("invalid_client", status=401, description="the-secret is wrong")
    with ScriptedWorld([(TOKEN, answer)]) as world, pytest.raises(RemoteError) as failure:
        obtain(world, PROFILE, known())
    assert "the-secret" not in str(failure.value.error_description)
    assert_hidden(failure.value, "the-secret")


@pytest.mark.parametrize("client", ["canary-secret", b"canary-secret", None, ClientSecret])
def test_a_profile_wants_a_client_authentication(client: object) -> None:
    with pytest.raises(ConfigurationError, match="ClientSecret") as failure:
        ClientCredentials(client)  # type: ignore[arg-type]
    assert failure.value.code == "client_invalid"
    assert_hidden(failure.value, "canary")


def test_the_identity_tells_clients_apart_and_holds_no_secret() -> None:
    other = ClientCredentials(ClientSecret("other", "the-secret"))
    assert PROFILE.identity != other.identity
    assert "the-secret" not in repr(PROFILE.identity) + repr(PROFILE)
    assert PROFILE.secrets == CLIENT.secrets


def test_the_client_is_the_same_everywhere_acts_for_itself_and_asks_nobody() -> None:
    assert PROFILE.client_of(ScriptedWorld(), server(), "any") is CLIENT
    assert PROFILE.disowned(ScriptedWorld(), server(), "any") is False
    assert (PROFILE.traits.subject_missing, PROFILE.traits.portable, PROFILE.traits.attended) == (False, False, False)
    assert PROFILE.traits.patience_s == 10.0
    assert PROFILE.traits.extension == "io.modelcontextprotocol/oauth-client-credentials"
