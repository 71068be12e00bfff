"""A person says yes: what they are shown, what must hold before, and what is redeemed after."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import pytest
from errands import AS, BOUND, DEPLOYMENTS, ISSUED, TOKEN, a_proof_key, errand, form, once, server, target
from key_material import decoded
from scripted import CALLBACK, Reply, ScriptedWorld, comes_back

from gatepass.client_auth.client_secret import ClientSecret
from gatepass.client_auth.public_client import PublicClient
from gatepass.core.world import Contact
from gatepass.errors import ConfigurationError, RemoteError, SignInRequiredError
from gatepass.grants.authorization_code import request_by_code
from gatepass.grants.exchange import Issued
from gatepass.protocol.authorization import code_challenge

CLIENT = PublicClient("app")


def asking(**members: Any) -> Any:
    offered = {"authorization_endpoint": f"{AS}/authorize", "code_challenge_methods_supported": ("plain", "S256")}
    return server(**(offered | members))


def sign_in(world: ScriptedWorld, client: Any = CLIENT, **fields: Any) -> Issued:
    with world.person(Contact()) as person:
        return request_by_code(world, client, errand(**({"server": asking()} | fields)), person)


def refused(reply: Reply = None, **fields: Any) -> tuple[RemoteError, ScriptedWorld]:
    with ScriptedWorld([], reply=reply) as world, pytest.raises(RemoteError) as caught:
        sign_in(world, **fields)
    return caught.value, world


def shown(world: ScriptedWorld) -> dict[str, str]:
    (url,) = world.shown
    assert url.startswith(f"{AS}/authorize?")
    return once(urlsplit(url).query)


@pytest.mark.parametrize(("fields", "besides"), DEPLOYMENTS)
def test_a_person_is_shown_the_request_of_oauth_2_1(fields: dict[str, Any], besides: dict[str, str]) -> None:
    with ScriptedWorld([(TOKEN, ISSUED)], reply=comes_back()) as world:
        sign_in(world, target=target(**fields), scopes=("a", "b"))
    asked, redeemed = shown(world), form(world.requests[0])
    assert asked == {
        "response_type": "code",
        "client_id": "app",
        "redirect_uri": CALLBACK,
        "state": asked["state"],
        "code_challenge": code_challenge(redeemed["code_verifier"]),
        "code_challenge_method": "S256",
        "scope": "a b",
        **besides,
    }
    assert len(decoded(asked["state"])) == 32
    assert len(redeemed["code_verifier"]) == 43  # the least that RFC 7636 §4.1 allows, made of 32 random bytes
    assert redeemed["redirect_uri"] == asked["redirect_uri"]


def test_nothing_secret_is_shown_and_nothing_is_used_twice() -> None:
    with ScriptedWorld([(TOKEN, ISSUED)] * 2, reply=comes_back()) as world:
        sign_in(world, ClientSecret("app", "the-secret"))
        sign_in(world, ClientSecret("app", "the-secret"))
    one, other = (once(urlsplit(url).query) for url in world.shown)
    assert not {one["state"], one["code_challenge"]} & {other["state"], other["code_challenge"]}
    for request, url in zip(world.requests, world.shown, strict=True):
        assert form(request)["code_verifier"] not in url
        assert "the-secret" not in url


def test_a_code_is_bound_to_the_key_from_the_start() -> None:
    key = a_proof_key()
    with ScriptedWorld([(TOKEN, BOUND)], reply=comes_back()) as world:
        sign_in(world, proof_key=key)
    assert shown(world)["dpop_jkt"] == key.thumbprint


@pytest.mark.parametrize(
    ("scopes", "extra", "prompt"),
    [
        (("a", "offline_access"), (), "consent"),
        (("a", "offline_access"), (("prompt", "login"),), "login"),
        (("a",), (), None),
        ((), (), None),
        (("a",), (("prompt", "none"),), "none"),
    ],
)
def test_offline_access_wants_consent_unless_the_user_says_otherwise(
    scopes: tuple[str, ...], extra: tuple[tuple[str, str], ...], prompt: str | None
) -> None:
    with ScriptedWorld([(TOKEN, ISSUED)], reply=comes_back()) as world:
        sign_in(world, target=target(extra=extra), scopes=scopes)
    assert shown(world).get("prompt") == prompt


def test_a_query_that_the_endpoint_has_is_kept() -> None:
    with ScriptedWorld([(TOKEN, ISSUED)], reply=comes_back()) as world:
        sign_in(world, server=asking(authorization_endpoint=f"{AS}/authorize?tenant=t"))
    assert shown(world)["tenant"] == "t"


# what must hold before a person is asked


@pytest.mark.parametrize(
    ("methods", "said"),
    [
        (None, "does not say so"),
        ((), "does not say so"),
        (("plain",), "offers plain only"),
        (("s256",), "offers s256 only"),
        (("\x1b[2J",), "offers ?[2J only"),
    ],
)
def test_a_server_that_does_not_protect_codes_is_not_used(methods: tuple[str, ...] | None, said: str) -> None:
    failure, world = refused(server=asking(code_challenge_methods_supported=methods))
    assert (failure.code, failure.by) == ("pkce_missing", "authorization_server")
    assert said in str(failure)
    assert world.shown == []


@pytest.mark.parametrize(("token_endpoint", "advised"), [(None, False), (f"{AS}/token", True)])
def test_a_server_that_asks_nobody_is_not_used(token_endpoint: str | None, *, advised: bool) -> None:
    failure, world = refused(server=server(), target=target(token_endpoint=token_endpoint))
    assert failure.code == "authorization_endpoint_missing"
    assert ("Leave token_endpoint=... out" in str(failure)) is advised
    assert world.shown == []


def test_a_way_to_authenticate_that_is_not_offered_is_found_out_before_a_person_is_asked() -> None:
    with ScriptedWorld([]) as world, pytest.raises(ConfigurationError) as failure:
        sign_in(world, server=asking(token_endpoint_auth_methods_supported=("client_secret_basic",)))
    assert failure.value.code == "method_not_offered"
    assert world.shown == []


# what comes back


@pytest.mark.parametrize(
    ("promised", "answer", "code"),
    [
        (None, {"state": "another"}, "state_mismatch"),
        (None, {"state": None}, "state_mismatch"),
        (True, {}, "iss_mismatch"),
        (None, {"iss": "https://evil.example"}, "iss_mismatch"),
        (True, {"iss": "https://evil.example", "code": None, "error": "access_denied"}, "iss_mismatch"),
        (True, {"iss": AS, "code": None, "error": "access_denied"}, "authorization_refused"),
        (None, {"code": None}, "authorization_response_invalid"),
    ],
)
def test_an_answer_that_is_not_one_to_ours_redeems_nothing(
    promised: bool | None, answer: dict[str, str | None], code: str
) -> None:
    failure, _ = refused(comes_back(**answer), server=asking(authorization_response_iss_parameter_supported=promised))
    assert failure.code == code


def test_where_nobody_is_the_error_holds_the_url() -> None:
    url = "https://as.example.com/authorize?the=request"
    nobody = SignInRequiredError("Nobody is here.", code="sign_in_required").with_(url=url)
    with ScriptedWorld([], reply=nobody) as world, pytest.raises(SignInRequiredError) as failure:
        sign_in(world)
    assert failure.value.url == url
