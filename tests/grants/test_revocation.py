"""Revoking: where, by whom, and what of it is a failure."""

from __future__ import annotations

from typing import Any

import pytest
from canary import assert_hidden
from errands import AS, form, header, refusal, server
from scripted import ScriptedWorld

from gatepass.client_auth.client_secret import ClientSecret
from gatepass.core.http import HttpResponse
from gatepass.core.secret import Secret
from gatepass.errors import RemoteError, UnreachableError
from gatepass.grants.revocation import revoke
from gatepass.protocol.server import EndpointAliases

REVOKE = f"POST {AS}/revoke"
MTLS = "https://mtls.as.example.com"
GONE = HttpResponse(status=200)


def end(world: ScriptedWorld, **members: Any) -> None:
    where = server(**({"revocation_endpoint": f"{AS}/revoke"} | members))
    revoke(
        world, ClientSecret("ci", "canary-secret", "client_secret_post"), where, Secret("canary-token"), "access_token"
    )


def test_a_token_is_revoked_by_the_client_that_had_it() -> None:
    with ScriptedWorld([(REVOKE, GONE)]) as world:
        end(world)
    assert form(world.requests[0]) == {
        "token": "canary-token",
        "token_type_hint": "access_token",
        "client_id": "ci",
        "client_secret": "canary-secret",
    }
    assert header(world.requests[0], "DPoP") is None


@pytest.mark.parametrize(
    ("aliases", "certificate", "url"),
    [
        (EndpointAliases(revocation_endpoint=f"{MTLS}/revoke"), "a-thumbprint", f"{MTLS}/revoke"),
        (EndpointAliases(revocation_endpoint=f"{MTLS}/revoke"), None, f"{AS}/revoke"),
        (EndpointAliases(token_endpoint=f"{MTLS}/token"), "a-thumbprint", f"{AS}/revoke"),
    ],
)
def test_the_endpoint_for_certificates_is_for_who_shows_one(
    aliases: EndpointAliases, certificate: str | None, url: str
) -> None:
    with ScriptedWorld([(f"POST {url}", GONE)], certificate=certificate) as world:
        end(world, mtls_endpoint_aliases=aliases)


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (refusal("invalid_client", status=401, description="canary-secret and canary-token"), "revocation_refused"),
        (refusal("unsupported_token_type"), "revocation_refused"),
        (HttpResponse(status=503, body=b"canary-token"), "revocation_endpoint_busy"),
    ],
)
def test_a_refusal_is_told_without_what_was_sent(answer: HttpResponse, code: str) -> None:
    with ScriptedWorld([(REVOKE, answer)]) as world, pytest.raises(RemoteError) as failure:
        end(world)
    assert failure.value.code == code
    assert_hidden(failure.value, "canary")


def test_no_answer_is_told_without_what_was_sent() -> None:
    down = UnreachableError("No answer.", code="timeout", retryable=True)
    with ScriptedWorld([(REVOKE, down)]) as world, pytest.raises(UnreachableError) as failure:
        end(world)
    assert_hidden(failure.value, "canary")
