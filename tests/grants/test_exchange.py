"""The one place that posts to a token endpoint: nonces, proofs, certificates, and what a refusal explains."""

from __future__ import annotations

from contextlib import suppress
from email.utils import formatdate
from typing import Any

import pytest
from errands import AS, BOUND, ISSUED, TOKEN, a_proof_key, errand, form, header, refusal, server
from key_material import pem, read_jwt
from scripted import ScriptedWorld, json_response

from gatepass.client_auth.client_secret import ClientSecret
from gatepass.client_auth.private_key_jwt import PrivateKeyJwt
from gatepass.client_auth.public_client import PublicClient
from gatepass.core.http import HttpResponse
from gatepass.errors import ConfigurationError, RemoteError, UnreachableError
from gatepass.grants.client_credentials import request_client_credentials
from gatepass.grants.exchange import Issued
from gatepass.protocol.server import EndpointAliases

CLIENT = ClientSecret("ci", "the-secret")


def ask(world: ScriptedWorld, client: Any = CLIENT, **fields: Any) -> Issued:
    return request_client_credentials(world, client, errand(**fields))


def refused(script: list[Any], **fields: Any) -> tuple[RemoteError, ScriptedWorld]:
    with ScriptedWorld(script) as world, pytest.raises(RemoteError) as caught:
        ask(world, **fields)
    return caught.value, world


def proof(world: ScriptedWorld, number: int) -> dict[str, object]:
    return read_jwt(header(world.requests[number], "DPoP") or "")[1]


def wants_nonce(nonce: str | None) -> HttpResponse:
    return refusal("use_dpop_nonce", **({} if nonce is None else {"DPoP_Nonce": nonce}))


# what is refused before anything is sent


def test_what_the_server_does_not_offer_is_refused_before_the_secret_is_read() -> None:
    with ScriptedWorld([]) as world, pytest.raises(ConfigurationError, match="private_key_jwt") as failure:
        ask(world, server=server(token_endpoint_auth_methods_supported=("private_key_jwt",)))
    assert failure.value.code == "method_not_offered"
    assert world.revealed == []


def test_a_grant_that_is_not_listed_is_warned_of_and_asked_for_all_the_same() -> None:
    with ScriptedWorld([(TOKEN, ISSUED)]) as world:
        ask(world, server=server(grant_types_supported=("authorization_code", "canary\x1b[2J")))
    (notice,) = world.notices
    assert (notice.code, notice.level, notice.once) == ("grant_not_listed", "warning", True)
    assert "client_credentials" in notice.text
    assert "\x1b" not in notice.text


@pytest.mark.parametrize("listed", [None, ("client_credentials",)])
def test_a_grant_that_is_listed_or_may_be_is_not_warned_of(listed: tuple[str, ...] | None) -> None:
    with ScriptedWorld([(TOKEN, ISSUED)]) as world:
        ask(world, server=server(grant_types_supported=listed))
    assert world.notices == []


# what the token can be used as


@pytest.mark.parametrize(
    ("key", "answer", "code"),
    [
        (None, ISSUED, None),
        (None, BOUND, "token_response_invalid"),
        (a_proof_key(), BOUND, None),
        (a_proof_key(), ISSUED, "token_response_invalid"),
    ],
    ids=["a bearer token", "a bound token without a key", "a bound token", "a bearer token in spite of a key"],
)
def test_a_token_is_bound_if_and_only_if_there_is_a_key(key: Any, answer: HttpResponse, code: str | None) -> None:
    with ScriptedWorld([(TOKEN, answer)]) as world:
        if code is None:
            assert ask(world, proof_key=key).token.token_type == ("DPoP" if key else "Bearer")
        else:
            with pytest.raises(RemoteError) as failure:
                ask(world, proof_key=key)
            assert (failure.value.code, failure.value.retryable) == (code, False)
    assert (header(world.requests[0], "DPoP") is not None) == (key is not None)


def test_a_lifetime_counts_from_when_the_request_was_sent() -> None:
    def slow(_: object) -> HttpResponse:
        world.advance(7)
        return ISSUED

    with ScriptedWorld([(TOKEN, slow)]) as world:
        start = world.now()
        assert ask(world).sent == start


# proofs and nonces


def test_a_proof_is_for_the_token_endpoint_and_carries_no_token() -> None:
    with ScriptedWorld([(f"{TOKEN}?tenant=a", BOUND)]) as world:
        ask(world, proof_key=a_proof_key(), server=server(token_endpoint=f"{AS}/token?tenant=a"))
    assert proof(world, 0) == {
        "jti": proof(world, 0)["jti"],
        "htm": "POST",
        "htu": f"{AS}/token",
        "iat": 1_700_000_000,
    }


def test_a_server_that_wants_its_nonce_gets_it_at_once_with_everything_else_made_anew() -> None:
    with ScriptedWorld([(TOKEN, wants_nonce("n-1")), (TOKEN, BOUND)]) as world:
        ask(world, PrivateKeyJwt("ci", pem("P-256")), proof_key=a_proof_key())
    first, second = proof(world, 0), proof(world, 1)
    assert ("nonce" in first, second["nonce"]) == (False, "n-1")
    assert first["jti"] != second["jti"]
    one, other = (read_jwt(form(request)["client_assertion"])[1]["jti"] for request in world.requests)
    assert one != other


NONCES = [
    # what is known before, what the answers give, how many requests it takes
    ("the same again is an error, not a loop", "n-1", ["n-1"]),
    ("none at all is an error", None, [None]),
    ("none that is newer is an error", "n-1", [None]),
    ("a newer one again is an error", None, ["n-1", "n-2"]),
]


@pytest.mark.parametrize(("before", "answers"), [row[1:] for row in NONCES], ids=[row[0] for row in NONCES])
def test_a_nonce_is_asked_for_once(before: str | None, answers: list[str | None]) -> None:
    with ScriptedWorld([(TOKEN, wants_nonce(nonce)) for nonce in answers]) as world:
        if before is not None:
            world.nonces[AS] = before
        with pytest.raises(RemoteError, match="DPoP-Nonce") as failure:
            ask(world, proof_key=a_proof_key())
    assert (failure.value.error, failure.value.retryable) == ("use_dpop_nonce", False)


def test_without_a_key_there_is_no_proof_that_a_nonce_could_go_into() -> None:
    failure, world = refused([(TOKEN, wants_nonce("n-1"))])
    assert failure.error == "use_dpop_nonce"
    assert header(world.requests[0], "DPoP") is None


@pytest.mark.parametrize("answer", [BOUND, refusal("invalid_grant"), json_response({}, status=503), json_response([])])
def test_the_newest_nonce_is_taken_from_every_answer(answer: HttpResponse) -> None:
    with_nonce = HttpResponse(status=answer.status, headers=(*answer.headers, ("dpop-nonce", "n-2")), body=answer.body)
    with ScriptedWorld([(TOKEN, with_nonce), (TOKEN, BOUND)]) as world:
        world.nonces |= {AS: "n-1", "https://mcp.example.com": "the resource's own"}
        with suppress(RemoteError):
            ask(world, proof_key=a_proof_key())
        ask(world, proof_key=a_proof_key())
    assert (proof(world, 0)["nonce"], proof(world, 1)["nonce"]) == ("n-1", "n-2")
    assert world.nonces["https://mcp.example.com"] == "the resource's own"


def test_an_answer_without_a_nonce_leaves_the_one_that_is_known() -> None:
    with ScriptedWorld([(TOKEN, BOUND)]) as world:
        world.nonces[AS] = "n-1"
        ask(world, proof_key=a_proof_key())
    assert world.nonces == {AS: "n-1"}


# mutual TLS

MTLS = "https://mtls.as.example.com"


@pytest.mark.parametrize(
    ("aliases", "certificate", "url"),
    [
        (EndpointAliases(token_endpoint=f"{MTLS}/token"), "a-thumbprint", f"{MTLS}/token"),
        (EndpointAliases(token_endpoint=f"{MTLS}/token"), None, f"{AS}/token"),
        (EndpointAliases(revocation_endpoint=f"{MTLS}/revoke"), "a-thumbprint", f"{AS}/token"),
        (None, "a-thumbprint", f"{AS}/token"),
    ],
)
def test_the_endpoint_for_certificates_is_for_who_shows_one(
    aliases: EndpointAliases | None, certificate: str | None, url: str
) -> None:
    key = a_proof_key()
    with ScriptedWorld([(f"POST {url}", BOUND)], certificate=certificate) as world:
        ask(world, proof_key=key, server=server(mtls_endpoint_aliases=aliases))
    assert proof(world, 0)["htu"] == url


def test_the_nonces_of_the_endpoint_for_certificates_are_its_own() -> None:
    alias = server(mtls_endpoint_aliases=EndpointAliases(token_endpoint=f"{MTLS}/token"))
    script = [(f"POST {MTLS}/token", wants_nonce("n-1")), (f"POST {MTLS}/token", BOUND)]
    with ScriptedWorld(script, certificate="a-thumbprint") as world:
        world.nonces[AS] = "another origin's"
        ask(world, proof_key=a_proof_key(), server=alias)
    assert "nonce" not in proof(world, 0)
    assert world.nonces == {AS: "another origin's", MTLS: "n-1"}


# what a refusal says


@pytest.mark.parametrize("error", ["invalid_client", "invalid_grant", "invalid_dpop_proof"])
@pytest.mark.parametrize(
    ("ahead_s", "said"), [(-600, "600 s behind"), (600, "600 s ahead of"), (30, "30 s ahead of"), (29, None)]
)
def test_a_refusal_that_the_clocks_explain_says_so(error: str, ahead_s: float, said: str | None) -> None:
    date = formatdate(1_700_000_000.0 + ahead_s, usegmt=True)
    failure, _ = refused([(TOKEN, refusal(error, status=401, Date=date))])
    assert failure.error == error
    assert ("clock is" in str(failure)) is (said is not None)
    assert said is None or said in str(failure)


@pytest.mark.parametrize(
    ("error", "headers"), [("invalid_scope", {"Date": formatdate(1e9, usegmt=True)}), ("invalid_client", {})]
)
def test_the_clocks_explain_nothing_else(error: str, headers: dict[str, str]) -> None:
    failure, _ = refused([(TOKEN, refusal(error, **headers))])
    assert "clock is" not in str(failure)


def test_no_answer_is_told_as_it_is() -> None:
    down = UnreachableError("No answer.", code="timeout", retryable=True)
    with ScriptedWorld([(TOKEN, down)]) as world, pytest.raises(UnreachableError) as failure:
        ask(world, PublicClient("ci"))
    assert failure.value is down
