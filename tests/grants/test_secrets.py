"""No secret of any grant gets into an error or a frame of one, whatever the server answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from canary import assert_hidden
from errands import AS, TOKEN, a_proof_key, errand, form, refusal, server
from key_material import pem
from scripted import ScriptedWorld, comes_back, json_response

from gatepass.client_auth.client_secret import ClientSecret
from gatepass.client_auth.nobody import Nobody
from gatepass.client_auth.private_key_jwt import PrivateKeyJwt
from gatepass.core.http import HttpRequest, HttpResponse
from gatepass.core.secret import Secret
from gatepass.core.world import Contact
from gatepass.errors import GatepassError, UnreachableError
from gatepass.grants.authorization_code import request_by_code
from gatepass.grants.client_credentials import request_client_credentials
from gatepass.grants.errand import Errand
from gatepass.grants.jwt_bearer import request_jwt_bearer
from gatepass.grants.refresh_token import request_refresh
from gatepass.grants.token_exchange import request_id_jag

CANARY = "canary/+ &%"
SECRET_PARAMETERS = (
    "assertion", "client_assertion", "client_secret", "code", "code_verifier", "refresh_token", "subject_token"
)  # fmt: skip
SECRET = ClientSecret("app", CANARY, "client_secret_post")
KEY = PrivateKeyJwt("app", pem("P-256"))

Ask = Callable[[ScriptedWorld, Errand], Any]


def by_code(world: ScriptedWorld, what: Errand) -> Any:
    with world.person(Contact()) as person:
        return request_by_code(world, SECRET, what, person)


def id_jag(world: ScriptedWorld, what: Errand) -> Secret:
    token = Secret(CANARY)
    return request_id_jag(world, KEY, what, audience="x", subject_token=token, subject_token_type="urn:x")


GRANTS: dict[str, Ask] = {
    "client credentials": lambda world, what: request_client_credentials(world, SECRET, what),
    "client credentials by basic": lambda world, what: request_client_credentials(
        world, ClientSecret("app", CANARY), what
    ),
    "refresh token": lambda world, what: request_refresh(world, KEY, what, Secret(CANARY)),
    "jwt bearer": lambda world, what: request_jwt_bearer(world, Nobody(), what, Secret(CANARY)),
    "authorization code": by_code,
    "token exchange": id_jag,
}


def secrets_of(request: HttpRequest) -> list[str]:
    """What must not be seen of a request."""
    sent = form(request)
    basic = [value.removeprefix("Basic ") for name, value in request.headers if name == "Authorization"]
    return [*basic, *(sent[name] for name in SECRET_PARAMETERS if name in sent)]


def echoes(request: HttpRequest) -> HttpResponse:
    said = " ".join(secrets_of(request))
    return refusal("invalid_request", description=f"Not {said}, and not {request.body.decode()}")


def echoes_as_the_error(request: HttpRequest) -> HttpResponse:
    return refusal(secrets_of(request)[0], status=503)


ANSWERS: dict[str, Any] = {
    "refuses": refusal("invalid_grant"),
    "refuses without a word": HttpResponse(status=403, body=CANARY.encode()),
    "echoes what it was sent": echoes,
    "echoes it as the error": echoes_as_the_error,
    "wants another nonce for ever": refusal("use_dpop_nonce", DPoP_Nonce="n-1"),
    "answers nonsense": json_response({"access_token": CANARY, "token_type": CANARY, "refresh_token": CANARY}),
    "breaks off": HttpResponse(status=200, body=b'{"access_token": "canary'),
    "does not answer": UnreachableError("No answer.", code="timeout", retryable=True),
}


@pytest.mark.parametrize("key", [None, a_proof_key()], ids=["bearer", "bound"])
@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
@pytest.mark.parametrize("ask", GRANTS.values(), ids=GRANTS)
def test_a_server_that_refuses_or_echoes_gets_no_secret_into_an_error(ask: Ask, answer: Any, key: Any) -> None:
    where = server(authorization_endpoint=f"{AS}/authorize", code_challenge_methods_supported=("S256",))
    world = ScriptedWorld([(TOKEN, answer)], reply=comes_back(code=CANARY))
    world.nonces[AS] = "n-1"
    with world, pytest.raises(GatepassError) as failure:
        ask(world, errand(server=where, proof_key=key))
    (request,) = world.requests
    secrets = secrets_of(request)
    assert secrets
    assert_hidden(failure.value, *secrets, "canary")


@pytest.mark.parametrize("answer", [{"state": "another"}, {"iss": "https://evil.example"}, {"error": "access_denied"}])
def test_an_answer_that_is_not_used_keeps_its_code(answer: dict[str, str]) -> None:
    where = server(authorization_endpoint=f"{AS}/authorize", code_challenge_methods_supported=("S256",))
    with ScriptedWorld([], reply=comes_back(code=CANARY, **answer)) as world, pytest.raises(GatepassError) as failure:
        by_code(world, errand(server=where))
    assert_hidden(failure.value, "canary")


def test_what_was_issued_does_not_show_itself() -> None:
    issued = json_response({"access_token": "canary", "token_type": "Bearer", "refresh_token": "canary"})
    with ScriptedWorld([(TOKEN, issued)]) as world:
        token = request_refresh(world, KEY, errand(), Secret("canary"))
    assert "canary" not in repr(token)
