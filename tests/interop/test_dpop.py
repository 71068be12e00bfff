"""gatepass with tokens that are bound to a key, where both servers want their nonce in each proof (RFC 9449)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from interop import raw
from interop.bound import ProofGate
from interop.person import Person
from interop.place import SECRET, Place
from interop.visit import visit, warm_welcome
from interop.wiretap import Wiretap
from joserfc.jwk import ECKey, OKPKey, RSAKey

import gatepass

if TYPE_CHECKING:
    from pathlib import Path

PROVER = gatepass.ClientCredentials(gatepass.ClientSecret("prover", SECRET))
KEYS = {
    "made": True,
    "ES256": ECKey.generate_key("P-256").as_pem(private=True).decode(),
    "EdDSA": OKPKey.generate_key("Ed25519").as_pem(private=True).decode(),
}


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_a_program_proves_itself_and_calls_a_tool(proving: Place, key: str, mode: str) -> None:
    auth = gatepass.Auth(proving.url, PROVER, issuer=proving.issuer, dpop=KEYS[key])

    assert visit(auth, mode=mode) == warm_welcome("prover")


def test_somebodys_app_proves_itself_when_it_redeems_the_code_and_at_each_renewal(
    proving: Place, alice: Person, wiretap: Wiretap
) -> None:
    way_in = gatepass.AuthorizationCode("app", ask=alice.answers)
    http = gatepass.TokenHttp(transport=wiretap)
    auth = gatepass.Auth(proving.url, way_in, issuer=proving.issuer, dpop=True, http=http)

    def renew() -> None:
        assert auth.rejected(auth.token())

    assert visit(auth, between=renew) == warm_welcome("app")
    assert wiretap.grants == ["authorization_code", "refresh_token"]
    assert raw.refresh(proving, wiretap.refresh_tokens[-1]).json()["error"] == "invalid_grant"


def test_an_app_that_registers_itself_says_that_it_proves_its_tokens(
    proving: Place, alice: Person, wiretap: Wiretap
) -> None:
    way_in = gatepass.AuthorizationCode(ask=alice.answers)
    http = gatepass.TokenHttp(transport=wiretap)
    auth = gatepass.Auth(proving.url, way_in, issuer=proving.issuer, dpop=True, http=http)

    said = visit(auth)

    [registered] = wiretap.to("/reg")
    assert registered.answer["dpop_bound_access_tokens"] is True
    assert said == warm_welcome(registered.answer["client_id"])


def test_the_servers_nonce_is_asked_for_once_and_known_from_then_on(proving: Place, wiretap: Wiretap) -> None:
    http = gatepass.TokenHttp(transport=wiretap)
    auth = gatepass.Auth(proving.url, PROVER, issuer=proving.issuer, dpop=True, http=http)

    assert auth.rejected(auth.token())
    auth.token()

    errors = [exchange.answer.get("error") for exchange in wiretap.to("/token")]
    assert errors == ["use_dpop_nonce", None, None]


def test_a_nonce_that_changes_in_the_middle_of_a_session_costs_one_request(proving: Place, gate: ProofGate) -> None:
    auth = gatepass.Auth(proving.url, PROVER, issuer=proving.issuer, dpop=True)

    def change() -> None:
        gate.errors.clear()
        gate.change_nonce()

    assert visit(auth, between=change) == warm_welcome("prover")
    assert gate.errors == ["use_dpop_nonce"]


def test_the_next_process_goes_on_with_the_key_and_the_token_of_the_last_one(
    proving: Place, wiretap: Wiretap, tmp_path: Path
) -> None:
    http = gatepass.TokenHttp(transport=wiretap)
    for _ in range(2):
        store = gatepass.FileStore(tmp_path / "tokens")
        auth = gatepass.Auth(proving.url, PROVER, issuer=proving.issuer, dpop=True, store=store, http=http)
        assert visit(auth) == warm_welcome("prover")

    assert wiretap.grants == ["client_credentials"]


def test_headers_for_another_client_are_good_for_one_request_and_no_good_without_the_proof(proving: Place) -> None:
    auth = gatepass.Auth(proving.url, PROVER, issuer=proving.issuer, dpop=True)
    asked = raw.knock(proving, auth.headers("POST", proving.url))
    auth.nonce_given(asked.headers["DPoP-Nonce"])

    right = auth.headers("POST", proving.url)
    answers = [
        raw.knock(proving, headers)
        for headers in (
            right,
            right,
            auth.headers("GET", proving.url),
            {**auth.headers("POST", proving.url), "DPoP": ""},
            {"Authorization": f"Bearer {auth.token()}"},
            auth.headers("POST", proving.url),
        )
    ]

    assert [asked.status_code, *(answer.status_code for answer in answers)] == [401, 200, 401, 401, 401, 401, 200]


def test_a_token_is_no_good_with_the_proof_of_another_key(proving: Place) -> None:
    thief, owner = (gatepass.Auth(proving.url, PROVER, issuer=proving.issuer, dpop=True) for _ in range(2))
    thief.nonce_given(raw.knock(proving, thief.headers("POST", proving.url)).headers["DPoP-Nonce"])

    stolen = {**thief.headers("POST", proving.url), "Authorization": f"DPoP {owner.token()}"}

    assert raw.knock(proving, stolen).status_code == 401
    assert raw.knock(proving, thief.headers("POST", proving.url)).status_code == 200


def test_a_client_whose_tokens_must_be_bound_is_refused_without_a_key(proving: Place) -> None:
    with pytest.raises(gatepass.RemoteError) as refused:
        gatepass.Auth(proving.url, PROVER, issuer=proving.issuer).token()

    assert (refused.value.by, refused.value.error) == ("authorization_server", "invalid_grant")


def test_a_key_of_a_kind_that_the_server_does_not_take_is_refused_before_anything_is_sent(
    proving: Place, wiretap: Wiretap
) -> None:
    key = RSAKey.generate_key(2048).as_pem(private=True).decode()
    http = gatepass.TokenHttp(transport=wiretap)

    with pytest.raises(gatepass.ConfigurationError, match="ES256") as refused:
        gatepass.Auth(proving.url, PROVER, issuer=proving.issuer, dpop=key, http=http).token()

    assert refused.value.code == "dpop_alg_not_offered"
    assert wiretap.posts == []
