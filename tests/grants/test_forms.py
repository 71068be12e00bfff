"""What each grant sends: its exact parameters, and in each what a deployment wants besides."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from errands import AS, BOUND, DEPLOYMENTS, ISSUED, RS, TOKEN, a_proof_key, errand, form, header, server, target
from scripted import CALLBACK, ScriptedWorld, comes_back, json_response

from gatepass.client_auth.nobody import Nobody
from gatepass.client_auth.public_client import PublicClient
from gatepass.core.secret import Secret
from gatepass.core.world import Contact
from gatepass.errors import RemoteError
from gatepass.grants.authorization_code import request_by_code
from gatepass.grants.client_credentials import request_client_credentials
from gatepass.grants.errand import Errand
from gatepass.grants.jwt_bearer import request_jwt_bearer
from gatepass.grants.refresh_token import request_refresh
from gatepass.grants.token_exchange import request_id_jag

CLIENT = PublicClient("ci")
ID_JAG = "urn:ietf:params:oauth:token-type:id-jag"
ID_TOKEN = "urn:ietf:params:oauth:token-type:id_token"

Ask = Callable[[ScriptedWorld, Errand], Any]


def by_code(world: ScriptedWorld, what: Errand) -> Any:
    with world.person(Contact()) as person:
        return request_by_code(world, CLIENT, what, person)


def id_jag(world: ScriptedWorld, what: Errand) -> Secret:
    return request_id_jag(
        world,
        CLIENT,
        what,
        audience="https://chat.example",
        subject_token=Secret("who-it-is"),
        subject_token_type=ID_TOKEN,
    )


GRANTS: dict[str, tuple[Ask, dict[str, str]]] = {
    "client_credentials": (
        lambda world, what: request_client_credentials(world, CLIENT, what),
        {"grant_type": "client_credentials", "scope": "a b"},
    ),
    "refresh_token": (
        lambda world, what: request_refresh(world, CLIENT, what, Secret("the-refresh-token")),
        {"grant_type": "refresh_token", "refresh_token": "the-refresh-token"},
    ),
    "jwt_bearer": (
        lambda world, what: request_jwt_bearer(world, CLIENT, what, Secret("h.c.s")),
        {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": "h.c.s", "scope": "a b"},
    ),
    "authorization_code": (
        by_code,
        {"grant_type": "authorization_code", "code": "the-code", "redirect_uri": CALLBACK},
    ),
}
WITH_A_PERSON = server(authorization_endpoint=f"{AS}/authorize", code_challenge_methods_supported=("S256",))


@pytest.mark.parametrize(("fields", "besides"), DEPLOYMENTS)
@pytest.mark.parametrize(("ask", "own"), GRANTS.values(), ids=GRANTS)
def test_a_grant_sends_its_own_parameters_and_what_the_token_is_for(
    ask: Ask, own: dict[str, str], fields: dict[str, Any], besides: dict[str, str]
) -> None:
    with ScriptedWorld([(TOKEN, ISSUED)], reply=comes_back()) as world:
        ask(world, errand(target(**fields), server=WITH_A_PERSON, scopes=("a", "b")))
    sent = form(world.requests[0])
    sent.pop("code_verifier", None)
    assert sent == {**own, **besides, "client_id": "ci"}


@pytest.mark.parametrize("ask", [ask for ask, _ in GRANTS.values()], ids=GRANTS)
def test_no_scope_is_sent_where_the_server_is_to_choose(ask: Ask) -> None:
    with ScriptedWorld([(TOKEN, ISSUED)], reply=comes_back()) as world:
        ask(world, errand(server=WITH_A_PERSON))
    assert "scope" not in form(world.requests[0])


@pytest.mark.parametrize("ask", [ask for ask, _ in GRANTS.values()], ids=GRANTS)
def test_every_grant_proves_the_possession_of_the_key(ask: Ask) -> None:
    with ScriptedWorld([(TOKEN, BOUND)], reply=comes_back()) as world:
        ask(world, errand(server=WITH_A_PERSON, proof_key=a_proof_key()))
    assert header(world.requests[0], "DPoP")


def test_an_assertion_that_says_it_all_goes_without_a_client_id() -> None:
    with ScriptedWorld([(TOKEN, ISSUED)]) as world:
        request_jwt_bearer(world, Nobody(), errand(), Secret("h.c.s"))
    assert form(world.requests[0]) == {
        "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer",
        "assertion": "h.c.s",
        "resource": RS,
    }
    assert header(world.requests[0], "Authorization") is None


# refresh tokens


@pytest.mark.parametrize(
    ("answer", "next_one"), [({}, "the-refresh-token"), ({"refresh_token": "the-next"}, "the-next")]
)
def test_the_old_refresh_token_stays_in_use_until_a_new_one_comes(answer: dict[str, str], next_one: str) -> None:
    issued = json_response({"access_token": "the-token", "token_type": "Bearer"} | answer)
    with ScriptedWorld([(TOKEN, issued)]) as world:
        token = request_refresh(world, CLIENT, errand(), Secret("the-refresh-token")).token
    assert token.refresh_token is not None
    assert (token.access_token.reveal(), token.refresh_token.reveal()) == ("the-token", next_one)


# token exchange


def granted(**members: object) -> Any:
    return json_response({"access_token": "i.d.jag", "token_type": "N_A", "issued_token_type": ID_JAG} | members)


@pytest.mark.parametrize(
    ("fields", "resource"),
    [
        ({}, RS),
        ({"resource": "urn:my:resource"}, "urn:my:resource"),
        # the authorization server's whims are none of the identity provider's
        ({"send_resource": False}, RS),
        ({"audience": "api", "extra": (("tenant", "1"),)}, RS),
    ],
)
def test_an_id_jag_is_asked_for_as_sep_990_has_it(fields: dict[str, Any], resource: str) -> None:
    with ScriptedWorld([(TOKEN, granted())]) as world:
        grant = id_jag(world, errand(target(**fields), scopes=("a", "b")))
    assert grant.reveal() == "i.d.jag"
    assert form(world.requests[0]) == {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "requested_token_type": ID_JAG,
        "audience": "https://chat.example",
        "resource": resource,
        "scope": "a b",
        "subject_token": "who-it-is",
        "subject_token_type": ID_TOKEN,
        "client_id": "ci",
    }


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ({"issued_token_type": "urn:ietf:params:oauth:token-type:access_token"}, "issued_token_type_mismatch"),
        ({"issued_token_type": None}, "issued_token_type_mismatch"),
        ({"token_type": "Bearer"}, "token_response_invalid"),
        ({"token_type": "DPoP"}, "token_response_invalid"),
    ],
)
def test_what_is_no_id_jag_is_not_used(answer: dict[str, object], code: str) -> None:
    with ScriptedWorld([(TOKEN, granted(**answer))]) as world, pytest.raises(RemoteError) as failure:
        id_jag(world, errand())
    assert (failure.value.code, failure.value.by, failure.value.retryable) == (code, "authorization_server", False)
    assert "i.d.jag" not in str(failure.value)


def test_an_id_jag_is_bound_to_no_key() -> None:
    with ScriptedWorld([(TOKEN, granted(token_type="n_a"))]) as world:
        assert id_jag(world, errand()).reveal() == "i.d.jag"
    assert header(world.requests[0], "DPoP") is None
